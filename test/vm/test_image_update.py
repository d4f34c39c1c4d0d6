"""Whole images on the reference device: a virtual machine with U-Boot, Debian's kernel, and the real agent built for arm64, updated by the
real service. One cycle from A to B runs always; with --vm (as .ci/run asks) the rest of the table as well: each bad image, each power cut.
"""
import json
import os
import random
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "images"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import block_log  # noqa: E402
import build  # noqa: E402
from reference import END_STATES, HOSTS, ReferenceDevice, import_image  # noqa: E402
from stack import Service, wait_until  # noqa: E402
from scene import SANITIZER_ENV  # noqa: E402

pytestmark = pytest.mark.skipif(not (ROOT / "build" / "arm64" / "bin" / "godwit-slots").exists(), reason="no arm64 build; make one with ./dev build arm64")
table = pytest.mark.vm
SECTOR = 512


class Lab:
    """One service for all machines; sides are built and imported once."""

    def __init__(self, folder: Path, binaries: Path):
        self.folder = folder
        self.service = Service(folder, binaries, env=SANITIZER_ENV)
        self.service.init(hosts=HOSTS)
        self.service.start()
        self.first = build.make_side(folder / "first.ext4", "1.0")
        self.imported, self.devices = {}, []

    def update(self, version: str, fault: str | None = None) -> None:
        if version not in self.imported:
            self.imported[version] = import_image(self.service, self.folder / "updates", version, fault)

    def device(self, start: bool = True) -> ReferenceDevice:
        number = len(self.devices) + 1
        device = ReferenceDevice(self.service, f"vm-{number}", self.folder / f"vm-{number}", f"vm-group-{number}")
        device.set_up(self.first)
        self.devices.append(device)
        if start:
            self.power_on(device)
        return device

    def power_on(self, device: ReferenceDevice) -> None:
        """The first start: until the service knows the device with its class."""
        device.machine.start()
        device.machine.wait_for("side A runs version 1.0")
        device.wait_known()

    def end(self) -> None:
        for device in self.devices:
            device.machine.kill()
        self.service.stop()


@pytest.fixture(scope="module")
def lab(binaries, tmp_path_factory):
    made = Lab(tmp_path_factory.mktemp("lab"), binaries)
    yield made
    made.end()


@pytest.fixture
def device(lab):
    made = lab.device()
    yield made
    made.machine.kill()
    made.machine.disk.unlink()


def ended(device: ReferenceDevice, deployment: str, timeout: float = 420) -> dict:
    def state():
        now = device.state(deployment)
        return now if now.get("deviceState") in END_STATES else None

    try:
        return wait_until(f"{deployment} ends", state, timeout)
    except Exception:
        print("\n".join(device.machine.lines[-60:]))
        raise


def installed(device: ReferenceDevice) -> str:
    return device.known().get("installedUpdate", {}).get("updateId", {}).get("version", "")


def succeeds(lab: Lab, device: ReferenceDevice, version: str, side: str) -> None:
    """The device takes this good version onto that side, and everybody says so."""
    lab.update(version)
    state = ended(device, device.deploy(version))
    assert state["deviceState"] == "Succeeded", json.dumps(state)
    device.machine.wait_for(f"side {side} runs version {version}", timeout=1)
    wait_until(f"{version} is what the service lists", lambda: installed(device) == version, 30)


def test_a_device_goes_from_a_to_b_and_reports_it(lab, device):
    succeeds(lab, device, "2.0", "B")


# ---- bad images: the device comes back by itself, and the service says why ---------------------------------------------

BAD = {  # fault: (words that the report must hold, where the boot loader or the device must have said it)
    "garbage": ("1 of 3 attempts used", "boot: side B cannot be loaded"),
    "noinit": ("Kernel panic", "Kernel panic"),
    "panic": ("Kernel panic", "Kernel panic"),
    "hang": ("3 of 3 attempts used", "boot: side=B"),
    "unhealthy": ("the oven stays cold", "is-healthy"),
    "crash": ("its guard restarted the device", "guard.gives_up"),
    "offline": ("health", "act.ended"),
}


@table
@pytest.mark.parametrize("fault", BAD)
def test_a_bad_image_falls_back_and_the_report_says_why(lab, device, fault):
    version = f"3.{1 + list(BAD).index(fault)}"
    lab.update(version, fault)
    state = ended(device, device.deploy(version), timeout=700)
    assert state["deviceState"] == "Failed", json.dumps(state)
    words, seen = BAD[fault]
    assert words in json.dumps(state), json.dumps(state)
    assert device.machine.count(seen) > 0
    assert device.machine.count(f"side A runs version {version}") == 0
    assert installed(device) != version
    succeeds(lab, device, "2.0", "B")  # and the next good one goes through


# ---- power cuts ---------------------------------------------------------------------------------------------------------

def cut_and_return(device: ReferenceDevice) -> None:
    device.machine.kill()
    device.machine.start()


CUTS = {  # moment: what the console says just before it, and seconds more
    "while it writes": ("verb=install", 1.0),
    "after the switch": ("verb=install result=605", 0.0),
    "in the trial's boot": ("boot: side=B", 0.5),
    "while it confirms": ("verb=apply", 0.05),
}


@table
@pytest.mark.parametrize("moment", CUTS)
def test_a_power_cut_delays_an_update_and_nothing_else(lab, device, moment):
    words, more = CUTS[moment]
    lab.update("2.0")
    deployment = device.deploy("2.0")
    device.machine.wait_for(words)
    time.sleep(more)
    cut_and_return(device)
    state = ended(device, deployment)
    assert state["deviceState"] == "Succeeded", json.dumps(state)
    wait_until("2.0 is what the service lists", lambda: installed(device) == "2.0", 30)


@table
def test_random_power_cuts_leave_a_whole_version_that_the_service_names(lab, device):
    """GODWIT_VM_CUTS cuts (6), GODWIT_VM_SEED chooses the moments; the printed line says where the device was."""
    cuts, dice = int(os.environ.get("GODWIT_VM_CUTS", "6")), random.Random(int(os.environ.get("GODWIT_VM_SEED", "7")))
    versions = ["2.0", "4.0"]
    for version in versions:
        lab.update(version)
    for number in range(cuts):
        version = versions[number % 2]
        deployment = device.deploy(version, f"{device.id}-cut-{number}")
        after = dice.uniform(0.5, 22)
        time.sleep(after)
        print(f"cut {number}: {after:.1f} s after deploying {version}; last words: {device.machine.lines[-1][:120]}")
        cut_and_return(device)
        state = ended(device, deployment)
        assert state["deviceState"] == "Succeeded", json.dumps(state)
        wait_until(f"{version} is what the service lists", lambda: installed(device) == version, 30)
        assert [line for line in device.machine.lines if "runs version" in line][-1].split("version ")[1].startswith(version)


# ---- every prefix of what was written -----------------------------------------------------------------------------------

def boot_state(disk, copy: int) -> dict | None:
    """What the boot script reads from this copy; None when its check sum does not hold."""
    disk.seek(build.BOOT_START * build.MIB + copy * build.STATE_BYTES)
    raw = disk.read(build.STATE_BYTES)
    if zlib.crc32(raw[4:]) != struct.unpack("<I", raw[:4])[0]:
        return None
    return dict(word.decode().split("=", 1) for word in raw[4:].split(b"\0") if word)


def data_partition_is_whole(disk: Path, work: Path) -> None:
    """After its journal was replayed the file system has no fault, and what the device recorded can be read."""
    data = work / "data.ext4"
    subprocess.run(["dd", f"if={disk}", f"of={data}", "bs=1M", f"skip={build.DATA_START}", f"count={build.DATA_MIB}", "conv=sparse", "status=none"], check=True)
    subprocess.run(["e2fsck", "-p", "-E", "journal_only", data], capture_output=True, check=False)
    checked = subprocess.run(["e2fsck", "-f", "-n", data], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    told = subprocess.run(["debugfs", "-R", "cat /godwit/slots/contents.json", data], capture_output=True, text=True, check=True).stdout
    if told:
        json.loads(told)


@table
def test_each_prefix_of_an_updates_writes_boots_a_whole_side(lab, tmp_path):
    lab.update("2.0")
    device = lab.device(start=False)
    machine, log, replayed = device.machine, tmp_path / "writes.log", tmp_path / "replayed.img"
    subprocess.run(["cp", "--sparse=always", machine.disk, replayed], check=True)
    machine.block = block_log.recording(machine.disk, log)
    lab.power_on(device)
    assert ended(device, device.deploy("2.0"))["deviceState"] == "Succeeded"
    time.sleep(2)
    machine.kill()

    image = (lab.imported["2.0"]).read_bytes()
    side_a, side_b = (range(build.SIDE_START[s] * build.MIB, (build.SIDE_START[s] + build.SIDE_MIB) * build.MIB) for s in "AB")
    states_place = range(build.BOOT_START * build.MIB, build.BOOT_START * build.MIB + 2 * build.STATE_BYTES)
    states, writes, flushes, cuts, checked, b_flushed = [], 0, 0, 0, 0, True
    with open(replayed, "r+b", buffering=0) as disk:
        for entry in block_log.entries(log):
            if entry.is_flush:
                flushes += 1
                b_flushed = True
                if flushes % 8 == 0:
                    data_partition_is_whole(replayed, tmp_path)
                    checked += 1
            if not entry.data:
                continue
            writes += 1
            assert entry.offset not in side_a, "the running side is never written"
            if entry.offset in side_b:
                assert all("B" not in (s.get("try"), s.get("good")) for s in states[-1:]), "a side that may be booted is never written"
                b_flushed = False
            torn = SECTOR if entry.offset in states_place else len(entry.data)
            for begin in range(0, len(entry.data), torn):
                disk.seek(entry.offset + begin)
                disk.write(entry.data[begin:begin + torn])
                cuts += 1
                state = boot_state(disk, 0) or boot_state(disk, 1)
                assert state, f"no whole copy of the boot state after write {writes}"
                if states[-1:] != [state]:
                    if "B" in (state.get("try"), state.get("good")) and not any("B" in (s.get("try"), s.get("good")) for s in states):
                        assert b_flushed, "side B is tried before its bytes are on the medium"
                        disk.seek(side_b.start)
                        assert disk.read(len(image)) == image, "side B is tried before it is whole"
                    states.append(state)
    print(f"{writes} writes, {flushes} flushes: {cuts} cut points, the data partition checked at {checked}; boot states: {states}")
    assert cuts > 100 and checked > 3
    assert [(s["good"], s.get("try"), s.get("left")) for s in states] == [("A", None, None), ("A", "B", "3"), ("A", "B", "2"), ("B", None, None)]
