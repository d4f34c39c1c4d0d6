import { useState } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { ask, manage, own, pathOf, quoted, type Page } from "../api";
import { failuresOf, progressOf } from "../fleet";
import { Chart } from "../chart";
import { useLive } from "../live";
import { titleOf, type Deployment, type DeviceProgress } from "../model";
import { at, Bar, Card, Confirm, Field, Heading, many, Pager, State, Table, Time, Trouble, Waiting, type Question } from "../ui";
import { stateOf } from "./deployments";
import { Failures, partsOf } from "./overview";

async function load(group: string, id: string, signal: AbortSignal) {
  const deployment = await ask<Deployment>(manage(["groups", group, "deployments", id]), { signal });
  const progress = { deployment, ...(await progressOf(group, id, signal)) };
  return { progress, failures: await failuresOf([progress], signal) };
}

const cell = (text: unknown) => `"${String(text ?? "").replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;

/** All device states as CSV; a cell that a spreadsheet would run as a formula is made a text. */
async function exportCsv(group: string, id: string): Promise<void> {
  const rows = ["device,module,state,retries,code,sentence,details,last change"];
  let next: string | undefined = own(["groups", group, "deployments", id, "devicestates"]);
  while (next) {
    const page: Page<DeviceProgress> = await ask(next);
    for (const one of page.value) rows.push([one.deviceId, one.moduleId, one.deviceState, one.retryCount, one.godwit?.extendedResultCode, one.godwit?.extendedResultText || one.godwit?.resultText, one.godwit?.resultDetails, one.godwit?.lastChange].map(cell).join(","));
    next = page.nextLink && pathOf(page.nextLink);
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([rows.join("\r\n") + "\r\n"], { type: "text/csv" }));
  link.download = `${id}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function DeploymentPage({ group, id }: { group: string; id: string }) {
  const [, go] = useLocation();
  const [question, setQuestion] = useState<Question | null>(null);
  const { data, problem, again } = useLive(`deployment ${group}/${id}`, (signal) => load(group, id, signal), 2000);
  const verb = (name: string, ...device: string[]) => ask(own(["groups", group, "deployments", id, ...device], {}, name), { method: "POST" }).then(again);
  const ended = data && stateOf(data.progress);
  const isLive = data && !data.progress.deployment.isCanceled && data.progress.state !== "Inactive";
  const counts = data?.progress.counts;
  const retry = () => setQuestion({ title: `Let ${many(counts!.failed, "failed device")} try again?`, says: <p>Each starts the update from its beginning. What is installed already is skipped.</p>, verb: "Retry", act: () => verb("retry") });
  const cancel = () =>
    setQuestion({
      title: "Cancel this deployment?",
      says: <p>Not done yet: {many(counts!.total - counts!.succeeded - counts!.failed - counts!.cancelled, "device")}, told to stop. Devices that have the update keep it.</p>,
      verb: "Cancel the deployment",
      typed: id,
      act: () => verb("cancel"),
    });
  const remove = () => setQuestion({ title: "Delete this deployment?", says: <p>Its record goes; devices are not changed.</p>, verb: "Delete", typed: id, act: () => ask(manage(["groups", group, "deployments", id]), { method: "DELETE" }).then(() => go("/deployments")) });
  return (
    <>
      <Heading
        title={data ? titleOf(data.progress.deployment.update) : id}
        back={["/deployments", "Deployments"]}
        says={
          <>
            to group <Link href={at("groups", group)}>{group}</Link>, <span class="mono">{id}</span>
          </>
        }
      >
        {ended && <State is={ended.is}>{ended.words}</State>}
        {isLive && counts!.failed > 0 && (
          <button type="button" onClick={retry}>
            Retry failed
          </button>
        )}
        {isLive && (
          <button type="button" class="plain" onClick={cancel}>
            Cancel…
          </button>
        )}
        {data && !isLive && (
          <button type="button" class="plain" onClick={remove}>
            Delete…
          </button>
        )}
      </Heading>
      {problem ? (
        <Trouble problem={problem} />
      ) : !data ? (
        <Waiting />
      ) : (
        <>
          <Card title="Progress" aside={<span>{many(data.progress.counts.total, "device")}, start <Time of={data.progress.deployment.startDateTime} /></span>}>
            <Bar label="Devices" parts={partsOf(data.progress.counts)} />
            {data.progress.deployment.isCloudInitiatedRollback && <div class="note due">This is a roll-back that the service began, because more devices failed than the policy of an earlier deployment allows.</div>}
            {data.progress.deployment.rollbackPolicy && (
              <p class="faint">
                Goes back to {titleOf(data.progress.deployment.rollbackPolicy.update)} when {data.progress.deployment.rollbackPolicy.failure.devicesFailedPercentage} % and at least {many(data.progress.deployment.rollbackPolicy.failure.devicesFailedCount, "device")} failed.
              </p>
            )}
          </Card>
          <Course group={group} id={id} />
          {data.failures.length > 0 && (
            <Card title="Why devices failed">
              <Failures list={data.failures} />
            </Card>
          )}
          <DeviceTable group={group} id={id} isLive={!!isLive} ask={setQuestion} verb={verb} />
        </>
      )}
      <Confirm question={question} onEnd={() => setQuestion(null)} />
    </>
  );
}

interface Point {
  time: string;
  totalDevices: number;
  devicesInProgressCount: number;
  devicesCompletedSucceededCount: number;
  devicesCompletedFailedCount: number;
}
const LINES = [
  { label: "Succeeded", color: "--fill-good", isArea: true },
  { label: "In progress", color: "--fill-busy", dash: [6, 4] },
  { label: "Failed", color: "--fill-bad", dash: [2, 3] },
];

function Course({ group, id }: { group: string; id: string }) {
  const { data } = useLive(`course ${group}/${id}`, (signal) => ask<{ value: Point[] }>(own(["groups", group, "deployments", id, "progress"]), { signal }), 5000);
  const points = data?.value ?? [];
  if (points.length < 2) return null; // it has not begun, or ended within a second
  return (
    <Card title="Over time" aside={<span class="faint">A device counts by its last word: one that failed and then succeeded has succeeded.</span>}>
      <Chart
        label="Devices over time"
        times={points.map((one) => new Date(one.time).getTime())}
        series={LINES}
        values={[points.map((one) => one.devicesCompletedSucceededCount), points.map((one) => one.devicesInProgressCount), points.map((one) => one.devicesCompletedFailedCount)]}
      />
    </Card>
  );
}

function DeviceTable({ group, id, isLive, ask: pose, verb }: { group: string; id: string; isLive: boolean; ask: (question: Question) => void; verb: (name: string, ...device: string[]) => Promise<unknown> }) {
  const state = new URLSearchParams(useSearch()).get("state") ?? "";
  const [, go] = useLocation();
  const [trail, setTrail] = useState<string[]>([""]);
  const [problem, setProblem] = useState("");
  const from = trail[trail.length - 1]!;
  const path = from || own(["groups", group, "deployments", id, "devicestates"], { filter: state ? `deviceState eq ${quoted(state)}` : "" });
  const live = useLive(path, (signal) => ask<Page<DeviceProgress>>(path, { signal }), 2000);
  const act = (name: "retry" | "cancel", one: DeviceProgress) =>
    pose({
      title: name === "retry" ? `Let ${one.deviceId} try again?` : `Stop ${one.deviceId}?`,
      says: <p>{name === "retry" ? "It starts the update from its beginning." : "The device is told to stop where it can; the others go on."}</p>,
      verb: name === "retry" ? "Retry" : "Stop this device",
      act: () => verb(name, "devices", one.deviceId, ...(one.moduleId ? ["modules", one.moduleId] : [])).then(live.again),
    });
  return (
    <Card
      title="Devices"
      aside={
        <button type="button" class="plain small" onClick={() => exportCsv(group, id).catch((failure) => setProblem(failure.message))}>
          Export CSV
        </button>
      }
    >
      <Field label="State">
        {(props) => (
          <select
            {...props}
            value={state}
            onChange={(e) => {
              setTrail([""]);
              go(at("deployments", group, id) + (e.currentTarget.value ? "?state=" + e.currentTarget.value : ""));
            }}
          >
            <option value="">All</option>
            <option value="InProgress">In progress</option>
            <option value="Failed">Failed</option>
            <option value="Succeeded">Succeeded</option>
            <option value="Canceled">Cancelled</option>
          </select>
        )}
      </Field>
      {problem && <Trouble problem={problem} />}
      {live.problem ? (
        <Trouble problem={live.problem} />
      ) : !live.data ? (
        <Waiting />
      ) : live.data.value.length === 0 ? (
        <p class="faint">{state ? "No device is in this state." : "No device takes part yet. It begins at its start time, with devices of the group that the update fits."}</p>
      ) : (
        <Table label="Devices of the deployment" heads={["Device", "State", "In words", "Since", ""]}>
          {live.data.value.map((one) => (
            <tr key={one.deviceId + "/" + one.moduleId}>
              <td class="name">
                <Link href={at("devices", one.deviceId, ...(one.moduleId ? [one.moduleId] : []))}>{one.moduleId ? `${one.deviceId}/${one.moduleId}` : one.deviceId}</Link>
              </td>
              <td>
                <State is={one.deviceState} />
              </td>
              <td>
                {one.deviceState === "Failed" && <code>{one.godwit?.extendedResultCode} </code>}
                {one.deviceState === "InProgress" ? (one.godwit?.steps ? `step ${(one.godwit.step ?? 0) + 1} of ${one.godwit.steps}` : "") : one.deviceState === "Failed" ? one.godwit?.resultDetails || one.godwit?.extendedResultText || one.godwit?.resultText : one.godwit?.resultText}
                {one.retryCount > 0 && <span class="faint"> after {many(one.retryCount, "retry", "retries")}</span>}
              </td>
              <td>
                <Time of={one.godwit?.lastChange} />
              </td>
              <td>
                {isLive && one.deviceState === "Failed" && (
                  <button type="button" class="plain small" aria-label={`Retry ${one.deviceId}`} onClick={() => act("retry", one)}>
                    Retry
                  </button>
                )}
                {isLive && one.deviceState === "InProgress" && (
                  <button type="button" class="plain small" aria-label={`Stop ${one.deviceId}`} onClick={() => act("cancel", one)}>
                    Stop
                  </button>
                )}
              </td>
            </tr>
          ))}
        </Table>
      )}
      {live.data && <Pager page={trail.length - 1} count={live.data.value.length} hasNext={!!live.data.nextLink} onBack={() => setTrail(trail.slice(0, -1))} onNext={() => setTrail([...trail, pathOf(live.data!.nextLink!)])} />}
    </Card>
  );
}
