// Which update each part of a device has, as the device's reports tell it: a step that refers to another update names the parts it was for.
import type { ExplainedDevice, Update, UpdateId } from "./model";

export interface Part {
  name: string;
  update: UpdateId;
  /** Of the report that told it. */
  time: string;
}

/** "the motor (m-1): done; lid: was in place" as pairs. Words may hold "; ", so a piece without a name belongs to the one before. */
export function partsTold(details: string): [string, string][] {
  const found: [string, string][] = [];
  for (const piece of details.split("; ")) {
    const named = /^(.{1,200}?): (.*)$/s.exec(piece);
    if (named) found.push([named[1]!, named[2]!]);
    else if (found.length) found[found.length - 1]![1] += "; " + piece;
  }
  return found;
}

export type Report = ExplainedDevice["reports"][number];

/** What a step said of its parts; a step that did nothing, or was for the device itself, says nothing. */
function partsInPlace(result: NonNullable<Report["report"]["result"]>, step: number): string[] {
  const said = result.stepResults?.[step];
  const code = said?.resultCode ?? 0;
  if (!said?.resultDetails || code === 504 || code === 604) return [];
  const words = new Map<string, string[]>();
  for (const [name, says] of partsTold(said.resultDetails)) words.set(name, [...(words.get(name) ?? []), says]);
  const isIn = (says: string) => code > 0 || says === "done" || says === "was in place";
  return [...words].filter(([, says]) => says.every(isIn)).map(([name]) => name);
}

/** A failure that put back what had been done before it, too: its steps still say "done". */
const wentBack = (details = "") => /; step \d+ (was|cannot be) restored/.test(details);

/** `updates`: by "provider/name/version". The newest report that tells of a part counts. */
export function partsOf(reports: Report[], idOf: (report: Report) => string, updates: Map<string, Update>): Part[] {
  const parts = new Map<string, Part>();
  for (const one of [...reports].sort((a, b) => b.time.localeCompare(a.time))) {
    const { result } = one.report;
    const steps = updates.get(idOf(one))?.instructions?.steps;
    if (!result || !steps || wentBack(result.resultDetails)) continue;
    steps.forEach((step, index) => {
      if (!step.updateId) return;
      for (const name of partsInPlace(result, index)) if (!parts.has(name)) parts.set(name, { name, update: step.updateId, time: one.time });
    });
  }
  return [...parts.values()].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}
