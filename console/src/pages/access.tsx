import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { all, ask, own, Problem } from "../api";
import { useLive } from "../live";
import type { Token } from "../model";
import { Card, Confirm, Field, Heading, State, Table, Time, Trouble, useBusy, Waiting, type Question } from "../ui";

const ROLES: [string, string][] = [
  ["reader", "sees everything, changes nothing"],
  ["deployments-administrator", "deploys; sees updates and devices"],
  ["deployments-reader", "sees deployments and updates"],
  ["content-administrator", "imports and deletes updates"],
  ["content-reader", "sees updates"],
  ["hub-administrator", "manages identities and twins"],
  ["administrator", "may do everything, also make tokens"],
];

export function Access() {
  const [question, setQuestion] = useState<Question | null>(null);
  const tokens = useLive("tokens", (signal) => all<Token>(own(["tokens"]), 500, signal));
  const revoke = (name: string) => setQuestion({ title: `Revoke the token ${name}?`, says: <p>Whoever uses it is refused from the next request on.</p>, verb: "Revoke", typed: name, act: () => ask(own(["tokens", name]), { method: "DELETE" }).then(tokens.again) });
  return (
    <>
      <Heading title="Access" says={<>Who may do what. Who did what is in the <Link href="/audit">audit trail</Link>.</>} />
      <Card title="Tokens">
        {tokens.problem ? (
          <Trouble problem={tokens.problem} />
        ) : !tokens.data ? (
          <Waiting />
        ) : (
          <Table label="Tokens" heads={["Name", "Role", "Made", "Last used", "Ends", ""]}>
            {tokens.data.value.map((one) => (
              <tr key={one.name}>
                <td class="name">{one.name}</td>
                <td>
                  {one.role}
                  {one.instanceId && <div class="faint">only {one.instanceId}</div>}
                </td>
                <td>
                  <Time of={one.createdDateTime} />
                  {one.createdBy && <div class="faint">by {one.createdBy}</div>}
                </td>
                <td>
                  <Time of={one.lastUsedDateTime} />
                </td>
                <td>{one.isExpired ? <State is="Failed">Expired</State> : one.expiresDateTime ? <Time of={one.expiresDateTime} /> : <span class="faint">no end</span>}</td>
                <td>
                  <button type="button" class="plain small" aria-label={`Revoke ${one.name}`} onClick={() => revoke(one.name)}>
                    Revoke…
                  </button>
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Card>
      {!tokens.problem && <MakeToken onMade={tokens.again} />}
      <Confirm question={question} onEnd={() => setQuestion(null)} />
    </>
  );
}

function MakeToken({ onMade }: { onMade: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("reader");
  const [days, setDays] = useState("90");
  const [made, setMade] = useState<Token | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, run] = useBusy();
  const send = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      setProblem(null);
      try {
        setMade(await ask<Token>(own(["tokens"]), { method: "POST", body: { name: name.trim(), role, ...(days ? { lifetimeInSeconds: Number(days) * 86_400 } : {}) } }));
        setName("");
        onMade();
      } catch (failure) {
        setProblem(failure as Problem);
      }
    });
  };
  return (
    <Card title="Make a token">
      {made && (
        <div class="note" role="status">
          <strong>The token of {made.name}. Copy it now; it is never shown again.</strong>
          <p>
            <code>{made.token}</code>
          </p>
          <button type="button" class="plain small" onClick={() => void navigator.clipboard?.writeText(made.token ?? "")}>
            Copy
          </button>{" "}
          <button type="button" class="plain small" onClick={() => setMade(null)}>
            I have it
          </button>
        </div>
      )}
      <form onSubmit={send}>
        <div class="filters">
          <Field label="Name" help="Who or what uses it.">
            {(props) => <input {...props} required maxLength={64} value={name} onInput={(e) => setName(e.currentTarget.value)} />}
          </Field>
          <Field label="Role" help={ROLES.find(([key]) => key === role)?.[1]}>
            {(props) => (
              <select {...props} value={role} onChange={(e) => setRole(e.currentTarget.value)}>
                {ROLES.map(([key]) => (
                  <option key={key}>{key}</option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Days it is good for" help="Empty: no end.">
            {(props) => <input {...props} type="number" min={1} max={3650} value={days} onInput={(e) => setDays(e.currentTarget.value)} />}
          </Field>
        </div>
        {problem && <Trouble problem={problem} />}
        <button disabled={isBusy}>Make the token</button>
      </form>
    </Card>
  );
}
