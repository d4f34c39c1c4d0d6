// What the flows share: Debian's Chromium, a signed-in page, axe, screenshots. Anything the page complains about is kept and fails the flow.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export class Stand {
  /** `wish`: url, token, folder for screenshots; as the test that starts a flow writes it. */
  constructor(wish) {
    this.wish = wish;
    this.complaints = [];
    this.expected = [];
  }

  async open({ theme = "light", width = 1280, height = 900 } = {}) {
    this.browser ??= await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
    const context = await this.browser.newContext({ ignoreHTTPSErrors: true, viewport: { width, height }, colorScheme: theme, locale: "en-GB", acceptDownloads: true, bypassCSP: false });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    page.on("pageerror", (error) => this.complaints.push(`error: ${error.message}`));
    page.on("console", (message) => {
      const text = `${message.text()} ${message.location().url}`;
      if (message.type() === "error" && !this.expected.some((pattern) => pattern.test(text))) this.complaints.push(text);
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(this.wish.url) && !request.url().startsWith("blob:")) this.complaints.push(`asked elsewhere: ${request.url()}`);
    });
    return page;
  }

  /** The status of a refusal that a flow provokes: the browser logs it, and that is no complaint. */
  expect(...patterns) {
    this.expected.push(...patterns);
  }

  async signIn(page, path = "/console/", token = this.wish.token) {
    await page.goto(this.wish.url + path);
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Main" }).waitFor();
  }

  /** Goes by the main navigation and waits until the page has its data. */
  async visit(page, name) {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { level: 1 }).filter({ hasText: name }).waitFor();
    await this.settle(page);
  }
  async settle(page) {
    await this.until(page, () => !document.querySelector(".waiting"));
  }
  /** Asks until it holds; waitForFunction would need eval inside the page, which its policy forbids. */
  async until(page, holds, argument) {
    const end = Date.now() + 30_000;
    while (!(await page.evaluate(holds, argument))) {
      if (Date.now() > end) throw new Error(`never so: ${holds}`);
      await page.waitForTimeout(50);
    }
  }

  async shot(page, name) {
    if (this.wish.shots) await page.screenshot({ path: join(this.wish.shots, `${name}.png`), fullPage: true });
  }

  /** axe by the devtools protocol, since the page's policy lets nothing in. Throws what is serious or critical. */
  async axe(page, name) {
    await page.evaluate(axeSource);
    const result = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
    const bad = result.violations.filter((one) => ["serious", "critical"].includes(one.impact));
    if (bad.length) throw new Error(`axe on ${name}: ` + JSON.stringify(bad.map((one) => ({ id: one.id, help: one.help, nodes: one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160) + " // " + node.failureSummary) })), null, 1));
  }

  /** Nothing is wider than the screen. */
  async fits(page, name) {
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) throw new Error(`${name} is ${over} pixels wider than the screen`);
  }

  /** The page as it stands, narrow and then dark too. */
  async looks(page, name) {
    const wide = page.viewportSize();
    await page.setViewportSize({ width: 375, height: 780 });
    await this.fits(page, `${name}, narrow`);
    await this.shot(page, `narrow-${name}`);
    await page.setViewportSize(wide);
    await page.emulateMedia({ colorScheme: "dark" });
    await this.axe(page, `${name}, dark`);
    await this.shot(page, `dark-${name}`);
    await page.emulateMedia({ colorScheme: "light" });
  }

  async end() {
    await this.browser?.close();
    if (this.complaints.length) throw new Error("the page complained:\n" + this.complaints.slice(0, 10).join("\n"));
  }
}

export function check(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`);
}

/** Runs the flow that the command line names: node flows.mjs NAME WISH-AS-JSON. */
export async function run(flows) {
  const [name, wish] = process.argv.slice(2);
  const stand = new Stand(JSON.parse(wish));
  let page;
  try {
    const remember = stand.open.bind(stand);
    stand.open = async (options) => (page = await remember(options));
    await flows[name](stand);
    await stand.end();
    console.log(JSON.stringify({ flow: name, passed: true }));
  } catch (failure) {
    await page?.screenshot({ path: join(stand.wish.folder ?? ".", `failed-${name}.png`), fullPage: true }).catch(() => {});
    console.error(`${name}: ${failure.stack}\n${stand.complaints.join("\n")}`);
    await stand.browser?.close().catch(() => {});
    process.exit(1);
  }
}
