// The frame: who is signed in, where one can go, which page a path means.
import { useEffect, useState } from "preact/hooks";
import { Link, Router, useLocation } from "wouter-preact";
import { unreachableSince } from "./live";
import { Access } from "./pages/access";
import { Audit } from "./pages/audit";
import { Compose } from "./pages/compose";
import { Deploy } from "./pages/deploy";
import { DeploymentPage } from "./pages/deployment";
import { Deployments } from "./pages/deployments";
import { DevicePage } from "./pages/device";
import { Devices } from "./pages/devices";
import { GroupPage, Groups } from "./pages/groups";
import { Hub } from "./pages/hub";
import { Import } from "./pages/import";
import { LogPage } from "./pages/logs";
import { Overview } from "./pages/overview";
import { SignIn } from "./pages/signin";
import { UpdatePage } from "./pages/update";
import { Updates } from "./pages/updates";
import { session, signOut } from "./session";
import { Heading } from "./ui";

const BASE = "/console";
const PLACES = [
  ["", "Overview"],
  ["devices", "Devices"],
  ["updates", "Updates"],
  ["deployments", "Deployments"],
  ["groups", "Groups and classes"],
  ["hub", "Hub"],
  ["access", "Access"],
  ["audit", "Audit"],
] as const;

/** The path below /console, split before it is decoded: an id may hold any character. */
function segments(): string[] {
  const below = location.pathname.slice(BASE.length).split("/").filter(Boolean);
  return below.map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}

function Page({ path }: { path: string[] }) {
  const [room, a, b, c] = path;
  switch (room) {
    case undefined:
      return <Overview />;
    case "devices":
      return a ? <DevicePage id={a} module={b} /> : <Devices />;
    case "logs":
      return a && b ? <LogPage collection={a} id={b} /> : <Devices />;
    case "updates":
      if (a === "import") return <Import />;
      if (a === "new") return <Compose />;
      return a && b && c ? <UpdatePage id={{ provider: a, name: b, version: c }} /> : <Updates />;
    case "deployments":
      if (a === "new") return <Deploy />;
      return a && b ? <DeploymentPage group={a} id={b} /> : <Deployments />;
    case "groups":
      return a ? <GroupPage id={a} /> : <Groups />;
    case "hub":
      return <Hub />;
    case "access":
      return <Access />;
    case "audit":
      return <Audit />;
    default:
      return (
        <Heading title="There is no such page" says="The address may be from another version of the console.">
          <Link class="button" href="/">
            To the overview
          </Link>
        </Heading>
      );
  }
}

function Away() {
  const since = unreachableSince.value;
  return (
    <div role="status" aria-live="polite">
      {since !== null && <p class="banner">The service does not answer. What you see is from {new Date(since).toLocaleTimeString()}; it is tried again by itself.</p>}
    </div>
  );
}

function Shell() {
  const [place] = useLocation();
  const path = segments();
  const [first, setFirst] = useState(true);
  useEffect(() => {
    if (!first) document.getElementById("main")?.focus();
    setFirst(false);
    window.scrollTo(0, 0);
  }, [place]);
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), document.getElementById("main")?.focus())}>
        Skip to the content
      </a>
      <aside class="side">
        <Link class="brand" href="/">
          <img src="/console/icon.svg" alt="" />
          Godwit
        </Link>
        <nav aria-label="Main">
          {PLACES.map(([to, name]) => (
            <Link key={to} href={"/" + to} aria-current={(path[0] === "logs" ? "devices" : (path[0] ?? "")) === to ? "page" : undefined}>
              {name}
            </Link>
          ))}
        </nav>
        <div class="who">
          <span>Instance {session.value?.instance}</span>
          <button type="button" class="plain small" onClick={() => signOut()}>
            Sign out
          </button>
        </div>
      </aside>
      <div>
        <Away />
        <main id="main" tabIndex={-1}>
          <Page path={path} key={path.join("/")} />
        </main>
      </div>
    </div>
  );
}

export function App() {
  return <Router base={BASE}>{session.value ? <Shell /> : <SignIn />}</Router>;
}
