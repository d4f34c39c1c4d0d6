// The list comes in the service's pages: from the inventory when browsing, from the hub's query when searching by name.
import { useId, useState } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { ask, hub, manage, own, pathOf, queryText, quoted, raw, type Page } from "../api";
import { classesById, listGroups } from "../fleet";
import { useLive } from "../live";
import { className, titleOf, type Compliance, type Device, type DeviceState } from "../model";
import { at, Card, Confirm, DeviceStateOf, Empty, Field, Heading, many, Pager, State, Table, Trouble, Waiting, type Question } from "../ui";
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
  connection: string;
}
const PAGE = 50;
const AGENT_STATE: Record<number, DeviceState> = { 255: "Failed", 6: "InProgress" };

interface Found {
  deviceId: string;
  connectionState: string;
  grp?: string;
  agent?: { state?: number; installedUpdateId?: string; deviceProperties?: Record<string, string> };
}

/** The inventory knows neither parts of names nor connections: the hub's query does. */
const needsHub = (asked: Asked) => asked.search !== "" || asked.connection !== "";

function conditionOf(asked: Asked): string {
  const terms = [];
  if (asked.connection) terms.push(`connectionState = ${queryText(asked.connection)}`);
  if (asked.search) terms.push(`CONTAINS(deviceId, ${queryText(asked.search)})`);
  if (asked.group) terms.push(asked.group === "$default" ? "NOT IS_DEFINED(tags.ADUGroup)" : `tags.ADUGroup = ${queryText(asked.group)}`);
  return terms.join(" AND ");
}

async function searchHub(asked: Asked, from: string, signal: AbortSignal): Promise<{ rows: Row[]; next: string }> {
  const query = `SELECT deviceId, connectionState, tags.ADUGroup AS grp, properties.reported.deviceUpdate.agent AS agent FROM devices WHERE ${conditionOf(asked)}`;
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
  const asked: Asked = { search: given.get("search") ?? "", group: given.get("group") ?? "", classId: given.get("class") ?? "", state: given.get("state") ?? "", connection: given.get("connection") ?? "" };
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
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
  const { data, problem, again } = useLive(JSON.stringify([asked, from]), (signal) => (needsHub(asked) ? searchHub(asked, from, signal) : browse(asked, from, signal)), 10_000);
  const set = (change: Partial<Asked>) => {
    const next = { ...asked, ...change };
    if (!next.group) next.state = "";
    const words = new URLSearchParams(Object.entries({ search: next.search, group: next.group, class: next.classId, state: next.state, connection: next.connection }).filter(([, value]) => value));
    setTrail([""]);
    setChosen(new Set());
    go("/devices" + (words.size ? "?" + words : ""));
  };
  const countOf = choices.data?.groups.find((one) => one.groupId === asked.group)?.deviceCount;
  const inAll = asked.group ? countOf !== undefined && `${many(countOf, "device")} in ${asked.group}` : choices.data?.total && `${many(choices.data.total, "device")} in all`;
  const isFiltered = asked.search || asked.group || asked.classId || asked.state || asked.connection;
  const isHub = needsHub(asked);
  const here = [...new Set((data?.rows ?? []).filter((row) => !row.module).map((row) => row.id))];
  const areAll = here.length > 0 && here.every((id) => chosen.has(id));
  const choose = (ids: string[], isIn: boolean) => setChosen(new Set(isIn ? [...chosen, ...ids] : [...chosen].filter((id) => !ids.includes(id))));
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
          <Field label="Class" help={isHub ? "Not beside a search or a connection." : ""}>
            {(props) => (
              <select {...props} disabled={isHub} value={asked.classId} onChange={(e) => set({ classId: e.currentTarget.value })}>
                <option value="">All classes</option>
                {choices.data?.classes.map((one) => (
                  <option key={one.deviceClassId} value={one.deviceClassId}>
                    {className(one)}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Last deployment" help={isHub ? "Not beside a search or a connection." : asked.group ? "" : "Choose a group first."}>
            {(props) => (
              <select {...props} disabled={!asked.group || isHub} value={asked.state} onChange={(e) => set({ state: e.currentTarget.value })}>
                <option value="">Any</option>
                <option value="Succeeded">Succeeded</option>
                <option value="InProgress">In progress</option>
                <option value="Failed">Failed</option>
                <option value="Canceled">Cancelled</option>
                <option value="never">None yet</option>
              </select>
            )}
          </Field>
          <Field label="Connection">
            {(props) => (
              <select {...props} value={asked.connection} onChange={(e) => set({ connection: e.currentTarget.value })}>
                <option value="">Any</option>
                <option value="Connected">Connected</option>
                <option value="Disconnected">Not connected</option>
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
          {data.rows.length > 0 && <PutIntoGroup chosen={[...chosen]} condition={isHub ? conditionOf(asked) : ""} groups={choices.data?.groups.map((one) => one.groupId) ?? []} onDone={() => (setChosen(new Set()), again(), choices.again())} />}
          {data.rows.length === 0 ? (
            <Empty title="No device fits">
              <p>Upper and lower case count in a search.</p>
              <button type="button" class="plain" onClick={() => (setText(""), set({ search: "", group: "", classId: "", state: "", connection: "" }))}>
                Show all devices
              </button>
            </Empty>
          ) : (
            <Table label="Devices" lead={<input type="checkbox" aria-label="Choose all devices of this page" checked={areAll} onChange={(e) => choose(here, e.currentTarget.checked)} />} heads={["Device", "State", ...(isHub ? ["Connection"] : []), "Installed", "Class", "Group"]}>
              {data.rows.map((row) => (
                <tr key={row.id + "/" + row.module}>
                  <td>{!row.module && <input type="checkbox" aria-label={`Choose ${row.id}`} checked={chosen.has(row.id)} onChange={(e) => choose([row.id], e.currentTarget.checked)} />}</td>
                  <td class="name">
                    <Link href={at("devices", row.id, ...(row.module ? [row.module] : []))}>{row.module ? `${row.id}/${row.module}` : row.id}</Link>
                  </td>
                  <td>{isHub ? row.state ? <State is={row.state} /> : <span class="faint">Idle</span> : <DeviceStateOf state={row.state} isLatest={row.isLatest} />}</td>
                  {isHub && (
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

/** Tags what was ticked, or everything that the search finds. */
function PutIntoGroup({ chosen, condition, groups, onDone }: { chosen: string[]; condition: string; groups: string[]; onDone: () => void }) {
  const [group, setGroup] = useState("");
  const [question, setQuestion] = useState<Question | null>(null);
  const [said, setSaid] = useState("");
  const list = useId();
  const isAll = chosen.length === 0;
  const pose = (event: Event) => {
    event.preventDefault();
    const name = group.trim();
    const whom = isAll ? "all devices that are found, also on further pages," : many(chosen.length, "device");
    setQuestion({
      title: name ? `Put ${isAll ? "all that are found" : whom} into ${name}?` : `Take ${isAll ? "all that are found" : whom} out of their groups?`,
      says: <p>{name && !groups.includes(name) ? "This makes a new group. " : ""}Live deployments of the group begin on them at once, if the update fits.</p>,
      verb: name ? "Put into the group" : "Take out",
      act: async () => {
        const tags = { ADUGroup: name || null };
        const body = isAll ? { tags, queryCondition: condition } : { tags, deviceIds: chosen };
        const done = await ask<{ changedCount: number; failedCount: number }>(own(["devices"], {}, "tag"), { method: "POST", body });
        setSaid(`${many(done.changedCount, "device")} changed${done.failedCount ? `, ${done.failedCount.toLocaleString()} not` : ""}.`);
        setGroup("");
        onDone();
      },
    });
  };
  return (
    <>
      <form class="bulk" onSubmit={pose} hidden={isAll && !condition}>
        <span class="strong">{isAll ? "All that are found" : `${many(chosen.length, "device")} chosen`}</span>
        <input aria-label="Group for them" placeholder="Group; empty: none" list={list} maxLength={200} value={group} onInput={(e) => setGroup(e.currentTarget.value)} />
        <datalist id={list}>{groups.filter((one) => one !== "$default").map((one) => <option key={one}>{one}</option>)}</datalist>
        <button class="small">{isAll ? "Put all into a group…" : "Put into a group…"}</button>
      </form>
      <p role="status" class="faint">
        {said}
      </p>
      <Confirm question={question} onEnd={() => setQuestion(null)} />
    </>
  );
}
