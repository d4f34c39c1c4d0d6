// The flows of an operator, each against the service that the wish names. test/console/test_console.py starts them.
import { check, run } from "./browser.mjs";
import { logs, restart, slow, told } from "./flows_line.mjs";
import { compose, facts, importAndDeploy, parts } from "./flows_updates.mjs";

const ROOMS = ["Overview", "Devices", "Updates", "Deployments", "Groups and classes", "Hub", "Access", "Audit"];
const DEEP = {
  "device-failed": "/console/devices/sensor-003",
  "device-good": "/console/devices/gateway-001",
  update: "/console/updates/Contoso/GatewayOS/2.1.0",
  import: "/console/updates/import",
  compose: "/console/updates/new",
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
  await page.getByRole("img", { name: "Devices connected. Now: Devices connected 37" }).locator(".u-over").waitFor();
  check(/37\s*connected now/.test(text), `37 devices are connected: ${text}`);
  await page.getByRole("link", { name: "sensor-003" }).click();
  await page.getByText("deployment 'sensor-1-4-2' failed on this device; it can be retried").waitFor();
}

async function devices(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/devices");
  await page.getByRole("cell", { name: "gateway-000", exact: true }).waitFor();
  await page.getByLabel("Search by id").fill("kiosk-01");
  await page.keyboard.press("Enter");
  await page.getByRole("cell", { name: "kiosk-010", exact: true }).waitFor();
  check((await page.locator("tbody tr").count()) === 2, "two devices are found");
  check((await page.locator("tbody").getByText("Not connected").count()) === 2, "both are away");
  await page.reload();
  await page.getByRole("cell", { name: "kiosk-011", exact: true }).waitFor(); // the address tells it all
  await page.goto(stand.wish.url + "/console/devices?group=field-north&state=Failed");
  await page.getByRole("cell", { name: "sensor-009", exact: true }).waitFor();
  check((await page.locator("tbody tr").count()) === 3, "three devices failed");
  await page.getByLabel("Search by id").fill("it's not there");
  await page.keyboard.press("Enter");
  await page.getByText("No device fits").waitFor();
  // Chosen ones go into a group, also by keyboard; all that are found leave it again.
  await page.goto(stand.wish.url + "/console/devices?connection=Disconnected&search=kiosk");
  await page.getByRole("cell", { name: "kiosk-011", exact: true }).waitFor();
  check((await page.locator("tbody tr").count()) === 2, "two kiosks are not connected");
  await page.getByLabel("Choose kiosk-010").focus();
  await page.keyboard.press("Space");
  await page.getByLabel("Choose kiosk-011").check();
  await page.getByText("2 devices chosen").waitFor();
  await page.locator(".bulk").getByLabel("Group").fill("shops-paris");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByText("This makes a new group").waitFor();
  await stand.axe(page, "put into a group");
  await page.getByRole("dialog").getByRole("button", { name: "Put into the group" }).click();
  await page.getByText("2 devices changed").waitFor();
  await page.getByRole("cell", { name: "shops-paris" }).nth(1).waitFor();
  await stand.shot(page, "devices-chosen");
  await page.getByRole("button", { name: "Put all into a group…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Take out" }).click();
  await page.getByRole("link", { name: "$default" }).nth(1).waitFor();
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
  await page.getByRole("cell", { name: "meter-19999", exact: true }).waitFor();
  check((await rows()) === 1 && (await page.locator("tbody .state.good").innerText()).includes("Connected"), "one device is found, and it is connected");
  await search("meter-199");
  await stand.until(page, () => document.querySelectorAll("tbody tr").length === 50);
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Page 2").waitFor();
  await page.getByLabel("Group", { exact: true }).selectOption("south");
  await stand.until(page, () => [...document.querySelectorAll("tbody tr")].length === 25 && [...document.querySelectorAll("tbody tr")].every((row) => row.textContent.includes("south")));
  await search("no-such-meter");
  await page.getByText("No device fits").waitFor();
  await page.getByRole("button", { name: "Show all devices" }).click();
  await page.getByLabel("Group", { exact: true }).selectOption("north");
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
  await page.getByRole("img", { name: /over time. Now: Succeeded 8, In progress 4, Failed 0/ }).locator(".u-over").waitFor();
  await page.getByText("As a table").click();
  check((await page.getByRole("region", { name: "as a table" }).locator("tbody tr").count()) >= 2, "the course stands in figures too");
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
  await other.getByRole("cell", { name: "gateway-000", exact: true }).waitFor();
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
  slow,
  told,
  compose,
  facts,
  parts,
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
