// The public REST and nothing else: one function that calls, errors that carry the service's own sentence, pages.
import { session, signOut, type Session } from "./session";

export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code = "",
    readonly traceId = "",
  ) {
    super(message);
  }
  get isUnreachable() {
    return this.status === 0;
  }
  get isMissing() {
    return this.status === 404;
  }
}

export interface Page<T> {
  value: T[];
  nextLink?: string;
}

const VERSION = { data: "2022-10-01", hub: "2021-04-12" };
const seg = encodeURIComponent;

function instanceOf(): string {
  return seg(session.value?.instance ?? "default");
}

/** A path of the Device Update family; `parts` are encoded. */
export function data(parts: (string | number)[], query: Record<string, string | undefined> = {}): string {
  return `/deviceUpdate/${instanceOf()}/${parts.map((part) => seg(String(part))).join("/")}?${words({ ...query, "api-version": VERSION.data })}`;
}
export function manage(parts: (string | number)[], query: Record<string, string | undefined> = {}): string {
  return data(["management", ...parts], query);
}
/** A path of Godwit's own family; `verb` comes after a colon. */
export function own(parts: (string | number)[], query: Record<string, string | undefined> = {}, verb = ""): string {
  const asked = words(query);
  return `/godwit/v1/${instanceOf()}/${parts.map((part) => seg(String(part))).join("/")}${verb ? ":" + verb : ""}${asked ? "?" + asked : ""}`;
}
export function hub(parts: (string | number)[]): string {
  return `/${parts.map((part) => seg(String(part))).join("/")}?api-version=${VERSION.hub}`;
}
function words(query: Record<string, string | undefined>): string {
  const kept = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== "");
  return kept.map(([name, value]) => `${name}=${seg(value)}`).join("&"); // a "+" would not be a blank to the service
}
/** A text inside a filter: quotes are doubled. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A text inside a hub query, whose escapes are others. */
export function queryText(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}

export interface Call {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  as?: Session;
}

export async function raw(path: string, call: Call = {}): Promise<Response> {
  const who = call.as ?? session.value;
  const isBytes = call.body instanceof Blob;
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: call.method ?? "GET",
      signal: call.signal,
      cache: "no-store",
      credentials: "omit",
      headers: {
        ...(who ? { Authorization: `Bearer ${who.token}`, "X-Godwit-Instance": who.instance } : {}),
        ...(call.body === undefined ? {} : { "Content-Type": isBytes ? "application/octet-stream" : "application/json" }),
        ...call.headers,
      },
      body: call.body === undefined ? undefined : isBytes ? (call.body as Blob) : JSON.stringify(call.body),
    });
  } catch (failure) {
    if (call.signal?.aborted) throw failure;
    throw new Problem("The service does not answer. Check that godwitd runs and that this machine reaches it.", 0);
  }
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  if (problem.status === 401 && !call.as) signOut("The service does not know your token any more: it was revoked or has expired.");
  throw problem;
}

export async function ask<T>(path: string, call: Call = {}): Promise<T> {
  const answer = await raw(path, call);
  const text = await answer.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

async function problemOf(answer: Response): Promise<Problem> {
  const trace = answer.headers.get("traceparent") ?? "";
  try {
    const body = await answer.json();
    const message = body?.error?.message ?? body?.Message ?? body?.message ?? answer.statusText;
    return new Problem(String(message), answer.status, String(body?.error?.innererror?.code ?? ""), trace);
  } catch {
    return new Problem(`the service answered ${answer.status} ${answer.statusText}`, answer.status, "", trace);
  }
}

/** The path of a link that the service gave; its host is never followed. */
export function pathOf(link: string): string {
  const url = new URL(link, location.origin);
  return url.pathname + url.search;
}

/** All pages up to `most` elements; `isWhole` tells whether that was all. */
export async function all<T>(path: string, most = 1000, signal?: AbortSignal): Promise<{ value: T[]; isWhole: boolean }> {
  const value: T[] = [];
  let next: string | undefined = path;
  while (next && value.length < most) {
    const page: Page<T> = await ask<Page<T>>(next, { signal });
    value.push(...page.value);
    next = page.nextLink ? pathOf(page.nextLink) : undefined;
  }
  return { value, isWhole: !next };
}

/** Runs `work` over `items`, six at a time, in order of `items`. */
export async function each<A, B>(items: A[], work: (item: A) => Promise<B>): Promise<B[]> {
  const results: B[] = new Array(items.length);
  let at = 0;
  const worker = async () => {
    for (let mine = at++; mine < items.length; mine = at++) results[mine] = await work(items[mine]!);
  };
  await Promise.all(Array.from({ length: Math.min(6, items.length) }, worker));
  return results;
}
