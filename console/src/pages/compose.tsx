// A form that makes an import manifest: four steps, each field explained, each rule of the format told beside its field.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { all, ask, data as path, Problem, type Page } from "../api";
import { classesById } from "../fleet";
import { HANDLERS, handlerOf, OTHER, type Property } from "../handlers";
import { useLive } from "../live";
import { checkAbout, checkCompatibility, checkSteps, filesOf, manifestText, newDraft, newPair, newSet, newStep, propertiesFor, type Draft, type DraftStep, type Hashed, type Wrongs } from "../manifest";
import { className, nameOf, type UpdateId } from "../model";
import { bytes, Card, Field, Heading, Trouble } from "../ui";
import { hashFile, hashUnpacked, toBase64, toHex } from "../upload";
import { Send } from "./send";

const STEPS = ["What it is", "For which devices", "What is done", "Check and import"];

/** What was typed stays while the tab does: going to another page and back loses nothing. */
let kept: { draft: Draft; files: Map<string, File> } | null = null;

/** What the service refuses only after the send belongs to one of these fields. */
const REFUSALS: [RegExp, string, number][] = [
  [/AlreadyExists|DuplicateContent/, "id.version", 0],
  [/UpdateProviderCompatibility/, "id.provider", 0],
  [/UpdateNameCompatibility/, "id.name", 0],
];
function placeOf(problem: Problem): [string, number] | null {
  const row = REFUSALS.find(([code]) => code.test(problem.code));
  if (row) return [row[1], row[2]];
  const step = /instructions\.steps\[(\d+)\]/.exec(problem.message);
  if (step) return [`steps.${step[1]}`, 2];
  if (/compatibility/.test(problem.message)) return ["compatibility", 1];
  const part = /updateId\.(\w+)/.exec(problem.message);
  return part ? [`id.${part[1]}`, 0] : null;
}

export function Compose() {
  const [draft, setDraft] = useState<Draft>(() => kept?.draft ?? newDraft());
  const [files, setFiles] = useState<Map<string, File>>(() => kept?.files ?? new Map());
  const [stage, setStage] = useState(0);
  const [tried, setTried] = useState(new Set<number>());
  const [refused, setRefused] = useState<Wrongs>(new Map());
  const [isBusy, setBusy] = useState(false);
  const [isAsking, setAsking] = useState(false);
  const top = useRef<HTMLHeadingElement>(null);
  kept = { draft, files };

  const checks = [() => checkAbout(draft), () => checkCompatibility(draft), () => checkSteps(draft, files)];
  const wrong: Wrongs = new Map([...refused, ...(tried.has(stage) ? checks[stage]?.() ?? [] : [])]);
  const change = (part: Partial<Draft>) => {
    setRefused(new Map());
    setDraft((had) => ({ ...had, ...part }));
  };
  const go = (to: number) => {
    setStage(to);
    setTimeout(() => top.current?.focus(), 0);
  };
  const next = async (event: Event) => {
    event.preventDefault();
    const found = checks[stage]!();
    setTried(new Set(tried).add(stage));
    if (found.size) {
      setTimeout(() => document.querySelector<HTMLElement>("form [aria-invalid=true], form .wrong")?.focus(), 0);
      return;
    }
    if (stage === 0 && !isAsking) {
      setAsking(true);
      const isThere = await exists(draft.id);
      setAsking(false);
      if (isThere) return setRefused(new Map([["id.version", "The service has this version already; versions are never replaced. Choose a higher one."]]));
    }
    go(stage + 1);
  };
  const onProblem = (problem: Problem) => {
    const place = placeOf(problem);
    if (!place) return;
    setRefused(new Map([[place[0], sentence(problem.message)]]));
    go(place[1]);
  };
  return (
    <>
      <Heading title="Make an update" back={["/updates", "Updates"]} says="A form for the import manifest: what the update is, which devices it fits, what is done on them. Nothing is sent before the last button." />
      <ol class="steps" aria-label="Steps of this form">
        {STEPS.map((name, index) => (
          <li key={name} aria-current={index === stage ? "step" : undefined} class={index < stage ? "done" : ""}>
            {index < stage && !isBusy ? (
              <button type="button" class="link" onClick={() => go(index)}>
                {name}
              </button>
            ) : (
              <span>{name}</span>
            )}
          </li>
        ))}
      </ol>
      <h2 class="hidden" tabIndex={-1} ref={top}>
        Step {stage + 1} of {STEPS.length}: {STEPS[stage]}
      </h2>
      {stage < 3 ? (
        <form onSubmit={next} noValidate>
          {stage === 0 && <About draft={draft} wrong={wrong} change={change} />}
          {stage === 1 && <Devices draft={draft} wrong={wrong} change={change} />}
          {stage === 2 && <Steps draft={draft} files={files} wrong={wrong} change={change} setFiles={setFiles} />}
          <div class="actions">
            {stage > 0 && (
              <button type="button" class="plain" onClick={() => go(stage - 1)}>
                Back
              </button>
            )}
            <button disabled={isAsking}>Next: {STEPS[stage + 1]!.toLowerCase()}</button>
          </div>
        </form>
      ) : (
        <Review draft={draft} files={files} onBack={() => go(2)} onProblem={onProblem} isBusy={isBusy} onBusy={setBusy} />
      )}
    </>
  );
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

/** From list to list, since asking for what is not there would be an error in the browser's log. */
async function exists(id: UpdateId): Promise<boolean> {
  const has = async (parts: string[], wanted: string) => (await all<string>(path(["updates", "providers", ...parts]), 5000)).value.includes(wanted);
  try {
    return (await has([], id.provider)) && (await has([id.provider, "names"], id.name)) && (await has([id.provider, "names", id.name, "versions"], id.version));
  } catch {
    return false; // not to be known now: the import itself asks again
  }
}

interface Part {
  draft: Draft;
  wrong: Wrongs;
  change: (part: Partial<Draft>) => void;
}

function Text({ label, help, wrong, place, value, set, ...more }: { label: string; help?: string; wrong: Wrongs; place: string; value: string; set: (text: string) => void } & Pick<JSX.HTMLAttributes<HTMLInputElement>, "inputMode"> & { list?: string }) {
  return (
    <Field label={label} help={help} error={wrong.get(place)}>
      {(props) => <input {...props} {...more} autocomplete="off" spellcheck={false} maxLength={2048} value={value} onInput={(e) => set(e.currentTarget.value)} />}
    </Field>
  );
}

function About({ draft, wrong, change }: Part) {
  const { id } = draft;
  const set = (part: Partial<UpdateId>) => change({ id: { ...id, ...part } });
  const providers = useLive("providers", (signal) => ask<Page<string>>(path(["updates", "providers"]), { signal }));
  const names = useLive(providers.data?.value.includes(id.provider) ? `names ${id.provider}` : "", (signal) => ask<Page<string>>(path(["updates", "providers", id.provider, "names"]), { signal }));
  const versions = useLive(names.data?.value.includes(id.name) ? `versions ${id.provider}/${id.name}` : "", (signal) => ask<Page<string>>(path(["updates", "providers", id.provider, "names", id.name, "versions"]), { signal }));
  const had = [...(versions.data?.value ?? [])].sort((a, b) => b.localeCompare(a, undefined, { numeric: true }));
  return (
    <Card title="What it is">
      <div class="filters">
        <Text label="Provider" help="Who makes it: a company or a team. Letters, digits, “.” and “-”." wrong={wrong} place="id.provider" value={id.provider} set={(provider) => set({ provider })} list="known-providers" />
        <Text label="Name" help="What it is, without its version. A class of devices belongs to one name." wrong={wrong} place="id.name" value={id.name} set={(name) => set({ name })} list="known-names" />
        <Text label="Version" help={had.length ? `There ${had.length === 1 ? "is" : "are"} ${had.slice(0, 4).join(", ")}${had.length > 4 ? " and earlier ones" : ""}. The highest is the best update for a device.` : "2 to 4 numbers with dots, such as 1.2.0. The highest is the best update for a device."} wrong={wrong} place="id.version" value={id.version} set={(version) => set({ version })} inputMode="decimal" />
      </div>
      <datalist id="known-providers">{providers.data?.value.map((one) => <option key={one}>{one}</option>)}</datalist>
      <datalist id="known-names">{names.data?.value.map((one) => <option key={one}>{one}</option>)}</datalist>
      <Text label="Description" help="For people; it may be empty." wrong={wrong} place="description" value={draft.description} set={(description) => change({ description })} />
      <label class="choice">
        <input type="checkbox" checked={!draft.isDeployable} onChange={(e) => change({ isDeployable: !e.currentTarget.checked })} />
        Only a part of other updates <span class="faint">It cannot be deployed alone; steps of other updates refer to it.</span>
      </label>
    </Card>
  );
}

function Devices({ draft, wrong, change }: Part) {
  const classes = useLive("compose classes", (signal) => classesById(signal));
  const set = (index: number, pairs: Draft["compatibility"][number]["pairs"]) => change({ compatibility: draft.compatibility.map((one, at) => (at === index ? { ...one, pairs } : one)) });
  const isEmpty = (one: Draft["compatibility"][number]) => one.pairs.every((pair) => !pair.value);
  return (
    <Card title="For which devices">
      <p class="faint">An update fits a device that reports all properties of one of these sets with the same values. Upper and lower case count.</p>
      {!!classes.data?.size && (
        <p class="actions">
          <span>Take one that has reported:</span>
          {[...classes.data.values()].slice(0, 12).map((one) => (
            <button key={one.deviceClassId} type="button" class="plain small" onClick={() => change({ compatibility: [...draft.compatibility.filter((had) => !isEmpty(had)), newSet(one.deviceClassProperties.compatProperties)] })}>
              {className(one)}
            </button>
          ))}
        </p>
      )}
      {draft.compatibility.map((one, index) => (
        <fieldset key={one.key} class="part">
          <legend>{index ? `Or: set ${index + 1}` : "Set 1"}</legend>
          {one.pairs.map((pair, at) => (
            <div class="pairs" key={at}>
              <Text label="Property" wrong={wrong} place={`compatibility.${index}.${at}.name`} value={pair.name} set={(name) => set(index, one.pairs.map((had, n) => (n === at ? { ...had, name } : had)))} />
              <Text label="Value" wrong={wrong} place={`compatibility.${index}.${at}.value`} value={pair.value} set={(value) => set(index, one.pairs.map((had, n) => (n === at ? { ...had, value } : had)))} />
              <button type="button" class="plain small" disabled={one.pairs.length === 1} aria-label={`Remove property ${pair.name || at + 1} of set ${index + 1}`} onClick={() => set(index, one.pairs.filter((_, n) => n !== at))}>
                Remove
              </button>
            </div>
          ))}
          <Wrong text={wrong.get(`compatibility.${index}`)} />
          <div class="actions">
            <button type="button" class="plain small" disabled={one.pairs.length >= 5} onClick={() => set(index, [...one.pairs, newPair()])}>
              Add a property
            </button>
            {draft.compatibility.length > 1 && (
              <button type="button" class="plain small" onClick={() => change({ compatibility: draft.compatibility.filter((_, n) => n !== index) })}>
                Remove set {index + 1}
              </button>
            )}
          </div>
        </fieldset>
      ))}
      <Wrong text={wrong.get("compatibility")} />
      <button type="button" class="plain" disabled={draft.compatibility.length >= 10} onClick={() => change({ compatibility: [...draft.compatibility, newSet()] })}>
        Add another kind of device
      </button>
    </Card>
  );
}

const Wrong = ({ text }: { text?: string }) =>
  text ? (
    <p class="help wrong" role="alert" tabIndex={-1}>
      {text}
    </p>
  ) : null;

function Steps({ draft, files, wrong, change, setFiles }: Part & { files: Map<string, File>; setFiles: (files: Map<string, File>) => void }) {
  const set = (index: number, part: Partial<DraftStep>) => change({ steps: draft.steps.map((one, at) => (at === index ? { ...one, ...part } : one)) });
  const move = (index: number, by: number) => {
    const steps = [...draft.steps];
    steps.splice(index + by, 0, ...steps.splice(index, 1));
    change({ steps });
  };
  return (
    <>
      {draft.steps.map((step, index) => (
        <Card
          key={step.key}
          title={`Step ${index + 1}`}
          aside={
            <span class="actions">
              <button type="button" class="plain small" disabled={index === 0} aria-label={`Move step ${index + 1} up`} onClick={() => move(index, -1)}>
                ↑
              </button>
              <button type="button" class="plain small" disabled={index === draft.steps.length - 1} aria-label={`Move step ${index + 1} down`} onClick={() => move(index, 1)}>
                ↓
              </button>
              <button type="button" class="plain small" disabled={draft.steps.length === 1} aria-label={`Remove step ${index + 1}`} onClick={() => change({ steps: draft.steps.filter((_, at) => at !== index) })}>
                Remove
              </button>
            </span>
          }
        >
          <Wrong text={wrong.get(`steps.${index}`)} />
          <StepForm step={step} place={`steps.${index}`} files={files} wrong={wrong} set={(part) => set(index, part)} setFiles={setFiles} />
        </Card>
      ))}
      <Wrong text={wrong.get("steps")} />
      <p>
        <button type="button" class="plain" disabled={draft.steps.length >= 10} onClick={() => change({ steps: [...draft.steps, newStep()] })}>
          Add a step
        </button>
      </p>
    </>
  );
}

function StepForm({ step, place, files, wrong, set, setFiles }: { step: DraftStep; place: string; files: Map<string, File>; wrong: Wrongs; set: (part: Partial<DraftStep>) => void; setFiles: (files: Map<string, File>) => void }) {
  const handler = handlerOf(step.handler);
  const chosen = step.kind === "reference" ? "reference" : step.handler;
  const value = (name: string, text: string) => set({ values: { ...step.values, [name]: text } });
  return (
    <>
      <div class="filters">
        <Field label="What is done" help={step.kind === "reference" ? "All steps of another update that was imported before." : handler.says}>
          {(props) => (
            <select {...props} value={chosen} onChange={(e) => set(e.currentTarget.value === "reference" ? { kind: "reference" } : { kind: "inline", handler: e.currentTarget.value })}>
              {HANDLERS.map((one) => (
                <option key={one.id} value={one.id}>
                  {one.title}: {one.id}
                </option>
              ))}
              <option value={OTHER.id}>{OTHER.title}</option>
              <option value="reference">Another update as a step</option>
            </select>
          )}
        </Field>
        <Text label="Description" help="For people who read the update here; it may be empty." wrong={wrong} place={`${place}.description`} value={step.description} set={(description) => set({ description })} />
      </div>
      {step.kind === "reference" ? (
        <Reference step={step} place={place} wrong={wrong} set={set} />
      ) : (
        <>
          <StepFiles step={step} says={handler.files.says} problem={wrong.get(`${place}.files`)} files={files} set={set} setFiles={setFiles} />
          {step.files.length > 0 && (
            <label class="choice">
              <input type="checkbox" checked={step.isDelta} onChange={(e) => set({ isDelta: e.currentTarget.checked })} />
              Fetched as deltas <span class="faint">The service makes them from the versions that most devices have; a device that has none of these fetches the whole file.</span>
            </label>
          )}
          {handler.id === "" ? (
            <>
              <Text label="Handler" help="provider/name:version, as it is registered on the devices." wrong={wrong} place={`${place}.other`} value={step.other} set={(other) => set({ other })} />
              <Field label="Properties as JSON" help="Handed to the handler as they are." error={wrong.get(`${place}.json`)}>
                {(props) => <textarea {...props} class="mono" rows={5} spellcheck={false} maxLength={65_536} value={step.json} onInput={(e) => set({ json: e.currentTarget.value })} />}
              </Field>
            </>
          ) : (
            <Properties step={step} place={place} wrong={wrong} set={value} />
          )}
          {handler.id === "godwit/image:1" && <ImageFigures step={step} files={files} set={set} />}
        </>
      )}
    </>
  );
}

/** Those that few updates set stand below, closed unless one of them is set or wrong. */
function Properties({ step, place, wrong, set }: { step: DraftStep; place: string; wrong: Wrongs; set: (name: string, text: string) => void }) {
  const properties = propertiesFor(handlerOf(step.handler));
  const rare = properties.filter((one) => one.isRare);
  const hasWrong = rare.some((one) => wrong.has(`${place}.${one.name}`));
  const [isOpen, setOpen] = useState(rare.some((one) => step.values[one.name]));
  const field = (one: Property) => <PropertyField key={one.name} property={one} step={step} problem={wrong.get(`${place}.${one.name}`)} set={(text) => set(one.name, text)} />;
  return (
    <>
      <div class="fields">{properties.filter((one) => !one.isRare).map(field)}</div>
      <details open={isOpen || hasWrong} onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>More settings</summary>
        <div class="fields">{rare.map(field)}</div>
      </details>
    </>
  );
}

function PropertyField({ property, step, problem, set }: { property: Property; step: DraftStep; problem?: string; set: (text: string) => void }) {
  const text = step.values[property.name] ?? "";
  const label = property.isNeeded || property.isRare ? property.label : `${property.label} (may be empty)`;
  if (property.kind === "yes")
    return (
      <label class="choice">
        <input type="checkbox" checked={text === "true"} onChange={(e) => set(e.currentTarget.checked ? "true" : "")} />
        {property.label} <span class="faint">{property.help}</span>
      </label>
    );
  const options = property.kind === "file" ? ["", ...step.files] : property.options;
  return (
    <Field label={options && property.kind !== "file" ? property.label : label} help={property.help} error={problem}>
      {(props) =>
        options ? (
          <select {...props} value={text || options[0]} onChange={(e) => set(e.currentTarget.value)}>
            {options.map((one) => (
              <option key={one} value={one}>
                {one || (step.files.length ? "Choose a file" : "Add files first")}
              </option>
            ))}
          </select>
        ) : property.kind === "lines" ? (
          <textarea {...props} class="mono" rows={3} spellcheck={false} maxLength={32_768} value={text} onInput={(e) => set(e.currentTarget.value)} />
        ) : (
          <input {...props} autocomplete="off" spellcheck={false} maxLength={8192} inputMode={property.kind === "number" ? "numeric" : undefined} value={text} onInput={(e) => set(e.currentTarget.value)} />
        )
      }
    </Field>
  );
}

function StepFiles({ step, says, problem, files, set, setFiles }: { step: DraftStep; says: string; problem?: string; files: Map<string, File>; set: (part: Partial<DraftStep>) => void; setFiles: (files: Map<string, File>) => void }) {
  const take = (list: FileList | null) => {
    if (!list?.length) return;
    const next = new Map(files);
    for (const file of list) next.set(file.name, file);
    setFiles(next);
    const names = [...new Set([...step.files, ...[...list].map((file) => file.name)])];
    // A handler that wants one file by name gets the only one there is.
    const values = { ...step.values };
    for (const one of handlerOf(step.handler).properties) if (one.kind === "file" && one.isNeeded && !values[one.name] && names.length === 1) values[one.name] = names[0]!;
    set({ files: names, values });
  };
  return (
    <Field label="Files" help={says} error={problem}>
      {(props) => (
        <>
          <input {...props} type="file" multiple onChange={(e) => (take(e.currentTarget.files), (e.currentTarget.value = ""))} />
          {step.files.length > 0 && (
            <ul class="chips">
              {step.files.map((name) => (
                <li key={name}>
                  <span class="mono">{name}</span> <span class="faint">{bytes(files.get(name)?.size ?? 0)}</span>
                  <button type="button" class="link" aria-label={`Leave ${name} out`} onClick={() => set({ files: step.files.filter((one) => one !== name) })}>
                    ✕
                  </button>
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </Field>
  );
}

/** Size and hash of what the image unpacks to, found here when the browser can unpack it. */
function ImageFigures({ step, files, set }: { step: DraftStep; files: Map<string, File>; set: (part: Partial<DraftStep>) => void }) {
  const [says, setSays] = useState("");
  const file = files.get(step.values.imageFile ?? "");
  const packed = step.values.compression || "none";
  const latest = useRef(step);
  latest.current = step;
  useEffect(() => {
    if (!file || packed === "zstd") return setSays("");
    let isOver = false;
    setSays(`Hashing ${file.name}…`);
    (packed === "gzip" ? hashUnpacked(file) : hashFile(file, () => {})).then(
      ({ digest, size }) => {
        if (isOver) return;
        set({ values: { ...latest.current.values, imageSize: String(size), imageSha256: toHex(digest) } });
        setSays(`Size and hash of ${file.name}${packed === "gzip" ? ", unpacked," : ""} were found here.`);
      },
      (failure: Error) => !isOver && setSays(packed === "gzip" ? `${file.name} cannot be unpacked as gzip: choose how it is packed.` : failure.message),
    );
    return () => void (isOver = true);
  }, [file, packed]);
  return <p role="status" class="help">{says}</p>;
}

function Reference({ step, place, wrong, set }: { step: DraftStep; place: string; wrong: Wrongs; set: (part: Partial<DraftStep>) => void }) {
  const refer = (part: Partial<UpdateId>) => set({ refers: { ...step.refers, ...part } });
  const known = useLive("compose updates", (signal) => all<{ updateId: UpdateId }>(path(["updates"]), 500, signal));
  return (
    <>
      <div class="filters">
        <Text label="Provider" wrong={wrong} place={`${place}.refers.provider`} value={step.refers.provider} set={(provider) => refer({ provider })} />
        <Text label="Name" wrong={wrong} place={`${place}.refers.name`} value={step.refers.name} set={(name) => refer({ name })} />
        <Text label="Version" wrong={wrong} place={`${place}.refers.version`} value={step.refers.version} set={(version) => refer({ version })} />
      </div>
      {!!known.data?.value.length && (
        <Field label="Or choose one that is here">
          {(props) => (
            <select {...props} value={nameOf(step.refers)} onChange={(e) => set({ refers: known.data!.value.find((one) => nameOf(one.updateId) === e.currentTarget.value)?.updateId ?? step.refers })}>
              <option value="">Choose an update</option>
              {known.data!.value.map((one) => (
                <option key={nameOf(one.updateId)}>{nameOf(one.updateId)}</option>
              ))}
            </select>
          )}
        </Field>
      )}
    </>
  );
}

function Review({ draft, files, onBack, onProblem, isBusy, onBusy }: { draft: Draft; files: Map<string, File>; onBack: () => void; onProblem: (problem: Problem) => void; isBusy: boolean; onBusy: (isBusy: boolean) => void }) {
  const names = filesOf(draft);
  const [hashes, setHashes] = useState(new Map<string, Hashed>());
  const [done, setDone] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [made] = useState(() => new Date());
  useEffect(() => {
    let isOver = false;
    const work = async () => {
      const found = new Map<string, Hashed>();
      for (const name of names) {
        const file = files.get(name)!;
        const { digest, size } = await hashFile(file, (now) => !isOver && setDone(`Hashing ${name}: ${bytes(now)} of ${bytes(file.size)}`));
        if (isOver) return;
        found.set(name, { sha256: toBase64(digest), size });
      }
      setDone("");
      setHashes(found);
    };
    work().catch((failure) => !isOver && setProblem(failure));
    return () => void (isOver = true);
  }, []);
  const isReady = names.every((name) => hashes.has(name));
  const text = isReady ? manifestText(draft, hashes, made) : "";
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `${draft.id.provider}.${draft.id.name}.${draft.id.version}.importmanifest.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  const line = (label: string, says: ComponentChildren) => (
    <>
      <dt>{label}</dt>
      <dd>{says}</dd>
    </>
  );
  return (
    <>
      <Card title={`${draft.id.name} ${draft.id.version}`}>
        <dl>
          {line("Provider", draft.id.provider)}
          {line("Fits devices with", draft.compatibility.map((set, index) => <div key={index}>{set.pairs.map((pair) => `${pair.name} ${pair.value}`).join(", ")}</div>))}
          {line("Does", draft.steps.map((step, index) => <div key={index}>{step.description || (step.kind === "reference" ? `${step.refers.name} ${step.refers.version}` : handlerOf(step.handler).title)}</div>))}
        </dl>
        {problem && <Trouble problem={problem} />}
        <p role="status" class={isReady || problem ? "hidden" : "waiting"}>
          {isReady ? "The manifest is ready." : done || "Hashing the files…"}
        </p>
        <details>
          <summary>The manifest as it will be sent</summary>
          <pre class="box">{text || "…"}</pre>
        </details>
        <div class="actions">
          <button type="button" class="plain" disabled={isBusy} onClick={onBack}>
            Back
          </button>
          <button type="button" class="plain" disabled={!isReady} onClick={save}>
            Save the manifest
          </button>
        </div>
      </Card>
      {isReady && (
        <Card title="Import it">
          <Send manifests={[{ text, id: draft.id, files: names.map((filename) => ({ filename, sizeInBytes: hashes.get(filename)!.size, sha256: hashes.get(filename)!.sha256 })) }]} files={files} onProblem={onProblem} onDone={() => (kept = null)} onBusy={onBusy} />
        </Card>
      )}
      <p class="faint">
        The same form from the command line: <code>godwit update init v5</code>. <Link href="/updates/import">A manifest that is there already</Link> is dropped on the import page.
      </p>
    </>
  );
}
