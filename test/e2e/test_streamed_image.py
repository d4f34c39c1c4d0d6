"""Images that are fetched in pieces while they are written: the real service, agent and installer, sides that are files, restarts in boots of their own.
What the service sent is counted by the service."""
import hashlib
import json
import os
import random
import shutil
import threading
import time
from pathlib import Path

import pytest

from bootable import Bootable
from file_sides import FileSides
from stack import wait_until

MIB = 1024 * 1024
SIDE, IMAGE, CHUNK = 40 * MIB, 30 * MIB, 256 * 1024


class ImageDevice:
    """A device whose system is a file of two, with the handler of images."""

    def __init__(self, scene, agent_config: str = ""):
        self.scene = scene
        self.device = scene.device(start=False, agent_config=agent_config)
        self.sides = FileSides(self.device.root, scene.service.binaries, SIDE)
        self.device.register_extension("installer", "step-handler", "godwit/image:1", scene.service.binaries.parent / "lib" / "godwit-step-image.so",
                                       "--option", f"slots={self.device.root / 'slots.toml'}")
        self.bootable = Bootable(self.device, at_boot=lambda device: self.sides.start_as_the_loader_does())
        self.bootable.start()
        scene.wait_listed(self.device)

    def side(self, name: str) -> bytes:
        return (self.device.root / name).read_bytes()

    def import_image(self, version: str, image: bytes) -> dict:
        """Packed by the command line; gives what it says."""
        folder = self.scene.folder / "updates" / f"{self.device.id}-{version}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "root.img").write_bytes(image)
        packed = json.loads(self.scene.service.cli("image", "pack", folder / "root.img", "--level", "1", "-o", "json").stdout)
        self.scene.service.cli("update", "init", "v5", "--update-provider", "Tests", "--update-name", self.device.model, "--update-version", version, "--folder", folder,
                               "--compat", "manufacturer=Contoso", f"model={self.device.model}", "--step", "handler=godwit/image:1",
                               "properties=" + json.dumps(packed["handlerProperties"]), "--file", f"path={packed['imageFile']}", "--file", f"path={packed['indexFile']}")
        self.scene.import_update(next(folder.glob("*.importmanifest.json")))
        return packed

    def on_disk(self) -> int:
        """Bytes of payloads on the data partition: the agent's sandboxes and the installer's work folders."""
        total = 0
        for part in ("agent", "installer"):
            for root, _, names in os.walk(self.device.folder / part):
                for name in names:
                    try:
                        total += os.stat(os.path.join(root, name)).st_blocks * 512
                    except FileNotFoundError:
                        pass
        return total


@pytest.fixture
def image_device(scene):
    made = []

    def make(**options):
        made.append(ImageDevice(scene, **options))
        return made[-1]

    yield make
    for one in made:
        one.bootable.stop()


def noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(IMAGE)


def test_an_image_never_lies_whole_on_the_data_partition_and_the_next_one_shares_what_it_can(scene, image_device):
    one = image_device()
    first = noise(1)
    packed = one.import_image("1.0", first)
    assert packed["sizeInBytes"] > IMAGE * 99 // 100, "noise does not shrink"
    most = [0]
    is_over = threading.Event()

    def watch():
        while not is_over.wait(0.02):
            most[0] = max(most[0], one.on_disk())

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = scene.sent_bytes()
    state = scene.wait_state(one.device, scene.deploy(one.device, "1.0"), "Succeeded", timeout=180)
    is_over.set()
    watcher.join()
    sent = scene.sent_bytes() - before
    whole = packed["sizeInBytes"] + packed["indexSizeInBytes"]
    assert state["godwit"]["resultCode"] == 700 and one.bootable.boots == 1
    assert one.side("b").startswith(first) and one.side("a") == b"-" * SIDE
    assert one.sides.state() == {"good": "B"}
    assert whole <= sent <= whole + 64 * 1024, "each byte once"
    assert most[0] < 2 * (8 * MIB + CHUNK) + 2 * MIB, f"at most {most[0]} bytes lay there"

    # The other way: side A is written; what both versions have in the same place is copied from side B.
    second = bytearray(first)
    for chunk in range(0, IMAGE // CHUNK, 20):
        second[chunk * CHUNK + 77] ^= 1
    packed = one.import_image("2.0", bytes(second))
    before = scene.sent_bytes()
    scene.wait_state(one.device, scene.deploy(one.device, "2.0"), "Succeeded", timeout=180)
    sent = scene.sent_bytes() - before
    assert one.side("a").startswith(second) and one.sides.state() == {"good": "A"}
    assert sent < 7 * (CHUNK + 1024) + packed["indexSizeInBytes"] + 64 * 1024, f"{sent} bytes for 6 chunks of 120"


def test_kills_in_the_middle_cost_no_piece_that_was_here(scene, image_device):
    one = image_device(agent_config='\n[download]\nmax_rate = "6MiB"\n')
    image = noise(2)
    packed = one.import_image("1.0", image)
    before = scene.sent_bytes()
    deployment = scene.deploy(one.device, "1.0")
    dice = random.Random(5)
    kills = 0
    for process in (one.device.agent, one.device.installer, one.device.agent, one.device.installer):
        wait_until("the image is being written", lambda: "to=installing" in one.device.agent.log.read_text(), 60)
        time.sleep(dice.uniform(0.4, 1.2))
        if scene.state(one.device, deployment).get("deviceState") in ("Succeeded", "Failed") or one.bootable.boots:
            break
        process.kill()
        process.start()
        kills += 1
    assert kills >= 2, "too fast to be killed"
    scene.wait_state(one.device, deployment, "Succeeded", timeout=240)
    sent = scene.sent_bytes() - before
    assert one.side("b").startswith(image)
    # What a killed download had not yet written to its file comes again, and what the socket held.
    # The service counts what it handed to its sockets: of a killed download that is some MiB more than ever came.
    print(f"{sent - packed['sizeInBytes']} bytes were sent twice for {kills} kills, {kills // 2} of them of the installer")
    assert sent < packed["sizeInBytes"] + (kills + 1) // 2 * 7 * MIB, f"{sent - packed['sizeInBytes']} bytes were sent twice for {kills} kills"


def test_bytes_that_are_not_what_was_signed_are_never_written(scene, image_device):
    one = image_device()
    packed = one.import_image("1.0", noise(3))
    digest = hashlib.sha256(Path(packed["imageFile"]).read_bytes()).hexdigest()
    blob = next(p for p in (scene.service.data / "blobs").rglob("*") if digest.endswith(p.name) and p.is_file())
    at = packed["sizeInBytes"] // 2
    with open(blob, "r+b") as file:
        file.seek(at)
        wrong = bytes([file.read(1)[0] ^ 1])
        file.seek(at)
        file.write(wrong)
    state = scene.wait_state(one.device, scene.deploy(one.device, "1.0"), "Failed", timeout=180)
    assert state["godwit"]["extendedResultCode"] == "00100003", state
    assert "of the image as it came" in state["godwit"]["resultDetails"], state
    assert one.sides.state() == {"good": "A"} and one.bootable.boots == 0
