import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { ask, data as path, each, pathOf, Problem, raw, type Page } from "../api";
import { deployments } from "../fleet";
import { useLive } from "../live";
import { isSame, nameOf, type Operation, type Update, type UpdateFile, type UpdateId } from "../model";
import { at, bytes, Card, Confirm, Heading, State, Table, Time, Trouble, Waiting, type Question } from "../ui";

const placeOf = (id: UpdateId) => ["updates", "providers", id.provider, "names", id.name, "versions", id.version];

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
    const ids = await ask<Page<string>>(path([...placeOf(id), "files"]), { signal });
    const files = await each(ids.value, (file) => ask<UpdateFile>(path([...placeOf(id), "files", file]), { signal }));
    return { update, files };
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

/** A device that has the version a delta starts from fetches the delta only. */
function Deltas({ file }: { file: UpdateFile }) {
  const deltas = file.relatedFiles ?? [];
  if (!deltas.length) return file.downloadHandler ? <div class="faint">no delta saved enough to be kept</div> : null;
  return (
    <>
      {deltas.map((one) => (
        <div key={one.fileName} class="faint" title={`starts from the file with SHA-256 ${one.properties?.["microsoft.sourceFileHash"] ?? "of an earlier version"}`}>
          or {bytes(one.sizeInBytes)} as a delta: {Math.max(0, Math.round((1 - one.sizeInBytes / file.sizeInBytes) * 100))} % saved
        </div>
      ))}
    </>
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
      <Card title="Steps, in order">
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
                <td>
                  {bytes(file.sizeInBytes)}
                  <Deltas file={file} />
                </td>
                <td class="mono">{file.hashes.sha256}</td>
                <td title={file.scanDetails}>{file.scanResult === "Success" ? "Clean" : "Not scanned"}</td>
              </tr>
            ))}
          </Table>
        )}
      </Card>
    </div>
  );
}
