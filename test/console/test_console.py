"""The web console in a real browser over a real service: every page and flow, both themes, a narrow screen, a restart in the middle."""
import base64
import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest

from crowd import Crowd
from hub_device import announce, register
from scene import Scene
from stack import wait_until
from stage import Stage, manifest_of

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
