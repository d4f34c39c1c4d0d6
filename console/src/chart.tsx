// Lines over time. uPlot is fetched when the first chart is drawn; it draws on a canvas, so the figures also stand in a table.
import { useEffect, useRef, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";

export interface Series {
  label: string;
  /** A colour variable of style.css. */
  color: string;
  /** Lines are told apart without their colours too. */
  dash?: number[];
  /** Fills the area below. */
  isArea?: boolean;
  scale?: string;
}
interface Plot {
  setData: (data: (number | null)[][]) => void;
  setSize: (size: { width: number; height: number }) => void;
  destroy: () => void;
}
/** Marks of the time axis, in the reader's own way to write times. */
function marks(splits: number[]): string[] {
  const span = (splits.at(-1) ?? 0) - (splits[0] ?? 0);
  const form = new Intl.DateTimeFormat(undefined, span > 2 * 86_400 ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", ...(span < 300 ? { second: "2-digit" } : {}) });
  return splits.map((time) => form.format(time * 1000));
}
const ASK_AGAIN = 3000;  // ms
/** What draws; asked for again as long as the service does not answer and somebody waits for it. */
async function fetchPlot(isWanted: () => boolean) {
  while (isWanted())
    try {
      return (await import("uplot")).default;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
    }
}
const HEIGHT = 220;
const ROWS = 12;
const CLOCK = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** `times` in ms; one list of values for each series; null leaves a gap. A series whose scale is not the first one's has its axis on the right. */
export function Chart({ label, times, series, values }: { label: string; times: number[]; series: Series[]; values: (number | null)[][] }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const [theme, setTheme] = useState(0);
  const data = [times.map((time) => time / 1000), ...values];
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const again = () => setTheme((n) => n + 1);
    dark.addEventListener("change", again);
    return () => dark.removeEventListener("change", again);
  }, []);
  useEffect(() => {
    let isGone = false;
    void fetchPlot(() => !isGone).then((Plot) => {
      if (!Plot || isGone || !place.current) return;
      const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name);
      const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
      const scales = [...new Set(series.map((one) => one.scale ?? "y"))];
      plot.current = new Plot(
        {
          width: place.current.clientWidth,
          height: HEIGHT,
          cursor: { y: false },
          scales: Object.fromEntries(scales.map((scale) => [scale, { range: (_: unknown, __: number, high: number) => [0, Math.max(high * 1.1, 1)] as [number, number] }])),
          axes: [{ ...axis, space: 90, incrs: [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400], values: (_: unknown, splits: number[]) => marks(splits) }, ...scales.map((scale, index) => ({ ...axis, scale, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5], ...(index ? { side: 1 as const, grid: { show: false } } : {}) }))],
          series: [{ value: (_: unknown, time: number | null) => (time === null ? "–" : CLOCK.format(time * 1000)) }, ...series.map((one) => ({ label: one.label, scale: one.scale ?? "y", stroke: color(one.color), width: 2, dash: one.dash, points: { show: false }, ...(one.isArea && { fill: color(one.color) + "33" }) }))],
        },
        latest.current as unknown as [number[], ...number[][]],
        place.current,
      ) as unknown as Plot;
    });
    const fit = new ResizeObserver(() => place.current && plot.current?.setSize({ width: place.current.clientWidth, height: HEIGHT }));
    if (place.current) fit.observe(place.current);
    return () => {
      isGone = true;
      fit.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [theme]);
  useEffect(() => plot.current?.setData(data), [times.at(-1), times.length, JSON.stringify(values.map((one) => one.at(-1)))]);
  const each = Math.max(1, Math.ceil(times.length / ROWS));
  const rows = times.map((_, index) => index).filter((index) => index % each === 0 || index === times.length - 1);
  return (
    <>
      <div class="chart" ref={place} role="img" aria-label={`${label}. Now: ${series.map((one, index) => `${one.label} ${Math.round(values[index]?.at(-1) ?? 0).toLocaleString()}`).join(", ")}`} />
      <details class="figures">
        <summary>As a table</summary>
        <div class="scroll" role="region" aria-label={`${label}, as a table`} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {series.map((one) => (
                  <th scope="col" class="number" key={one.label}>
                    {one.label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((index) => (
                <tr key={index}>
                  <td>{CLOCK.format(times[index])}</td>
                  {values.map((list, at) => (
                    <td class="number" key={at}>
                      {list[index] === null ? "–" : Math.round((list[index] ?? 0) * 10) / 10}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  );
}

/** Where nothing is known for longer than `gap` ms a null is put between. */
export function withGaps<T extends { time: number }>(points: T[], gap: number, value: (point: T) => number): { times: number[]; values: (number | null)[] } {
  const times: number[] = [];
  const values: (number | null)[] = [];
  points.forEach((point, index) => {
    const before = points[index - 1];
    if (before && point.time - before.time > gap) {
      times.push(before.time + 1);
      values.push(null);
    }
    times.push(point.time);
    values.push(value(point));
  });
  return { times, values };
}
