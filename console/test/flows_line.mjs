// Flows in which something else than the page is in the way: a service that goes, a line that is slow, logs that take their time.
import { check } from "./browser.mjs";

/** The service goes and comes; the page keeps what it had, says so, and recovers by itself. The test does the restart when asked. */
export async function restart(stand) {
  const page = await stand.open();
  stand.expect(/ERR_/, /50[0-9]/);
  let refusals = 1; // what draws the chart is on its way when the service goes
  await page.route(/uPlot.*\.js/, (route) => (refusals-- > 0 ? route.abort() : route.continue()));
  await stand.signIn(page);
  await page.getByText("GatewayOS").first().waitFor();
  console.log(JSON.stringify({ ask: "stop" }));
  await page.getByText("The service does not answer").waitFor({ timeout: 60_000 });
  check((await page.locator("main").innerText()).includes("GatewayOS"), "what was known is still shown");
  await stand.shot(page, "restart");
  console.log(JSON.stringify({ ask: "start" }));
  await page.getByText("The service does not answer").waitFor({ state: "detached", timeout: 60_000 });
  await page.locator("canvas").first().waitFor();
  check(refusals < 0, "the part that draws was asked for again");
}

/** The line becomes slow in the middle of the work, then is gone for a while: what loads says so, what was known stays, nothing is sent twice. */
export async function slow(stand) {
  const page = await stand.open();
  stand.expect(/ERR_INTERNET_DISCONNECTED/);
  const sent = [];
  page.on("request", (request) => ["PUT", "POST", "PATCH", "DELETE"].includes(request.method()) && !request.url().includes("/devices/query") && sent.push(`${request.method()} ${new URL(request.url()).pathname}`));
  const line = await page.context().newCDPSession(page);
  await line.send("Network.enable");
  const be = (latency, throughput, offline = false) => line.send("Network.emulateNetworkConditions", { offline, latency, downloadThroughput: throughput, uploadThroughput: throughput });
  await stand.signIn(page);
  await page.getByText("GatewayOS").first().waitFor();
  await be(1500, 40_000);
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Devices", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Devices" }).waitFor();
  check(await page.locator(".waiting").first().isVisible(), "a page that waits says so");
  await stand.shot(page, "slow-devices");
  await page.getByRole("cell", { name: "gateway-000", exact: true }).waitFor();
  // A question that is asked while another is under way takes its place: what comes late is not shown.
  await page.getByLabel("Search by id").fill("kiosk-01");
  await page.keyboard.press("Enter");
  await page.getByLabel("Search by id").fill("sensor-00");
  await page.keyboard.press("Enter");
  await page.getByRole("cell", { name: "sensor-000", exact: true }).waitFor();
  await page.waitForTimeout(3500);
  check((await page.getByText("kiosk-010").count()) === 0 && (await page.getByText("sensor-000").count()) === 1, "the later question is answered");

  // Two clicks, and Enter on top of it, begin one deployment.
  await page.goto(stand.wish.url + "/console/deployments/new?group=plant-one&update=Contoso%2FGatewayOS%2F2.0.0", { waitUntil: "commit", timeout: 60_000 });
  const start = page.getByRole("button", { name: "Start the deployment" });
  await start.waitFor({ timeout: 60_000 });
  await start.dblclick();
  check(await start.isDisabled(), "the button waits for the answer");
  await page.getByText("Devices", { exact: true }).nth(1).waitFor({ timeout: 60_000 });
  const of = (verb) => sent.filter((one) => one.startsWith(verb));
  check(of("PUT").length === 1, `one deployment is begun: ${sent}`);
  // A typed confirmation, sent by two clicks, is one request.
  await page.getByRole("button", { name: "Cancel…" }).click({ timeout: 60_000 });
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill((await dialog.locator("label").innerText()).split(" ")[1]);
  await dialog.getByRole("button", { name: "Cancel the deployment" }).dblclick();
  await page.locator(".heading").getByText("Cancelled").waitFor({ timeout: 60_000 });
  check(of("POST").filter((one) => one.endsWith(":cancel")).length === 1, `it is cancelled once: ${sent}`);

  // The line is gone: what was known stays, and it goes on by itself.
  await be(0, -1);
  await stand.visit(page, "Overview");
  await page.getByText("GatewayOS").first().waitFor();
  await be(0, 0, true);
  await page.getByText("The service does not answer").waitFor();
  check((await page.locator("main").innerText()).includes("GatewayOS"), "what was known is still shown");
  await be(400, 100_000);
  await page.getByText("The service does not answer").waitFor({ state: "detached" });
  await stand.visit(page, "Groups and classes");
}

/** Logs are asked for, come, and are read: search, levels, a long file, a zipped one, one that is no text. */
export async function logs(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/devices/gateway-003");
  await page.getByText("None was collected yet").waitFor();
  await page.getByRole("button", { name: "Collect logs now" }).click();
  await page.getByRole("cell", { name: "app/service.log", exact: true }).waitFor();
  await page.getByText("Came", { exact: false }).first().waitFor();
  await stand.axe(page, "device with logs");
  await stand.shot(page, "device-logs");
  await stand.looks(page, "device-logs");
  await page.getByRole("link", { name: "app/service.log", exact: true }).click();
  await page.getByText("5,000 lines").waitFor();
  const lines = page.locator(".log .line");
  check((await lines.count()) === 1000, "a thousand lines are drawn at first");
  check((await lines.last().innerText()).includes("line 4999"), "the end is shown");
  await page.getByRole("button", { name: "Show 1,000 earlier lines" }).click();
  await stand.until(page, () => document.querySelectorAll(".log .line").length === 2000);
  await page.getByLabel("Level").selectOption("error");
  await page.getByText("100 lines of 5,000").waitFor(); // 50 errors, each with an indented line that belongs to it
  check((await lines.nth(1).innerText()).includes("at the valve"), "what belongs to an error stands with it");
  await page.getByLabel("Search in this log").fill("PUMP.FAILED");
  await page.getByText("50 lines of 5,000").waitFor();
  check((await page.locator(".log mark").count()) === 50 && (await page.locator(".log mark").first().innerText()) === "pump.failed", "what was looked for is marked");
  await stand.axe(page, "log");
  await stand.fits(page, "log");
  await stand.shot(page, "log");
  await stand.looks(page, "log");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  const whole = await (await download.createReadStream()).toArray().then((parts) => Buffer.concat(parts).toString());
  check(download.suggestedFilename() === "service.log" && whole.split("\n").length === 5001, "the download is the whole file");
  await page.reload(); // the address holds the search
  await page.getByText("50 lines of 5,000").waitFor();
  const open = async (name) => {
    await page.goto(stand.wish.url + "/console/devices/gateway-003");
    await page.getByRole("link", { name, exact: true }).click();
  };
  await open("app/old.log.gz");
  await page.getByText("first words of a zipped log").waitFor();
  await open("app/core.dump");
  await page.getByText("This file is not text").waitFor();
  await open("app/long.log");
  await page.getByText(/the first 4\.\d MiB of the file are not shown here/).waitFor();
  await page.goto(stand.wish.url + "/console/devices/gateway-003");
  await page.getByRole("button", { name: /^Delete gateway-003-/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill((await dialog.locator("label").innerText()).split(" ")[1]);
  await dialog.getByRole("button", { name: "Delete the logs" }).click();
  await page.getByText("None was collected yet").waitFor();
}

/** Nothing is asked while nothing changes; what changes is there before the clock would ask; without the stream the clock does. */
export async function told(stand) {
  const page = await stand.open();
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await stand.signIn(page, "/console/groups");
  await page.getByRole("cell", { name: "plant-one" }).waitFor();
  await stand.until(page, () => !document.querySelector(".waiting"));
  check(asked.some((path) => path.endsWith("/events")), "the page listens");
  const change = async (group) => {
    const answer = await page.context().request.post(`${stand.wish.url}/godwit/v1/default/devices:tag`, { headers: { Authorization: `Bearer ${stand.wish.token}` }, data: { tags: { ADUGroup: group }, deviceIds: ["kiosk-009"] } });
    check(answer.ok(), `the change is made: ${answer.status()}`);
  };
  // A token's last use is noted once a minute: one of these windows is without any change.
  let quiet = 99;
  for (let tries = 0; tries < 3 && quiet > 0; tries++) {
    await page.waitForTimeout(2000);
    const before = asked.length;
    await page.waitForTimeout(12_000);
    quiet = asked.length - before;
  }
  check(quiet === 0, `nothing is asked in 12 s without a change, where the clock would have asked twice: ${asked.slice(-8)}`);
  await change("told-at-once");
  await page.getByRole("cell", { name: "told-at-once" }).waitFor({ timeout: 8000 });
  await page.route("**/events", (route) => route.fulfill({ status: 429, body: "{}" }));
  stand.expect(/429/);
  await page.reload();
  await page.getByRole("cell", { name: "plant-one" }).waitFor();
  await change(null);
  await page.locator("tr", { hasText: "told-at-once" }).getByRole("cell", { name: "0", exact: true }).waitFor({ timeout: 25_000 });
}
