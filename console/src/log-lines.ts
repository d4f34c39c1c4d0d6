// A log as lines with levels, whatever wrote it: Godwit's own text and JSON lines, journals, syslog, anything else.
export const LEVELS = ["debug", "info", "warning", "error"] as const;
export type Level = (typeof LEVELS)[number];

export interface Line {
  number: number;
  text: string;
  level: Level;
}

const WORDS: Record<string, Level> = {
  trace: "debug", debug: "debug", dbg: "debug", info: "info", notice: "info", warn: "warning", warning: "warning", err: "error", error: "error", crit: "error", critical: "error", alert: "error", emerg: "error", fatal: "error", panic: "error",
};
const SAID = /(?:^|[\s[<("':=|])(trace|debug|dbg|info|notice|warn|warning|err|error|crit|critical|alert|emerg|fatal|panic)(?=[\s\]>)"':=|,]|$)/i;
/** A level further on in a line is a word of its message. */
const HEAD = 160;

/** A line without a level belongs to the one before it, as those of a stack trace do. */
export function readLines(text: string): Line[] {
  let level: Level = "info";
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line, index) => {
    const json = line.startsWith("{") && /"level":"(\w+)"/.exec(line)?.[1];
    const said = json || SAID.exec(line.slice(0, HEAD))?.[1];
    const found = said && WORDS[said.toLowerCase()];
    if (found) level = found;
    else if (line && !/^\s/.test(line)) level = "info";
    return { number: index + 1, text: line, level };
  });
}

export function pick(lines: Line[], words: string, atLeast: Level): Line[] {
  const low = words.toLowerCase();
  const least = LEVELS.indexOf(atLeast);
  return lines.filter((line) => LEVELS.indexOf(line.level) >= least && (!low || line.text.toLowerCase().includes(low)));
}

/** `text` cut where `words` stand; odd parts are what was looked for. */
export function cut(text: string, words: string): string[] {
  if (!words) return [text];
  const parts: string[] = [];
  const low = text.toLowerCase();
  const wanted = words.toLowerCase();
  let at = 0;
  for (let found = low.indexOf(wanted); found >= 0; found = low.indexOf(wanted, at)) {
    parts.push(text.slice(at, found), text.slice(found, found + wanted.length));
    at = found + wanted.length;
  }
  return [...parts, text.slice(at)];
}

export interface ReadLog {
  text: string;
  /** Bytes before `text` that are not shown. */
  skipped: number;
  isBinary: boolean;
}

/** Reads a stream to its end and keeps the last `most` bytes: what a log's reader wants is mostly there. */
export async function readEnd(stream: ReadableStream<Uint8Array>, most: number, progress: (bytes: number) => void): Promise<ReadLog> {
  const chunks: Uint8Array[] = [];
  let kept = 0;
  let total = 0;
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
    kept += next.value.length;
    total += next.value.length;
    while (kept - chunks[0]!.length >= most) kept -= chunks.shift()!.length;
    progress(total);
  }
  let skipped = total - kept;
  const bytes = new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
  const from = skipped ? bytes.indexOf(10) + 1 : 0; // begin with a whole line
  skipped += from;
  return { text: new TextDecoder().decode(bytes.subarray(from)), skipped, isBinary: bytes.subarray(0, 4096).includes(0) };
}
