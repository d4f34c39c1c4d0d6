// What the hub counts. The counters only grow; what the page draws are their differences since it was opened.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, hub, own } from "../api";
import { useLive } from "../live";
import { Card, Heading, Trouble, Waiting } from "../ui";

type Counters = Record<string, number>;
const POINTS_MAX = 360;
const EVERY_MS = 2000;

interface Sample {
  at: number;
  devices: number;
  requests: number;
}

async function load(signal: AbortSignal) {
  const [counters, registry] = await Promise.all([ask<Counters>(own(["hub", "counters"]), { signal }), ask<{ totalDeviceCount: number; disabledDeviceCount: number }>(hub(["statistics", "devices"]), { signal })]);
  return { counters, registry, at: Date.now() };
}

export function Hub() {
  const { data, problem } = useLive("hub", load, EVERY_MS);
  const [samples, setSamples] = useState<Sample[]>([]);
  useEffect(() => {
    if (!data) return;
    const { counters } = data;
    setSamples((had) => [...had, { at: data.at, devices: counters.devices ?? 0, requests: (counters.twinGets ?? 0) + (counters.reportedPatches ?? 0) + (counters.telemetry ?? 0) }].slice(-POINTS_MAX));
  }, [data]);
  return (
    <>
      <Heading title="Hub" says="Where devices connect: identities, connections, twins." />
      {problem ? <Trouble problem={problem} /> : !data ? <Waiting /> : <Figures {...data} samples={samples} />}
    </>
  );
}

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
          {figure(counters.devices, "devices connected")}
          {figure(registry.totalDeviceCount, "identities")}
          {figure(registry.disabledDeviceCount, "of them disabled")}
          {figure(counters.connections, "connections")}
        </div>
      </Card>
      <Card title="Devices connected, and messages a second, while this page is open">
        <Chart samples={samples} />
      </Card>
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

function Chart({ samples }: { samples: Sample[] }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<{ setData: (data: [number[], number[], number[]]) => void; setSize: (size: { width: number; height: number }) => void; destroy: () => void } | null>(null);
  const [isReady, setReady] = useState(false);
  const columns = (): [number[], number[], number[]] => [
    samples.map((one) => one.at / 1000),
    samples.map((one) => one.devices),
    samples.map((one, index) => {
      const before = samples[index - 1];
      return before ? Math.max(0, ((one.requests - before.requests) * 1000) / (one.at - before.at)) : 0;
    }),
  ];
  useEffect(() => {
    let isGone = false;
    void Promise.all([import("uplot"), import("uplot/dist/uPlot.min.css")]).then(([{ default: Plot }]) => {
      if (isGone || !place.current) return;
      const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name);
      const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
      plot.current = new Plot(
        {
          width: place.current.clientWidth,
          height: 220,
          cursor: { y: false },
          scales: { devices: { range: (_, __, high) => [0, Math.max(high * 1.1, 1)] }, rate: { range: (_, __, high) => [0, Math.max(high * 1.1, 1)] } },
          axes: [axis, { ...axis, scale: "devices" }, { ...axis, scale: "rate", side: 1, grid: { show: false } }],
          series: [{}, { label: "Devices connected", scale: "devices", stroke: color("--fill-good"), width: 2 }, { label: "Messages a second", scale: "rate", stroke: color("--fill-busy"), width: 2, dash: [6, 4] }],
        },
        columns(),
        place.current,
      );
      setReady(true);
    });
    const fit = () => place.current && plot.current?.setSize({ width: place.current.clientWidth, height: 220 });
    window.addEventListener("resize", fit);
    return () => {
      isGone = true;
      window.removeEventListener("resize", fit);
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(columns()), [samples, isReady]);
  const last = samples.at(-1);
  return <div class="chart" ref={place} role="img" aria-label={`Devices connected over time; ${last?.devices ?? 0} now`} />;
}
