import type { ComponentChildren } from "preact";
import { Link } from "wouter-preact";
import { ask, data as path, hub, manage, own, Problem } from "../api";
import { useLive } from "../live";
import { className, nameOf, titleOf, type Deployment, type DeviceClass, type ExplainedDevice, type Update, type Words } from "../model";
import { remedyOf } from "../fleet";
import { partsOf, type Part, type Report } from "../parts";
import { DeviceLogs } from "./logs";
import { at, bytes, Card, DeviceStateOf, Heading, many, State, Table, Time, Trouble, Waiting } from "../ui";

interface Twin {
  tags?: Record<string, unknown>;
  properties?: { desired?: Record<string, unknown>; reported?: Record<string, unknown> };
}
interface Connection {
  isConnected: boolean;
  connectedSince?: string;
  disconnectedSince?: string;
  lastActivityTime?: string;
  lastDisconnectReason?: string;
}
const AGENT_STATES: Record<number, string> = { 0: "Idle", 1: "Download began", 2: "Downloaded", 3: "Installing", 4: "Installed", 5: "Applying", 6: "Work began", 255: "Failed" };

/** What the caller may not see is left out; the rest of the page stands. */
async function ifAllowed<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (failure) {
    if (failure instanceof Problem && (failure.status === 403 || failure.status === 404)) return null;
    throw failure;
  }
}

/** An update never changes, so each is asked for once while the page is open. */
const updates = new Map<string, Update>();

/** Empty where no report names a part; what the caller may not see, or was deleted since, is passed over. */
async function loadParts(device: ExplainedDevice, signal: AbortSignal): Promise<Part[]> {
  const telling = device.reports.filter((one) => one.report.result?.stepResults?.some((step) => step.resultDetails?.includes(": ")));
  const own = device.deployment;
  // A report of a failure names the update that is still there, not the one that it was for; its workflow does, while that is the present one.
  const isGood = ({ report }: Report) => report.state === 0 && (report.result?.resultCode ?? 0) > 0;
  const isPresent = (one: Report) => one.workflowId === own?.workflowId;
  const deployed = own && telling.some((one) => !isGood(one) && isPresent(one)) ? await ifAllowed(ask<Deployment>(manage(["groups", own.groupId, "deployments", own.deploymentId]), { signal })) : null;
  const idOf = (one: Report) => (isGood(one) ? (one.report.installedUpdateId ?? "") : deployed && isPresent(one) ? nameOf(deployed.update.updateId) : "");
  for (const id of new Set(telling.map(idOf))) {
    const [provider, name, version] = id.split("/");
    if (!provider || !name || !version || updates.has(id)) continue;
    const update = await ifAllowed(ask<Update>(path(["updates", "providers", provider, "names", name, "versions", version]), { signal }));
    if (update) updates.set(id, update);
  }
  return partsOf(telling, idOf, updates);
}

async function load(id: string, module: string | undefined, signal: AbortSignal) {
  const tail = module ? ["modules", module] : [];
  const device = await ask<ExplainedDevice>(own(["devices", id, ...tail]), { signal });
  const [twin, connection, kind, parts] = await Promise.all([
    ifAllowed(ask<Twin>(hub(["twins", id, ...tail]), { signal })),
    ifAllowed(ask<Connection>(own(["hub", "connections", id, ...tail]), { signal })),
    device.deviceClassId ? ifAllowed(ask<DeviceClass>(manage(["deviceClasses", device.deviceClassId]), { signal })) : null,
    loadParts(device, signal),
  ]);
  return { device, twin, connection, kind, parts };
}

export function DevicePage({ id, module }: { id: string; module?: string }) {
  const { data, problem } = useLive(`device ${id}/${module}`, (signal) => load(id, module, signal), 5000);
  const title = module ? `${id}/${module}` : id;
  return (
    <>
      <Heading title={title} back={["/devices", "Devices"]} says={data?.connection && (data.connection.isConnected ? <>Connected since <Time of={data.connection.connectedSince} /></> : <>Not connected; last heard of <Time of={data.connection.lastActivityTime} />{data.connection.lastDisconnectReason && `, ${data.connection.lastDisconnectReason}`}</>)}>
        {data?.connection && <State is={data.connection.isConnected ? "online" : "offline"} />}
        {data && <DeviceStateOf state={data.device.deploymentStatus} isLatest={data.device.onLatestUpdate} />}
      </Heading>
      {problem ? <Trouble problem={problem} /> : !data ? <Waiting /> : <Details {...data} id={id} module={module} />}
    </>
  );
}

function Details({ device, twin, kind, connection, parts, id, module }: Awaited<ReturnType<typeof load>> & { id: string; module?: string }) {
  return (
    <div class="grid">
      <Card title="Update">
        <Why device={device} />
        <dl>
          <dt>Installed</dt>
          <dd>{device.installedUpdate ? titleOf(device.installedUpdate) : <span class="faint">not known: no update came by this service yet</span>}</dd>
          <dt>Best update</dt>
          <dd>{device.bestUpdate ? <Link href={at("updates", device.bestUpdate.updateId.provider, device.bestUpdate.updateId.name, device.bestUpdate.updateId.version)}>{titleOf(device.bestUpdate)}</Link> : <span class="faint">none fits</span>}</dd>
          <dt>Deployment</dt>
          <dd>{device.deployment ? <Link href={at("deployments", device.deployment.groupId, device.deployment.deploymentId)}>{device.deployment.deploymentId}</Link> : <span class="faint">none</span>}</dd>
        </dl>
      </Card>
      <Card title="Identity">
        <dl>
          <dt>Group</dt>
          <dd>{device.groupId ? <Link href={at("groups", device.groupId)}>{device.groupId}</Link> : <span class="faint">none</span>}</dd>
          <dt>Class</dt>
          <dd>{kind ? className(kind) : <span class="faint">not reported</span>}</dd>
          {Object.entries(device.agent?.properties ?? {}).map(([name, value]) => (
            <>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </>
          ))}
        </dl>
      </Card>
      {parts.length > 0 && (
        <Card title="Parts" wide>
          <p class="faint">What each part of the device has, as its last reports tell.</p>
          <Table label="Parts" heads={["Part", "Installed", "Told"]}>
            {parts.map(({ name, update, time }) => (
              <tr key={name}>
                <td class="name">{name}</td>
                <td>
                  <Link href={at("updates", update.provider, update.name, update.version)}>
                    {update.name} {update.version}
                  </Link>
                </td>
                <td>
                  <Time of={time} />
                </td>
              </tr>
            ))}
          </Table>
        </Card>
      )}
      <Card title="Timeline" wide>
        <Timeline device={device} connection={connection} />
      </Card>
      <DeviceLogs id={id} module={module} />
      {twin && (
        <Card title="Twin" wide>
          <TwinTable twin={twin} />
        </Card>
      )}
    </div>
  );
}

function Why({ device }: { device: ExplainedDevice }) {
  if (device.onLatestUpdate) return <div class="note">This device has the best update that there is for it.</div>;
  const code = device.result?.extendedResultCodes?.[0];
  return (
    <>
      {device.whyNoUpdate && (
        <div class={device.deploymentStatus === "Failed" ? "trouble" : "note due"}>
          <strong>Why it is not up to date</strong>
          <p>{device.whyNoUpdate}.</p>
        </div>
      )}
      {device.deploymentStatus === "Failed" && device.result && (
        <p>
          <code>{code?.code}</code> {code?.text || device.result.resultText}
          {device.result.resultDetails && <>: “{device.result.resultDetails}”</>}. <span class="faint">{remedyOf(!!code?.text)}</span>
        </p>
      )}
      {!device.whyNoUpdate && device.deploymentStatus === "InProgress" && <div class="note">The device works on it{device.agent?.state !== undefined && `: ${(AGENT_STATES[device.agent.state] ?? "state " + device.agent.state).toLowerCase()}`}.</div>}
    </>
  );
}

interface Moment {
  time: string;
  what: ComponentChildren;
  says?: ComponentChildren;
}
const PHASES: Record<string, string> = { download: "downloading", install: "installing", apply: "applying", backup: "keeping what is there", restore: "putting back what was there", check: "looking whether it is there", is_installed: "looking whether it is there", verify: "checking signatures" };

/** Connections, deployments, their phases and reports in one line of time, newest first. */
function Timeline({ device, connection }: { device: ExplainedDevice; connection: Connection | null }) {
  const moments: Moment[] = [];
  if (connection?.connectedSince) moments.push({ time: connection.connectedSince, what: <State is="online" /> });
  if (connection?.disconnectedSince) moments.push({ time: connection.disconnectedSince, what: <State is="offline">Connection ended</State>, says: connection.lastDisconnectReason });
  for (const one of device.reports) {
    const { report } = one;
    const isOf = one.workflowId && one.workflowId === device.deployment?.workflowId && device.deployment;
    const to = isOf && <Link href={at("deployments", isOf.groupId, isOf.deploymentId)}>{isOf.deploymentId}</Link>;
    const isEnd = report.state === 255 || report.state === 0;
    moments.push({
      time: one.time,
      what: report.state === 255 ? <State is="Failed" /> : report.state === 0 ? <State is="Succeeded">Done</State> : <State is="InProgress">{AGENT_STATES[report.state ?? -1] ?? `State ${report.state}`}</State>,
      says: (
        <>
          {to} {isEnd && wordsOf(report.result)} {one.verdict !== "applied" && <span class="faint">The service took it as {one.verdict}.</span>}
          <StepResults result={report.result} isEnd={isEnd} />
        </>
      ),
    });
  }
  if (device.progress) {
    const { phase, step, steps, doneBytes, totalBytes, waitingFor } = device.progress;
    moments.unshift({ time: "", what: <State is="InProgress">Now</State>, says: `${PHASES[phase] ?? phase}, step ${step + 1} of ${steps}${totalBytes ? `, ${bytes(doneBytes)} of ${bytes(totalBytes)}` : ""}${waitingFor ? `, waits for ${waitingFor}` : ""}` });
  }
  if (moments.length === 0) return <p class="faint">Nothing yet. Connections and reports appear here; reports come when a deployment reaches the device.</p>;
  moments.sort((a, b) => (a.time === "" ? -1 : b.time === "" ? 1 : b.time.localeCompare(a.time)));
  return (
    <ol class="timeline">
      {moments.map((one, index) => (
        <li key={index}>
          <div class="when">{one.time ? <Time of={one.time} /> : <span>now</span>}</div>
          <div>
            {one.what} {one.says}
          </div>
        </li>
      ))}
    </ol>
  );
}

const wordsOf = (result?: Words) => [result?.resultText, result?.resultDetails && `“${result.resultDetails}”`].filter(Boolean).join(": ");

function StepResults({ result, isEnd }: { result?: Words; isEnd: boolean }) {
  const steps = Array.isArray(result?.stepResults) ? result.stepResults : [];
  if (!isEnd || steps.length < 2) return null;
  return (
    <ol class="faint">
      {steps.map((one, index) => (
        <li key={index}>{wordsOf(one) || `code ${one.resultCode}`}</li>
      ))}
    </ol>
  );
}

/** Each leaf by its path; metadata is left out. */
function leaves(value: unknown, path = "", into = new Map<string, string>()): Map<string, string> {
  if (value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length) {
    for (const [key, inner] of Object.entries(value)) if (!key.startsWith("$")) leaves(inner, path ? `${path}.${key}` : key, into);
  } else if (path) into.set(path, typeof value === "string" ? value : JSON.stringify(value));
  return into;
}

function TwinTable({ twin }: { twin: Twin }) {
  const desired = leaves(twin.properties?.desired);
  const reported = leaves(twin.properties?.reported);
  const paths = [...new Set([...desired.keys(), ...reported.keys()])].sort();
  // The update contract speaks in two halves that never have a path in common; elsewhere a wish without its echo is a difference.
  const differs = (path: string) => desired.has(path) && !/^(deviceUpdate|diagnosticInformation)\./.test(path) && desired.get(path) !== reported.get(path);
  const count = paths.filter(differs).length;
  const cell = (text?: string) => (text === undefined ? <span class="faint">–</span> : text.length > 160 ? <details><summary class="mono">{text.slice(0, 60)}…</summary><code>{text}</code></details> : <code>{text}</code>);
  return (
    <>
      <p class="faint">
        {count ? `Not reported as desired: ${many(count, "value")}, marked below.` : "No desired value waits for its report."} Tags: <code>{JSON.stringify(twin.tags ?? {})}</code>
      </p>
      <Table label="Twin, desired beside reported" heads={["Property", "Desired", "Reported"]}>
        {paths.map((path) => (
          <tr key={path} class={differs(path) ? "differs" : ""}>
            <td class="mono">
              {path}
              {differs(path) && <State is="due">differs</State>}
            </td>
            <td>{cell(desired.get(path))}</td>
            <td>{cell(reported.get(path))}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}
