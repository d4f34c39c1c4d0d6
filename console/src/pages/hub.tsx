// What the hub counts. The counters only grow; what the page draws are their differences since it was opened.
import { useEffect, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { ask, data as path, hub, own, Problem } from "../api";
import { Chart } from "../chart";
import { useLive } from "../live";
import { Card, Heading, Trouble, Waiting } from "../ui";

type Counters = Record<string, number>;
const POINTS_MAX = 360;
const EVERY_MS = 2000;

interface Sample {
  at: number;
  devices: number;
  requests: number;
  counters: Counters;
}
const RATES: [string, string][] = [
  ["connects", "log-ins"],
  ["disconnects", "disconnects"],
  ["refused", "log-ins refused"],
  ["twinGets", "twins read"],
  ["reportedPatches", "reported changes"],
  ["desiredPushes", "desired changes pushed"],
  ["telemetry", "telemetry messages"],
  ["methodCalls", "methods called"],
];
const LIMITS: Record<string, string> = { deviceCount: "devices", deviceClassCount: "classes", deviceGroupCount: "groups", activeDeploymentCount: "live deployments", deploymentCount: "deployments" };

async function load(signal: AbortSignal) {
  const [counters, registry] = await Promise.all([ask<Counters>(own(["hub", "counters"]), { signal }), ask<{ totalDeviceCount: number; disabledDeviceCount: number }>(hub(["statistics", "devices"]), { signal })]);
  return { counters, registry, at: Date.now() };
}

export function Hub() {
  const { data, problem } = useLive("hub", load, EVERY_MS, { byClock: true });
  const [samples, setSamples] = useState<Sample[]>([]);
  useEffect(() => {
    if (!data) return;
    const { counters } = data;
    setSamples((had) => [...had, { at: data.at, devices: counters.devices ?? 0, requests: (counters.twinGets ?? 0) + (counters.reportedPatches ?? 0) + (counters.telemetry ?? 0), counters }].slice(-POINTS_MAX));
  }, [data]);
  return (
    <>
      <Heading title="Hub" says="Where devices connect: identities, connections, twins." />
      {problem ? <Trouble problem={problem} /> : !data ? <Waiting /> : <Figures {...data} samples={samples} />}
    </>
  );
}

const rateOf = (one: Sample, before?: Sample) => (before ? Math.max(0, ((one.requests - before.requests) * 1000) / (one.at - before.at)) : 0);

function Figures({ counters, registry, samples }: Awaited<ReturnType<typeof load>> & { samples: Sample[] }) {
  const figure = (value: number | undefined, label: string) => (
    <div>
      <b>{(value ?? 0).toLocaleString()}</b> <span class="faint">{label}</span>
    </div>
  );
  return (
    <>
      <Card title="Now">
        <div class="numbers">
          <div>
            <b>{(counters.devices ?? 0).toLocaleString()}</b> <Link href="/devices?connection=Connected">devices connected</Link>
          </div>
          {figure(registry.totalDeviceCount, "identities")}
          {figure(registry.disabledDeviceCount, "of them disabled")}
          {figure(counters.connections, "connections")}
        </div>
      </Card>
      <Card title="Devices connected, and messages a second, while this page is open">
        <Chart
          label="Devices connected, and messages a second"
          times={samples.map((one) => one.at)}
          series={[
            { label: "Devices connected", color: "--fill-good", scale: "devices" },
            { label: "Messages a second", color: "--fill-busy", scale: "rate", dash: [6, 4] },
          ]}
          values={[samples.map((one) => one.devices), samples.map((one, index) => rateOf(one, samples[index - 1]))]}
        />
      </Card>
      <Card title="A second, over the last ten seconds">
        <div class="numbers">
          {RATES.map(([name, label]) => (
            <div key={name}>
              <b>{perSecond(samples, name)}</b> <span class="faint">{label}</span>
            </div>
          ))}
        </div>
      </Card>
      <Limits />
      <Card title="Since the service started">
        <div class="numbers">
          {figure(counters.connects, "log-ins")}
          {figure(counters.refused, "log-ins refused")}
          {figure(counters.turnedAway, "turned away at a limit")}
          {figure(counters.takeovers, "taken over by a new connection")}
          {figure(counters.disconnects, "disconnects")}
          {figure(counters.twinGets, "twins read")}
          {figure(counters.reportedPatches, "reported changes")}
          {figure(counters.desiredPushes, "desired changes pushed")}
          {figure(counters.telemetry, "telemetry messages")}
          {figure(counters.methodCalls, "methods called")}
        </div>
      </Card>
    </>
  );
}

function perSecond(samples: Sample[], name: string): string {
  const last = samples.at(-1);
  const first = samples.at(-6) ?? samples[0];
  if (!last || !first || last === first) return "–";
  const rate = (((last.counters[name] ?? 0) - (first.counters[name] ?? 0)) * 1000) / (last.at - first.at);
  return rate < 0 ? "–" : rate >= 10 ? Math.round(rate).toLocaleString() : rate.toFixed(1); // below zero: the service began anew
}

/** What this installation may hold, and how much of it is taken. */
function Limits() {
  const { data, problem } = useLive("limits", (signal) => ask<{ counters: Record<string, { usage: number; quota?: number }> }>(path(["limits"]), { signal }), 30_000);
  if (problem) return problem instanceof Problem && problem.status === 403 ? null : <Trouble problem={problem} />;
  if (!data) return null;
  return (
    <Card title="Limits">
      <div class="numbers">
        {Object.entries(data.counters).map(([name, { usage, quota }]) => {
          const label = LIMITS[name] ?? name;
          return (
            <div key={name}>
              <b>{usage.toLocaleString()}</b> <span class="faint">{quota ? `of ${quota.toLocaleString()} ${label}` : `${label}, no limit`}</span>
              {!!quota && <meter aria-label={label} min={0} max={quota} high={quota * 0.9} value={usage} />}
            </div>
          );
        })}
      </div>
    </Card>
  );
}
