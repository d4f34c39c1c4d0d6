// An import manifest in the making: what was typed, the rules of docs/reference/formats/import-manifest.md for it, and its text.
import { COMMON, handlerOf, type Handler, type Property } from "./handlers";
import type { UpdateId } from "./model";

export interface DraftStep {
  key: number;
  kind: "inline" | "reference";
  handler: string;
  /** The id, when `handler` is "". */
  other: string;
  /** Its properties as JSON, when `handler` is "". */
  json: string;
  description: string;
  values: Record<string, string>;
  files: string[];
  /** Devices may make the files from what they have and a delta. */
  isDelta: boolean;
  refers: UpdateId;
}
export interface Draft {
  id: UpdateId;
  description: string;
  isDeployable: boolean;
  compatibility: { key: number; pairs: { name: string; value: string }[] }[];
  steps: DraftStep[];
}
/** What is wrong, by the field's place: "id.version", "compatibility.0.1.value", "steps.2.target". */
export type Wrongs = Map<string, string>;
export interface Hashed {
  sha256: string;
  size: number;
}

const LIMITS = { steps: 10, sets: 10, pairs: 5, files: 10, bytes: 2 ** 31, manifest: 256 * 1024 };
const DELTA = "microsoft/delta:1";
let keys = 0;
export const newPair = (name = "", value = "") => ({ name, value });
export const newSet = (given?: Record<string, string>) => ({ key: ++keys, pairs: given ? Object.entries(given).map(([name, value]) => newPair(name, value)) : [newPair("manufacturer"), newPair("model")] });
export const newStep = (): DraftStep => ({ key: ++keys, kind: "inline", handler: "microsoft/script:1", other: "", json: "{}", description: "", values: {}, files: [], isDelta: false, refers: { provider: "", name: "", version: "" } });
export const newDraft = (): Draft => ({ id: { provider: "", name: "", version: "" }, description: "", isDeployable: true, compatibility: [newSet()], steps: [newStep()] });

export function checkId(id: UpdateId, place: string, wrong: Wrongs): void {
  for (const part of ["provider", "name"] as const) {
    if (!id[part]) wrong.set(`${place}.${part}`, "This is needed.");
    else if (!/^[A-Za-z0-9.-]+$/.test(id[part])) wrong.set(`${place}.${part}`, "Only letters, digits, “.” and “-”.");
    else if (id[part].length > 64) wrong.set(`${place}.${part}`, "At most 64 characters.");
  }
  if (!id.version) wrong.set(`${place}.version`, "This is needed.");
  else if (!/^\d+(\.\d+){1,3}$/.test(id.version) || id.version.split(".").some((part) => Number(part) > 2147483647)) wrong.set(`${place}.version`, "2 to 4 numbers with dots between them, such as 1.2.0.");
}

export function checkAbout(draft: Draft): Wrongs {
  const wrong: Wrongs = new Map();
  checkId(draft.id, "id", wrong);
  if ([...draft.description].length > 512) wrong.set("description", "At most 512 characters.");
  return wrong;
}

export function checkCompatibility(draft: Draft): Wrongs {
  const wrong: Wrongs = new Map();
  if (draft.compatibility.length === 0) wrong.set("compatibility", "Name at least one kind of device.");
  if (draft.compatibility.length > LIMITS.sets) wrong.set("compatibility", `At most ${LIMITS.sets} kinds of devices.`);
  draft.compatibility.forEach((set, index) => {
    const names = new Set<string>();
    set.pairs.forEach((pair, at) => {
      const place = `compatibility.${index}.${at}`;
      if (!pair.name) wrong.set(`${place}.name`, "This is needed.");
      else if ([...pair.name].length > 32) wrong.set(`${place}.name`, "At most 32 characters.");
      else if (names.has(pair.name)) wrong.set(`${place}.name`, "It is there twice.");
      names.add(pair.name);
      if (!pair.value) wrong.set(`${place}.value`, "This is needed.");
      else if ([...pair.value].length > 64) wrong.set(`${place}.value`, "At most 64 characters.");
    });
    if (set.pairs.length > LIMITS.pairs) wrong.set(`compatibility.${index}`, `At most ${LIMITS.pairs} properties.`);
  });
  return wrong;
}

/** A command as words: a JSON array, or text cut at blanks. */
export function wordsOf(text: string): string[] | null {
  if (!text.trim().startsWith("[")) return text.trim().split(/\s+/).filter(Boolean);
  try {
    const words: unknown = JSON.parse(text);
    return Array.isArray(words) && words.every((word) => typeof word === "string") ? words : null;
  } catch {
    return null;
  }
}

const linesOf = (text: string) => text.split("\n").map((line) => line.trim()).filter(Boolean);

/** What is wrong with the lines of a property, or "". */
function checkLines(property: Property, text: string): string {
  const lines = linesOf(text);
  if (lines.length > property.most!) return `At most ${property.most} lines.`;
  const elements = lines.map((line) => property.element!(line));
  const bad = elements.indexOf(undefined);
  if (bad >= 0) return `“${lines[bad]!.slice(0, 80)}” is not ${property.shape}.`;
  const names = property.isObject ? (elements as [string, string][]).map(([name]) => name) : [];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice ? `${twice} is there twice.` : "";
}

function checkProperty(property: Property, step: DraftStep): string {
  const text = (step.values[property.name] ?? "").trim();
  if (!text) return property.isNeeded ? (property.kind === "file" ? "Choose one of the step's files." : "This is needed.") : "";
  if (property.kind === "file" && !step.files.includes(text)) return "Choose one of the step's files.";
  if (property.kind === "number" && (!/^\d+$/.test(text) || Number(text) < property.low! || Number(text) > property.high!)) return `A whole number from ${property.low!.toLocaleString()} to ${property.high!.toLocaleString()}.`;
  if (property.kind === "words" && !wordsOf(text)?.length) return "Words with blanks between them, or a JSON array of texts.";
  if (property.kind === "words" && property.most && wordsOf(text)!.length > property.most) return `At most ${property.most} words.`;
  if (property.kind === "lines") return checkLines(property, text);
  if (property.pattern && !property.pattern.test(text)) return `It must be ${property.shape}.`;
  return "";
}

/** The properties that the form shows for it; those of every step last. A handler that is not known has them in its JSON. */
export const propertiesFor = (handler: Handler) => (handler.id === "" ? [] : [...handler.properties, ...COMMON]);

function checkStep(step: DraftStep, place: string, self: UpdateId, wrong: Wrongs): void {
  if ([...step.description].length > 64) wrong.set(`${place}.description`, "At most 64 characters.");
  if (step.kind === "reference") {
    checkId(step.refers, `${place}.refers`, wrong);
    if (step.refers.provider === self.provider && step.refers.name === self.name && step.refers.version === self.version && self.name) wrong.set(`${place}.refers.version`, "It is this update itself.");
    return;
  }
  const handler = handlerOf(step.handler);
  if (handler.id === "") {
    if (step.other.length < 5 || step.other.length > 32 || !/^[!-~]+\/[!-~]+:\d{1,5}$/.test(step.other)) wrong.set(`${place}.other`, "It has the form provider/name:version with 5 to 32 characters, such as contoso/plc:1.");
    try {
      const body: unknown = JSON.parse(step.json || "{}");
      if (typeof body !== "object" || body === null || Array.isArray(body)) wrong.set(`${place}.json`, "It must be a JSON object: {…}.");
    } catch (failure) {
      wrong.set(`${place}.json`, `This is not JSON: ${failure instanceof Error ? failure.message : failure}.`);
    }
  }
  const { least, most, says, pattern } = handler.files;
  if (step.files.length < least) wrong.set(`${place}.files`, `Add ${least === 1 ? "a file" : `at least ${least} files`}. ${says}`);
  else if (step.files.length > most) wrong.set(`${place}.files`, `This handler takes ${most === 1 ? "one file" : `at most ${most} files`}. ${says}`);
  else if (pattern && step.files.some((name) => !pattern.test(name))) wrong.set(`${place}.files`, `“${step.files.find((name) => !pattern.test(name))}” does not look like one. ${says}`);
  for (const property of propertiesFor(handler)) {
    const problem = checkProperty(property, step);
    if (problem) wrong.set(`${place}.${property.name}`, problem);
  }
  const broken = handler.rule?.((name) => (step.values[name] ?? "").trim(), step.files, step.isDelta);
  if (broken && !wrong.has(`${place}.${broken[0]}`)) wrong.set(`${place}.${broken[0]}`, broken[1]);
}

const isPlain = (name: string) => name !== "." && name !== ".." && !/[/\u0000-\u001f\u007f]/.test(name) && new TextEncoder().encode(name).length <= 255;

export const filesOf = (draft: Draft) => [...new Set(draft.steps.filter((step) => step.kind === "inline").flatMap((step) => step.files))];

export function checkSteps(draft: Draft, files: Map<string, File>): Wrongs {
  const wrong: Wrongs = new Map();
  if (draft.steps.length === 0) wrong.set("steps", "An update has at least one step.");
  if (draft.steps.length > LIMITS.steps) wrong.set("steps", `An update has at most ${LIMITS.steps} steps.`);
  draft.steps.forEach((step, index) => checkStep(step, `steps.${index}`, draft.id, wrong));
  const names = filesOf(draft);
  const sizes = names.map((name) => files.get(name)?.size ?? 0);
  const twice = names.find((name, index) => names.findIndex((other) => other.toLowerCase() === name.toLowerCase()) !== index);
  const empty = names.find((_, index) => sizes[index] === 0);
  const odd = names.find((name) => !isPlain(name));
  if (names.length > LIMITS.files) wrong.set("steps", `An update has at most ${LIMITS.files} files; these steps name ${names.length}.`);
  else if (sizes.reduce((sum, size) => sum + size, 0) > LIMITS.bytes) wrong.set("steps", "All files together may have 2 GiB at most.");
  else if (twice) wrong.set("steps", `“${twice}” is there twice, but for upper and lower case.`);
  else if (empty) wrong.set("steps", `“${empty}” is empty; a file of an update has at least one byte.`);
  else if (odd) wrong.set("steps", `“${odd}” is no plain file name of at most 255 bytes.`);
  return wrong;
}

function valueOf(property: Property, text: string): unknown {
  switch (property.kind) {
    case "number":
      return Number(text);
    case "words":
      return wordsOf(text);
    case "yes":
      return property.yes ?? true;
    case "lines": {
      const elements = linesOf(text).map((line) => property.element!(line));
      return property.isObject ? Object.fromEntries(elements as [string, string][]) : elements;
    }
    default:
      return text;
  }
}

function propertiesOf(step: DraftStep): Record<string, unknown> {
  const handler = handlerOf(step.handler);
  if (handler.id === "") return JSON.parse(step.json || "{}");
  const found: Record<string, unknown> = {};
  for (const property of propertiesFor(handler)) {
    const text = (step.values[property.name] ?? property.options?.[0] ?? "").trim();
    if (text) found[property.name] = valueOf(property, text);
  }
  return { ...found, ...handler.adds?.(found) };
}

/** The text of the manifest, when no rule is broken and every file was hashed. */
export function manifestText(draft: Draft, hashes: Map<string, Hashed>, now: Date): string {
  const about = (text: string) => (text.trim() ? { description: text.trim() } : {});
  const steps = draft.steps.map((step) =>
    step.kind === "reference" ? { type: "reference", ...about(step.description), updateId: step.refers } : { type: "inline", ...about(step.description), handler: step.handler || step.other, files: step.files, handlerProperties: propertiesOf(step) },
  );
  const asDeltas = new Set(draft.steps.filter((step) => step.kind === "inline" && step.isDelta).flatMap((step) => step.files));
  const files = filesOf(draft).map((filename) => {
    const { size, sha256 } = hashes.get(filename)!;
    return { filename, sizeInBytes: size, hashes: { sha256 }, ...(asDeltas.has(filename) ? { downloadHandler: { id: DELTA } } : {}) };
  });
  const manifest = {
    $schema: "https://json.schemastore.org/azure-deviceupdate-import-manifest-5.0.json",
    updateId: draft.id,
    ...about(draft.description),
    ...(draft.isDeployable ? {} : { isDeployable: false }),
    compatibility: draft.compatibility.map((set) => Object.fromEntries(set.pairs.map((pair) => [pair.name, pair.value]))),
    instructions: { steps },
    ...(files.length ? { files } : {}),
    createdDateTime: now.toISOString().replace(/\.\d+Z$/, "Z"),
    manifestVersion: "5.0",
  };
  return JSON.stringify(manifest, null, 2) + "\n";
}
