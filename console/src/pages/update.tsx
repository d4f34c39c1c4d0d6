import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { all, ask, data as path, each, own, pathOf, Problem, raw, type Page } from "../api";
import { deployments } from "../fleet";
import { useLive } from "../live";
import { isSame, nameOf, type Operation, type Signature, type Signatures, type Update, type UpdateFile, type UpdateId } from "../model";
import { at, bytes, Card, Confirm, Heading, State, Table, Time, Trouble, Waiting, type Question } from "../ui";

const placeOf = (id: UpdateId) => ["updates", "providers", id.provider, "names", id.name, "versions", id.version];

async function filesOf(id: UpdateId, signal: AbortSignal): Promise<UpdateFile[]> {
  const ids = await ask<Page<string>>(path([...placeOf(id), "files"]), { signal });
  return each(ids.value, (file) => ask<UpdateFile>(path([...placeOf(id), "files", file]), { signal }));
}

/** Until the operation that an answer names has ended; gives its end. */
export async function waitForOperation(answer: Response): Promise<Operation> {
  const place = answer.headers.get("operation-location");
  if (!place) throw new Problem("the service did not say where the work can be followed", -1);
  for (;;) {
    const operation = await ask<Operation>(pathOf(place));
    if (operation.status === "Failed") throw new Problem(operation.error?.innererror?.message ?? operation.error?.message ?? "the service could not finish it", 409, `${operation.error?.code} ${operation.error?.innererror?.code ?? ""}`);
    if (operation.status === "Succeeded") return operation;
    await new Promise((done) => setTimeout(done, 500));
  }
}

export function UpdatePage({ id }: { id: UpdateId }) {
  const [, go] = useLocation();
  const [question, setQuestion] = useState<Question | null>(null);
  const { data, problem } = useLive("update " + nameOf(id), async (signal) => {
    const update = await ask<Update>(path(placeOf(id)), { signal });
    return { update, files: await filesOf(id, signal) };
  });
  const remove = () =>
    setQuestion({
      title: `Delete ${id.name} ${id.version}?`,
      says: <Against id={id} parents={data?.update.referencedBy ?? []} />,
      verb: "Delete the update",
      typed: id.version,
      act: async () => {
        await waitForOperation(await raw(path(placeOf(id)), { method: "DELETE" }));
        go("/updates");
      },
    });
  return (
    <>
      <Heading title={`${id.name} ${id.version}`} back={["/updates", "Updates"]} says={data?.update.description}>
        {data?.update.isDeployable && (
          <Link class="button" href={`/deployments/new?update=${encodeURIComponent(nameOf(id))}`}>
            Deploy
          </Link>
        )}
        <button type="button" class="plain" onClick={remove}>
          Delete…
        </button>
      </Heading>
      {problem ? <Trouble problem={problem} /> : !data ? <Waiting /> : <Contents {...data} />}
      <Confirm question={question} onEnd={() => setQuestion(null)} />
    </>
  );
}

/** What stands against deleting an update: live deployments that deliver it or would go back to it, and updates that refer to it. */
function Against({ id, parents }: { id: UpdateId; parents: UpdateId[] }) {
  const { data } = useLive(`against ${nameOf(id)}`, async (signal) => (await deployments(true, signal)).list.map((one) => one.deployment));
  const live = (data ?? []).filter((one) => isSame(one.update.updateId, id) || (one.rollbackPolicy && isSame(one.rollbackPolicy.update.updateId, id)));
  if (!data) return <Waiting />;
  if (!live.length && !parents.length) return <p>The service forgets the update and its files. No live deployment and no other update needs it.</p>;
  return (
    <div class="note due">
      <strong>The service will refuse while these need it</strong>
      <ul>
        {live.map((one) => (
          <li key={one.groupId + one.deploymentId}>
            deployment <Link href={at("deployments", one.groupId, one.deploymentId)}>{one.deploymentId}</Link> to {one.groupId}
          </li>
        ))}
        {parents.map((one) => (
          <li key={nameOf(one)}>
            update <Link href={at("updates", one.provider, one.name, one.version)}>{nameOf(one)}</Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

const EARLIER_MAX = 10;

/** Which version of the update each source of a delta belongs to, by its SHA-256; the earlier versions are looked through, newest first. */
async function sourcesOf(id: UpdateId, wanted: Set<string>, signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const versions = await all<string>(path(["updates", "providers", id.provider, "names", id.name, "versions"]), 1000, signal);
  const newestFirst = versions.value.filter((one) => one !== id.version).sort((a, b) => b.localeCompare(a, undefined, { numeric: true }));
  for (const version of newestFirst.slice(0, EARLIER_MAX)) {
    if (found.size === wanted.size) break;
    for (const file of await filesOf({ ...id, version }, signal)) if (wanted.has(file.hashes.sha256!)) found.set(file.hashes.sha256!, version);
  }
  return found;
}

/** A device that has the version a delta starts from fetches the delta only. */
function Deltas({ id, files }: { id: UpdateId; files: UpdateFile[] }) {
  const asDelta = files.filter((file) => file.downloadHandler);
  const deltas = asDelta.flatMap((file) => (file.relatedFiles ?? []).map((one) => ({ file, one, source: one.properties?.["microsoft.sourceFileHash"] ?? "" })));
  const wanted = new Set(deltas.map(({ source }) => source));
  const { data: sources } = useLive(deltas.length ? `sources ${nameOf(id)}` : "", (signal) => sourcesOf(id, wanted, signal));
  if (!asDelta.length) return null;
  const without = asDelta.filter((file) => !file.relatedFiles?.length);
  return (
    <Card title="Deltas" wide>
      <p class="faint">A device that has the earlier version fetches the delta and makes the file from both. Every other device fetches the whole file.</p>
      {deltas.length > 0 && (
        <Table label="Deltas" heads={["File", "From", "Fetched", "Saved"]}>
          {deltas.map(({ file, one, source }) => (
            <tr key={file.fileId + one.fileName}>
              <td class="name">{file.fileName}</td>
              <td>{sources?.has(source) ? <Link href={at("updates", id.provider, id.name, sources.get(source)!)}>{sources.get(source)}</Link> : <code title={`the file with SHA-256 ${source}`}>{source.slice(0, 12)}…</code>}</td>
              <td>
                {bytes(one.sizeInBytes)} <span class="faint">instead of {bytes(file.sizeInBytes)}</span>
              </td>
              <td>{savedPercent(one.sizeInBytes, file.sizeInBytes)}</td>
            </tr>
          ))}
        </Table>
      )}
      {without.length > 0 && <p class="faint">None for {without.map((file) => file.fileName).join(", ")}: no device had an earlier version when it was imported, or no delta saved enough to be kept.</p>}
    </Card>
  );
}

/** Never 100 %: something is fetched. */
const savedPercent = (delta: number, whole: number) => `${Math.max(0, Math.min(99, Math.round((1 - delta / whole) * 100)))} %`;

/** The two versions of a manifest are signed by one key, as a rule: they are told together then. */
function Signed({ id }: { id: UpdateId }) {
  const { data, problem } = useLive(`signatures ${nameOf(id)}`, (signal) => ask<Signatures>(own([...placeOf(id), "signatures"]), { signal }));
  const groups = new Map<string, Signature[]>();
  for (const one of data?.value ?? []) {
    const key = [one.keySha256, one.algorithm, one.rootKeyId, one.isBelieved, one.problem?.code].join(" ");
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return (
    <Card title="Signature">
      {problem ? (
        <Trouble problem={problem} />
      ) : !data ? (
        <Waiting />
      ) : (
        [...groups.values()].map(([one, ...others]) => (
          <dl key={one!.manifestVersion}>
            <dt>Devices</dt>
            <dd>
              {one!.isBelieved ? <State is="Succeeded">Believe it</State> : <State is="Failed">Refuse it</State>}
              <div class="faint">
                {one!.isBelieved ? (
                  `Version ${data.rootKeyPackageVersion} of the root key package lists the root key and disables neither key.`
                ) : (
                  <>
                    <code>{one!.problem?.code}</code> {one!.problem?.text} ({one!.problem?.details}; version {data.rootKeyPackageVersion} of the root key package)
                  </>
                )}
              </div>
            </dd>
            <dt>Signed by</dt>
            <dd>
              {one!.keyId || "a key without a name"}, {one!.algorithm}, {one!.keySizeInBits} bits
            </dd>
            <dt>Fingerprint</dt>
            <dd>
              <code title="SHA-256 of the key, base64url, as the root key package names a disabled one">{one!.keySha256}</code>
            </dd>
            <dt>Root key</dt>
            <dd>{one!.rootKeyId}</dd>
            <dt>Manifest</dt>
            <dd>version {[one!, ...others].map((signature) => signature.manifestVersion).join(" and ")}</dd>
          </dl>
        ))
      )}
    </Card>
  );
}

function Contents({ update, files }: { update: Update; files: UpdateFile[] }) {
  return (
    <div class="grid">
      <Card title="About">
        <dl>
          <dt>Provider</dt>
          <dd>{update.updateId.provider}</dd>
          <dt>Made for</dt>
          <dd>
            {update.compatibility.map((set, index) => (
              <div key={index}>
                {Object.entries(set)
                  .map(([name, value]) => `${name} ${value}`)
                  .join(", ")}
              </div>
            ))}
          </dd>
          <dt>Imported</dt>
          <dd>
            <Time of={update.importedDateTime} />
          </dd>
          <dt>Malware scan</dt>
          <dd>{update.scanResult === "Success" ? <State is="Succeeded">Clean</State> : "Not scanned: the service has no scanner set up, or a file was too large"}</dd>
          {!!update.referencedBy?.length && (
            <>
              <dt>Part of</dt>
              <dd>
                {update.referencedBy.map((one) => (
                  <Link key={nameOf(one)} href={at("updates", one.provider, one.name, one.version)}>
                    {one.name} {one.version}
                  </Link>
                ))}
              </dd>
            </>
          )}
        </dl>
      </Card>
      <Signed id={update.updateId} />
      <Card title="Steps, in order" wide>
        <ol>
          {update.instructions?.steps.map((step, index) => (
            <li key={index}>
              <span class="strong">{step.description ?? (step.updateId ? `${step.updateId.name} ${step.updateId.version}` : "Step")}</span> {step.handler && <code>{step.handler}</code>}
              {step.files && <p class="faint">{step.files.join(", ")}</p>}
              {step.updateId && <Link href={at("updates", step.updateId.provider, step.updateId.name, step.updateId.version)}>Show this part</Link>}
            </li>
          ))}
        </ol>
      </Card>
      <Card title="Files" wide>
        {files.length === 0 ? (
          <p class="faint">None of its own; its steps refer to other updates.</p>
        ) : (
          <Table label="Files" heads={["File", "Size", "SHA-256 (base64)", "Scan"]}>
            {files.map((file) => (
              <tr key={file.fileId}>
                <td class="name">{file.fileName}</td>
                <td>{bytes(file.sizeInBytes)}</td>
                <td class="mono">{file.hashes.sha256}</td>
                <td title={file.scanDetails}>{file.scanResult === "Success" ? "Clean" : "Not scanned"}</td>
              </tr>
            ))}
          </Table>
        )}
      </Card>
      <Deltas id={update.updateId} files={files} />
    </div>
  );
}
