// The flows of an operator, each against the service that the wish names. test/console/test_console.py starts them.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { check, run } from "./browser.mjs";

const ROOMS = ["Overview", "Devices", "Updates", "Deployments", "Groups and classes", "Hub", "Access"];
const DEEP = {
  "device-failed": "/console/devices/sensor-003",
  "device-good": "/console/devices/gateway-001",
  update: "/console/updates/Contoso/GatewayOS/2.1.0",
  import: "/console/updates/import",
  deployment: "/console/deployments/plant-one/gateway-2-1",
  "deployment-failed": "/console/deployments/field-north/sensor-1-4-2",
  deploy: "/console/deployments/new?group=shops-berlin&update=Contoso%2FKioskImage%2F5.1.0",
  group: "/console/groups/plant-one",
  "group-default": "/console/groups/%24default",
  nowhere: "/console/such/a/place",
};

/** Every page in one theme and width: complete, without serious findings of axe, not wider than the screen. */
async function everyPage(stand, look) {
  const page = await stand.open(look);
  await page.goto(stand.wish.url + "/console/");
  await stand.axe(page, "sign-in");
  await stand.shot(page, `${look.name}-signin`);
  await stand.signIn(page);
  for (const name of ROOMS) {
    await stand.visit(page, name);
    if (name === "Hub") await page.locator(".u-over").waitFor().then(() => page.waitForTimeout(7000)); // some points
    await stand.axe(page, name);
    await stand.fits(page, name);
    await stand.shot(page, `${look.name}-${name.split(" ")[0].toLowerCase()}`);
  }
  for (const [name, path] of Object.entries(DEEP)) {
    await page.goto(stand.wish.url + path);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await stand.settle(page);
    check((await page.locator(".trouble").filter({ hasText: "not" }).count()) === 0 || name.includes("failed"), `${name} shows no trouble`);
    await stand.axe(page, name);
    await stand.fits(page, name);
    await stand.shot(page, `${look.name}-${name}`);
  }
}

async function overview(stand) {
  const page = await stand.open();
  await stand.signIn(page);
  const text = await page.locator("main").innerText().then(async (first) => (first.includes("Loading") ? (await stand.settle(page), page.locator("main").innerText()) : first));
  for (const word of ["40 devices", "GatewayOS 2.1.0", "30000ACE", "the disk of the test is full", "not a code of Godwit's own", "3 devices failed", "KioskImage 5.1.0 fits in group shops-berlin"]) check(text.includes(word), `the overview says “${word}”: ${text}`);
  check(/37\s*connected now/.test(text), `37 devices are connected: ${text}`);
  await page.getByRole("link", { name: "sensor-003" }).click();
  await page.getByText("deployment 'sensor-1-4-2' failed on this device; it can be retried").waitFor();
}

async function devices(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/devices");
  await page.getByRole("cell", { name: "gateway-000" }).waitFor();
  await page.getByLabel("Search by id").fill("kiosk-01");
  await page.keyboard.press("Enter");
  await page.getByRole("cell", { name: "kiosk-010" }).waitFor();
  check((await page.locator("tbody tr").count()) === 2, "two devices are found");
  check((await page.getByText("Not connected").count()) === 2, "both are away");
  await page.reload();
  await page.getByRole("cell", { name: "kiosk-011" }).waitFor(); // the address tells it all
  await page.goto(stand.wish.url + "/console/devices?group=field-north&state=Failed");
  await page.getByRole("cell", { name: "sensor-009" }).waitFor();
  check((await page.locator("tbody tr").count()) === 3, "three devices failed");
  await page.getByLabel("Search by id").fill("it's not there");
  await page.keyboard.press("Enter");
  await page.getByText("No device fits").waitFor();
}

/** More devices than a page: forward, back, and none twice. */
async function paging(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/devices");
  const ids = async () => (await stand.settle(page), page.locator("tbody td.name").allInnerTexts());
  await page.getByRole("button", { name: "Next" }).waitFor();
  const first = await ids();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Page 2").waitFor();
  await stand.until(page, (id) => document.querySelector("tbody td.name")?.textContent !== id, first[0]);
  const second = await ids();
  check(second.length > 0 && !second.some((id) => first.includes(id)), "the second page has other devices");
  await page.getByRole("button", { name: "Previous" }).click();
  await stand.until(page, (id) => document.querySelector("tbody td.name")?.textContent === id, first[0]);
  await page.getByLabel("Search by id").fill("many-0");
  await page.keyboard.press("Enter");
  await page.getByText("Connection", { exact: true }).waitFor();
  await stand.until(page, () => document.querySelectorAll("tbody tr").length === 50);
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Page 2").waitFor();
}

/** Logs are asked for, come, and are read: search, levels, a long file, a zipped one, one that is no text. */
async function logs(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/devices/gateway-003");
  await page.getByText("None was collected yet").waitFor();
  await page.getByRole("button", { name: "Collect logs now" }).click();
  await page.getByRole("cell", { name: "app/service.log", exact: true }).waitFor();
  await page.getByText("Came", { exact: false }).first().waitFor();
  await stand.axe(page, "device with logs");
  await stand.shot(page, "device-logs");
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

/** The form that makes a manifest: errors beside their fields, files hashed here, what the service refuses, and an import of what was typed. */
async function compose(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/updates");
  await page.getByRole("link", { name: "Make an update" }).click();
  const next = () => page.getByRole("button", { name: /^Next:/ }).click();
  const wrong = (label) => page.getByLabel(label, { exact: true }).locator("xpath=../p[contains(@class,'wrong')]");
  await next();
  check((await wrong("Provider").innerText()) === "This is needed.", "an empty field is told beside it");
  check((await page.evaluate(() => document.activeElement?.getAttribute("aria-invalid"))) === "true", "the first wrong field has the focus");
  await page.getByLabel("Provider", { exact: true }).fill("Contoso");
  await page.getByLabel("Name", { exact: true }).fill("Gate way");
  await page.getByLabel("Version", { exact: true }).fill("three");
  check((await wrong("Name").innerText()).includes("Only letters"), "a blank in a name is told");
  check((await wrong("Version").innerText()).includes("2 to 4 numbers"), "a version in words is told");
  await stand.axe(page, "compose 1");
  await stand.shot(page, "compose-1-wrong");
  await page.getByLabel("Name", { exact: true }).fill("GatewayOS");
  await page.getByLabel("Version", { exact: true }).fill("2.1.0");
  await page.getByText("There are 2.1.0, 2.0.0.").waitFor();
  await next();
  await page.getByText("The service has this version already").waitFor();
  await page.getByLabel("Version", { exact: true }).fill("2.2.0");
  await next();

  await page.getByLabel("Property", { exact: true }).first().waitFor();
  await next();
  check((await page.getByText("This is needed.").count()) === 2, "both values are needed");
  await page.getByRole("button", { name: "Contoso · Gateway" }).click();
  check((await page.getByLabel("Value", { exact: true }).nth(1).inputValue()) === "Gateway", "a class that reported is taken");
  await stand.axe(page, "compose 2");
  await stand.shot(page, "compose-2");
  await next();

  await page.getByLabel("What is done").waitFor();
  await next();
  await page.getByText("Choose one of the step's files.").waitFor();
  await page.getByText(/^Add a file/).waitFor();
  await page.getByLabel("Files").setInputFiles({ name: "install.sh", mimeType: "text/plain", buffer: Buffer.from("#!/bin/sh\nexit 0\n") });
  await stand.until(page, () => !document.querySelector(".wrong"));
  await page.getByLabel(/^Installed criteria/).fill("2.2.0");
  await page.getByRole("button", { name: "Add a step" }).click();
  const second = page.locator("section.card", { has: page.getByRole("heading", { name: "Step 2" }) });
  await second.getByLabel("What is done").selectOption("godwit/files:1");
  await second.getByLabel("Files").setInputFiles({ name: "app.tar.gz", mimeType: "application/gzip", buffer: gzipSync(Buffer.alloc(200_000, "tar")) });
  await second.getByLabel("Folder to replace", { exact: true }).fill("opt");
  await second.getByText("It must be an absolute path").waitFor();
  await second.getByLabel("Folder to replace", { exact: true }).fill("/opt/app");
  await second.getByLabel(/^Installed criteria/).fill("2.2.0");
  await second.getByLabel(/^Restart command/).fill("/usr/bin/systemctl restart app");
  await page.getByRole("button", { name: "Add a step" }).click();
  const third = page.locator("section.card", { has: page.getByRole("heading", { name: "Step 3" }) });
  await third.getByLabel("What is done").selectOption("godwit/image:1");
  const image = Buffer.alloc(300_000, "image");
  await third.getByLabel("Files").setInputFiles({ name: "root.img.gz", mimeType: "application/gzip", buffer: gzipSync(image) });
  await third.getByLabel("Packed with").selectOption("gzip");
  await third.getByText("Size and hash of root.img.gz, unpacked, were found here").waitFor();
  check((await third.getByLabel("Bytes of the unpacked image").inputValue()) === "300000", "the unpacked size was found");
  check((await third.getByLabel("SHA-256 of the unpacked image").inputValue()) === createHash("sha256").update(image).digest("hex"), "the unpacked hash was found");
  await stand.axe(page, "compose 3");
  await stand.fits(page, "compose 3");
  await stand.shot(page, "compose-3");
  await next();

  await page.getByRole("button", { name: "Save the manifest" }).waitFor();
  await stand.until(page, () => ![...document.querySelectorAll("button")].find((one) => one.textContent === "Save the manifest").disabled);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save the manifest" }).click()]);
  const manifest = JSON.parse(await (await download.createReadStream()).toArray().then((parts) => Buffer.concat(parts).toString()));
  check(download.suggestedFilename() === "Contoso.GatewayOS.2.2.0.importmanifest.json", "the file is named by the update");
  check(JSON.stringify(manifest.instructions.steps[1].handlerProperties) === '{"target":"/opt/app","installedCriteria":"2.2.0","restartCommand":["/usr/bin/systemctl","restart","app"]}', `properties have their types: ${JSON.stringify(manifest.instructions)}`);
  check(manifest.files.length === 3 && manifest.files[0].hashes.sha256 === createHash("sha256").update("#!/bin/sh\nexit 0\n").digest("base64"), "files are hashed");
  await stand.axe(page, "compose 4");
  await stand.shot(page, "compose-4");
  await page.getByRole("link", { name: "A manifest that is there already" }).click();
  await page.goBack(); // what was typed stays
  check((await page.getByLabel("Version", { exact: true }).inputValue()) === "2.2.0", "the draft was kept");
  for (let stage = 0; stage < 3; stage++) await next();
  stand.expect(/409/);
  // Another name for devices of the same class is what only the service knows to refuse; its words come to the field.
  await page.getByRole("button", { name: "What it is" }).click();
  await page.getByLabel("Name", { exact: true }).fill("OtherOS");
  for (let stage = 0; stage < 3; stage++) await next();
  await page.getByRole("button", { name: "Import", exact: true }).click();
  await wrong("Name").waitFor();
  check(/GatewayOS/.test(await wrong("Name").innerText()), `the service's words stand at the name: ${await wrong("Name").innerText()}`);
  await stand.shot(page, "compose-refused");
  await page.getByLabel("Name", { exact: true }).fill("GatewayOS");
  for (let stage = 0; stage < 3; stage++) await next();
  await page.getByRole("button", { name: "Import", exact: true }).click();
  await page.getByText("Imported.").waitFor();
  await page.getByRole("link", { name: "Show it" }).click();
  await page.getByText("root.img.gz").first().waitFor();
}

/** Twenty thousand devices: each kind of question that the list can ask, and what it may not do (load all of them). */
async function crowd(stand) {
  const page = await stand.open();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await stand.signIn(page, "/console/devices");
  const rows = () => page.locator("tbody tr").count();
  const ids = async () => (await stand.settle(page), page.locator("tbody td.name").allInnerTexts());
  const search = async (text) => {
    await page.getByLabel("Search by id").fill(text);
    await page.keyboard.press("Enter");
  };
  await page.getByText(/2[0-9],[0-9]{3} devices in all/).waitFor();
  const seen = new Set();
  for (let number = 1; number <= 5; number++) {
    if (number > 1) {
      await page.getByRole("button", { name: "Next" }).click();
      await page.getByText(`Page ${number},`).waitFor();
    }
    await stand.settle(page);
    const these = await ids();
    check(these.length === 100 && these.every((id) => !seen.has(id)), `page ${number} has a hundred others: ${these.length}`);
    these.forEach((id) => seen.add(id));
  }
  check(asked.filter((url) => url.includes("/management/devices")).length < 20, "only the pages that are shown are asked for");
  await search("meter-19999");
  await page.getByRole("cell", { name: "meter-19999" }).waitFor();
  check((await rows()) === 1 && (await page.locator("tbody .state.good").innerText()).includes("Connected"), "one device is found, and it is connected");
  await search("meter-199");
  await stand.until(page, () => document.querySelectorAll("tbody tr").length === 50);
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Page 2").waitFor();
  await page.getByLabel("Group").selectOption("south");
  await stand.until(page, () => [...document.querySelectorAll("tbody tr")].length === 25 && [...document.querySelectorAll("tbody tr")].every((row) => row.textContent.includes("south")));
  await search("no-such-meter");
  await page.getByText("No device fits").waitFor();
  await page.getByRole("button", { name: "Show all devices" }).click();
  await page.getByLabel("Group").selectOption("north");
  await page.getByText("5,000 devices in north").waitFor();
  await page.getByLabel("Class").selectOption({ label: "Contoso · Meter" });
  await page.getByLabel("Last deployment").selectOption("never");
  await stand.until(page, () => document.querySelectorAll("tbody tr").length === 100);
  await stand.axe(page, "crowd");
  await stand.shot(page, "crowd-devices");
  await page.getByLabel("Last deployment").selectOption("Failed");
  await page.getByText("No device fits").waitFor();
  await stand.visit(page, "Overview");
  await page.getByText(/2[0-9],[0-9]{3} devices/).first().waitFor();
  await stand.shot(page, "crowd-overview");
}

async function importAndDeploy(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/updates/import");
  const { manifest, files } = JSON.parse(readFileSync(stand.wish.update_file, "utf8"));
  const largest = Math.max(...Object.values(files).map((base64) => Buffer.from(base64, "base64").length));
  const place = (name, text) => {
    const path = join(stand.wish.folder, name);
    writeFileSync(path, text);
    return path;
  };
  const paths = Object.entries(files).map(([name, base64]) => place(name, Buffer.from(base64, "base64")));
  const chooser = page.locator("input[type=file]");
  // A file that is not what the manifest promises is found before a byte is sent.
  const [first] = Object.keys(files);
  const wrong = Buffer.from(files[first], "base64");
  wrong[0] ^= 1;
  place(first, wrong);
  await chooser.setInputFiles([place("new.importmanifest.json", manifest), ...paths]);
  await page.getByRole("button", { name: "Import", exact: true }).click();
  await page.getByText("Its content is not what the manifest promises").waitFor();
  await stand.shot(page, "import-wrong");
  place(first, Buffer.from(files[first], "base64"));
  await chooser.setInputFiles(paths);
  // The line is cut in the middle of the large file: it goes on where it was.
  let cuts = 0;
  stand.expect(/ERR_FAILED/, /404/);
  const ranges = [];
  await page.route("**/blobs/*", async (route) => {
    const range = route.request().headers()["content-range"];
    if (range) ranges.push(range);
    if (range?.startsWith("bytes 8388608-") && cuts++ === 0) return route.abort("failed");
    return route.continue();
  });
  await page.getByRole("button", { name: "Import", exact: true }).click();
  await page.getByText("Imported.").waitFor({ timeout: 90_000 });
  check(cuts === 2, `the piece that was cut was sent again: ${ranges}`);
  check(ranges.filter((range) => range.startsWith("bytes 0-") && range.endsWith("/" + largest)).length === 1, `what had come was not sent again: ${ranges}`);
  await stand.shot(page, "import-done");

  await page.getByRole("link", { name: "deploy it" }).click();
  await page.getByLabel("Group").selectOption("shops-berlin");
  await page.getByText("8 devices of shops-berlin").or(page.getByText("Whom it touches")).first().waitFor();
  const preview = await page.locator("section", { hasText: "Whom it touches" }).innerText();
  check(/8 devices\s+of shops-berlin/.test(preview), `the preview counts 8 devices: ${preview}`);
  check(preview.includes("Takes the place of kiosk-5-0"), `the preview names what it replaces: ${preview}`);
  await page.getByLabel("Roll back").selectOption({ label: "to KioskImage 5.1.0" });
  await stand.axe(page, "deploy");
  await stand.shot(page, "deploy");
  await page.getByRole("button", { name: "Start the deployment" }).click();
  await page.getByText("Goes back to KioskImage 5.1.0").waitFor();
  await page.getByRole("img", { name: /8 succeeded/ }).waitFor({ timeout: 60_000 }); // live: nobody reloads
  await page.locator(".heading").getByText("Done").waitFor();
}

/** Retry of the failed, which the devices now bear; CSV; cancel with the typed name. */
async function retryAndCancel(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/deployments/field-north/sensor-1-4-2");
  await page.getByRole("img", { name: /3 failed/ }).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export CSV" }).click()]);
  const csv = await (await download.createReadStream()).toArray().then((parts) => Buffer.concat(parts).toString());
  check(csv.split("\r\n").length === 18 && csv.includes('"sensor-003","","Failed","0","30000ACE"'), `the CSV has a line for each device: ${csv}`);
  await page.getByRole("button", { name: "Retry failed" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Retry" }).click();
  await page.getByRole("img", { name: /16 succeeded/ }).waitFor({ timeout: 60_000 });

  await page.goto(stand.wish.url + "/console/deployments/plant-one/gateway-2-1");
  await page.getByRole("button", { name: "Cancel…" }).click();
  const dialog = page.getByRole("dialog");
  const act = dialog.getByRole("button", { name: "Cancel the deployment" });
  check(await act.isDisabled(), "nothing is cancelled without the typed name");
  await dialog.getByRole("textbox").fill("gateway-2-0");
  check(await act.isDisabled(), "the name of another does not do");
  await stand.axe(page, "confirm");
  await dialog.getByRole("textbox").fill("gateway-2-1");
  await act.click();
  await page.locator(".heading").getByText("Cancelled").waitFor();
}

async function access(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/access");
  await page.getByLabel("Name", { exact: true }).fill("shown-once");
  await page.getByRole("button", { name: "Make the token" }).click();
  const token = await page.locator(".note code").innerText();
  await page.getByRole("cell", { name: "shown-once", exact: true }).waitFor();
  // A reader sees, and is told what it may not.
  stand.expect(/403/, /401/);
  const other = await stand.open();
  await stand.signIn(other, "/console/access", token);
  await other.getByText("Your token's role does not allow this").first().waitFor();
  await stand.visit(other, "Devices");
  await other.getByRole("cell", { name: "gateway-000" }).waitFor();
  await page.getByRole("button", { name: "Revoke shown-once" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill("shown-once");
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("cell", { name: "shown-once", exact: true }).waitFor({ state: "detached" });
  await other.getByRole("link", { name: "Overview" }).click();
  await other.getByText("does not know your token any more").waitFor();
  const bad = await stand.open();
  await bad.goto(stand.wish.url + "/console/");
  await bad.getByLabel("Token").fill("gwt_wrong");
  await bad.getByRole("button", { name: "Sign in" }).click();
  await bad.getByText("The service does not know this token").waitFor();
}

/** By keyboard alone: skip link, navigation, a device. */
async function keyboard(stand) {
  const page = await stand.open();
  await page.goto(stand.wish.url + "/console/");
  await page.getByLabel("Token").focus();
  await page.keyboard.type(stand.wish.token);
  await page.keyboard.press("Enter");
  await page.getByRole("navigation", { name: "Main" }).waitFor();
  await page.keyboard.press("Tab");
  check((await page.evaluate(() => document.activeElement?.textContent ?? "")).includes("Skip"), "the first stop skips the navigation");
  for (let stop = 0; stop < 12; stop++) {
    await page.keyboard.press("Tab");
    if ((await page.evaluate(() => document.activeElement?.textContent)) === "Devices") break;
  }
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Devices" }).waitFor();
  check((await page.evaluate(() => document.activeElement?.id)) === "main", "the new page has the focus");
}

/** The service goes and comes; the page keeps what it had, says so, and recovers by itself. The test does the restart when asked. */
async function restart(stand) {
  const page = await stand.open();
  stand.expect(/ERR_/, /50[0-9]/);
  await stand.signIn(page);
  await page.getByText("GatewayOS").first().waitFor();
  console.log(JSON.stringify({ ask: "stop" }));
  await page.getByText("The service does not answer").waitFor({ timeout: 60_000 });
  check((await page.locator("main").innerText()).includes("GatewayOS"), "what was known is still shown");
  await stand.shot(page, "restart");
  console.log(JSON.stringify({ ask: "start" }));
  await page.getByText("The service does not answer").waitFor({ state: "detached", timeout: 60_000 });
}

/** A service without devices teaches the next step. */
async function empty(stand) {
  const page = await stand.open();
  await stand.signIn(page);
  await page.getByText("godwit hub device-identity create").waitFor();
  await stand.axe(page, "empty overview");
  await stand.shot(page, "empty-overview");
  for (const [room, words] of [["Updates", "godwit update init v5"], ["Deployments", "Nothing was deployed yet"], ["Devices", "No device has reported yet"], ["Groups and classes", "No class yet"]]) {
    await stand.visit(page, room);
    await page.getByText(words).first().waitFor();
  }
}

await run({
  empty,
  overview,
  devices,
  paging,
  logs,
  compose,
  crowd,
  importAndDeploy,
  retryAndCancel,
  access,
  keyboard,
  restart,
  light: (stand) => everyPage(stand, { name: "light", theme: "light" }),
  dark: (stand) => everyPage(stand, { name: "dark", theme: "dark", width: 1680 }),
  narrow: (stand) => everyPage(stand, { name: "narrow", theme: "light", width: 375, height: 780 }),
});
