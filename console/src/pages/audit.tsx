// Who changed what, newest first, as far as the service recorded it.
import { useState } from "preact/hooks";
import { ask, own, pathOf, type Page } from "../api";
import { useLive } from "../live";
import type { AuditEvent } from "../model";
import { Card, Empty, Field, Heading, Pager, Table, Time, Trouble, Waiting } from "../ui";

export function Audit() {
  const [trail, setTrail] = useState<string[]>([""]);
  const [words, setWords] = useState("");
  const from = trail[trail.length - 1]!;
  const { data, problem } = useLive(`audit ${from}`, (signal) => ask<Page<AuditEvent>>(from || own(["auditEvents"]), { signal }), 10_000);
  const low = words.trim().toLowerCase();
  const shown = (data?.value ?? []).filter((one) => !low || [one.actor, one.action, one.subject].some((text) => text.toLowerCase().includes(low)));
  return (
    <>
      <Heading title="Audit" says="Who changed what, newest first." />
      <Card>
        <Field label="Narrow this page" help="Part of a name, an action or what it was done to.">
          {(props) => <input {...props} type="search" maxLength={200} value={words} onInput={(e) => setWords(e.currentTarget.value)} />}
        </Field>
        {problem ? (
          <Trouble problem={problem} />
        ) : !data ? (
          <Waiting />
        ) : shown.length === 0 ? (
          <Empty title={low ? "Nothing on this page fits" : "Nothing was changed yet"}>{low && data.nextLink ? <p>Earlier changes are on the next pages.</p> : null}</Empty>
        ) : (
          <Table label="Changes" heads={["When", "Who", "What", "On", "Details"]}>
            {shown.map((one) => (
              <tr key={one.id}>
                <td>
                  <Time of={one.time} />
                </td>
                <td>{one.actor}</td>
                <td class="mono">{one.action}</td>
                <td class="mono">{one.subject}</td>
                <td>{one.details ? <code>{Object.entries(one.details).map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ")}</code> : <span class="faint">–</span>}</td>
              </tr>
            ))}
          </Table>
        )}
        {data && <Pager page={trail.length - 1} count={shown.length} hasNext={!!data.nextLink} onBack={() => setTrail(trail.slice(0, -1))} onNext={() => setTrail([...trail, pathOf(data.nextLink!)])} />}
      </Card>
    </>
  );
}
