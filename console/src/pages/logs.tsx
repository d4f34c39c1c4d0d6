// Logs that devices sent: what was asked of one device, and a viewer for one file.
import { useEffect, useMemo, useState } from "preact/hooks";
import { Link, useSearch } from "wouter-preact";
import { all, ask, each, manage, own, Problem, raw } from "../api";
import { useLive } from "../live";
import { cut, LEVELS, pick, readEnd, readLines, type Level, type ReadLog } from "../log-lines";
import { at, bytes, Card, Confirm, Field, Heading, many, State, Table, Time, Trouble, useBusy, Waiting, type Question } from "../ui";

interface Collection {
  operationId: string;
  description?: string;
  createdDateTime: string;
  status: string;
  deviceList: { deviceId: string; moduleId?: string }[];
}
interface LogFile {
  fileId: string;
  name: string;
  fileName: string;
  sizeInBytes: number;
  receivedDateTime: string;
  deviceId: string;
}
interface Detail {
  deviceStatus: { deviceId: string; moduleId?: string; status: string; godwit?: { details?: string; fileCount: number } }[];
}
const COLLECTIONS = ["deviceDiagnostics", "logCollections"];
const LOOK: Record<string, string> = { NotStarted: "InProgress", Running: "InProgress" };
const WORDS: Record<string, string> = { NotStarted: "Asked", Running: "On its way", Succeeded: "Came", Failed: "Did not come" };
/** What a browser shows without effort; of a longer file the end. */
const VIEW_MAX = 8 * 1024 * 1024;
const ROWS = 1000;

const isOf = (one: { deviceId: string; moduleId?: string }, id: string, module?: string) => one.deviceId === id && (one.moduleId ?? "") === (module ?? "");

async function loadOf(id: string, module: string | undefined, signal: AbortSignal) {
  const found = await all<Collection>(manage(COLLECTIONS), 1000, signal);
  const mine = found.value.filter((one) => one.deviceList.some((agent) => isOf(agent, id, module)));
  mine.sort((a, b) => b.createdDateTime.localeCompare(a.createdDateTime));
  const agent = module ? `${id}/${module}` : id;
  return each(mine.slice(0, 10), async (collection) => {
    const [detail, files] = await Promise.all([ask<Detail>(manage([...COLLECTIONS, collection.operationId, "detailedStatus"]), { signal }), all<LogFile>(own(["logCollections", collection.operationId, "files"], { agent }), 200, signal)]);
    return { collection, agent: detail.deviceStatus.find((one) => isOf(one, id, module)), files: files.value };
  });
}

/** What was collected from one device, newest first, and the button that asks for more. */
export function DeviceLogs({ id, module }: { id: string; module?: string }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, run] = useBusy();
  const [question, setQuestion] = useState<Question | null>(null);
  const live = useLive(`logs ${id}/${module}`, (signal) => loadOf(id, module, signal), 5000);
  const collect = async () => {
    setProblem(null);
    const name = `${id.slice(0, 60).replace(/[^A-Za-z0-9-]/g, "-")}-${new Date().toISOString().slice(0, 19).replace(/[-:T]/g, "")}`;
    try {
      await ask(manage([...COLLECTIONS, name]), { method: "PUT", body: { deviceList: [{ deviceId: id, ...(module && { moduleId: module }) }], description: "Asked for in the console" } });
      live.again();
    } catch (failure) {
      setProblem(failure as Problem);
    }
  };
  const remove = (name: string) => setQuestion({ title: "Delete this log collection?", says: <p>The files of all its devices go.</p>, verb: "Delete the logs", typed: name, act: () => ask(own(["logCollections", name]), { method: "DELETE" }).then(live.again) });
  return (
    <Card
      title="Logs"
      wide
      aside={
        <button type="button" class="small" disabled={isBusy} onClick={() => run(collect)}>
          Collect logs now
        </button>
      }
    >
      {problem && <Trouble problem={problem} />}
      {live.problem ? (
        <Trouble problem={live.problem} />
      ) : !live.data ? (
        <Waiting />
      ) : live.data.length === 0 ? (
        <p class="faint">None was collected yet. The device sends its agent's log, and the files and journals that its agent.toml names; one that is away sends them when it comes.</p>
      ) : (
        <ul class="list">
          {live.data.map(({ collection, agent, files }) => (
            <li key={collection.operationId}>
              <div class="row">
                <span>
                  <State is={LOOK[agent?.status ?? ""] ?? agent?.status ?? ""}>{WORDS[agent?.status ?? ""] ?? agent?.status}</State> <span class="mono">{collection.operationId}</span> <span class="faint">{collection.description}</span>
                </span>
                <span class="faint">
                  asked <Time of={collection.createdDateTime} />{" "}
                  <button type="button" class="plain small" aria-label={`Delete ${collection.operationId}`} onClick={() => remove(collection.operationId)}>
                    Delete…
                  </button>
                </span>
              </div>
              {agent?.status === "Failed" && <p>{agent.godwit?.details ?? "The device reported that it could not send its logs"}.</p>}
              {files.length > 0 && (
                <Table label={`Files of ${collection.operationId}`} heads={["File", "Size", "Received"]}>
                  {files.map((file) => (
                    <tr key={file.fileId}>
                      <td class="name">
                        <Link href={at("logs", collection.operationId, file.fileId)}>{file.name.split("/").slice(2).join("/") || file.fileName}</Link>
                      </td>
                      <td>{bytes(file.sizeInBytes)}</td>
                      <td>
                        <Time of={file.receivedDateTime} />
                      </td>
                    </tr>
                  ))}
                </Table>
              )}
            </li>
          ))}
        </ul>
      )}
      <Confirm question={question} onEnd={() => setQuestion(null)} />
    </Card>
  );
}

const pathOfFile = (collection: string, file: string) => own(["logCollections", collection, "files", file]);

async function fileOf(collection: string, id: string, signal: AbortSignal): Promise<LogFile> {
  const files = await all<LogFile>(own(["logCollections", collection, "files"]), 20_000, signal);
  const file = files.value.find((one) => one.fileId === id);
  if (!file) throw new Problem(`log collection “${collection}” has no such file; it may have been replaced by a newer one`, 404);
  return file;
}

async function download(collection: string, file: LogFile): Promise<void> {
  const answer = await raw(pathOfFile(collection, file.fileId));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = file.fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** One file: read once, then searched and filtered here. */
export function LogPage({ collection, id }: { collection: string; id: string }) {
  const { data: file, problem } = useLive(`log ${collection}/${id}`, (signal) => fileOf(collection, id, signal));
  const [log, setLog] = useState<ReadLog | null>(null);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [done, setDone] = useState(0);
  useEffect(() => {
    if (!file) return;
    const stop = new AbortController();
    const read = async () => {
      try {
        let stream = (await raw(pathOfFile(collection, id), { signal: stop.signal })).body as ReadableStream<Uint8Array>;
        if (/\.gz$/i.test(file.fileName)) stream = stream.pipeThrough(new DecompressionStream("gzip") as unknown as TransformStream<Uint8Array, Uint8Array>);
        setLog(await readEnd(stream, VIEW_MAX, setDone));
      } catch (failure) {
        if (!stop.signal.aborted) setTrouble(failure instanceof Problem ? failure : new Problem(`the file cannot be shown: ${failure instanceof Error ? failure.message : failure}. Download it instead`, -1));
      }
    };
    void read();
    return () => stop.abort();
  }, [file?.fileId]);
  return (
    <>
      <Heading title={file?.fileName ?? "Log"} back={file ? [at("devices", file.deviceId), file.deviceId] : ["/devices", "Devices"]} says={file && <>{bytes(file.sizeInBytes)}, received <Time of={file.receivedDateTime} />, collection <span class="mono">{collection}</span></>}>
        {file && (
          <button type="button" class="plain" onClick={() => download(collection, file).catch((failure) => setTrouble(failure))}>
            Download
          </button>
        )}
      </Heading>
      {(problem ?? trouble) && <Trouble problem={(problem ?? trouble)!} />}
      {!problem && !trouble && !log && (
        <>
          <Waiting />
          {file && file.sizeInBytes > VIEW_MAX / 8 && <progress aria-label="Read so far" max={file.sizeInBytes} value={done} />}
        </>
      )}
      {log?.isBinary && <Trouble problem="This file is not text. Download it and open it with its own program." />}
      {log && !log.isBinary && <Viewer log={log} />}
    </>
  );
}

function Viewer({ log }: { log: ReadLog }) {
  const given = new URLSearchParams(useSearch());
  const [words, setWords] = useState(given.get("search") ?? "");
  const [level, setLevel] = useState<Level>("debug");
  const [rows, setRows] = useState(ROWS);
  const lines = useMemo(() => readLines(log.text), [log]);
  const found = useMemo(() => pick(lines, words, level), [lines, words, level]);
  const shown = found.slice(-rows);
  const keep = (text: string) => {
    setWords(text);
    setRows(ROWS);
    history.replaceState(history.state, "", location.pathname + (text ? "?search=" + encodeURIComponent(text) : ""));
  };
  return (
    <Card>
      <div class="filters" role="search">
        <Field label="Search in this log" help="Upper and lower case are the same.">
          {(props) => <input {...props} type="search" maxLength={200} value={words} onInput={(e) => keep(e.currentTarget.value)} />}
        </Field>
        <Field label="Level" help="A line without a level counts with the one before it when it is indented, else as info.">
          {(props) => (
            <select {...props} value={level} onChange={(e) => (setLevel(e.currentTarget.value as Level), setRows(ROWS))}>
              {LEVELS.map((one) => (
                <option key={one} value={one}>
                  {one === "debug" ? "All" : one === "error" ? "Errors only" : `At least ${one}`}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <p class="faint" role="status">
        {found.length === lines.length ? many(lines.length, "line") : `${many(found.length, "line")} of ${lines.length.toLocaleString()}`}
        {log.skipped > 0 && `; the first ${bytes(log.skipped)} of the file are not shown here, download it to see all`}
      </p>
      {found.length > shown.length && (
        <button type="button" class="plain small" onClick={() => setRows(rows + ROWS)}>
          Show {many(Math.min(ROWS, found.length - shown.length), "earlier line")}
        </button>
      )}
      <div class="log" role="region" aria-label="Lines of the log" tabIndex={0}>
        {shown.length === 0 && <p class="faint">{lines.length ? "No line fits." : "The file is empty."}</p>}
        {shown.map((line) => (
          <div key={line.number} class={`line ${line.level}`}>
            <span class="at" aria-hidden="true">
              {line.number}
            </span>
            <span class="what">{cut(line.text, words).map((part, index) => (index % 2 ? <mark key={index}>{part}</mark> : part))}</span>
          </div>
        ))}
      </div>
    </Card>
  );
}
