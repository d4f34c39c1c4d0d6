import { useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { Problem } from "../api";
import { Card, Heading, Trouble } from "../ui";
import { Send, type Manifest } from "./send";

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
  const [round, setRound] = useState(0);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [isOver, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  const take = async (list: FileList | null | undefined) => {
    if (isBusy) return;
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
    setRound(round + 1);
  };

  return (
    <>
      <Heading title="Import an update" back={["/updates", "Updates"]} says="Drop the import manifest and its files. They are hashed here and compared with the manifest before anything is sent; an upload that was cut goes on where it was.">
        <Link class="button plain" href="/updates/new">
          Make a manifest
        </Link>
      </Heading>
      <Card>
        <div
          class={isOver ? "drop over" : "drop"}
          onDragOver={(e) => (e.preventDefault(), setOver(true))}
          onDragLeave={() => setOver(false)}
          onDrop={(e) => (e.preventDefault(), setOver(false), void take(e.dataTransfer?.files))}
        >
          <p class="strong">Drop manifest and files here</p>
          <p>
            <button type="button" class="plain" disabled={isBusy} onClick={() => input.current?.click()}>
              Choose files…
            </button>
          </p>
          <input ref={input} type="file" multiple class="hidden" aria-label="Manifest and files" tabIndex={-1} onChange={(e) => void take(e.currentTarget.files)} />
          <p class="faint">
            No manifest yet? <Link href="/updates/new">Make one here</Link>, or let <code>godwit update init v5</code> write it.
          </p>
        </div>
        {files.size > 0 && manifests.length === 0 && <Trouble problem="The manifest is missing: it is a JSON file that names the update and its files, usually called NAME.importmanifest.json" />}
      </Card>
      {problem && <Trouble problem={problem} />}
      {manifests.length > 0 && (
        <Card title={manifests.map((one) => `${one.id.name} ${one.id.version}`).join(", ")}>
          <Send key={round} manifests={manifests} files={files} onBusy={setBusy} />
        </Card>
      )}
    </>
  );
}
