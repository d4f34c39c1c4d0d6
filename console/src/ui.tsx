// Small parts that all pages share.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { Problem as Refusal } from "./api";
import type { DeviceState } from "./model";

export const at = (...parts: string[]) => "/" + parts.map(encodeURIComponent).join("/");

export function Heading({ title, says, children, back }: { title: string; says?: ComponentChildren; children?: ComponentChildren; back?: [string, string] }) {
  useEffect(() => {
    document.title = `${title} · Godwit`;
  }, [title]);
  return (
    <header class="heading">
      <div>
        {back && (
          <Link class="back" href={back[0]}>
            ← {back[1]}
          </Link>
        )}
        <h1>{title}</h1>
        {says && <p class="says">{says}</p>}
      </div>
      {children && <div class="actions">{children}</div>}
    </header>
  );
}

export function Card({ title, children, aside, wide }: { title?: string; children: ComponentChildren; aside?: ComponentChildren; wide?: boolean }) {
  const id = useId();
  return (
    <section class={wide ? "card wide" : "card"} aria-labelledby={title ? id : undefined}>
      {title && (
        <div class="card-head">
          <h2 id={id}>{title}</h2>
          {aside}
        </div>
      )}
      {children}
    </section>
  );
}

const LOOKS: Record<string, [string, string]> = {
  Succeeded: ["good", "✓"],
  Active: ["busy", "▸"],
  InProgress: ["busy", "▸"],
  Failed: ["bad", "✕"],
  ActiveWithSubgroupFailures: ["bad", "✕"],
  Canceled: ["quiet", "–"],
  Inactive: ["quiet", "–"],
  online: ["good", "●"],
  offline: ["quiet", "○"],
  due: ["due", "↑"],
};
const SAID: Record<string, string> = {
  InProgress: "In progress",
  ActiveWithSubgroupFailures: "Active, with failures",
  Canceled: "Cancelled",
  Inactive: "Replaced",
  online: "Connected",
  offline: "Not connected",
  due: "Update available",
};
/** A state in words, with a sign and a colour that only repeat the words. */
export function State({ is, children }: { is: string; children?: ComponentChildren }) {
  const [look, sign] = LOOKS[is] ?? ["quiet", "·"];
  return (
    <span class={`state ${look}`}>
      <span aria-hidden="true">{sign}</span> {children ?? SAID[is] ?? is}
    </span>
  );
}
export function DeviceStateOf({ state, isLatest }: { state?: DeviceState; isLatest?: boolean }) {
  if (state === "InProgress" || state === "Failed") return <State is={state} />;
  if (isLatest) return <State is="Succeeded">Up to date</State>;
  if (state === "Succeeded") return <State is="due" />;
  return state ? <State is={state} /> : <State is="due">Not updated yet</State>;
}

const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
/** Local time; UTC when pointed at. */
export function Time({ of }: { of?: string }) {
  if (!of) return <span class="faint">never</span>;
  const when = new Date(of);
  if (Number.isNaN(when.getTime()) || when.getTime() <= 0) return <span class="faint">unknown</span>;
  return (
    <time dateTime={when.toISOString()} title={`${when.toISOString().replace("T", " ").slice(0, 19)} UTC`}>
      {LOCAL.format(when)}
    </time>
  );
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}
export const many = (count: number, one: string, more = one + "s") => `${count.toLocaleString()} ${count === 1 ? one : more}`;

const HINTS: [(problem: Refusal) => boolean, string][] = [
  [(p) => p.isUnreachable, "It is tried again by itself."],
  [(p) => p.status === 403, "Your token's role does not allow this. Sign in with another one, or ask an administrator for a token with that permission."],
  [(p) => p.status === 404, "It may have been deleted, or the address was mistyped."],
  [(p) => p.status === 409 || p.status === 412, "Something changed or is in the way; reload and look again."],
  [(p) => p.status === 429, "Too many requests with this token. Wait a little."],
  [(p) => p.status >= 500, "The service's log tells more; look for the trace id."],
];
export function Trouble({ problem }: { problem: Refusal | string }) {
  const refusal = typeof problem === "string" ? null : problem;
  const text = refusal ? refusal.message : String(problem);
  const hint = refusal && HINTS.find(([fits]) => fits(refusal))?.[1];
  return (
    <div class="trouble" role="alert">
      <strong>{text.charAt(0).toUpperCase() + text.slice(1)}</strong>
      {hint && <p>{hint}</p>}
      {refusal?.traceId && refusal.status >= 500 && <p class="faint mono">trace {refusal.traceId}</p>}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <h3>{title}</h3>
      {children}
    </div>
  );
}
export const Waiting = () => (
  <p class="waiting" role="status">
    Loading…
  </p>
);

/** A table that scrolls inside itself on narrow screens. */
export function Table({ label, heads, lead, children }: { label: string; heads: string[]; lead?: ComponentChildren; children: ComponentChildren }) {
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {lead && <th scope="col">{lead}</th>}
            {heads.map((head) => (
              <th scope="col" key={head}>
                {head || <span class="hidden">Actions</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** Pages that the service makes: forward by its link, back by what was seen. */
export function Pager({ page, hasNext, onBack, onNext, count }: { page: number; hasNext: boolean; onBack: () => void; onNext: () => void; count: number }) {
  if (page === 0 && !hasNext) return null;
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" class="plain" disabled={page === 0} onClick={onBack}>
        ← Previous
      </button>
      <span>
        Page {page + 1}, {many(count, "row")}
      </span>
      <button type="button" class="plain" disabled={!hasNext} onClick={onNext}>
        Next →
      </button>
    </nav>
  );
}

export interface Part {
  label: string;
  count: number;
  look: string;
}
/** Parts of a whole as one bar with a legend; patterns and words say what the colours say. */
export function Bar({ parts, label, isSlim }: { parts: Part[]; label: string; isSlim?: boolean }) {
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  let x = 0;
  return (
    <figure class={isSlim ? "bar slim" : "bar"}>
      <svg viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" aria-label={`${label}: ${parts.map((p) => `${p.count} ${p.label}`).join(", ")}`}>
        <rect width="1000" height="20" class="track" />
        {parts.map((part) => {
          const width = total ? (part.count / total) * 1000 : 0;
          const start = x;
          x += width;
          return width > 0 && <rect key={part.label} x={start} width={Math.max(width - 3, 1)} height="20" class={`fill ${part.look}`} />;
        })}
      </svg>
      <figcaption>
        {parts.map((part) => (
          <span key={part.label} class={part.count ? "key" : "key none"}>
            <i class={`dot ${part.look}`} aria-hidden="true" /> <b>{part.count.toLocaleString()}</b> {part.label}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

export function Donut({ parts, label, middle, below }: { parts: Part[]; label: string; middle: string; below: string }) {
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  const round = 2 * Math.PI * 52;
  let done = 0;
  return (
    <svg class="donut" viewBox="0 0 140 140" role="img" aria-label={`${label}: ${middle} ${below}. ${parts.map((p) => `${p.count} ${p.label}`).join(", ")}`}>
      <circle cx="70" cy="70" r="52" class="ring" />
      {parts.map((part) => {
        const share = total ? (part.count / total) * round : 0;
        const offset = -done;
        done += share;
        return share > 0 && <circle key={part.label} cx="70" cy="70" r="52" class={`arc ${part.look}`} stroke-dasharray={`${Math.max(share - 2, 1)} ${round}`} stroke-dashoffset={offset} transform="rotate(-90 70 70)" />;
      })}
      <text x="70" y="72" class="middle">
        {middle}
      </text>
      <text x="70" y="90" class="below">
        {below}
      </text>
    </svg>
  );
}

export function Field({ label, help, error, children }: { label: string; help?: string; error?: string; children: (props: { id: string; "aria-describedby": string; "aria-invalid": boolean }) => JSX.Element }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": `${id}-help`, "aria-invalid": !!error })}
      <p id={`${id}-help`} class={error ? "help wrong" : "help"}>
        {error || help}
      </p>
    </div>
  );
}

/** Work that must not be begun twice: a second click or Enter before its end does nothing. */
export function useBusy(): [boolean, (work: () => Promise<unknown>) => Promise<void>] {
  const [isBusy, setBusy] = useState(false);
  const isRunning = useRef(false);
  const run = async (work: () => Promise<unknown>) => {
    if (isRunning.current) return;
    isRunning.current = true;
    setBusy(true);
    try {
      await work();
    } finally {
      isRunning.current = false;
      setBusy(false);
    }
  };
  return [isBusy, run];
}

export interface Question {
  title: string;
  says: ComponentChildren;
  verb: string;
  /** What must be typed; without it a click is enough. */
  typed?: string;
  act: () => Promise<unknown>;
}
/** Asks before an act; what cannot be undone must be typed. */
export function Confirm({ question, onEnd }: { question: Question | null; onEnd: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<Refusal | null>(null);
  const [isBusy, run] = useBusy();
  const id = useId();
  useEffect(() => {
    setText("");
    setProblem(null);
    if (question && !dialog.current?.open) dialog.current?.showModal();
    if (!question) dialog.current?.close();
  }, [question]);
  if (!question) return <dialog ref={dialog} />;
  const act = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      try {
        await question.act();
        onEnd();
      } catch (failure) {
        setProblem(failure instanceof Refusal ? failure : new Refusal(String(failure), -1));
      }
    });
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onEnd}>
      <form onSubmit={act}>
        <h2 id={id}>{question.title}</h2>
        <div>{question.says}</div>
        {question.typed !== undefined && (
          <Field label={`Type ${question.typed} to confirm`} help="This cannot be undone.">
            {(props) => <input {...props} value={text} onInput={(e) => setText(e.currentTarget.value)} autocomplete="off" autofocus />}
          </Field>
        )}
        {problem && <Trouble problem={problem} />}
        <div class="actions">
          <button type="button" class="plain" onClick={onEnd}>
            Keep as it is
          </button>
          <button class="danger" disabled={isBusy || (question.typed !== undefined && text !== question.typed)}>
            {question.verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}
