// Making a deployment: group, update, when, what if it fails; and, before the button, whom it touches.
import { useState } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { all, ask, each, manage, Problem, type Page } from "../api";
import { classesById, listGroups } from "../fleet";
import { useLive } from "../live";
import { className, isSame, nameOf, titleOf, type BestUpdate, type DeviceClass, type Subgroup, type UpdateInfo } from "../model";
import { at, Card, Empty, Field, Heading, many, State, Trouble, useBusy, Waiting } from "../ui";

interface Reach {
  subgroup: Subgroup;
  kind?: DeviceClass;
  fits: UpdateInfo[];
  best?: BestUpdate;
}

async function reachOf(group: string, signal: AbortSignal): Promise<Reach[]> {
  const [subgroups, best, classes] = await Promise.all([all<Subgroup>(manage(["groups", group, "deviceClassSubgroups"]), 500, signal), all<BestUpdate>(manage(["groups", group, "bestUpdates"]), 500, signal), classesById(signal)]);
  return each(subgroups.value, async (subgroup) => ({
    subgroup,
    kind: classes.get(subgroup.deviceClassId),
    fits: (await ask<Page<UpdateInfo>>(manage(["deviceClasses", subgroup.deviceClassId, "installableUpdates"]), { signal })).value,
    best: best.value.find((one) => one.deviceClassId === subgroup.deviceClassId),
  }));
}

/** A name that tells what and when, from letters that a deployment's id may have. */
function idFor(update: UpdateInfo): string {
  const stamp = new Date().toISOString().slice(0, 19).replace(/[-:T]/g, "");
  const name = `${update.updateId.name}-${update.updateId.version}`.toLowerCase().replace(/[^a-z0-9._-]/g, "-");
  return `${name.slice(0, 58)}-${stamp}`;
}

export function Deploy() {
  const given = new URLSearchParams(useSearch());
  const [, go] = useLocation();
  const [group, setGroup] = useState(given.get("group") ?? "");
  const [chosen, setChosen] = useState(given.get("update") ?? "");
  const [start, setStart] = useState("");
  const [rollback, setRollback] = useState({ update: "", percentage: 10, count: 1 });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, run] = useBusy();
  const groups = useLive("groups", listGroups);
  const reach = useLive(group && `reach ${group}`, (signal) => reachOf(group, signal));

  const updates = [...new Map((reach.data ?? []).flatMap((one) => one.fits).map((one) => [nameOf(one.updateId), one])).values()];
  const update = updates.find((one) => nameOf(one.updateId) === chosen);
  const isBest = (one: UpdateInfo) => (reach.data ?? []).some((part) => part.best && isSame(part.best.update.updateId, one.updateId));
  updates.sort((a, b) => Number(isBest(b)) - Number(isBest(a)) || nameOf(b.updateId).localeCompare(nameOf(a.updateId), undefined, { numeric: true }));
  const older = updates.filter((one) => update && one !== update && one.updateId.name === update.updateId.name && one.updateId.provider === update.updateId.provider);
  const touched = (reach.data ?? []).filter((part) => update && part.fits.some((one) => isSame(one.updateId, update.updateId)));

  const send = (event: Event) => {
    event.preventDefault();
    void run(begin);
  };
  const begin = async () => {
    setProblem(null);
    const id = idFor(update!);
    const back = older.find((one) => nameOf(one.updateId) === rollback.update);
    try {
      await ask(manage(["groups", group, "deployments", id]), {
        method: "PUT",
        body: {
          deploymentId: id,
          groupId: group,
          startDateTime: (start ? new Date(start) : new Date()).toISOString(),
          update: { updateId: update!.updateId },
          ...(back && { rollbackPolicy: { update: { updateId: back.updateId }, failure: { devicesFailedPercentage: rollback.percentage, devicesFailedCount: rollback.count } } }),
        },
      });
      go(at("deployments", group, id));
    } catch (failure) {
      setProblem(failure instanceof Problem ? failure : new Problem(String(failure), -1));
    }
  };

  return (
    <>
      <Heading title="Deploy an update" back={["/deployments", "Deployments"]} says="Nothing begins before the last button." />
      {groups.problem && <Trouble problem={groups.problem} />}
      <form onSubmit={send}>
        <Card title="1. To whom">
          <Field label="Group" help="Devices get into a group by their tag ADUGroup; those without are in $default.">
            {(props) => (
              <select {...props} required value={group} onChange={(e) => (setGroup(e.currentTarget.value), given.get("update") || setChosen(""))}>
                <option value="">Choose a group</option>
                {groups.data?.value.map((one) => (
                  <option key={one.groupId} value={one.groupId}>
                    {one.groupId} ({many(one.deviceCount ?? 0, "device")})
                  </option>
                ))}
              </select>
            )}
          </Field>
        </Card>
        {group && (
          <Card title="2. Which update">
            {reach.problem ? (
              <Trouble problem={reach.problem} />
            ) : !reach.data ? (
              <Waiting />
            ) : updates.length === 0 ? (
              <Empty title="No update fits this group">
                <p>
                  An update fits when its compatibility names what the devices report: {reach.data.map((part) => className(part.kind, part.subgroup.deviceClassId)).join("; ") || "the group has no devices"}. <Link href="/updates/import">Import one</Link>.
                </p>
              </Empty>
            ) : (
              <fieldset style={{ border: 0, padding: 0, margin: 0 }}>
                <legend class="hidden">Update</legend>
                {updates.slice(0, 40).map((one) => (
                  <label class="choice" key={nameOf(one.updateId)}>
                    <input type="radio" name="update" required checked={nameOf(one.updateId) === chosen} onChange={() => setChosen(nameOf(one.updateId))} />
                    <span class="strong">{titleOf(one)}</span> {isBest(one) && <State is="Succeeded">Best</State>}
                    <span class="faint"> {one.description}</span>
                  </label>
                ))}
                {chosen && !update && <Trouble problem={`${chosen} fits no device of this group; choose another update or group`} />}
              </fieldset>
            )}
          </Card>
        )}
        {update && (
          <>
            <Card title="3. When, and what if it fails">
              <Field label="Start" help="Your local time; empty means now.">
                {(props) => <input {...props} type="datetime-local" value={start} onInput={(e) => setStart(e.currentTarget.value)} />}
              </Field>
              <Field label="Roll back" help={older.length ? "When too many devices fail, all of them get this update instead." : "There is no other version of this update that could be the way back."}>
                {(props) => (
                  <select {...props} disabled={older.length === 0} value={rollback.update} onChange={(e) => setRollback({ ...rollback, update: e.currentTarget.value })}>
                    <option value="">Never by itself</option>
                    {older.map((one) => (
                      <option key={nameOf(one.updateId)} value={nameOf(one.updateId)}>
                        to {titleOf(one)}
                      </option>
                    ))}
                  </select>
                )}
              </Field>
              {rollback.update && (
                <div class="filters">
                  <Field label="Failed devices, percent">
                    {(props) => <input {...props} type="number" min={1} max={100} required value={rollback.percentage} onInput={(e) => setRollback({ ...rollback, percentage: Number(e.currentTarget.value) })} />}
                  </Field>
                  <Field label="and at least so many">
                    {(props) => <input {...props} type="number" min={1} required value={rollback.count} onInput={(e) => setRollback({ ...rollback, count: Number(e.currentTarget.value) })} />}
                  </Field>
                </div>
              )}
            </Card>
            <Preview update={update} group={group} reach={reach.data ?? []} touched={touched} isLater={!!start} />
            {problem && <Trouble problem={problem} />}
            <button disabled={isBusy || touched.length === 0}>{start ? "Schedule the deployment" : "Start the deployment"}</button>
          </>
        )}
      </form>
    </>
  );
}

function Preview({ update, group, reach, touched, isLater }: { update: UpdateInfo; group: string; reach: Reach[]; touched: Reach[]; isLater: boolean }) {
  const count = touched.reduce((sum, part) => sum + (part.subgroup.deviceCount ?? 0), 0);
  const left = reach.filter((part) => !touched.includes(part));
  return (
    <Card title="Whom it touches">
      <p>
        <span class="strong">{many(count, "device")}</span> of {group} {isLater ? "will be" : count === 1 ? "is" : "are"} offered {titleOf(update)}.
      </p>
      <ul class="list">
        {touched.map((part) => (
          <li key={part.subgroup.deviceClassId}>
            <State is="Active">{many(part.subgroup.deviceCount ?? 0, "device")}</State> {className(part.kind, part.subgroup.deviceClassId)}
            {part.best && isSame(part.best.update.updateId, update.updateId) && part.best.deviceCount < (part.subgroup.deviceCount ?? 0) && <span class="faint">, {(part.subgroup.deviceCount ?? 0) - part.best.deviceCount} of them have it already and skip it</span>}
            {part.best && !isSame(part.best.update.updateId, update.updateId) && <p class="note due">The best update for them is {titleOf(part.best.update)}; you chose another.</p>}
            {part.subgroup.deploymentId && <p class="faint">Takes the place of {part.subgroup.deploymentId}.</p>}
          </li>
        ))}
        {left.map((part) => (
          <li key={part.subgroup.deviceClassId}>
            <State is="Inactive">Not touched</State> {many(part.subgroup.deviceCount ?? 0, "device")} of {className(part.kind, part.subgroup.deviceClassId)}: the update is not made for them.
          </li>
        ))}
      </ul>
    </Card>
  );
}
