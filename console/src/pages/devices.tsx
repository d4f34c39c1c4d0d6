// The list comes in the service's pages: from the inventory when browsing, from the hub's query when searching by name.
import { useState } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { ask, hub, manage, pathOf, queryText, quoted, raw, type Page } from "../api";
import { classesById, listGroups } from "../fleet";
import { useLive } from "../live";
import { className, titleOf, type Compliance, type Device, type DeviceState } from "../model";
import { at, Card, DeviceStateOf, Empty, Field, Heading, many, Pager, State, Table, Trouble, Waiting } from "../ui";
import { FirstSteps } from "./overview";

interface Row {
  id: string;
  module?: string;
  group: string;
  kind: string;
  installed: string;
  state?: DeviceState;
  isLatest?: boolean;
  isConnected?: boolean;
}
interface Asked {
  search: string;
  group: string;
  classId: string;
  state: string;
}
const PAGE = 50;
const AGENT_STATE: Record<number, DeviceState> = { 255: "Failed", 6: "InProgress" };

interface Found {
  deviceId: string;
  connectionState: string;
  grp?: string;
  agent?: { state?: number; installedUpdateId?: string; deviceProperties?: Record<string, string> };
}

async function searchHub(asked: Asked, from: string, signal: AbortSignal): Promise<{ rows: Row[]; next: string }> {
  const terms = [`CONTAINS(deviceId, ${queryText(asked.search)})`];
  if (asked.group) terms.push(asked.group === "$default" ? "NOT IS_DEFINED(tags.ADUGroup)" : `tags.ADUGroup = ${queryText(asked.group)}`);
  const query = `SELECT deviceId, connectionState, tags.ADUGroup AS grp, properties.reported.deviceUpdate.agent AS agent FROM devices WHERE ${terms.join(" AND ")}`;
  const answer = await raw(hub(["devices", "query"]), { method: "POST", body: { query }, signal, headers: { "x-ms-max-item-count": String(PAGE), ...(from ? { "x-ms-continuation": from } : {}) } });
  const found = (await answer.json()) as Found[];
  const rows = found.map((one) => ({
    id: one.deviceId,
    group: one.grp ?? "$default",
    kind: [one.agent?.deviceProperties?.manufacturer, one.agent?.deviceProperties?.model].filter(Boolean).join(" · "),
    installed: installedOf(one.agent?.installedUpdateId),
    state: AGENT_STATE[one.agent?.state ?? -1],
    isConnected: one.connectionState === "Connected",
  }));
  return { rows, next: answer.headers.get("x-ms-continuation") ?? "" };
}

function installedOf(text?: string): string {
  try {
    const id = JSON.parse(text ?? "");
    return `${id.name} ${id.version}`;
  } catch {
    return "";
  }
}

async function browse(asked: Asked, from: string, signal: AbortSignal): Promise<{ rows: Row[]; next: string }> {
  const terms = [];
  if (asked.group) terms.push(`groupId eq ${quoted(asked.group)}`);
  if (asked.classId) terms.push(`deviceClassId eq ${quoted(asked.classId)}`);
  if (asked.state && asked.group) terms.push(asked.state === "never" ? "deploymentStatus eq null" : `deploymentStatus eq ${quoted(asked.state)}`);
  const page = await ask<Page<Device>>(from || manage(["devices"], { filter: terms.join(" and ") }), { signal });
  const classes = await classesById(signal);
  const rows = page.value.map((one) => ({
    id: one.deviceId,
    module: one.moduleId,
    group: one.groupId ?? "$default",
    kind: className(classes.get(one.deviceClassId), one.deviceClassId),
    installed: one.installedUpdate ? titleOf(one.installedUpdate) : "",
    state: one.deploymentStatus,
    isLatest: one.onLatestUpdate,
  }));
  return { rows, next: page.nextLink ? pathOf(page.nextLink) : "" };
}

export function Devices() {
  const given = new URLSearchParams(useSearch());
  const [, go] = useLocation();
  const asked: Asked = { search: given.get("search") ?? "", group: given.get("group") ?? "", classId: given.get("class") ?? "", state: given.get("state") ?? "" };
  const [text, setText] = useState(asked.search);
  const [trail, setTrail] = useState<string[]>([""]);
  const from = trail[trail.length - 1]!;
  const choices = useLive(
    "device-choices",
    async (signal) => {
      const [groups, classes, compliance] = await Promise.all([listGroups(signal), classesById(signal), ask<Compliance>(manage(["updateCompliance"]), { signal })]);
      return { groups: groups.value, classes: [...classes.values()], total: compliance.totalDeviceCount };
    },
    30_000,
  );
  const { data, problem } = useLive(JSON.stringify([asked, from]), (signal) => (asked.search ? searchHub(asked, from, signal) : browse(asked, from, signal)), 10_000);
  const set = (change: Partial<Asked>) => {
    const next = { ...asked, ...change };
    if (!next.group) next.state = "";
    const words = new URLSearchParams(Object.entries({ search: next.search, group: next.group, class: next.classId, state: next.state }).filter(([, value]) => value));
    setTrail([""]);
    go("/devices" + (words.size ? "?" + words : ""));
  };
  const countOf = choices.data?.groups.find((one) => one.groupId === asked.group)?.deviceCount;
  const inAll = asked.group ? countOf !== undefined && `${many(countOf, "device")} in ${asked.group}` : choices.data?.total && `${many(choices.data.total, "device")} in all`;
  const isFiltered = asked.search || asked.group || asked.classId || asked.state;
  return (
    <>
      <Heading title="Devices" says={<>Everything that has an identity and reports{inAll && `: ${inAll}`}.</>} />
      <Card>
        <form
          class="filters"
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            set({ search: text.trim() });
          }}
        >
          <Field label="Search by id" help="Part of the name; Enter searches.">
            {(props) => <input {...props} type="search" value={text} maxLength={128} onInput={(e) => setText(e.currentTarget.value)} onBlur={() => text.trim() !== asked.search && set({ search: text.trim() })} />}
          </Field>
          <Field label="Group">
            {(props) => (
              <select {...props} value={asked.group} onChange={(e) => set({ group: e.currentTarget.value })}>
                <option value="">All groups</option>
                {choices.data?.groups.map((group) => <option key={group.groupId}>{group.groupId}</option>)}
              </select>
            )}
          </Field>
          <Field label="Class" help={asked.search ? "Not beside a search." : ""}>
            {(props) => (
              <select {...props} disabled={!!asked.search} value={asked.classId} onChange={(e) => set({ classId: e.currentTarget.value })}>
                <option value="">All classes</option>
                {choices.data?.classes.map((one) => (
                  <option key={one.deviceClassId} value={one.deviceClassId}>
                    {className(one)}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Last deployment" help={asked.group && !asked.search ? "" : "Choose a group first."}>
            {(props) => (
              <select {...props} disabled={!asked.group || !!asked.search} value={asked.state} onChange={(e) => set({ state: e.currentTarget.value })}>
                <option value="">Any</option>
                <option value="Succeeded">Succeeded</option>
                <option value="InProgress">In progress</option>
                <option value="Failed">Failed</option>
                <option value="Canceled">Cancelled</option>
                <option value="never">None yet</option>
              </select>
            )}
          </Field>
        </form>
      </Card>
      {problem ? (
        <Trouble problem={problem} />
      ) : !data ? (
        <Waiting />
      ) : data.rows.length === 0 && !isFiltered ? (
        <FirstSteps />
      ) : (
        <Card>
          {data.rows.length === 0 ? (
            <Empty title="No device fits">
              <p>Upper and lower case count in a search.</p>
              <button type="button" class="plain" onClick={() => (setText(""), set({ search: "", group: "", classId: "", state: "" }))}>
                Show all devices
              </button>
            </Empty>
          ) : (
            <Table label="Devices" heads={["Device", "State", ...(asked.search ? ["Connection"] : []), "Installed", "Class", "Group"]}>
              {data.rows.map((row) => (
                <tr key={row.id + "/" + row.module}>
                  <td class="name">
                    <Link href={at("devices", row.id, ...(row.module ? [row.module] : []))}>{row.module ? `${row.id}/${row.module}` : row.id}</Link>
                  </td>
                  <td>{asked.search ? row.state ? <State is={row.state} /> : <span class="faint">Idle</span> : <DeviceStateOf state={row.state} isLatest={row.isLatest} />}</td>
                  {asked.search && (
                    <td>
                      <State is={row.isConnected ? "online" : "offline"} />
                    </td>
                  )}
                  <td>{row.installed || <span class="faint">not known</span>}</td>
                  <td>{row.kind || <span class="faint">not reported</span>}</td>
                  <td>
                    <Link href={at("groups", row.group)}>{row.group}</Link>
                  </td>
                </tr>
              ))}
            </Table>
          )}
          <Pager page={trail.length - 1} count={data.rows.length} hasNext={!!data.next} onBack={() => setTrail(trail.slice(0, -1))} onNext={() => setTrail([...trail, data.next])} />
        </Card>
      )}
    </>
  );
}
