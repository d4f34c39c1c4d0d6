// How soon a page stands and can be used, by Chromium's own clocks: node paint.mjs WISH-AS-JSON. Each run has a browser context of its own,
// so nothing is cached. Prints one JSON object; bench/console.py makes the table.
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const QUIET_MS = 5000; // no task over 50 ms for so long: the main thread is free, as Lighthouse counts

const wish = JSON.parse(process.argv[2]); // pages: [{name, url, wanted, session?, search?: {label, text, wanted}}], runs
const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Runs before the page's own script: signs in, and notes when `wanted` first stands in the page. */
function prepare({ session, wanted }) {
  if (session) sessionStorage.setItem("godwit.session", JSON.stringify(session));
  const look = () => {
    if (globalThis.stands === undefined && document.querySelector(wanted)) globalThis.stands = performance.now();
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, characterData: true });
  addEventListener("DOMContentLoaded", look);
}

/** Paints, and the end of the last long task. */
function figures() {
  return new Promise((done) => {
    const tasks = [];
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => ({ start: one.startTime, end: one.startTime + one.duration })))).observe({ type: "longtask", buffered: true });
    setTimeout(() => {
      const paint = Object.fromEntries(performance.getEntriesByType("paint").map((one) => [one.name, one.startTime]));
      const resources = performance.getEntriesByType("resource");
      done({ paint, tasks, stands: globalThis.stands, now: performance.now(), bytes: resources.reduce((sum, one) => sum + one.transferSize, 0) + performance.getEntriesByType("navigation")[0].transferSize });
    }, 0);
  });
}

async function once(browser, page) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 }, locale: "en-GB" });
  try {
    const tab = await context.newPage();
    await tab.addInitScript(prepare, { session: page.session, wanted: page.wanted });
    const meter = await context.newCDPSession(tab);
    await meter.send("Performance.enable");
    await tab.goto(page.url, { waitUntil: "commit" });
    await tab.waitForSelector(page.wanted, { state: "attached", timeout: 120_000 });
    let found;
    do {
      await tab.waitForTimeout(500);
      found = await tab.evaluate(figures);
    } while (found.now - Math.max(found.stands, ...found.tasks.map((one) => one.end)) < QUIET_MS);
    const counted = Object.fromEntries((await meter.send("Performance.getMetrics")).metrics.map((one) => [one.name, one.value]));
    const before = found.tasks.filter((one) => one.start <= found.stands + QUIET_MS);
    const result = {
      firstPaint: found.paint["first-paint"],
      firstContentfulPaint: found.paint["first-contentful-paint"],
      stands: found.stands,
      interactive: Math.max(found.stands, found.paint["first-contentful-paint"], ...before.map((one) => one.end)),
      script: counted.ScriptDuration * 1000,
      layout: (counted.LayoutDuration + counted.RecalcStyleDuration) * 1000,
      heapMiB: counted.JSHeapUsedSize / 2 ** 20,
      bytes: found.bytes,
    };
    if (page.search) {
      await tab.getByLabel(page.search.label).fill(page.search.text);
      const begun = await tab.evaluate((wanted) => {
        globalThis.stands = undefined;
        new MutationObserver(() => {
          if (globalThis.stands === undefined && [...document.querySelectorAll("td.name")].some((one) => one.textContent === wanted)) globalThis.stands = performance.now();
        }).observe(document, { childList: true, subtree: true, characterData: true });
        addEventListener("keydown", () => (globalThis.pressed = performance.now()), { once: true });
        return performance.now();
      }, page.search.wanted);
      await tab.keyboard.press("Enter");
      for (;;) {
        const [pressed, stands] = await tab.evaluate(() => [globalThis.pressed, globalThis.stands]);
        if (stands !== undefined) {
          result.search = stands - pressed;
          break;
        }
        if ((await tab.evaluate(() => performance.now())) - begun > 60_000) throw new Error(`${page.search.wanted} is not found`);
        await tab.waitForTimeout(20);
      }
    }
    return result;
  } finally {
    await context.close();
  }
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const answer = {};
for (const page of wish.pages) {
  const runs = [];
  for (let run = 0; run < wish.runs; run++) runs.push(await once(browser, page));
  answer[page.name] = Object.fromEntries(Object.keys(runs[0]).map((name) => [name, middle(runs.map((one) => one[name]))]));
  answer[page.name].slowest = Math.max(...runs.map((one) => one.interactive));
}
await browser.close();
console.log(JSON.stringify(answer));
