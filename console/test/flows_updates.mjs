// Flows that bring updates into the service: an import of files, and the form that makes a manifest.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { check } from "./browser.mjs";

export async function importAndDeploy(stand) {
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

const CONTAINER = {
  name: "web",
  installedCriteria: "2.2.0",
  arguments: ["--listen", "8080"],
  environment: { MODE: "production", GREETING: "good day = hello" },
  ports: [{ host: 80, container: 8080 }, { host: 53, container: 53, protocol: "udp", address: "127.0.0.1" }],
  volumes: [{ source: "web-data", target: "/data" }, { source: "/srv/web", target: "/pages", readOnly: true }],
  healthCommand: ["/app/web", "--self-test"],
  network: "bridge",
  restart: "always",
  steadySeconds: 0,
  readOnlyRoot: true,
  restoreScope: "update",
};

/** The fields of a container's step: lists with an element on each line, rules that two fields break together, rare fields that are closed at first. */
async function container(page, step) {
  await step.getByLabel("What is done").selectOption("godwit/container:1");
  await step.getByLabel("Files", { exact: true }).setInputFiles({ name: "web.tar", mimeType: "application/x-tar", buffer: Buffer.alloc(40_960, "oci") });
  await step.getByRole("checkbox", { name: "Fetched as deltas" }).check();
  const told = (words) => step.locator(".wrong").getByText(words).waitFor();
  await step.getByLabel("Name of the container").fill("Web");
  await told("It must be lower case letters");
  await step.getByLabel("Name of the container").fill(CONTAINER.name);
  await step.getByLabel(/^Installed criteria/).fill(CONTAINER.installedCriteria);
  await step.getByLabel(/^Arguments/).fill("--listen 8080");
  await step.getByLabel(/^Environment/).fill("MODE=production\nMODE=test");
  await told("MODE is there twice");
  await step.getByLabel(/^Environment/).fill("MODE=production\n\n GREETING=good day = hello\n");
  await step.getByLabel(/^Ports/).fill("80:8080\neighty:80");
  await told("“eighty:80” is not 80:8080");
  await step.getByLabel(/^Ports/).fill("80:8080\n127.0.0.1:53:53/udp");
  await step.getByLabel(/^Volumes/).fill("web-data:/data\n/proc/1:/pages");
  await told("“/proc/1:/pages” is not");
  await step.getByLabel(/^Volumes/).fill("web-data:/data\n/srv/web:/data:ro");
  await told("/data is there twice");
  await step.getByLabel(/^Volumes/).fill("web-data:/data\n/srv/web:/pages:ro");
  await step.getByLabel("Health command on the device").fill("curl http://localhost/");
  await told("It must be an absolute path");
  await step.getByLabel("Health command on the device").fill("");
  await step.getByLabel("Health command in the container").fill('["/app/web", "--self-test"]');
  await step.getByLabel("Network").selectOption("host");
  await told("Ports are published by the network bridge only");
  await step.getByLabel("Network").selectOption("bridge");
  check(!(await step.getByLabel(/^Stays healthy for/).isVisible()), "rare settings are closed");
  await step.getByText("More settings").click();
  await step.getByLabel(/^Stays healthy for/).fill("0");
  await step.getByRole("checkbox", { name: "It cannot write to its image" }).check();
  await step.getByRole("checkbox", { name: "All or nothing" }).check();
  check((await step.locator(".wrong").count()) === 0, "nothing is wrong any more");
}

/** The form that makes a manifest: errors beside their fields, files hashed here, what the service refuses, and an import of what was typed. */
export async function compose(stand) {
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
  await stand.looks(page, "compose-2");
  await next();

  await page.getByLabel("What is done").waitFor();
  await next();
  await page.getByText("Choose one of the step's files.").waitFor();
  await page.getByText(/^Add a file/).waitFor();
  await page.getByLabel("Files", { exact: true }).setInputFiles({ name: "install.sh", mimeType: "text/plain", buffer: Buffer.from("#!/bin/sh\nexit 0\n") });
  await stand.until(page, () => !document.querySelector(".wrong"));
  await page.getByLabel(/^Installed criteria/).fill("2.2.0");
  await page.getByRole("button", { name: "Add a step" }).click();
  const second = page.locator("section.card", { has: page.getByRole("heading", { name: "Step 2" }) });
  await second.getByLabel("What is done").selectOption("godwit/files:1");
  await second.getByLabel("Files", { exact: true }).setInputFiles({ name: "app.tar.gz", mimeType: "application/gzip", buffer: gzipSync(Buffer.alloc(200_000, "tar")) });
  await second.getByLabel("Folder to replace", { exact: true }).fill("opt");
  await second.getByText("It must be an absolute path").waitFor();
  await second.getByLabel("Folder to replace", { exact: true }).fill("/opt/app");
  await second.getByLabel(/^Installed criteria/).fill("2.2.0");
  await second.getByLabel(/^Restart command/).fill("/usr/bin/systemctl restart app");
  await page.getByRole("button", { name: "Add a step" }).click();
  const third = page.locator("section.card", { has: page.getByRole("heading", { name: "Step 3" }) });
  await third.getByLabel("What is done").selectOption("godwit/image:1");
  const image = Buffer.alloc(300_000, "image");
  await third.getByLabel("Files", { exact: true }).setInputFiles({ name: "root.img.gz", mimeType: "application/gzip", buffer: gzipSync(image) });
  await third.getByLabel("Packed with").selectOption("gzip");
  await third.getByText("Size and hash of root.img.gz, unpacked, were found here").waitFor();
  check((await third.getByLabel("Bytes of the unpacked image").inputValue()) === "300000", "the unpacked size was found");
  check((await third.getByLabel("SHA-256 of the unpacked image").inputValue()) === createHash("sha256").update(image).digest("hex"), "the unpacked hash was found");
  await page.getByRole("button", { name: "Add a step" }).click();
  const fourth = page.locator("section.card", { has: page.getByRole("heading", { name: "Step 4" }) });
  await container(page, fourth);
  await stand.axe(page, "compose 3");
  await stand.fits(page, "compose 3");
  await stand.shot(page, "compose-3");
  await stand.looks(page, "compose-3");
  await next();

  await page.getByRole("button", { name: "Save the manifest" }).waitFor();
  await stand.until(page, () => ![...document.querySelectorAll("button")].find((one) => one.textContent === "Save the manifest").disabled);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save the manifest" }).click()]);
  const manifest = JSON.parse(await (await download.createReadStream()).toArray().then((parts) => Buffer.concat(parts).toString()));
  check(download.suggestedFilename() === "Contoso.GatewayOS.2.2.0.importmanifest.json", "the file is named by the update");
  check(JSON.stringify(manifest.instructions.steps[1].handlerProperties) === '{"target":"/opt/app","installedCriteria":"2.2.0","restartCommand":["/usr/bin/systemctl","restart","app"]}', `properties have their types: ${JSON.stringify(manifest.instructions)}`);
  check(JSON.stringify(manifest.instructions.steps[3].handlerProperties) === JSON.stringify(CONTAINER), `a container is described: ${JSON.stringify(manifest.instructions.steps[3])}`);
  check(manifest.files.map((one) => one.downloadHandler?.id ?? "whole").join() === "whole,whole,whole,microsoft/delta:1", `one file may come as a delta: ${JSON.stringify(manifest.files)}`);
  check(manifest.files.length === 4 && manifest.files[0].hashes.sha256 === createHash("sha256").update("#!/bin/sh\nexit 0\n").digest("base64"), "files are hashed");
  await stand.axe(page, "compose 4");
  await stand.shot(page, "compose-4");
  await stand.looks(page, "compose-4");
  await page.getByRole("link", { name: "A manifest that is there already" }).click();
  await page.goBack(); // what was typed stays
  check((await page.getByLabel("Version", { exact: true }).inputValue()) === "2.2.0", "the draft was kept");
  for (let stage = 0; stage < 3; stage++) await next();
  stand.expect(/409/, /404/); // a payload that is not here yet
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
  // What stands against a delete is told before; what nothing needs goes.
  await page.goto(stand.wish.url + "/console/updates/Contoso/GatewayOS/2.1.0");
  const dialog = page.getByRole("dialog");
  const remove = async (version) => {
    await page.getByRole("button", { name: "Delete…" }).click();
    await dialog.getByText("The service").first().waitFor();
    await dialog.getByRole("textbox").fill(version);
    await stand.axe(page, "delete an update");
    await stand.shot(page, `delete-${version}`);
    await dialog.getByRole("button", { name: "Delete the update" }).click();
  };
  await remove("2.1.0");
  await dialog.getByRole("link", { name: "gateway-2-1" }).waitFor();
  await dialog.locator(".trouble").waitFor();
  await page.goto(stand.wish.url + "/console/updates/Contoso/GatewayOS/2.2.0");
  await remove("2.2.0");
  await page.getByRole("heading", { level: 1, name: "Updates" }).waitFor();
}

const table = (page, name) => page.getByRole("region", { name, exact: true }).locator("tbody tr").allInnerTexts().then((rows) => rows.map((row) => row.split(/\t|\n/).map((cell) => cell.trim()).filter(Boolean)));

/** What an update tells of itself: who signed it, and what its deltas save. */
export async function facts(stand) {
  const { delta, whole, fingerprint } = stand.wish;
  const page = await stand.open();
  await stand.signIn(page, "/console/updates/Contoso/MeterOS/1.1.0");
  await page.getByText("Believe it").waitFor();
  await page.locator("main").getByRole("link", { name: "1.0.0" }).waitFor();
  const signature = await page.locator("section.card", { has: page.getByRole("heading", { name: "Signature" }) }).innerText();
  for (const words of [fingerprint, "RS256, 3072 bits", "Version 1 of the root key package lists the root key", "version 5 and 4"]) check(signature.includes(words), `the signature tells “${words}”: ${signature}`);
  const size = (count) => (count < 1024 ? `${count} B` : count < 1 << 20 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 2 ** 20).toFixed(1)} MiB`);
  const [row, ...others] = await table(page, "Deltas");
  const wanted = ["rootfs.img", "1.0.0", `${size(delta)} instead of ${size(whole)}`, `${Math.min(99, Math.round((1 - delta / whole) * 100))} %`];
  check(others.length === 0 && JSON.stringify(row) === JSON.stringify(wanted), `the delta and what it saves: ${JSON.stringify([row, ...others])}, not ${JSON.stringify(wanted)}`);
  await stand.axe(page, "an update with deltas");
  await stand.shot(page, "update-facts");
  await stand.looks(page, "update-facts");
  await page.goto(stand.wish.url + "/console/updates/Contoso/MeterOS/1.0.0");
  await page.getByText("None for rootfs.img: no device had an earlier version").waitFor();
  // A key that was disabled since: the page says what devices would.
  await page.route("**/signatures", (route) => route.fulfill({ json: { rootKeyPackageVersion: 2, value: [{ manifestVersion: "5", algorithm: "RS256", keyId: "signing.old", keySha256: "abc", keySizeInBits: 3072, rootKeyId: "root.1", isBelieved: false, problem: { code: "A0000008", text: "The signing key is disabled", details: "the signing key is disabled" } }] } }));
  await page.reload();
  await page.getByText("Refuse it").waitFor();
  await page.getByText("A0000008").waitFor();
  await stand.axe(page, "an update that is refused");
  await stand.shot(page, "update-refused");
}

/** What the parts of a device have, from more than one deployment, the last of which failed on one of them. */
export async function parts(stand) {
  const page = await stand.open();
  await stand.signIn(page, "/console/devices/robot-000");
  await page.getByRole("heading", { name: "Parts" }).waitFor();
  const rows = (await table(page, "Parts")).map(([part, update]) => `${part}: ${update}`);
  const wanted = ["eye: Camera 7.1.0", "the left wheel (m-1): Motor 2.1.0", "the right wheel (m-2): Motor 2.0.0"];
  check(JSON.stringify(rows) === JSON.stringify(wanted), `each part has its update: ${JSON.stringify(rows)}`);
  await stand.axe(page, "a device with parts");
  await stand.shot(page, "device-parts");
  await stand.looks(page, "device-parts");
}
