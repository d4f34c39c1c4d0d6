import { Link } from "wouter-preact";
import { ask, hub, manage, own, Problem, quoted, type Page } from "../api";
import { deployments, failuresOf, remedyOf, type FailureGroup, type Progress } from "../fleet";
import { Chart, withGaps } from "../chart";
import { useLive } from "../live";
import type { BestUpdate, Compliance } from "../model";
import { titleOf } from "../model";
import { at, Bar, Card, Donut, Empty, Heading, many, State, Time, Trouble, Waiting, type Part } from "../ui";

export function partsOf(counts: Progress["counts"]): Part[] {
  const waiting = Math.max(0, counts.total - counts.succeeded - counts.failed - counts.running - counts.cancelled);
  return [
    { label: "succeeded", count: counts.succeeded, look: "good" },
    { label: "in progress", count: counts.running, look: "busy" },
    { label: "failed", count: counts.failed, look: "bad" },
    { label: "waiting or cancelled", count: waiting + counts.cancelled, look: "quiet" },
  ];
}

async function load(signal: AbortSignal) {
  const [compliance, live, unhealthy, best, connected] = await Promise.all([
    ask<Compliance>(manage(["updateCompliance"]), { signal }),
    deployments(true, signal),
    ask<Page<unknown>>(manage(["deviceDiagnostics", "deviceHealth"], { filter: `state eq ${quoted("unhealthy")}` }), { signal }),
    dueUpdates(signal),
    ask<{ connectedDeviceCount: number }>(hub(["statistics", "service"]), { signal }).catch(() => null),
  ]);
  const failures = await failuresOf(live.list, signal);
  return { compliance, live, unhealthy, best, connected, failures };
}

/** Updates that fit $default's devices or groups where nothing is deployed: what an operator might have forgotten. */
async function dueUpdates(signal: AbortSignal): Promise<BestUpdate[]> {
  const groups = await ask<Page<{ groupId: string; subgroupsWithNewUpdatesAvailableCount?: number }>>(manage(["groups"]), { signal });
  const due = groups.value.filter((group) => group.subgroupsWithNewUpdatesAvailableCount).slice(0, 8);
  const lists = await Promise.all(due.map((group) => ask<Page<BestUpdate>>(manage(["groups", group.groupId, "bestUpdates"]), { signal })));
  return lists.flatMap((list) => list.value).filter((one) => one.deviceCount > 0);
}

export function Overview() {
  const { data, problem } = useLive("overview", load, 5000);
  return (
    <>
      <Heading title="Overview" says="How the fleet is, now.">
        <Link class="button" href="/deployments/new">
          Deploy an update
        </Link>
      </Heading>
      {problem ? <Trouble problem={problem} /> : !data ? <Waiting /> : data.compliance.totalDeviceCount === 0 ? <FirstSteps /> : <Fleet data={data} />}
    </>
  );
}

function Fleet({ data }: { data: Awaited<ReturnType<typeof load>> }) {
  const { compliance, live } = data;
  const running = live.list.filter((one) => one.counts.running > 0 || one.counts.succeeded + one.counts.failed + one.counts.cancelled < one.counts.total);
  const share = Math.floor((compliance.onLatestUpdateDeviceCount / compliance.totalDeviceCount) * 100);
  const parts: Part[] = [
    { label: "up to date", count: compliance.onLatestUpdateDeviceCount, look: "good" },
    { label: "in progress", count: compliance.updatesInProgressDeviceCount, look: "busy" },
    { label: "update available", count: compliance.newUpdatesAvailableDeviceCount, look: "due" },
  ];
  return (
    <div class="grid">
      <Card title="Compliance" aside={<Link href="/devices">{many(compliance.totalDeviceCount, "device")}</Link>}>
        <div class="compliance">
          <Donut parts={parts} label="Compliance" middle={`${share}%`} below="up to date" />
          <dl>
            {parts.map((part) => (
              <div class="pair" key={part.label}>
                <dd>{part.count.toLocaleString()}</dd>
                <dt>
                  <i class={`dot ${part.look}`} aria-hidden="true" /> {part.label}
                </dt>
              </div>
            ))}
            {data.connected && (
              <div class="pair">
                <dd>{data.connected.connectedDeviceCount.toLocaleString()}</dd>
                <dt>connected now</dt>
              </div>
            )}
          </dl>
        </div>
      </Card>
      <Attention data={data} />
      <Card title="Deployments running" wide aside={<Link href="/deployments">All deployments</Link>}>
        {running.length === 0 ? (
          <p class="faint">None. Every deployment has ended on all its devices.</p>
        ) : (
          <ul class="list">
            {running.map((one) => (
              <li key={one.deployment.groupId + "/" + one.deployment.deploymentId}>
                <div class="row">
                  <span>
                    <Link class="strong" href={at("deployments", one.deployment.groupId, one.deployment.deploymentId)}>
                      {titleOf(one.deployment.update)}
                    </Link>{" "}
                    to {one.deployment.groupId}
                  </span>
                  <span class="faint">
                    since <Time of={one.deployment.startDateTime} />
                  </span>
                </div>
                <Bar isSlim label={one.deployment.deploymentId} parts={partsOf(one.counts)} />
              </li>
            ))}
          </ul>
        )}
        {!live.isWhole && <p class="faint">Only the first 300 groups are shown here.</p>}
      </Card>
      <Card title="Failures by code" wide>
        {data.failures.length === 0 ? <p class="faint">No device failed in a live deployment.</p> : <Failures list={data.failures} />}
      </Card>
      <Online />
    </div>
  );
}

/** Samples of the service; where it was not running there is a gap. */
function Online() {
  const { data, problem } = useLive("online", (signal) => ask<{ value: { time: string; connectedDeviceCount: number }[] }>(own(["hub", "connectionHistory"]), { signal }), 30_000, { byClock: true });
  if (problem) return problem instanceof Problem && problem.status === 403 ? null : <Card title="Devices connected, last day" wide><Trouble problem={problem} /></Card>;
  const points = (data?.value ?? []).map((one) => ({ time: new Date(one.time).getTime(), count: one.connectedDeviceCount }));
  const { times, values } = withGaps(points, 11 * 60_000, (one) => one.count);
  return (
    <Card title="Devices connected, last day" wide>
      {!data ? <Waiting /> : points.length < 2 ? <p class="faint">The service has begun to watch just now; the first points come within a minute.</p> : <Chart label="Devices connected" times={times} series={[{ label: "Devices connected", color: "--fill-good", isArea: true }]} values={[values]} />}
    </Card>
  );
}

export function Failures({ list }: { list: FailureGroup[] }) {
  return (
    <ul class="list">
      {list.map((one) => (
        <li key={one.code}>
          <div class="row">
            <span>
              <State is="Failed">{many(one.devices.length, "device")}</State> <code>{one.code}</code>
            </span>
            <Link href={at("deployments", one.devices[0]!.group, one.devices[0]!.deployment) + "?state=Failed"}>Show and retry</Link>
          </div>
          <p>
            {one.details && <span class="strong">“{one.details}” </span>}
            <span class={one.details ? "" : "strong"}>{one.sentence}.</span>
          </p>
          {!one.isKnown && <p class="faint">{remedyOf(false)}</p>}
          <p>
            {one.devices.slice(0, 6).map((device) => (
              <span key={device.deviceId}>
                <Link href={at("devices", device.deviceId)}>{device.deviceId}</Link>{" "}
              </span>
            ))}
            {one.devices.length > 6 && <span class="faint">and {one.devices.length - 6} more</span>}
          </p>
        </li>
      ))}
    </ul>
  );
}

function Attention({ data }: { data: Awaited<ReturnType<typeof load>> }) {
  const failed = data.live.list.reduce((sum, one) => sum + one.counts.failed, 0);
  const rolledBack = data.live.list.filter((one) => one.deployment.isCloudInitiatedRollback);
  const items = [
    failed > 0 && (
      <li key="failed">
        <State is="Failed">{many(failed, "device")} failed</State>
        <p>Below is why, by code. Mend the cause, then retry.</p>
      </li>
    ),
    rolledBack.length > 0 && (
      <li key="rolled">
        <State is="Failed">{many(rolledBack.length, "deployment")} rolled back</State>
        <p>More devices failed than the policy allows; they were given the earlier update.</p>
      </li>
    ),
    data.unhealthy.value.length > 0 && (
      <li key="unhealthy">
        <State is="due">
          {data.unhealthy.nextLink ? `${data.unhealthy.value.length} or more devices` : many(data.unhealthy.value.length, "device")} cannot take updates
        </State>
        <p>What reports no properties of its kind fits no update. Start the agent there, or see the device's page.</p>
      </li>
    ),
    ...data.best
      .filter((due) => !data.live.list.some((one) => one.deployment.groupId === due.groupId && one.deployment.update.updateId.version === due.update.updateId.version && one.deployment.update.updateId.name === due.update.updateId.name))
      .map((due) => (
        <li key={due.groupId + due.deviceClassId}>
          <State is="due">{many(due.deviceCount, "device")} could be updated</State>
          <p>
            {titleOf(due.update)} fits in group {due.groupId}. <Link href={`/deployments/new?group=${encodeURIComponent(due.groupId)}`}>Deploy it</Link>
          </p>
        </li>
      )),
  ].filter(Boolean);
  return <Card title="Needs attention">{items.length ? <ul class="list">{items}</ul> : <p class="faint">Nothing. All is as it should be.</p>}</Card>;
}

export function FirstSteps() {
  return (
    <Card>
      <Empty title="No device has reported yet">
        <p>Give a device an identity, then start its agent with the key:</p>
        <pre>godwit hub device-identity create -d my-device --key-file my-device.key</pre>
        <p>
          It appears here with its first report. Meanwhile you can <Link href="/updates/import">import an update</Link>.
        </p>
      </Empty>
    </Card>
  );
}
