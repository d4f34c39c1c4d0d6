"""The systemd units: systemd's own tools judge them, and the programs say what a manager waits for."""
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from stack import wait_until

UNITS = Path(__file__).resolve().parents[2] / "packaging" / "systemd"
NAMES = sorted(p.name for p in UNITS.iterdir())


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The units with programs of ours at the places that they name."""
    root = tmp_path_factory.mktemp("units")
    for unit in UNITS.iterdir():
        text = re.sub(r"/usr/(bin/godwit[a-z-]*|libexec/godwit/[a-z-]*)", "/bin/true", unit.read_text())
        (root / unit.name).write_text(text)
    return root


def test_the_units_hold_nothing_that_systemd_does_not_know(installed):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *[installed / name for name in NAMES]], capture_output=True, text=True)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "godwit" in line]
    assert done.returncode == 0 and not ours, done.stdout + done.stderr


@pytest.mark.parametrize("unit, worst", [("godwit-agent.service", 2.0), ("godwitd.service", 2.5)])
def test_the_sandboxes_are_tight(installed, unit, worst):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", installed / unit], capture_output=True, text=True)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found.group(1)) <= worst, done.stdout


def test_the_way_to_a_tpm_opens_nothing_else(installed):
    """The drop-in for a key in hardware, beside the unit as systemd finds it."""
    folder = installed / "godwit-agent.service.d"
    folder.mkdir()
    try:
        shutil.copy(UNITS.parent / "drop-ins" / "tpm.conf", folder)
        verified = subprocess.run(["systemd-analyze", "verify", "--man=no", installed / "godwit-agent.service"], capture_output=True, text=True)
        assert verified.returncode == 0 and "tpm.conf" not in verified.stdout + verified.stderr, verified.stdout + verified.stderr
        judged = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--json=short", installed / "godwit-agent.service"], capture_output=True, text=True)
        found = {entry["name"]: entry for entry in json.loads(judged.stdout)}
    finally:
        shutil.rmtree(folder)
    assert not found["PrivateDevices="]["set"], "the drop-in was read"
    assert "/dev/tpmrm0:rw" in found["DeviceAllow="]["description"], found["DeviceAllow="]
    assert all(found[name]["set"] for name in ("NoNewPrivileges=", "ProtectHome=", "PrivateTmp=", "MemoryDenyWriteExecute=")), judged.stdout


class Manager:
    """What listens at NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.1)
        self.heard = []

    def hears(self, word, seconds=20):
        def heard():
            try:
                while True:
                    self.heard.append(self.socket.recv(4096).decode())
            except TimeoutError:
                pass
            return word in self.heard

        wait_until(f"the manager hears {word} (heard: {self.heard})", heard, seconds)


def test_the_agent_is_ready_alive_and_says_when_it_ends(scene, tmp_path):
    manager = Manager(tmp_path)
    device = scene.device(start=False)
    device.agent.env = {**(device.agent.env or {}), "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "2000000"}
    device.start()
    manager.hears("READY=1")
    scene.wait_listed(device)
    before = len([w for w in manager.heard if w == "WATCHDOG=1"])
    time.sleep(2.5)
    manager.hears("WATCHDOG=1")
    assert len([w for w in manager.heard if w == "WATCHDOG=1"]) >= before + 2
    assert any(w.startswith("STATUS=") for w in manager.heard)
    device.agent.stop()
    manager.hears("STOPPING=1")


def test_the_service_is_ready_alive_and_says_when_it_ends(binaries, tmp_path):
    from stack import Service

    manager = Manager(tmp_path)
    service = Service(tmp_path / "service", binaries, env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "1000000"})
    service.init()
    service.start()
    try:
        manager.hears("READY=1")
        manager.hears("WATCHDOG=1")
        manager.hears("STATUS=serving")
    finally:
        service.stop()
    manager.hears("STOPPING=1")


def test_the_installer_takes_the_socket_of_its_unit(scene, tmp_path):
    """As systemd hands it over: descriptor 3, LISTEN_FDS, LISTEN_PID; and it ends by itself when it has nothing to do."""
    device = scene.device(start=False)
    config = device.folder / "installer.toml"
    config.write_text(config.read_text() + '\n[limits]\nidle_exit = "1s"\n')
    path = device.folder / "run" / "installer.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(8)

    def hand_over():
        os.dup2(listener.fileno(), 3)
        os.environ["LISTEN_PID"] = str(os.getpid())

    def start():
        return subprocess.Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", scene.service.binaries / "godwit-installer", "run", "--config", config],
                                preexec_fn=hand_over, close_fds=False, stderr=(tmp_path / "installer.log").open("ab"), env={**os.environ, **(device.env or {})})

    installer = start()
    assert installer.wait(timeout=20) == 0, "idle: it ends"
    installer = start()
    device.agent.start()
    scene.wait_listed(device)
    scene.import_update(scene.make_update(device, "1.0"))
    deployment = scene.deploy(device, "1.0")

    def again():  # what systemd does while somebody waits at the socket
        nonlocal installer
        if installer.poll() is not None:
            assert installer.returncode == 0
            installer = start()
        return scene.state(device, deployment).get("deviceState") == "Succeeded"

    wait_until("the update is done through the handed socket", again, 60)
    installer.wait(timeout=20)
    assert shutil.which("systemd-analyze")
