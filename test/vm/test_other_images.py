"""Sides of the reference device that are more than a plain image: written by SWUpdate from signed .swu files, by both of its handlers, and
checked by the kernel with dm-verity, on the board with GRUB as well. The same machines, service and agent as in test_image_update.py; all
with --vm.
"""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "images"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import build  # noqa: E402
import variants  # noqa: E402
from boards import ARM64, BOOT_START, X86, Board  # noqa: E402
from reference import HOSTS, ReferenceDevice  # noqa: E402
from scene import SANITIZER_ENV  # noqa: E402
from stack import Service, wait_until  # noqa: E402
from swu import SwuMaker  # noqa: E402

pytestmark = [pytest.mark.vm,
              pytest.mark.skipif(not (ROOT / "build" / "arm64" / "bin" / "godwit-slots").exists(), reason="no arm64 build; make one with ./dev build arm64")]
PARTITIONS = {"copy-a": "/dev/vda3", "copy-b": "/dev/vda4"}
IMAGE, SWU, SCRIPT = "godwit/image:1", "microsoft/swupdate:1", "microsoft/swupdate:2"


class Lab:
    def __init__(self, folder: Path, binaries: Path):
        self.folder, self.number, self.devices = folder, 0, []
        self.service = Service(folder, binaries, env=SANITIZER_ENV)
        self.service.init(hosts=HOSTS)
        self.service.start()
        self.maker = SwuMaker(folder / "swu")

    def device(self, first: Path, board: Board = ARM64) -> ReferenceDevice:
        """A device whose side A holds `first` with the version 1.0; known to the service."""
        name = f"vm-{len(self.devices) + 1}"
        made = ReferenceDevice(self.service, name, self.folder / name, f"{name}-group", board)
        made.set_up(first)
        self.devices.append(made)
        made.machine.start()
        made.machine.wait_for("side A runs version 1.0")
        made.wait_known()
        return made

    def deploy(self, device: ReferenceDevice, version: str, handler: str, properties: dict, files: list[Path]) -> str:
        self.number += 1
        folder = self.folder / f"update-{self.number}"
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        self.service.cli("update", "init", "v5", "--update-provider", "Godwit", "--update-name", device.board.model, "--update-version", version, "--folder", folder,
                         "--compat", "manufacturer=Godwit", f"model={device.board.model}", "--step", f"handler={handler}", "properties=" + json.dumps(properties),
                         *[word for file in files for word in ("--file", f"path={folder / file.name}")])
        self.service.cli("update", "import", "--manifest", next(folder.glob("*.importmanifest.json")))
        return device.deploy(version)


@pytest.fixture(scope="module")
def lab(binaries, tmp_path_factory):
    made = Lab(tmp_path_factory.mktemp("lab"), binaries)
    yield made
    for device in made.devices:
        device.machine.kill()
    made.service.stop()


def runs(device: ReferenceDevice) -> str:
    return [line for line in device.machine.lines if "device: side" in line][-1].split("device: ")[1].split(",")[0]


def is_in_place(device: ReferenceDevice, state: dict, side: str, version: str) -> None:
    """The device, its boot loader and the service say the same."""
    assert state["deviceState"] == "Succeeded", json.dumps(state)
    assert runs(device) == f"side {side} runs version {version}"
    wait_until(f"{version} is what the service lists", lambda: device.installed() == version, 30)


def is_refused(device: ReferenceDevice, state: dict, words: str, before: str, starts: int) -> None:
    """The update failed with these words, before anything was restarted."""
    assert state["deviceState"] == "Failed", json.dumps(state)
    assert words in json.dumps(state), json.dumps(state)
    assert device.machine.count("boot: side=") == starts and runs(device) == before


# ---- SWUpdate: the device goes from row to row ---------------------------------------------------------------------------

@pytest.fixture(scope="module")
def sides(lab):
    """A device that has swupdate, and a function that gives the signed .swu of a version."""
    more = variants.with_swupdate(lab.maker.key("operator"))

    def swu(version: str, key: str = "operator", fault: str | None = None) -> Path:
        return lab.maker.sides(build.make_side(lab.folder / f"{version}.ext4", version, fault, more=more), version, PARTITIONS, key=key)

    return lab.device(build.make_side(lab.folder / "first.ext4", "1.0", more=more)), swu


def by_script(swu: Path, version: str) -> tuple[dict, list[Path]]:
    script = ROOT / "extensions" / "step-swupdate-script" / "ab-update.sh"
    return {"scriptFileName": script.name, "swuFileName": swu.name, "apiVersion": "1.1", "installedCriteria": version}, [script, swu]


def test_swupdate_writes_the_idle_side_and_the_slots_switch_to_it(lab, sides):
    device, swu = sides
    state = device.wait_ended(lab.deploy(device, "2.0", SWU, {"installedCriteria": "2.0"}, [swu("2.0")]))
    is_in_place(device, state, "B", "2.0")


def test_the_script_that_we_ship_brings_the_next_version_to_the_other_side(lab, sides):
    device, swu = sides
    state = device.wait_ended(lab.deploy(device, "3.0", SCRIPT, *by_script(swu("3.0"), "3.0")))
    is_in_place(device, state, "A", "3.0")


def test_an_image_of_another_key_is_refused_and_the_same_side_keeps_running(lab, sides):
    device, swu = sides
    before, starts = runs(device), device.machine.count("boot: side=")
    forged = swu("4.0", key="stranger")
    is_refused(device, device.wait_ended(lab.deploy(device, "4.0", SWU, {"installedCriteria": "4.0"}, [forged])), "30100004", before, starts)
    is_refused(device, device.wait_ended(lab.deploy(device, "4.1", SCRIPT, *by_script(forged, "4.1"))), "30100004", before, starts)
    assert device.installed() == "3.0"


def test_a_side_by_swupdate_that_is_not_healthy_falls_back(lab, sides):
    device, swu = sides
    before, version = runs(device), device.installed()
    state = device.wait_ended(lab.deploy(device, "5.0", SCRIPT, *by_script(swu("5.0", fault="unhealthy"), "5.0")), timeout=700)
    assert state["deviceState"] == "Failed" and "the oven stays cold" in json.dumps(state), json.dumps(state)
    wait_until("the earlier side is back", lambda: runs(device) == before, 60)
    assert device.installed() == version


# ---- dm-verity -----------------------------------------------------------------------------------------------------------

def make_verity(lab: Lab, board: Board) -> tuple[dict, Path, Path]:
    """The handler properties and the packed file of a side with a tree of hashes, version 6.0; and the side."""
    side = lab.folder / f"verity-{board.name}.ext4"
    properties = variants.make_verity_side(side, "6.0", board)
    packed = side.with_suffix(".zst")
    subprocess.run(["zstd", "-q", "-3", "-T0", side, "-o", packed], check=True)
    digest = subprocess.run(["sha256sum", side], capture_output=True, text=True, check=True).stdout.split()[0]
    return {"imageFile": packed.name, "compression": "zstd", "imageSize": str(side.stat().st_size), "imageSha256": digest, **properties}, packed, side


@pytest.fixture(scope="module")
def verity(lab):
    return make_verity(lab, ARM64)


@pytest.fixture(scope="module")
def plain(lab):
    return build.make_side(lab.folder / "plain.ext4", "1.0")


def test_the_kernel_checks_each_block_of_a_verity_side(lab, verity, plain):
    properties, packed, _ = verity
    device = lab.device(plain)
    wrong = {**properties, "verityRootHash": properties["verityRootHash"].translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))}
    is_refused(device, device.wait_ended(lab.deploy(device, "5.9", IMAGE, wrong, [packed])), "the manifest names", "side A runs version 1.0", 1)
    state = device.wait_ended(lab.deploy(device, "6.0", IMAGE, properties, [packed]))
    is_in_place(device, state, "B", "6.0")
    assert device.machine.count(f"has to match its root hash {properties['verityRootHash']}") == 1
    device.machine.kill()


def test_a_verity_side_that_was_altered_after_its_install_falls_back_and_says_so(lab, verity, plain):
    properties, packed, side = verity
    device = lab.device(plain)
    deployment = lab.deploy(device, "6.1", IMAGE, properties, [packed])
    # Not before the agent has written down that the restart comes: otherwise it installs again what fell back, and mends it.
    device.machine.wait_for("boot: side=B", timeout=300)
    device.machine.kill()
    # A byte in the middle of the program that is /sbin/init.
    busybox = (build.WORK / "arm64-packages" / "bin" / "busybox").read_bytes()
    place = side.read_bytes().find(busybox[:4096])
    assert place > 0
    with open(device.machine.disk, "r+b") as disk:
        disk.seek(device.board.side_start("B") * build.MIB + place + 100)
        before = disk.read(1)
        disk.seek(-1, 1)
        disk.write(bytes([before[0] ^ 1]))
    device.machine.start()
    state = device.wait_ended(deployment, timeout=700)
    assert state["deviceState"] == "Failed", json.dumps(state)
    assert "fell back to side A" in json.dumps(state) and "dm-verity device corrupted" in json.dumps(state), json.dumps(state)
    assert runs(device) == "side A runs version 1.0" and device.machine.count("side B runs") == 0
    device.machine.kill()


def test_grub_hands_the_root_hash_on_and_with_a_wrong_one_the_side_falls_back(lab):
    if why := X86.missing():
        pytest.skip(why)
    properties, packed, _ = make_verity(lab, X86)
    device = lab.device(build.make_side(lab.folder / "plain-x86.ext4", "1.0", board=X86), X86)
    deployment = lab.deploy(device, "6.1", IMAGE, properties, [packed])
    device.machine.wait_for("boot: side=B", timeout=400)
    device.machine.kill()
    # As it was installed, but the boot loader's state names another root; the word keeps its length, so grubenv stays what it was.
    word = f":{properties['verityRootHash']}".encode()
    disk = device.machine.disk.read_bytes()
    place = disk.index(b"verity_B=", BOOT_START * build.MIB)
    place = disk.index(word, place) + 1
    assert place < X86.data_start * build.MIB
    with open(device.machine.disk, "r+b") as file:
        file.seek(place)
        file.write(b"1" if disk[place:place + 1] == b"0" else b"0")
    del disk
    device.machine.start()
    state = device.wait_ended(deployment, timeout=700)
    assert state["deviceState"] == "Failed" and "fell back to side A" in json.dumps(state), json.dumps(state)
    assert runs(device) == "side A runs version 1.0" and device.machine.count("side B runs") == 0
    # The same image with its own root: each block is checked, and it stays.
    state = device.wait_ended(lab.deploy(device, "6.0", IMAGE, properties, [packed]), timeout=700)
    is_in_place(device, state, "B", "6.0")
    assert device.machine.count(f"has to match its root hash {properties['verityRootHash']}") == 1
    device.machine.kill()
