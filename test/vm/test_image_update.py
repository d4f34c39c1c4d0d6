"""Whole images on the boards of images/: virtual machines with U-Boot, GRUB or systemd-boot, Debian's kernel, and the real agent, updated by the real
service. One cycle from A to B on the reference device and one under UEFI run always; with --vm the rest of the table as well: each bad image,
each power cut, and of these the rows that a boot loader can spoil on the other boards.
"""
import json
import os
import random
import re
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "images"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import block_log  # noqa: E402
import build  # noqa: E402
from boards import ARM64, BOARDS, BOOT_START, DATA_MIB, SIDE_MIB, UEFI, X86, Board  # noqa: E402
from reference import HOSTS, ReferenceDevice, import_image  # noqa: E402
from stack import Service, wait_until  # noqa: E402
from scene import SANITIZER_ENV  # noqa: E402

table = pytest.mark.vm
SECTOR = 512
KERNEL_WRITE = 64 * 1024
GOOD = ("2.0", "4.0")


def rows(all_rows, of_others: dict) -> list:
    """(board, row): all of them on the reference device, some on the other boards."""
    named = [(ARM64, row) for row in all_rows] + [(board, row) for board, chosen in of_others.items() for row in chosen]
    return [pytest.param(board, row, id=f"{board.name}-{row}".replace(" ", "-")) for board, row in named]


boards = pytest.mark.parametrize("board", [pytest.param(board, id=name) for name, board in BOARDS.items()])


class Lab:
    """One service for all machines; sides are built and imported once."""

    def __init__(self, folder: Path, binaries: Path):
        self.folder = folder
        self.service = Service(folder, binaries, env=SANITIZER_ENV)
        self.service.init(hosts=HOSTS)
        self.service.start()
        self.first, self.imported, self.devices, self.shared = {}, {}, [], {}

    def update(self, board: Board, version: str, fault: str | None = None, streamed: bool = False) -> None:
        if (board, version) not in self.imported:
            self.imported[board, version] = import_image(self.service, self.folder / "updates", version, fault, board, streamed)

    def device(self, board: Board, start: bool = True) -> ReferenceDevice:
        if why := board.missing():
            pytest.skip(why)
        if board not in self.first:
            self.first[board] = build.make_side(self.folder / f"first-{board.name}.ext4", "1.0", board=board)
        number = len(self.devices) + 1
        device = ReferenceDevice(self.service, f"vm-{number}", self.folder / f"vm-{number}", f"vm-group-{number}", board)
        device.set_up(self.first[board])
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
def device(lab, board):
    """A new reference device; of the second board, which boots slowly, one for all its rows: a row takes it as the one before left it."""
    if board is not ARM64:
        made = lab.shared.get(board)
        if made is None or not made.machine.running():
            made = lab.shared[board] = lab.device(board)
        yield made
        return
    made = lab.device(board)
    yield made
    made.machine.kill()
    made.machine.disk.unlink()


def running(device: ReferenceDevice) -> tuple[str, str]:
    """Side and version that came up last."""
    found = [re.search(r"device: side ([AB]) runs version ([0-9.]+)", line) for line in device.machine.lines]
    return [match.groups() for match in found if match][-1]


def kernels_of(device: ReferenceDevice) -> dict[str, bytes]:
    """What the medium has as kernel of each side, where these do not lie on the sides."""
    if device.board.has_kernel_on_side:
        return {}
    place = f"{device.machine.disk}@@{BOOT_START * build.MIB}"
    return {side: subprocess.run(["mtype", "-i", place, f"::/side-{side}/vmlinuz"], capture_output=True, check=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}).stdout
            for side in "AB"}


def another(device: ReferenceDevice) -> tuple[str, str]:
    """The side that is to be written, and a good version that does not run."""
    side, version = running(device)
    return "B" if side == "A" else "A", next(good for good in GOOD if good != version)


def succeeds(lab: Lab, device: ReferenceDevice, deployment: str = "") -> None:
    """The device takes another good version onto its other side, and everybody says so."""
    side, version = another(device)
    lab.update(device.board, version)
    state = device.wait_ended(deployment or device.deploy(version, f"{device.id}-{len(device.machine.lines)}"))
    assert state["deviceState"] == "Succeeded", json.dumps(state)
    assert running(device) == (side, version)
    wait_until(f"{version} is what the service lists", lambda: device.installed() == version, 30)


@pytest.mark.parametrize("board", [pytest.param(ARM64, id=ARM64.name), pytest.param(UEFI, id=UEFI.name, marks=table)])
def test_a_device_goes_from_a_to_b_and_reports_it(lab, device):
    before = kernels_of(device)
    succeeds(lab, device)
    assert running(device) == ("B", "2.0")
    if before:  # the update has brought its own, and the side that it came from has kept its own
        wanted = lab.imported[device.board, "2.0"].with_name("vmlinuz").read_bytes()
        assert before["A"] == before["B"] != wanted
        assert kernels_of(device) == {"A": before["A"], "B": wanted}


# ---- bad images: the device comes back by itself, and the service says why ---------------------------------------------

BAD = {  # fault: (words that the report must hold, where the boot loader or the device must have said it)
    "garbage": ("1 of 3 attempts used", "boot: side {side} cannot be loaded"),
    "noinit": ("Kernel panic", "Kernel panic"),
    "panic": ("Kernel panic", "Kernel panic"),
    "hang": ("3 of 3 attempts used", "boot: side={side}"),
    "unhealthy": ("the oven stays cold", "is-healthy"),
    "crash": ("its guard restarted the device", "guard.gives_up"),
    "offline": ("health", "act.ended"),
}


# systemd-boot has the kernel of a side on its own partition: it starts, and finds no side.
BAD_ELSEWHERE = {(UEFI, "garbage"): ("3 of 3 attempts used", "initrd: cannot mount")}


@table
@pytest.mark.parametrize(("board", "fault"), rows(BAD, {X86: ("garbage", "panic"), UEFI: ("garbage", "panic")}))
def test_a_bad_image_falls_back_and_the_report_says_why(lab, device, board, fault):
    before, side, version = running(device), another(device)[0], f"3.{1 + list(BAD).index(fault)}"
    lab.update(board, version, fault)
    state = device.wait_ended(device.deploy(version), timeout=700)
    assert state["deviceState"] == "Failed", json.dumps(state)
    words, seen = BAD_ELSEWHERE.get((board, fault), BAD[fault])
    assert words in json.dumps(state), json.dumps(state)
    assert device.machine.count(seen.format(side=side)) > 0
    assert running(device) == before
    assert device.installed() != version
    if board is ARM64:  # elsewhere the next row shows it
        succeeds(lab, device)  # and the next good one goes through


# ---- power cuts ---------------------------------------------------------------------------------------------------------

def cut_and_return(device: ReferenceDevice) -> None:
    device.machine.kill()
    device.machine.start()


CUTS = {  # moment: what the console says just before it, seconds more, and how often the new side is then started in all
    "while it writes": ("verb=install", 1.0, 1),
    "after the switch": ("verb=install result=605", 0.0, 1),
    "in the trial's boot": ("{start}", 0.5, 2),
    "while it confirms": ("verb=apply", 0.05, 2),
}


@table
@pytest.mark.parametrize(("board", "moment"), rows(CUTS, {X86: ("after the switch", "while it confirms"), UEFI: ("while it confirms",)}))
def test_a_power_cut_delays_an_update_and_nothing_else(lab, device, board, moment):
    words, more, starts = CUTS[moment]
    side, version = another(device)
    start = board.start_words.format(side=side)
    before = device.machine.count(start)
    lab.update(board, version)
    device.machine.skip()
    deployment = device.deploy(version, f"{device.id}-{moment}".replace(" ", "-"))
    device.machine.wait_for(words.format(start=start))
    time.sleep(more)
    cut_and_return(device)
    state = device.wait_ended(deployment)
    assert state["deviceState"] == "Succeeded", json.dumps(state)
    assert running(device) == (side, version)
    assert device.machine.count(start) == before + starts, "a start too many costs an attempt"
    wait_until(f"{version} is what the service lists", lambda: device.installed() == version, 30)


def lives_through(device: ReferenceDevice, moments: list[tuple[int, float]]) -> list[str]:
    """The device gets an update for each moment, and its power is cut then; a line for each says where it was."""
    said = []
    for number, after in moments:
        version = another(device)[1]
        deployment = device.deploy(version, f"{device.id}-cut-{number}")
        time.sleep(after)
        said.append(f"cut {number}: {after:.1f} s after deploying {version} to {device.id}; last words: {device.machine.lines[-1][:120]}")
        cut_and_return(device)
        state = device.wait_ended(deployment)
        assert state["deviceState"] == "Succeeded", json.dumps([*said, state])
        wait_until(f"{version} is what the service lists", lambda: device.installed() == version, 30)
        assert running(device)[1] == version, said
    device.machine.kill()
    return said


@table
def test_random_power_cuts_leave_a_whole_version_that_the_service_names(lab):
    """GODWIT_VM_CUTS cuts (20), dealt to GODWIT_VM_MACHINES devices at a time (2); GODWIT_VM_SEED chooses the moments."""
    cuts, machines, seed = (int(os.environ.get(f"GODWIT_VM_{name}", usual)) for name, usual in (("CUTS", "20"), ("MACHINES", "2"), ("SEED", "7")))
    dice = random.Random(seed)
    moments = [(number, dice.uniform(0.5, 22)) for number in range(cuts)]
    print(f"seed {seed}: " + " ".join(f"{after:.1f}" for _, after in moments))
    for version in GOOD:
        lab.update(ARM64, version)
    devices = [lab.device(ARM64) for _ in range(machines)]
    with ThreadPoolExecutor(machines) as pool:
        lives = [pool.submit(lives_through, device, moments[first::machines]) for first, device in enumerate(devices)]
        print("\n".join(sorted((line for life in lives for line in life.result()), key=lambda line: int(line[4:].split(":")[0]))))


@table
@pytest.mark.parametrize("board", [pytest.param(ARM64, id=ARM64.name)])
def test_a_streamed_image_goes_on_where_the_power_went(lab, device):
    lab.update(device.board, "6.0", streamed=True)
    deployment = device.deploy("6.0")
    device.machine.wait_for("verb=install result=609")
    cut_and_return(device)
    state = device.wait_ended(deployment)
    assert state["deviceState"] == "Succeeded", json.dumps(state)
    assert running(device) == ("B", "6.0")
    # Before the cut and after it; most chunks are those of side A and are not fetched at all.
    assert device.machine.count("verb=install result=609") >= 2


# ---- every prefix of what was written -----------------------------------------------------------------------------------

class UBootState:
    """Two copies of 512 bytes, alike; the second one counts where the first is torn."""

    def __init__(self, board: Board, disk: Path, work: Path):
        self.place = range(BOOT_START * build.MIB, BOOT_START * build.MIB + 2 * build.STATE_BYTES)

    def read(self, disk) -> dict | None:
        """What the boot script reads; None when no check sum holds."""
        for copy in (0, 1):
            disk.seek(self.place.start + copy * build.STATE_BYTES)
            raw = disk.read(build.STATE_BYTES)
            if zlib.crc32(raw[4:]) == struct.unpack("<I", raw[:4])[0]:
                return dict(word.decode().split("=", 1) for word in raw[4:].split(b"\0") if word)
        return None

    def check(self, disk: Path) -> None:
        """The copies have no file system around them."""


class GrubState:
    """The block in the file grubenv, which never moves."""

    def __init__(self, board: Board, disk: Path, work: Path):
        self.board, self.work = board, work / "boot.ext2"
        self.copy_boot(disk)
        block = int(subprocess.run(["debugfs", "-R", "blocks /grubenv", self.work], capture_output=True, text=True, check=True).stdout)
        begin = BOOT_START * build.MIB + block * 1024
        self.place = range(begin, begin + 1024)

    def copy_boot(self, disk: Path) -> None:
        subprocess.run(["dd", f"if={disk}", f"of={self.work}", "bs=1M", f"skip={BOOT_START}", f"count={self.board.boot_mib}", "status=none"], check=True)

    def read(self, disk) -> dict | None:
        disk.seek(self.place.start)
        raw = disk.read(1024)
        lines = raw.decode("latin1").split("\n")
        if lines[0] != "# GRUB Environment Block" or lines[-1].strip("#"):
            return None
        return dict(line.split("=", 1) for line in lines[1:-1] if not line.startswith("#"))

    def check(self, disk: Path) -> None:
        """GRUB itself finds the block by its own way through the file system, and that has no fault."""
        with open(disk, "rb") as file:
            file.seek(self.place.start)
            wanted = file.read(1024)
        seen = subprocess.run(["grub-fstest", disk, "cat", "(loop0,msdos1)/grubenv"], capture_output=True, check=True).stdout
        assert seen == wanted
        self.copy_boot(disk)
        checked = subprocess.run(["e2fsck", "-f", "-n", self.work], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout


class SystemdBootState:
    """The names of the entries on the EFI system partition, read as the loader sorts them."""

    def __init__(self, board: Board, disk: Path, work: Path):
        self.board, self.disk = board, disk
        self.place = range(BOOT_START * build.MIB, (BOOT_START + board.boot_mib) * build.MIB)
        self.text = (board.folder / "side.entry.in").read_text().splitlines()[-1].split("@SIDE@")[-1]  # how a whole entry ends

    def mtools(self, *words) -> str:
        done = subprocess.run([words[0], "-i", f"{self.disk}@@{self.place.start}", *words[1:]], capture_output=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("latin1")

    def read(self, disk) -> dict | None:
        """None where the loader finds no good side, or an entry that is not whole."""
        good, trials = (-1, ""), {}
        for name in self.mtools("mdir", "-b", "::/loader/entries").split():
            found = re.fullmatch(r"::/loader/entries/side-([ab])(?:\+(\d+)(?:-\d+)?)?\.conf", name)
            if not found:
                continue
            side, left = found.group(1).upper(), found.group(2)
            text = self.mtools("mtype", name)
            if "linux" not in text:
                continue  # for the loader this is no entry
            if not text.endswith(f"{self.text}\n"):
                return None
            version = int(re.search(r"^version (\d+)$", text, re.M).group(1))
            if left is None:
                good = max(good, (version, side))
            elif left != "0":
                trials[version] = side, left
        if good[0] < 0:
            return None
        chosen = max((version for version in trials if version > good[0]), default=None)
        return {"good": good[1]} if chosen is None else {"good": good[1], "try": trials[chosen][0], "left": trials[chosen][1]}

    def check(self, disk: Path) -> None:
        """A FAT that was cut has a mark and clusters that belong to nobody; its files are read one by one above."""


STATES = {"uboot": UBootState, "grub": GrubState, "systemd-boot": SystemdBootState}


def data_partition_is_whole(board: Board, disk: Path, work: Path) -> None:
    """After its journal was replayed the file system has no fault, and what the device recorded can be read."""
    data = work / "data.ext4"
    subprocess.run(["dd", f"if={disk}", f"of={data}", "bs=1M", f"skip={board.data_start}", f"count={DATA_MIB}", "conv=sparse", "status=none"], check=True)
    subprocess.run(["e2fsck", "-p", "-E", "journal_only", data], capture_output=True, check=False)
    checked = subprocess.run(["e2fsck", "-f", "-n", data], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    told = subprocess.run(["debugfs", "-R", "cat /godwit/slots/contents.json", data], capture_output=True, text=True, check=True).stdout
    if told:
        json.loads(told)


@table
@boards
def test_each_prefix_of_an_updates_writes_boots_a_whole_side(lab, board, tmp_path):
    device = lab.device(board, start=False)
    lab.update(board, "2.0")
    machine, log, replayed = device.machine, tmp_path / "writes.log", tmp_path / "replayed.img"
    subprocess.run(["cp", "--sparse=always", machine.disk, replayed], check=True)
    boot = STATES[board.loader](board, replayed, tmp_path)
    machine.block = block_log.recording(machine.disk, log)
    lab.power_on(device)
    assert device.wait_ended(device.deploy("2.0"))["deviceState"] == "Succeeded"
    time.sleep(2)
    machine.kill()

    image = (lab.imported[board, "2.0"]).read_bytes()
    side_a, side_b = (range(board.side_start(s) * build.MIB, (board.side_start(s) + SIDE_MIB) * build.MIB) for s in "AB")
    states, writes, flushes, cuts, checked, b_flushed = [], 0, 0, 0, 0, True
    state = None
    with open(replayed, "r+b", buffering=0) as disk:
        for entry in block_log.entries(log):
            if entry.is_flush:
                flushes += 1
                b_flushed = True
                if flushes % 8 == 0:
                    data_partition_is_whole(board, replayed, tmp_path)
                    boot.check(replayed)
                    checked += 1
            if not entry.data:
                continue
            writes += 1
            assert entry.offset not in side_a, "the running side is never written"
            if entry.offset in side_b:
                assert all("B" not in (s.get("try"), s.get("good")) for s in states[-1:]), "a side that may be booted is never written"
                b_flushed = False
            # Where the boot state lies a write may be torn at each sector; a long one there is a kernel's.
            torn = SECTOR if entry.offset in boot.place and len(entry.data) < KERNEL_WRITE else len(entry.data)
            for begin in range(0, len(entry.data), torn):
                disk.seek(entry.offset + begin)
                disk.write(entry.data[begin:begin + torn])
                cuts += 1
                if state is None or entry.offset in boot.place:
                    state = boot.read(disk)
                assert state, f"no whole copy of the boot state after write {writes}"
                if states[-1:] != [state]:
                    if "B" in (state.get("try"), state.get("good")) and not any("B" in (s.get("try"), s.get("good")) for s in states):
                        assert b_flushed, "side B is tried before its bytes are on the medium"
                        disk.seek(side_b.start)
                        assert disk.read(len(image)) == image, "side B is tried before it is whole"
                    boot.check(replayed)
                    states.append(state)
    print(f"{writes} writes, {flushes} flushes: {cuts} cut points, the data partition checked at {checked}; boot states: {states}")
    assert cuts > 100 and checked > 3
    seen = [(s["good"], s.get("try"), s.get("left")) for s in states]
    if board.loader == "systemd-boot":  # while the firmware renames the entry of a trial it may be gone: then the good side starts
        seen = list(dict.fromkeys(seen))
    assert seen == [("A", None, None), ("A", "B", "3"), ("A", "B", "2"), ("B", None, None)]
