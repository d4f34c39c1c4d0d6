#!/usr/bin/env python3
"""The newcomer's story: a service, a device, three updates of a small application, one of which fails on purpose.

Everything is real: godwitd, an agent with its installer, TLS, signatures, a 20 MB payload. `./dev demo` calls this after
building; see --help. Exit code 0 means that all went as expected.
"""
from __future__ import annotations

import argparse
import datetime
import fcntl
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools" / "dev"))
from stack import Device, Service, StackError, binaries_folder, wait_until  # noqa: E402

GROUP, DEVICE = "kitchen", "toaster-1"
PAYLOAD_BYTES = 20 * 1024 * 1024
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class Unexpected(Exception):
    """The demo did not go as expected; the text says what was seen."""


def paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def title(text: str) -> None:
    print(f"\n{paint('1', text)}", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def good(text: str) -> None:
    say(f"{paint('32', 'ok')}  {text}")


# ---- the application --------------------------------------------------------------------------------------------------

def program(version: str) -> str:
    """kitchen itself: checks its data and says what it is. Release 1.1.0 has a bug that its self-test finds."""
    bug = 'echo "the thermostat of the oven reads -40 degrees" >&2; exit 1' if version == "1.1.0" else "exit 0"
    return f"""#!/bin/sh
# kitchen {version}
here=$(cd "$(dirname "$0")/.." && pwd)
case "${{1:-}}" in
  --self-test) {bug} ;;
  *) echo "kitchen {version}, $(wc -c < "$here/share/recipes.dat") bytes of recipes" ;;
esac
"""


def make_release(version: str, folder: Path) -> Path:
    """A tar with program, 20 MB of recipes and checksums: the same bytes on every machine."""
    files = {"VERSION": version.encode() + b"\n", "bin/kitchen": program(version).encode(),
             "share/recipes.dat": random.Random(version).randbytes(PAYLOAD_BYTES)}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    files["SHA256SUMS"] = sums.encode()
    path = folder / f"kitchen-{version}.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(entry, io.BytesIO(data))
    return path


class Demo:
    def __init__(self, folder: Path):
        self.folder = folder
        self.app = folder / "device" / "app"
        self.service = Service(folder, binaries_folder("release"))
        self.device = Device(self.service, DEVICE, folder / "device", group=GROUP)

    # ---- acts ---------------------------------------------------------------------------------------------------------

    def start_service(self) -> None:
        title("1. The service: data folder, certificates, signing keys")
        self.service.init()
        self.service.start()
        for what, where in (("CA and server certificate", "tls/"), ("root keys, signing key", "keys/"), ("trust anchors for devices", "trust-anchors.json")):
            say(f"{what:28} {self.service.data / where}")
        (self.folder / "env.sh").write_text(
            "".join(f"export {name}='{value}'\n" for name, value in self.service.env().items()) + f"export PATH='{self.service.binaries}':\"$PATH\"\n")
        good(f"godwitd serves {self.service.url} (REST) and port {self.service.ports['hub']} (MQTT over TLS)")

    def start_device(self) -> None:
        title(f"2. The device '{DEVICE}': registered, agent and installer started")
        self.app.mkdir(parents=True)
        self.device.set_up()
        self.device.start()

        def listed():
            self.device.agent.check_alive()
            self.device.installer.check_alive()
            return any(d.get("deviceId") == DEVICE and d.get("groupId") == GROUP for d in self.service.json("device", "list"))

        wait_until("the device reports itself", listed, 30)
        good(f"{DEVICE} is in group '{GROUP}', manufacturer Contoso, model Toaster")

    def import_update(self, version: str) -> None:
        staging = self.folder / "updates" / version
        staging.mkdir(parents=True)
        make_release(version, staging)
        for script in ("install.sh", "configure.sh"):
            shutil.copy(HERE / "app" / script, staging)
        properties = {"apiVersion": "1.1", "arguments": f"--root {self.app}", "installedCriteria": version}
        self.service.cli("update", "init", "v5", "--update-provider", "Contoso", "--update-name", "Toaster", "--update-version", version,
                         "--description", f"kitchen {version}", "--compat", "manufacturer=Contoso", "model=Toaster", "--folder", staging,
                         "--step", "handler=microsoft/script:1", "description=release", "properties=" + json.dumps({**properties, "scriptFileName": "install.sh"}),
                         "--file", f"path={staging / 'install.sh'}", "--file", f"path={staging / f'kitchen-{version}.tar'}",
                         "--step", "handler=microsoft/script:1", "description=configuration", "properties=" + json.dumps({**properties, "scriptFileName": "configure.sh"}),
                         "--file", f"path={staging / 'configure.sh'}")
        self.show("update", "import", "--manifest", staging / f"contoso.toaster.{version}.importmanifest.json")

    def show(self, *words) -> int:
        """Runs the CLI with its output on our terminal, the command line shown first."""
        say(paint("2", "$ godwit " + " ".join(str(w) if " " not in str(w) else f"'{w}'" for w in words)))
        return subprocess.run([self.service.binaries / "godwit", *map(str, words)], env={**os.environ, **self.service.env()}, check=False).returncode

    def deploy(self, version: str, wanted_code: int) -> None:
        deployment = "kitchen-" + version.replace(".", "-")
        begun = time.monotonic()
        if self.show("device", "deployment", "create", "--group-id", GROUP, "--deployment-id", deployment, "--update-provider", "Contoso",
                     "--update-name", "Toaster", "--update-version", version) != 0:
            raise Unexpected(f"deployment {deployment} could not be made")
        code = self.show("device", "deployment", "show", "--group-id", GROUP, "--deployment-id", deployment, "--wait", "--timeout", "180")
        if code != wanted_code:
            raise Unexpected(f"deployment {deployment} ended with exit code {code}, expected {wanted_code}")
        say(f"phases: {self.device_told()}")
        say(f"took {time.monotonic() - begun:.1f} s")

    def device_told(self) -> str:
        """What the device did in its newest workflow and how long each part took, from its own log."""
        moves = []
        for line in self.device.agent.log.read_text(errors="replace").splitlines():
            words = dict(re.findall(r"(workflow|from|to|step)=(\S+)", line))
            if " workflow.moved " in line and len(words) == 4:
                moves.append((datetime.datetime.fromisoformat(line.split()[0]), words))
        moves = [move for move in moves if move[1]["workflow"] == moves[-1][1]["workflow"]]
        parts: dict[str, float] = {}
        for (begun, words), (ended, _) in zip(moves, moves[1:]):
            name = words["to"] if words["to"] in ("verifying", "downloading") else f"step {int(words['step']) + 1}"
            parts[name] = parts.get(name, 0) + (ended - begun).total_seconds()
        return ", ".join(f"{name} ({seconds:.2f} s)" for name, seconds in parts.items()) + f": {moves[-1][1]['to']}"

    def see_files(self, version: str) -> None:
        told = subprocess.run([self.app / "current" / "bin" / "kitchen"], capture_output=True, text=True, check=False).stdout.strip()
        if f"kitchen {version}," not in told:
            raise Unexpected(f"the device should run kitchen {version}, but it says: {told or 'nothing'}")
        installed = self.device.known().get("installedUpdate", {}).get("updateId", {}).get("version")
        if installed != version:
            raise Unexpected(f"the service should say {version}, it says {installed}")
        say(f"{self.app / 'current'} -> {os.readlink(self.app / 'current')}")
        say(f"kitchen.conf: {(self.app / 'kitchen.conf').read_text().splitlines()[0]}")
        good(f"on the device: {told}")

    # ---- the story ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        self.start_service()
        self.start_device()
        title("3. Update 1.0.0: two steps, 20 MB")
        self.import_update("1.0.0")
        self.deploy("1.0.0", 0)
        self.see_files("1.0.0")
        title("4. Update 1.1.0: its self-test fails on purpose")
        self.import_update("1.1.0")
        self.deploy("1.1.0", 3)
        state = self.service.json("device", "deployment", "list-devices", "--group-id", GROUP, "--deployment-id", "kitchen-1-1-0")[0]
        told = json.dumps(state)
        if state["deviceState"] != "Failed" or "thermostat" not in told:
            raise Unexpected(f"the failure should name its cause, it says: {told}")
        self.see_files("1.0.0")
        title("5. Update 1.2.0: repaired")
        self.import_update("1.2.0")
        self.deploy("1.2.0", 0)
        self.see_files("1.2.0")
        history = (self.app / "history.log").read_text().splitlines()
        if history != ["installed 1.0.0", "switched to 1.0.0", "installed 1.2.0", "switched to 1.2.0"]:
            raise Unexpected(f"each release should be installed once: {history}")
        title("Compliance")
        self.show("device", "compliance", "show")

    def closing_words(self, keep: bool) -> None:
        title("Where to look")
        for what, where in (("service log", self.service.process.log), ("agent log", self.device.agent.log), ("installer log", self.device.installer.log),
                            ("service data", self.service.data), ("REST", f"{self.service.url}/deviceUpdate/default/... (token in {self.service.token_file})")):
            say(f"{what:14} {where}")
        title("Try next" if keep else "Try next (./dev demo --keep leaves everything running)")
        for line in (f". {self.folder / 'env.sh'}", "godwit update list", f"godwit device show -d {DEVICE}",
                     f"godwit device deployment list-devices --group-id {GROUP} --deployment-id kitchen-1-1-0",
                     f"godwit hub device-twin show -d {DEVICE}", "godwit explain 32000004", "godwit --help"):
            say(line)

    def end(self) -> None:
        self.device.stop()
        self.service.stop()


def demo_folder() -> Path:
    folder = HERE.parent / "build" / "demo"
    # Script arguments are split at spaces, as the script handler's contract says; such a checkout runs its demo elsewhere.
    return Path(tempfile.gettempdir()) / f"godwit-demo-{os.getuid()}" if " " in str(folder) else folder


def is_ours(pid: int, name: str) -> bool:
    """Whether the process still runs and is what we started: numbers are given again."""
    try:
        return name in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False


def stop_kept(folder: Path) -> bool:
    """Ends what --keep left running and waits until it is gone; False when there was nothing."""
    record = folder / "running.json"
    if not record.exists():
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = [(pid, name) for pid, name in json.loads(record.read_text()) if is_ours(pid, name)]
        for pid, _ in left:
            os.kill(pid, number)
        deadline = time.monotonic() + 15
        while any(is_ours(*one) for one in left) and time.monotonic() < deadline:
            time.sleep(0.05)
    record.unlink()
    return True


def only_one(folder: Path):
    """Two demos would share a folder; the file returned is held open until this process ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    held = open(folder.with_suffix(".lock"), "w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another demo is running in {folder}; wait for it, or end it with Ctrl-C where it runs")
    return held


def heed_signals() -> None:
    """Each of them ends the story by an exception, so that what was started is ended, too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts us in the background has it ignored
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))


def ignore_signals() -> None:
    """Ending what was started must not be cut short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave service and device running at the end")
    parser.add_argument("--stop", action="store_true", help="end a demo that was left running")
    parser.add_argument("--folder", type=Path, default=demo_folder(), help="where it runs; what is there is removed (%(default)s)")
    wanted = parser.parse_args()
    folder = wanted.folder.resolve()
    _lock = only_one(folder)  # held until the end
    was_kept = stop_kept(folder)
    if wanted.stop:
        print("the demo was ended" if was_kept else "no demo is running")
        return 0
    if was_kept:
        print("ended the demo that was left running")
    demo = Demo(folder)
    heed_signals()
    code, begun, is_cut = 1, time.monotonic(), True
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        demo.run()
        demo.closing_words(wanted.keep)
        code, is_cut = 0, False
        print(f"\n{paint('32', 'All went as expected')} in {time.monotonic() - begun:.0f} s.")
    except KeyboardInterrupt:
        code = 130
    except (StackError, Unexpected) as problem:
        is_cut = False
        print(f"\n{paint('31', 'Not as expected')}: {problem}\nLogs: {folder}/*.log {folder}/device/*.log", file=sys.stderr)
    finally:
        ignore_signals()
        if wanted.keep and code == 0:
            parts = (demo.service.process, demo.device.installer, demo.device.agent)
            (folder / "running.json").write_text(json.dumps([[p.child.pid, p.name] for p in parts]))
            print("Left running; ./dev demo --stop ends it.")
        else:
            demo.end()
        if is_cut:
            shutil.rmtree(folder, ignore_errors=True)
            print(f"\ncut short: all that was started is ended, {folder} is removed", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
