import { Link } from "wouter-preact";
import { deployments, type Progress } from "../fleet";
import { useLive } from "../live";
import { titleOf } from "../model";
import { at, Bar, Card, Empty, Heading, State, Table, Time, Trouble, Waiting } from "../ui";
import { partsOf } from "./overview";

/** The state in one word: what the service says, and whether work is left. */
export function stateOf(one: Progress): { is: string; words?: string } {
  const { counts, state } = one;
  if (one.deployment.isCanceled) return { is: "Canceled" };
  if (state !== "Active") return { is: state };
  const ended = counts.succeeded + counts.failed + counts.cancelled;
  if (new Date(one.deployment.startDateTime).getTime() > Date.now()) return { is: "due", words: "Scheduled" };
  if (counts.total > 0 && ended === counts.total) return counts.failed ? { is: "Failed", words: "Ended, with failures" } : { is: "Succeeded", words: "Done" };
  return { is: "Active", words: "Running" };
}

export function Deployments() {
  const { data, problem } = useLive("deployments", (signal) => deployments(false, signal), 5000);
  return (
    <>
      <Heading title="Deployments" says="One update for one group. A later deployment to the same group takes the place of the earlier one.">
        <Link class="button" href="/deployments/new">
          Deploy an update
        </Link>
      </Heading>
      <Card>
        {problem ? (
          <Trouble problem={problem} />
        ) : !data ? (
          <Waiting />
        ) : data.list.length === 0 ? (
          <Empty title="Nothing was deployed yet">
            <p>
              Import an update, put devices into a group, then <Link href="/deployments/new">deploy</Link>. You see whom it touches before it begins.
            </p>
          </Empty>
        ) : (
          <Table label="Deployments" heads={["Update", "Group", "State", "Devices", "Start"]}>
            {data.list.map((one) => {
              const state = stateOf(one);
              return (
                <tr key={one.deployment.groupId + "/" + one.deployment.deploymentId}>
                  <td class="name">
                    <Link href={at("deployments", one.deployment.groupId, one.deployment.deploymentId)}>{titleOf(one.deployment.update)}</Link>
                    <div class="faint mono">{one.deployment.deploymentId}</div>
                  </td>
                  <td>
                    <Link href={at("groups", one.deployment.groupId)}>{one.deployment.groupId}</Link>
                  </td>
                  <td>
                    <State is={state.is}>{state.words}</State>
                  </td>
                  <td style={{ minWidth: "15rem" }}>{one.counts.total > 0 ? <Bar isSlim label="Devices" parts={partsOf(one.counts).filter((part) => part.count)} /> : <span class="faint">none now</span>}</td>
                  <td>
                    <Time of={one.deployment.startDateTime} />
                  </td>
                </tr>
              );
            })}
          </Table>
        )}
        {data && !data.isWhole && <p class="faint">Only deployments of the first 300 groups are listed; open a group to see its own.</p>}
      </Card>
    </>
  );
}
