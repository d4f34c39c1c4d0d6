import { useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { own, Problem, raw } from "../api";
import type { UpdateId } from "../model";
import { at, bytes, Card, Heading, State, Table, Trouble } from "../ui";
import { hashFile, toBase64, toHex, uploadFile } from "../upload";
import { waitForOperation } from "./update";

interface Wanted {
  filename: string;
  sizeInBytes: number;
  sha256: string;
}
interface Manifest {
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
const MANIFEST_MAX = 4 * 1024 * 1024;

/** The parts of a manifest that the import needs here; the service checks all of it. Throws a sentence. */
function readManifest(name: string, text: string): Manifest | null {
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Problem(`“${name}” is not JSON; it cannot be a manifest`, -1);
  }
  const id = body?.updateId;
  if (!id || !body.manifestVersion) return null;
  const files = (body.files ?? []).map((file: { filename?: string; sizeInBytes?: number; hashes?: { sha256?: string } }) => ({ filename: String(file.filename), sizeInBytes: Number(file.sizeInBytes), sha256: String(file.hashes?.sha256) }));
  return { text, id, files };
}

export function Import() {
  const [manifests, setManifests] = useState<Manifest[]>([]);
  const [files, setFiles] = useState<Map<string, File>>(new Map());
  const [progress, setProgress] = useState<Map<string, Partial<Line>>>(new Map());
  const [problem, setProblem] = useState<Problem | null>(null);
  const [stage, setStage] = useState<"choose" | "work" | "check" | "done">("choose");
  const [isOver, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  const take = async (list: FileList | null | undefined) => {
    setProblem(null);
    const nextFiles = new Map(files);
    const nextManifests = [...manifests];
    for (const file of list ?? []) {
      try {
        const found = file.name.endsWith(".json") && file.size < MANIFEST_MAX ? readManifest(file.name, await file.text()) : null;
        if (found) nextManifests.splice(0, nextManifests.length, ...nextManifests.filter((one) => JSON.stringify(one.id) !== JSON.stringify(found.id)), found);
        else nextFiles.set(file.name, file);
      } catch (failure) {
        if (/importmanifest/i.test(file.name)) setProblem(failure as Problem);
        else nextFiles.set(file.name, file);
      }
    }
    setFiles(nextFiles);
    setManifests(nextManifests);
    setStage("choose");
    setProgress(new Map());
  };

  const wanted = [...new Map(manifests.flatMap((one) => one.files).map((file) => [file.filename + file.sha256, file])).values()];
  const lines: Line[] = wanted.map((one) => {
    const file = files.get(one.filename);
    const base: Line = { wanted: one, file, phase: file ? "waiting" : "missing", done: 0 };
    if (file && file.size !== one.sizeInBytes) return { ...base, phase: "wrong", problem: `The manifest says ${one.sizeInBytes} bytes, this file has ${file.size}` };
    return { ...base, ...progress.get(one.filename + one.sha256) };
  });
  const isComplete = manifests.length > 0 && lines.every((line) => line.file && line.phase !== "wrong");

  const start = async () => {
    setStage("work");
    setProblem(null);
    const note = (line: Line, change: Partial<Line>) => setProgress((had) => new Map(had).set(line.wanted.filename + line.wanted.sha256, { ...had.get(line.wanted.filename + line.wanted.sha256), ...change }));
    try {
      for (const line of lines) {
        note(line, { phase: "hashing", done: 0 });
        const digest = await hashFile(line.file!, (done) => note(line, { done }));
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
    } catch (failure) {
      setProblem(failure instanceof Problem ? failure : new Problem(String(failure), -1));
      setStage("choose");
    }
  };

  return (
    <>
      <Heading title="Import an update" back={["/updates", "Updates"]} says="Drop the import manifest and its files. They are hashed here and compared with the manifest before anything is sent; an upload that was cut goes on where it was." />
      <Card>
        <div
          class={isOver ? "drop over" : "drop"}
          onDragOver={(e) => (e.preventDefault(), setOver(true))}
          onDragLeave={() => setOver(false)}
          onDrop={(e) => (e.preventDefault(), setOver(false), void take(e.dataTransfer?.files))}
        >
          <p class="strong">Drop manifest and files here</p>
          <p>
            <button type="button" class="plain" disabled={stage === "work" || stage === "check"} onClick={() => input.current?.click()}>
              Choose files…
            </button>
          </p>
          <input ref={input} type="file" multiple class="hidden" aria-label="Manifest and files" tabIndex={-1} onChange={(e) => void take(e.currentTarget.files)} />
          <p class="faint">
            No manifest yet? <code>godwit update init v5</code> writes one from your files.
          </p>
        </div>
        {files.size > 0 && manifests.length === 0 && <Trouble problem="The manifest is missing: it is a JSON file that names the update and its files, usually called NAME.importmanifest.json" />}
      </Card>
      {manifests.length > 0 && (
        <Card title={manifests.map((one) => `${one.id.name} ${one.id.version}`).join(", ")}>
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
                <strong>Imported.</strong> <Link href={at("updates", manifests[0]!.id.provider, manifests[0]!.id.name, manifests[0]!.id.version)}>Show it</Link> or{" "}
                <Link href={`/deployments/new?update=${encodeURIComponent(`${manifests[0]!.id.provider}/${manifests[0]!.id.name}/${manifests[0]!.id.version}`)}`}>deploy it</Link>.
              </div>
            )}
          </div>
          {stage !== "done" && (
            <button type="button" disabled={!isComplete || stage !== "choose"} onClick={start}>
              Import
            </button>
          )}
        </Card>
      )}
      {manifests.length === 0 && problem && <Trouble problem={problem} />}
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
