// What both ways to an update end with: hash, compare, upload, and let the service check and sign.
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { own, Problem, raw } from "../api";
import type { UpdateId } from "../model";
import { at, bytes, State, Table, Trouble, useBusy } from "../ui";
import { hashFile, toBase64, toHex, uploadFile } from "../upload";
import { waitForOperation } from "./update";

export interface Wanted {
  filename: string;
  sizeInBytes: number;
  sha256: string;
}
export interface Manifest {
  text: string;
  id: UpdateId;
  files: Wanted[];
}
interface Line {
  wanted: Wanted;
  file?: File;
  phase: "missing" | "waiting" | "hashing" | "uploading" | "ready" | "wrong";
  done: number;
  problem?: string;
}

interface Sending {
  manifests: Manifest[];
  files: Map<string, File>;
  /** Called with what the service or a file refuses. */
  onProblem?: (problem: Problem) => void;
  onDone?: () => void;
  /** True while files are on their way: they must not change then. */
  onBusy?: (isBusy: boolean) => void;
}

/** Lines for the files of the manifests and the button that sends all. Give it another `key` when manifests or files change. */
export function Send({ manifests, files, onProblem, onDone, onBusy }: Sending) {
  const [progress, setProgress] = useState<Map<string, Partial<Line>>>(new Map());
  const [problem, setProblem] = useState<Problem | null>(null);
  const [stage, setStage] = useState<"choose" | "work" | "check" | "done">("choose");
  const wanted = [...new Map(manifests.flatMap((one) => one.files).map((file) => [file.filename + file.sha256, file])).values()];
  const lines: Line[] = wanted.map((one) => {
    const file = files.get(one.filename);
    const base: Line = { wanted: one, file, phase: file ? "waiting" : "missing", done: 0 };
    if (file && file.size !== one.sizeInBytes) return { ...base, phase: "wrong", problem: `The manifest says ${one.sizeInBytes} bytes, this file has ${file.size}` };
    return { ...base, ...progress.get(one.filename + one.sha256) };
  });
  const isComplete = manifests.length > 0 && lines.every((line) => line.file && line.phase !== "wrong");

  const [, run] = useBusy();
  const start = async () => {
    setStage("work");
    setProblem(null);
    onBusy?.(true);
    const note = (line: Line, change: Partial<Line>) => setProgress((had) => new Map(had).set(line.wanted.filename + line.wanted.sha256, { ...had.get(line.wanted.filename + line.wanted.sha256), ...change }));
    try {
      for (const line of lines) {
        note(line, { phase: "hashing", done: 0 });
        const { digest } = await hashFile(line.file!, (done) => note(line, { done }));
        if (toBase64(digest) !== line.wanted.sha256) {
          note(line, { phase: "wrong", problem: "Its content is not what the manifest promises. Write the manifest again, or find the right file." });
          setStage("choose");
          return;
        }
        note(line, { phase: "uploading", done: 0 });
        await uploadFile(line.file!, toHex(digest), (done) => note(line, { done }));
        note(line, { phase: "ready", done: line.file!.size });
      }
      setStage("check");
      await waitForOperation(await raw(own(["updates"], {}, "import"), { method: "POST", body: manifests.map((one) => ({ importManifest: one.text })) }));
      setStage("done");
      onDone?.();
    } catch (failure) {
      const found = failure instanceof Problem ? failure : new Problem(String(failure), -1);
      setProblem(found);
      onProblem?.(found);
      setStage("choose");
    } finally {
      onBusy?.(false);
    }
  };
  const first = manifests[0]!.id;
  return (
    <>
      {lines.length > 0 && (
        <Table label="Files of the update" heads={["File", "Size", "How far"]}>
          {lines.map((line) => (
            <tr key={line.wanted.filename + line.wanted.sha256}>
              <td class="name">{line.wanted.filename}</td>
              <td>{bytes(line.wanted.sizeInBytes)}</td>
              <td>
                <Phase line={line} />
              </td>
            </tr>
          ))}
        </Table>
      )}
      {problem && <Trouble problem={problem} />}
      <div role="status" aria-live="polite">
        {stage === "check" && <p>The service checks and signs the update…</p>}
        {stage === "done" && (
          <div class="note">
            <strong>Imported.</strong> <Link href={at("updates", first.provider, first.name, first.version)}>Show it</Link> or <Link href={`/deployments/new?update=${encodeURIComponent(`${first.provider}/${first.name}/${first.version}`)}`}>deploy it</Link>.
          </div>
        )}
      </div>
      {stage !== "done" && (
        <button type="button" disabled={!isComplete || stage !== "choose"} onClick={() => run(start)}>
          Import
        </button>
      )}
    </>
  );
}

function Phase({ line }: { line: Line }) {
  if (line.phase === "missing") return <State is="due">Drop this file too</State>;
  if (line.phase === "wrong")
    return (
      <>
        <State is="Failed">Not this file</State> {line.problem}
      </>
    );
  if (line.phase === "ready") return <State is="Succeeded">Uploaded</State>;
  if (line.phase === "waiting") return <span class="faint">Ready to go</span>;
  return (
    <label>
      {line.phase === "hashing" ? "Hashing" : "Uploading"} <progress max={line.wanted.sizeInBytes || 1} value={line.done} />
    </label>
  );
}
