import { useState } from "preact/hooks";
import { Link, useLocation, useSearch } from "wouter-preact";
import { ask, data as path, pathOf, type Page } from "../api";
import { useLive } from "../live";
import { nameOf, type Update } from "../model";
import { at, Card, Empty, Field, Heading, Pager, State, Table, Time, Trouble, Waiting } from "../ui";

export function Updates() {
  const search = new URLSearchParams(useSearch()).get("search") ?? "";
  const [, go] = useLocation();
  const [text, setText] = useState(search);
  const [trail, setTrail] = useState<string[]>([""]);
  const from = trail[trail.length - 1]!;
  const { data, problem } = useLive(`updates ${search} ${from}`, (signal) => ask<Page<Update>>(from || path(["updates"], { search }), { signal }), 10_000);
  const set = () => {
    setTrail([""]);
    go("/updates" + (text.trim() ? "?search=" + encodeURIComponent(text.trim()) : ""));
  };
  return (
    <>
      <Heading title="Updates" says="What can be deployed: each imported, checked and signed once.">
        <Link class="button plain" href="/updates/new">
          Make an update
        </Link>
        <Link class="button" href="/updates/import">
          Import an update
        </Link>
      </Heading>
      <Card>
        <form role="search" onSubmit={(e) => (e.preventDefault(), set())}>
          <Field label="Search" help="In provider, name, version and description; Enter searches.">
            {(props) => <input {...props} type="search" maxLength={200} value={text} onInput={(e) => setText(e.currentTarget.value)} />}
          </Field>
        </form>
        {problem ? (
          <Trouble problem={problem} />
        ) : !data ? (
          <Waiting />
        ) : data.value.length === 0 ? (
          <Empty title={search ? "No update fits" : "No update yet"}>
            {search ? <p>Try fewer letters.</p> : (
              <p>
                An update is a manifest and its files. <Link href="/updates/new">Make one with a form</Link>, or write the manifest with <code>godwit update init v5</code> and <Link href="/updates/import">drop all of it here</Link>.
              </p>
            )}
          </Empty>
        ) : (
          <Table label="Updates" heads={["Update", "Provider", "For", "Imported", "Scan", ""]}>
            {data.value.map((one) => (
              <tr key={nameOf(one.updateId)}>
                <td class="name">
                  <Link href={at("updates", one.updateId.provider, one.updateId.name, one.updateId.version)}>
                    {one.updateId.name} {one.updateId.version}
                  </Link>
                </td>
                <td>{one.updateId.provider}</td>
                <td>{one.compatibility.map((set) => Object.values(set).join(" · ")).join("; ")}</td>
                <td>
                  <Time of={one.importedDateTime} />
                </td>
                <td>{one.scanResult === "Success" ? <State is="Succeeded">Clean</State> : <span class="faint">Not scanned</span>}</td>
                <td>{one.isDeployable ? <Link href={`/deployments/new?update=${encodeURIComponent(nameOf(one.updateId))}`}>Deploy</Link> : <span class="faint">part of others</span>}</td>
              </tr>
            ))}
          </Table>
        )}
        {data && <Pager page={trail.length - 1} count={data.value.length} hasNext={!!data.nextLink} onBack={() => setTrail(trail.slice(0, -1))} onNext={() => setTrail([...trail, pathOf(data.nextLink!)])} />}
      </Card>
    </>
  );
}
