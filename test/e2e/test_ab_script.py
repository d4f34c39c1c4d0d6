"""The A/B script that comes with microsoft/swupdate:2, call by call: the real swupdate, the real godwit-slots, sides that are files, and the boot
loader's state in the form of U-Boot. The whole way over a restart of a real machine is in test/vm.
"""
import json
import os
import subprocess
from pathlib import Path

import pytest

from file_sides import FileSides
from swu import SwuMaker

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "extensions" / "step-swupdate-script" / "ab-update.sh"
SIZE = 64 * 1024


class Sides(FileSides):
    def __init__(self, folder: Path, binaries: Path):
        super().__init__(folder, binaries, SIZE)
        self.maker = SwuMaker(folder / "keys")

    def act(self, action: str, swu: Path | None = None, version: str = "2.0", more: tuple = ()) -> dict:
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        result = work / "result.json"
        result.unlink(missing_ok=True)
        done = subprocess.run([SCRIPT, "--action", action, "--public-key-file", self.maker.key("operator"), "--hardware", "board:1.0", "--slots", self.folder / "slots",
                               "--version-file", self.folder / "version", "--unknown", "word", *more, "--work-folder", work, "--result-file", result,
                               "--installed-criteria", version, "--swu-file", swu or work / "none.swu"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(result.read_text())

    def swu(self, content: bytes, key: str = "operator") -> Path:
        (self.folder / "image").write_bytes(content)
        return self.maker.sides(self.folder / "image", "2.0", {"copy-a": str(self.folder / "a"), "copy-b": str(self.folder / "b")}, key=key)


@pytest.fixture
def sides(tmp_path, binaries):
    return Sides(tmp_path, binaries)


def code(answer: dict) -> int:
    return answer["resultCode"]


def test_an_update_goes_to_the_idle_side_is_tried_and_kept(sides):
    image = os.urandom(SIZE)
    swu = sides.swu(image)
    assert code(sides.act("is-installed")) == 901 and code(sides.act("download")) == 500
    answer = sides.act("install", swu)
    assert code(answer) == 605 and "side B is tried next" in answer["resultDetails"], answer
    assert (sides.folder / "b").read_bytes() == image and (sides.folder / "a").read_bytes() == b"-" * SIZE
    assert sides.state() == {"good": "A", "try": "B", "left": "3"}
    sides.write_state({"good": "A", "try": "B", "left": "2"})
    sides.boot("B", "2.0")
    assert code(sides.act("is-installed")) == 901, "it runs on trial"
    assert code(sides.act("install", swu)) == 600, "the power went before the answer was written down"
    assert code(sides.act("apply")) == 700
    assert sides.state() == {"good": "B"} and code(sides.act("is-installed")) == 900
    assert code(sides.act("install", sides.swu(b"n" * SIZE), version="3.0")) == 605, "and the next one goes to A"
    assert (sides.folder / "a").read_bytes() == b"n" * SIZE and (sides.folder / "b").read_bytes() == image


def test_what_another_key_signed_what_is_damaged_or_other_than_said_is_not_tried(sides):
    answer = sides.act("install", sides.swu(b"x" * SIZE, key="stranger"))
    assert (code(answer), answer["extendedResultCode"]) == (0, 0x30100004), answer
    assert (sides.folder / "b").read_bytes() == b"-" * SIZE
    swu = sides.swu(os.urandom(SIZE))
    swu.write_bytes(swu.read_bytes()[:-20000])
    answer = sides.act("install", swu)
    assert code(answer) == 0 and "swupdate ended with" in answer["resultDetails"], answer
    answer = sides.act("install", sides.swu(b"y" * SIZE), more=("--image-size", str(SIZE), "--image-sha256", "0" * 64))
    assert (code(answer), answer["extendedResultCode"]) == (0, 0x30100007), answer
    assert "holds an image with the hash" in answer["resultDetails"]
    assert sides.state() == {"good": "A"}


def test_a_side_that_fell_back_or_is_ill_is_told_and_taken_back(sides):
    swu = sides.swu(os.urandom(SIZE))
    assert code(sides.act("install", swu)) == 605
    sides.write_state({"good": "A", "failed": "B", "left": "0"})
    answer = sides.act("apply")
    assert (code(answer), answer["extendedResultCode"]) == (0, 0x20000103) and "3 of 3 attempts used" in answer["resultDetails"], answer
    assert code(sides.act("cancel")) == 800
    assert code(sides.act("install", swu)) == 605, "an operator's retry"
    sides.write_state({"good": "A", "try": "B", "left": "2"})
    sides.boot("B", "2.0")
    sides.health("/bin/false")
    answer = sides.act("apply")
    assert code(answer) == 0 and "/bin/false" in answer["resultDetails"], answer
    assert code(sides.act("cancel")) == 805 and sides.state()["failed"] == "B", "the old side comes back with a restart"
    sides.boot("A", "1.0")
    assert code(sides.act("cancel")) == 800
