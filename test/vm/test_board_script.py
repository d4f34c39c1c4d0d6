"""The boot script of the Yocto layer, run by the U-Boot of Debian in QEMU: every row of its small table, with the real mkimage, the real copies of the state
and a kernel of thirty bytes that says whose it is and restarts the machine. No arm64 build is needed."""
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "images"))
from virtual_machine import Machine  # noqa: E402

SCRIPT = ROOT / "images/yocto/meta-godwit/recipes-bsp/godwit-boot/files/boot.cmd.in"
NEEDED = ("qemu-system-aarch64", "mkimage", "mkenvimage", "mke2fs", "sfdisk")
FIRMWARE = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
MIB = 1024 * 1024
STARTS = {"boot": 1, "state": 9, "A": 10, "B": 14}  # MiB; partitions 1 to 4
WORDS = {"STATE_PARTITION": "2", "A_PARTITION": "3", "B_PARTITION": "4", "KERNEL": "Image", "BOOT": "booti", "DEVICETREE": "", "BOOTARGS": "console=ttyAMA0",
         "ARGS_OF_FIRMWARE": "0"}
# The head of an arm64 image ("b code", size 64 KiB, "ARM\x64"), then: print the text behind it on the board's PL011 at 0x09000000, then
# PSCI SYSTEM_RESET (0x84000009) by hvc.
HEAD = bytes.fromhex("10000014" + "00" * 12 + "0000010000000000" + "0a00000000000000" + "00" * 24 + "41524d64" + "00" * 4)
CODE = bytes.fromhex("41010010" "0220a1d2" "23144038" "63000034" "43000039" "fdffff17" "20018052" "0080b072" "020000d4" "00000014")

pytestmark = pytest.mark.skipif(not FIRMWARE.exists() or any(shutil.which(name) is None for name in NEEDED), reason="./dev setup image installs U-Boot and QEMU")


def kernel(side: str) -> bytes:
    return HEAD + CODE + f"kernel of side {side}\r\n".encode() + b"\0"


def run(*words, **more) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True, **more)


def state_copy(folder: Path, words: dict[str, str]) -> bytes:
    text = "".join(f"{name}={value}\n" for name, value in words.items())
    run("mkenvimage", "-s", 512, "-p", 0, "-o", folder / "copy", "-", input=text.encode())
    return (folder / "copy").read_bytes()


class Board:
    """A disk with the script on its first partition, copies of the state on the second, a kernel on each side that shall have one."""

    def __init__(self, folder: Path, copies: list[bytes], sides: str = "AB", words: dict[str, str] | None = None):
        self.folder, self.disk = folder, folder / "disk"
        text = SCRIPT.read_text()
        for name, value in {**WORDS, **(words or {})}.items():
            text = text.replace(f"@@{name}@@", value)
        assert "@@" not in text.split("\n", 3)[3], "every word is filled in"
        (folder / "boot").mkdir()
        (folder / "boot.cmd").write_text(text)
        run("mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-d", folder / "boot.cmd", folder / "boot" / "boot.scr")
        with open(self.disk, "wb") as file:
            file.truncate(20 * MIB)
        run("sfdisk", "-q", self.disk, input=b"label: gpt\nstart=1MiB,size=8MiB,type=linux,attrs=LegacyBIOSBootable\nsize=1MiB,type=linux\nsize=4MiB,type=linux\nsize=4MiB,type=linux\n")
        self.put("boot", folder / "boot", 8)
        for side in "AB":
            tree = folder / side / "boot"
            tree.mkdir(parents=True)
            if side in sides:
                (tree / "Image").write_bytes(kernel(side))
            self.put(side, folder / side, 4)
        with open(self.disk, "r+b") as file:
            file.seek(STARTS["state"] * MIB)
            file.write(b"".join(copies))
        (folder / "flash").write_bytes(b"\xff" * (64 * MIB))
        self.machine = Machine(self.disk, folder / "flash", folder / "console")

    def put(self, name: str, tree: Path, size: int) -> None:
        run("mke2fs", "-q", "-t", "ext4", "-d", tree, self.folder / "fs", f"{size}M")
        with open(self.disk, "r+b") as file:
            file.seek(STARTS[name] * MIB)
            file.write((self.folder / "fs").read_bytes())
        (self.folder / "fs").unlink()

    def boots(self, count: int) -> list[str]:
        """The sides that started, one after the other; each restarts the machine, then the plug is pulled."""
        self.machine.start()
        try:
            return [self.machine.wait_for("kernel of side", timeout=60)[-1] for _ in range(count)]
        finally:
            self.machine.kill()

    def state(self) -> list[dict[str, str]]:
        """Both copies, as they are on the disk; one with a wrong checksum counts as empty."""
        with open(self.disk, "rb") as file:
            file.seek(STARTS["state"] * MIB)
            copies = [file.read(512), file.read(512)]
        return [dict(re.findall(r"(\w+)=([\w:]*)", copy[4:].split(b"\0\0")[0].replace(b"\0", b"\n").decode()))
                if zlib.crc32(copy[4:]) == int.from_bytes(copy[:4], "little") else {} for copy in copies]


@pytest.fixture
def copy(tmp_path):
    def make(**words: str) -> bytes:
        return state_copy(tmp_path, words)
    return make


@pytest.mark.vm
def test_the_good_side_starts_and_nothing_is_written(tmp_path, copy):
    board = Board(tmp_path, [copy(good="B")] * 2)
    before = board.disk.read_bytes()[STARTS["state"] * MIB:][:1024]
    assert board.boots(2) == ["B", "B"]
    assert board.disk.read_bytes()[STARTS["state"] * MIB:][:1024] == before


def test_a_trial_has_its_attempts_and_then_the_good_side_comes_back(tmp_path, copy):
    hashes = {"verity_A": "65536:" + "5a" * 32, "verity_B": "131072:" + "a5" * 32}  # two of them have to fit as well
    board = Board(tmp_path, [copy(good="A", **{"try": "B"}, left="2", **hashes)] * 2)
    assert board.boots(1) == ["B"]
    assert board.state() == [{"good": "A", "try": "B", "left": "1", **hashes}] * 2, "counted down before it starts"
    assert board.boots(2) == ["B", "A"]
    assert board.state() == [{"good": "A", "failed": "B", **hashes}] * 2
    assert board.boots(1) == ["A"]


def test_a_side_that_cannot_be_loaded_is_given_up_in_the_same_start(tmp_path, copy):
    board = Board(tmp_path, [copy(good="A", **{"try": "B"}, left="3")] * 2, sides="A")
    assert board.boots(1) == ["A"]
    assert board.state() == [{"good": "A", "failed": "B", "left": "2"}] * 2, "left tells that it was not the attempts that ended"
    assert board.machine.count("side B cannot be loaded") == 1


@pytest.mark.vm
@pytest.mark.parametrize("torn", [0, 1])
def test_one_torn_copy_is_no_loss_and_is_mended_by_the_next_write(tmp_path, copy, torn):
    copies = [copy(good="B", **{"try": "A"}, left="1")] * 2
    copies[torn] = copies[torn][:100] + b"\xff" * 412
    board = Board(tmp_path, copies)
    assert board.boots(2) == ["A", "B"]
    assert board.state() == [{"good": "B", "failed": "A"}] * 2


@pytest.mark.vm
def test_a_disk_without_a_state_starts_side_a(tmp_path):
    board = Board(tmp_path, [b"\xff" * 1024])
    assert board.boots(1) == ["A"]


@pytest.mark.vm
def test_the_state_changes_no_other_word_of_the_loader(tmp_path, copy):
    board = Board(tmp_path, [copy(good="A", ab_args="init=/bin/sh", kernel_addr_r="0", devnum="7")] * 2)
    assert board.boots(1) == ["A"]


@pytest.mark.vm
def test_the_kernel_words_and_device_tree_of_the_firmware_are_passed_on(tmp_path, copy):
    board = Board(tmp_path, [copy(good="A")] * 2, words={"ARGS_OF_FIRMWARE": "1", "DEVICETREE": "board.dtb"})
    board.machine.start()
    try:
        assert "side A cannot be loaded" in board.machine.wait_for("kernel of side", "cannot be loaded", timeout=60), "the tree of the side is missing"
    finally:
        board.machine.kill()
