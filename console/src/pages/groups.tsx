import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { all, ask, manage, own } from "../api";
import { classesById, listGroups } from "../fleet";
import { useLive } from "../live";
import { className, titleOf, type BestUpdate, type Compliance, type Deployment, type DeviceClass, type Group, type Subgroup } from "../model";
import { at, Bar, Card, Confirm, Empty, Field, Heading, many, State, Table, Time, Trouble, Waiting, useBusy, type Question } from "../ui";

const compliance = (counts: Compliance) => [
  { label: "up to date", count: counts.onLatestUpdateDeviceCount, look: "good" },
  { label: "in progress", count: counts.updatesInProgressDeviceCount, look: "busy" },
  { label: "update available", count: counts.newUpdatesAvailableDeviceCount, look: "due" },
];

export function Groups() {
  const { data, problem } = useLive("groups and classes", async (signal) => ({ groups: await listGroups(signal), classes: [...(await classesById(signal)).values()] }), 10_000);
  return (
    <>
      <Heading title="Groups and classes" says="A group is chosen by you, with the tag ADUGroup of a device's twin. A class follows from what a device reports about itself." />
      {problem ? (
        <Trouble problem={problem} />
      ) : !data ? (
        <Waiting />
      ) : (
        <>
          <Card title="Groups">
            <Table label="Groups" heads={["Group", "Devices", "Classes", "Live deployments", "Since"]}>
              {data.groups.value.map((group) => (
                <tr key={group.groupId}>
                  <td class="name">
                    <Link href={at("groups", group.groupId)}>{group.groupId}</Link>
                    {group.groupType === "DefaultNoTag" && <div class="faint">devices without a group</div>}
                  </td>
                  <td>{(group.deviceCount ?? 0).toLocaleString()}</td>
                  <td>
                    {!!group.subgroupsWithUpdatesInProgressCount && <State is="InProgress">{group.subgroupsWithUpdatesInProgressCount} in progress</State>} {!!group.subgroupsWithNewUpdatesAvailableCount && <State is="due">{group.subgroupsWithNewUpdatesAvailableCount} with updates</State>} {!!group.subgroupsWithOnLatestUpdateCount && <State is="Succeeded">{group.subgroupsWithOnLatestUpdateCount} up to date</State>}
                  </td>
                  <td>{group.deployments?.map((id) => <Link key={id} href={at("deployments", group.groupId, id)}>{id} </Link>)}</td>
                  <td>
                    <Time of={group.createdDateTime} />
                  </td>
                </tr>
              ))}
            </Table>
          </Card>
          <AddToGroup />
          <Classes classes={data.classes} />
        </>
      )}
    </>
  );
}

function AddToGroup() {
  const [group, setGroup] = useState("");
  const [devices, setDevices] = useState("");
  const [result, setResult] = useState<{ changedCount: number; failedCount: number } | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  const ids = devices.split(/[\s,]+/).filter(Boolean);
  const [isBusy, run] = useBusy();
  const send = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      setProblem(null);
      setResult(null);
      try {
        setResult(await ask(own(["devices"], {}, "tag"), { method: "POST", body: { tags: { ADUGroup: group.trim() || null }, deviceIds: ids } }));
      } catch (failure) {
        setProblem(failure as Error);
      }
    });
  };
  return (
    <Card title="Put devices into a group">
      <form onSubmit={send}>
        <Field label="Group name" help="A new name makes a new group; empty takes the devices out of theirs.">
          {(props) => <input {...props} value={group} maxLength={200} onInput={(e) => setGroup(e.currentTarget.value)} />}
        </Field>
        <Field label="Device ids" help="Separated by blanks, commas or line ends.">
          {(props) => <textarea {...props} rows={3} required value={devices} onInput={(e) => setDevices(e.currentTarget.value)} />}
        </Field>
        {problem && <Trouble problem={problem.message} />}
        <div role="status">{result && <p>{many(result.changedCount, "device")} changed{result.failedCount > 0 && `, ${result.failedCount} not: check their ids`}.</p>}</div>
        <button disabled={isBusy || ids.length === 0}>Tag {many(ids.length, "device")}</button>
      </form>
    </Card>
  );
}

function Classes({ classes }: { classes: DeviceClass[] }) {
  const [named, setNamed] = useState<Record<string, string>>({});
  const [editing, setEditing] = useState("");
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const [isBusy, run] = useBusy();
  const save = (event: Event, id: string) => {
    event.preventDefault();
    void run(async () => {
      try {
        await ask(manage(["deviceClasses", id]), { method: "PATCH", body: { friendlyName: text } });
        setNamed({ ...named, [id]: text });
        setEditing("");
        setProblem("");
      } catch (failure) {
        setProblem((failure as Error).message);
      }
    });
  };
  return (
    <Card title="Classes">
      {problem && <Trouble problem={problem} />}
      {classes.length === 0 ? (
        <Empty title="No class yet">
          <p>A class appears with the first device that reports what it is.</p>
        </Empty>
      ) : (
        <Table label="Classes" heads={["Class", "Reports", "Best update", ""]}>
          {classes.map((one) => (
            <tr key={one.deviceClassId}>
              <td class="name">
                <Link href={`/devices?class=${one.deviceClassId}`}>{named[one.deviceClassId] ?? className(one)}</Link>
              </td>
              <td>
                {Object.entries(one.deviceClassProperties.compatProperties)
                  .map(([name, value]) => `${name}: ${value}`)
                  .join(", ")}
              </td>
              <td>{one.bestCompatibleUpdate ? titleOf(one.bestCompatibleUpdate) : <span class="faint">none fits</span>}</td>
              <td>
                {editing === one.deviceClassId ? (
                  <form class="actions" onSubmit={(e) => save(e, one.deviceClassId)}>
                    <input aria-label="Friendly name" pattern="[A-Za-z0-9.\-]{1,100}" title="1 to 100 letters, digits, dots and hyphens" required value={text} onInput={(e) => setText(e.currentTarget.value)} />
                    <button class="small" disabled={isBusy}>Save</button>
                  </form>
                ) : (
                  <button type="button" class="plain small" aria-label={`Name ${className(one)}`} onClick={() => (setEditing(one.deviceClassId), setText(one.friendlyName ?? ""))}>
                    Name…
                  </button>
                )}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

async function loadGroup(id: string, signal: AbortSignal) {
  const [group, counts, subgroups, deployments, classes, best] = await Promise.all([
    ask<Group>(manage(["groups", id]), { signal }),
    ask<Compliance>(manage(["groups", id, "updateCompliance"]), { signal }),
    all<Subgroup>(manage(["groups", id, "deviceClassSubgroups"]), 500, signal),
    all<Deployment>(manage(["groups", id, "deployments"]), 200, signal),
    classesById(signal),
    all<BestUpdate>(manage(["groups", id, "bestUpdates"]), 500, signal),
  ]);
  return { group, counts, subgroups: subgroups.value, deployments: deployments.value.reverse(), classes, best: best.value };
}

export function GroupPage({ id }: { id: string }) {
  const [, go] = useLocation();
  const [question, setQuestion] = useState<Question | null>(null);
  const { data, problem } = useLive(`group ${id}`, (signal) => loadGroup(id, signal), 5000);
  const remove = () => setQuestion({ title: `Delete the group ${id}?`, says: <p>Only a group without devices and deployments can be deleted.</p>, verb: "Delete the group", typed: id, act: () => ask(manage(["groups", id]), { method: "DELETE" }).then(() => go("/groups")) });
  return (
    <>
      <Heading title={id} back={["/groups", "Groups and classes"]} says={data && many(data.group.deviceCount ?? 0, "device")}>
        <Link class="button" href={`/deployments/new?group=${encodeURIComponent(id)}`}>
          Deploy to this group
        </Link>
        <Link class="button plain" href={`/devices?group=${encodeURIComponent(id)}`}>
          Devices
        </Link>
        {id !== "$default" && (
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
          <Card title="Compliance">
            <Bar label="Compliance" parts={compliance(data.counts)} />
          </Card>
          <Card title="Classes in this group">
            <Table label="Classes in this group" heads={["Class", "Devices", "Best update", "Deployment"]}>
              {data.subgroups.map((one) => {
                const best = data.best.find((candidate) => candidate.deviceClassId === one.deviceClassId);
                return (
                  <tr key={one.deviceClassId}>
                    <td class="name">{className(data.classes.get(one.deviceClassId), one.deviceClassId)}</td>
                    <td>{one.deviceCount}</td>
                    <td>{best ? <>{titleOf(best.update)}{best.deviceCount > 0 && <span class="faint">, {best.deviceCount} without it</span>}</> : <span class="faint">none fits</span>}</td>
                    <td>{one.deploymentId ? <Link href={at("deployments", id, one.deploymentId)}>{one.deploymentId}</Link> : <span class="faint">none</span>}</td>
                  </tr>
                );
              })}
            </Table>
          </Card>
          <Card title="Deployments to this group, newest first">
            {data.deployments.length === 0 ? (
              <p class="faint">None yet.</p>
            ) : (
              <ul class="list">
                {data.deployments.map((one) => (
                  <li key={one.deploymentId} class="row">
                    <Link href={at("deployments", id, one.deploymentId)}>{titleOf(one.update)}</Link>
                    <span class="faint">
                      {one.isCanceled && <State is="Canceled" />} <Time of={one.startDateTime} />
                    </span>
                  </li>
                ))}
              </ul>
            )}
          </Card>
        </>
      )}
      <Confirm question={question} onEnd={() => setQuestion(null)} />
    </>
  );
}
