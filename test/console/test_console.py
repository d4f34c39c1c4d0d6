"""The web console in a real browser over a real service: every page and flow, both themes, a narrow screen, a restart in the middle."""
import base64
import gzip
import hashlib
import json
import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from crowd import Crowd
from hub_device import announce, register
from scene import Scene
from stack import wait_until
from stage import API, DATA_PLANE, Stage, manifest_of

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = ROOT / "console"
BUNDLE_MAX = 150 * 1024


class Browser:
    """Runs the flows of console/test/flows.mjs against a service."""

    def __init__(self, scene: Scene, folder: Path):
        self.scene, self.folder = scene, folder

    def command(self, flow: str, **more) -> list:
        shots = os.environ.get("GODWIT_SHOTS")
        wish = {"url": f"https://localhost:{self.scene.service.ports['api']}", "token": self.scene.service.token_file.read_text().strip(), "folder": str(self.folder),
                **({"shots": shots} if shots else {}), **more}
        return ["node", "test/flows.mjs", flow, json.dumps(wish)]

    def run(self, flow: str, **more) -> None:
        done = subprocess.run(self.command(flow, **more), cwd=CONSOLE, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr + done.stdout
        assert json.loads(done.stdout) == {"flow": flow, "passed": True}, repr(done.stdout)

    def start(self, flow: str) -> subprocess.Popen:
        return subprocess.Popen(self.command(flow), cwd=CONSOLE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="session")
def browser_parts():
    """What the lock file names, put in place again when it has changed since."""
    installed, wanted = CONSOLE / "node_modules" / ".package-lock.json", CONSOLE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=CONSOLE, check=True, timeout=600)


@pytest.fixture(scope="module")
def browser(scene, browser_parts, tmp_path_factory):
    return Browser(scene, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def stage(scene, browser):
    """The fleet in many states. The one test that wants no devices runs before it."""
    made = Stage(scene)
    made.play()
    yield made
    made.end()


def test_the_bundle_is_small(binaries):
    files = [path for path in (binaries.parent / "share" / "godwit" / "console").rglob("*") if path.is_file() and path.suffix != ".gz"]
    zipped = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in files}
    assert any(name.endswith(".js") for name in zipped), "the console was not built; is npm here?"
    assert sum(zipped.values()) < BUNDLE_MAX, zipped


def of_handlers(expression: str):
    """The value of an expression over the form's table of handlers."""
    program = f"""const source = require("esbuild").transformSync(require("fs").readFileSync("src/handlers.ts", "utf8"), {{ loader: "ts", format: "esm" }}).code;
        import("data:text/javascript," + encodeURIComponent(source)).then(({{ HANDLERS, COMMON }}) => console.log(JSON.stringify({expression})));"""
    return json.loads(subprocess.run(["node", "-e", program], cwd=CONSOLE, capture_output=True, text=True, check=True, timeout=60).stdout)


def test_the_form_has_a_field_for_each_property_of_the_reference(browser_parts):
    form = of_handlers("""{ "any step": COMMON.map((one) => one.name), ...Object.fromEntries(HANDLERS.map((one) => [one.id, one.properties.map((property) => property.name)])) }""")
    told: dict[str, set] = {}
    for section in (ROOT / "docs/reference/handlers.md").read_text().split("\n## Properties of ")[1:]:
        title, table = section.split("\n")[0], section.split("| property |")[1].split("\n\n")[0]
        name = title.split(":")[0]
        for handler in [title] if title == "any step" else [handler for handler in form if handler in title or handler.startswith(name) and f":{handler[-1]}" in title]:
            told[handler] = {word for row in table.split("\n") if row.startswith("| `") for word in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert set(told) == set(form), "a handler has no section, or no row"
    # Of two handlers that share a table each has its own part.
    told["microsoft/apt:1"].discard("fetchDependencies")
    told["microsoft/swupdate:1"] = {"installedCriteria"}
    told["any step"].discard("streamedFile")  # the form adds it to an image with an index
    assert {handler: set(names) for handler, names in form.items()} == told


IMAGE = {"imageFile": "root.img.zst", "compression": "zstd", "imageSize": "1048576"}


@pytest.mark.parametrize("handler, values, more, place", [
    ("godwit/image:1", {**IMAGE, "indexFile": "root.idx"}, "", None),
    ("godwit/image:1", {**IMAGE, "indexFile": "root.img.zst"}, "", "indexFile"),
    ("godwit/image:1", {**IMAGE, "indexFile": "root.idx", "compression": "gzip"}, "", "indexFile"),
    ("godwit/image:1", {**IMAGE, "indexFile": "root.idx"}, "delta", "indexFile"),
    ("godwit/image:1", {**IMAGE, "indexFile": "root.idx", "blockHashesFile": "hashes"}, "", "blockHashesFile"),
    ("godwit/image:1", {**IMAGE, "blockSize": "65536"}, "", None),
    ("godwit/image:1", {**IMAGE, "blockSize": "65537"}, "", "blockSize"),
    ("godwit/image:1", {**IMAGE, "verityRootHash": "ab"}, "", "verityHashOffset"),
    ("godwit/image:1", {**IMAGE, "verityRootHash": "ab", "verityHashOffset": "4097"}, "", "verityHashOffset"),
    ("godwit/image:1", {**IMAGE, "verityRootHash": "ab", "verityHashOffset": "1048576"}, "", "verityHashOffset"),
    ("godwit/image:1", {**IMAGE, "verityRootHash": "ab", "verityHashOffset": "524288"}, "", None),
    ("godwit/image:1", {**IMAGE, "pairs": "kernel=a\ninitrd=b"}, "two files", None),
    ("godwit/image:1", {**IMAGE, "pairs": "kernel=c"}, "two files", "pairs"),
    ("godwit/image:1", {**IMAGE, "imageFile": "a", "pairs": "kernel=a"}, "two files", "pairs"),
    ("godwit/container:1", {"ports": "80"}, "", None),
    ("godwit/container:1", {"ports": "80", "network": "none"}, "", "ports"),
    ("godwit/container:1", {}, "two files", "image"),
    ("godwit/container:1", {"volumes": "a:/x\n/srv/b:/x:ro"}, "", "volumes"),
])
def test_what_two_fields_break_together_is_told_at_one_of_them(browser_parts, handler, values, more, place):
    files = ["a", "b"] if more == "two files" else ["a"]
    broken = of_handlers(f"""HANDLERS.find((one) => one.id === {json.dumps(handler)})
        .rule((name) => ({json.dumps(values)})[name] ?? "", {json.dumps(files)}, {json.dumps(more == "delta")})""")
    assert (broken and broken[0]) == place, broken


def test_lists_are_read_a_line_at_a_time(browser_parts):
    def read(name: str, *lines: str) -> list:
        return of_handlers(f"""{json.dumps(lines)}.map((line) => HANDLERS.find((one) => one.id === "godwit/container:1").properties
            .find((one) => one.name === {json.dumps(name)}).element(line) ?? null)""")

    assert read("ports", "80", "80:8080", "53:53/udp", "127.0.0.1:80:8080", "[::1]:80:8080/tcp") == [
        {"host": 80}, {"host": 80, "container": 8080}, {"host": 53, "container": 53, "protocol": "udp"}, {"host": 80, "container": 8080, "address": "127.0.0.1"},
        {"host": 80, "container": 8080, "address": "::1"}]
    assert read("ports", "0", "65536:1", "80:0", "eighty", "80/icmp", "1.2.3:80:80", "80:80:80") == [None] * 7
    assert read("volumes", "web-data:/data", "/srv/web:/data:ro") == [{"source": "web-data", "target": "/data"}, {"source": "/srv/web", "target": "/data", "readOnly": True}]
    assert read("volumes", "web-data", "web-data:data", "/proc/1:/x", "/sys:/x", "/srv/../etc:/x", "a:/x:rx", "a:/x/", "A:/x", "/srv/a,b:/x") == [None] * 9
    assert read("environment", "A=", "GREETING=a = b", "9A=1", "A B=1", "A") == [["A", ""], ["GREETING", "a = b"], None, None, None]
    assert read("devices", "/dev/ttyUSB0", "/dev", "ttyUSB0", "/etc/passwd") == ["/dev/ttyUSB0", None, None, None]


def test_the_page_has_a_policy_without_exceptions(scene):
    status, headers, body = scene.rest("GET", "/console/devices/any.thing", token="")
    assert status == 200 and b"<script type=\"module\"" in body
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';") and "unsafe" not in policy, policy
    assert b"style=" not in body and b"onload=" not in body
    _, headers, _ = scene.rest("GET", "/console", headers={"Accept-Encoding": "gzip"}, token="")
    assert headers["Content-Encoding"] == "gzip"


def test_a_service_without_devices_teaches_the_next_step(browser):
    browser.run("empty")


@pytest.mark.parametrize("look", ["light", "dark", "narrow"])
def test_every_page_is_whole_and_accessible(stage, browser, look):
    browser.run(look)


def test_the_overview_tells_the_state_of_the_fleet(stage, browser):
    browser.run("overview")


def test_devices_are_searched_and_filtered(stage, browser):
    browser.run("devices")


def test_it_works_by_keyboard_alone(stage, browser):
    browser.run("keyboard")


def test_an_update_is_imported_through_a_cut_line_and_deployed(stage, browser):
    files = {"install.sh": b"#!/bin/sh\n# 6.0.0\n", "rootfs.img": os.urandom(1 << 20) * 20 + b"odd end"}
    update = {"manifest": json.dumps(manifest_of("KioskImage", "6.0.0", files, "Kiosk")), "files": {name: base64.b64encode(data).decode() for name, data in files.items()}}
    browser.run("importAndDeploy", update_file=str(write(browser.folder / "update.json", update)))


def write(path: Path, body: dict) -> Path:
    path.write_text(json.dumps(body))
    return path


def test_an_update_is_made_with_the_form(stage, browser):
    """Before the next one cancels the deployment that stands against a delete."""
    browser.run("compose")


def test_failed_devices_are_retried_and_a_deployment_is_cancelled(stage, browser):
    for device in ("sensor-003", "sensor-009", "sensor-012"):
        stage.devices[device].outcome = "succeed"
    browser.run("retryAndCancel")
    wait_until("the devices hear of the cancel", lambda: all(stage.devices[f"gateway-{n:03}"].actions[-1][0] == 255 for n in (2, 5, 7, 8)), 30)


def test_tokens_are_made_and_revoked_and_a_reader_is_told_what_it_may_not(stage, browser):
    browser.run("access")


def test_an_update_tells_who_signed_it_and_what_its_deltas_save(stage, browser, scene):
    stage.add("meter-000", "Meter", "cellar")
    stage.wait_listed()
    image = bytearray(random.Random(5).randbytes(3 << 20))
    as_delta = {"downloadHandler": {"id": "microsoft/delta:1"}}

    def bring(version: str) -> None:
        files = {"install.sh": f"#!/bin/sh\n# MeterOS {version}\n".encode(), "rootfs.img": bytes(image) + version.encode()}
        manifest = manifest_of("MeterOS", version, files, "Meter")
        stage.import_update("MeterOS", version, "Meter", bytes(image), files=[one if one["filename"] == "install.sh" else {**one, **as_delta} for one in manifest["files"]])

    bring("1.0.0")
    stage.deploy("meter-1-0", "cellar", "MeterOS", "1.0.0")
    stage.wait_status("meter-1-0", "cellar", devicesCompletedSucceededCount=1)
    image[2_000_000:2_000_400] = b"something new" * 31
    bring("1.1.0")
    files = f"{DATA_PLANE}/updates/providers/Contoso/names/MeterOS/versions/1.1.0/files"
    shown = [stage.call("GET", f"{files}/{one}?{API}") for one in stage.call("GET", f"{files}?{API}")["value"]]
    [(whole, [delta])] = [(one["sizeInBytes"], one["relatedFiles"]) for one in shown if one["fileName"] == "rootfs.img"]
    assert 0 < delta["sizeInBytes"] < whole // 10
    key = subprocess.run(["openssl", "rsa", "-in", scene.service.data / "keys" / "signing.pem", "-RSAPublicKey_out", "-outform", "DER"], capture_output=True, check=True).stdout
    fingerprint = base64.urlsafe_b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    browser.run("facts", delta=delta["sizeInBytes"], whole=whole, fingerprint=fingerprint)


def test_a_device_tells_what_each_of_its_parts_has(stage, browser):
    device = stage.add("robot-000", "Robot", "hall")
    stage.wait_listed()
    for name, version in (("Motor", "2.0.0"), ("Motor", "2.1.0"), ("Camera", "7.1.0")):
        stage.import_update(name, version, "", isDeployable=False, compatibility=[{"group": name.lower()}])

    def bring(version: str, motor: str, told: list[str], outcome: str = "succeed") -> None:
        device.step_details[version], device.outcome = told, outcome
        steps = [{"type": "reference", "updateId": {"provider": "Contoso", "name": name, "version": one}} for name, one in (("Motor", motor), ("Camera", "7.1.0"))]
        stage.import_update("RobotOS", version, "Robot", instructions={"steps": steps}, files=None)
        stage.deploy(f"robot-{motor}", "hall", "RobotOS", version)
        stage.wait_status(f"robot-{motor}", "hall", **{f"devicesCompleted{'Failed' if outcome == 'fail' else 'Succeeded'}Count": 1})

    bring("1.0.0", "2.0.0", ["the left wheel (m-1): done; the right wheel (m-2): done", "eye: installed; and calibrated"])
    # One part failed: the other one has the newer motor, and what was said of the camera before still holds.
    bring("1.1.0", "2.1.0", ["the left wheel (m-1): done; the right wheel (m-2): step 1.1 (microsoft/script:1) install: the coil is warm", "not begun"], "fail")
    browser.run("parts")


def test_logs_are_collected_and_read(stage, browser):
    stage.devices["gateway-003"].log = {"app/service.log": log_of(5000), "app/old.log.gz": gzip.compress(b"first words of a zipped log\n"),
                                        "app/core.dump": bytes(range(256)) * 8, "app/long.log": b"2026-11-26 info a line like any other\n" * 340_000}
    browser.run("logs")


def log_of(lines: int) -> bytes:
    """Each hundredth line is an error, and the one after it belongs to it."""
    def line(number: int) -> str:
        if number % 100 == 98:
            return f"2026-11-26T05:00:00Z error pump.failed pressure=0 line {number}"
        return f"    at the valve, line {number}" if number % 100 == 99 else f"2026-11-26T05:00:00Z info pump.ran line {number}"

    return "".join(line(number) + "\n" for number in range(lines)).encode()


def test_a_page_asks_when_the_service_tells_of_a_change(stage, browser):
    browser.run("told")


def test_a_slow_line_and_a_lost_one_are_borne(stage, browser):
    browser.run("slow")


# The devices of the stage do not come back after it: what needs them stands above.
def test_a_restart_of_the_service_is_borne(stage, browser, scene):
    scene.service.pin_ports()
    child = browser.start("restart")
    try:
        for line in child.stdout:
            said = json.loads(line)
            if said.get("ask") == "stop":
                scene.service.stop()
            if said.get("ask") == "start":
                scene.service.start()
        child.wait(60)
        assert child.returncode == 0, child.stderr.read()
        assert said == {"flow": "restart", "passed": True}
    finally:
        child.kill()
        if not scene.service.process.running():
            scene.service.start()


def test_many_devices_come_in_pages(stage, browser, scene):
    ids = [f"many-{number:04}" for number in range(230)]
    register(scene, ids, {device: "crowd" for device in ids})
    announce(scene, ids, {"manufacturer": "Contoso", "model": "Crowd"})
    browser.run("paging")


def test_twenty_thousand_devices_are_listed_paged_searched_and_filtered(stage, browser, scene):
    crowd = Crowd(scene, "meter", 20_000, "Meter", ["north", "south", "east", "west"])
    try:
        crowd.come()
        browser.run("crowd", count=len(crowd.ids))
    finally:
        crowd.end()
