"""The table of boards that images/ builds and boots: what differs from one to the other. What is alike stands in build.py."""
from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

# Where a board's partitions lie, in MiB: boot, data, A, B.
BOOT_START, SIDE_MIB, DATA_MIB = 1, 64, 192


@dataclass(frozen=True)
class Board:
    name: str  # its folder beside this file
    model: str  # what it tells the service
    architecture: str  # Debian's word
    triple: str
    preset: str  # `./dev build PRESET` makes its programs
    libraries: tuple[Path, ...]  # where the shared libraries of that build lie
    linker: str  # the folder of the dynamic linker on a side
    mounts: tuple[str, ...]  # folders for what its fstab mounts
    modules: tuple[str, ...]  # what Debian's cloud kernel needs to see its disk, and what serves tests
    packs_kernel: bool  # gzip'ed for a loader that unpacks it; else as Debian packed it
    loader: str  # a key of build.LOADERS
    emulator: tuple[str, ...]  # QEMU's words; disk, network and chance come on top
    bus: str  # how QEMU's virtio devices end
    flash: str = ""  # a key of build.FLASHES: what lies in a flash bank beside the disk
    boot_mib: int = 8  # of the boot partition
    has_kernel_on_side: bool = True  # else the loader reads kernels from the boot partition only
    start_words: str = "boot: side={side}"  # on the console at each start of a side

    @property
    def data_start(self) -> int:
        """In MiB, as side_start()."""
        return BOOT_START + self.boot_mib

    def side_start(self, side: str) -> int:
        return self.data_start + DATA_MIB + (SIDE_MIB if side == "B" else 0)

    @property
    def folder(self) -> Path:
        return HERE / self.name

    @property
    def programs(self) -> Path:
        return ROOT / "build" / self.preset

    def missing(self) -> str:
        """Why it cannot be built here; empty when it can."""
        if self.architecture == "amd64" and platform.machine() != "x86_64":
            return f"{self.name} takes the programs and libraries of this machine, which is {platform.machine()}"
        if not (self.programs / "bin" / "godwit-slots").exists():
            return f"{self.name} needs ./dev build {self.preset}"
        return ""


_ARM64_SYSROOT = ROOT / "build" / "arm64-sysroot"
_ARM64, _AMD64 = "aarch64-linux-gnu", "x86_64-linux-gnu"
_COMMON_MODULES = ("virtio_blk", "virtio_net", "virtio_rng", "softdog", "ramoops")

ARM64 = Board(
    name="qemu-arm64", model="Reference", architecture="arm64", triple=_ARM64, preset="arm64",
    libraries=tuple(_ARM64_SYSROOT / f for f in (f"usr/lib/{_ARM64}", f"lib/{_ARM64}", "usr/lib", "lib")), linker="lib", mounts=(),
    modules=("virtio_mmio", *_COMMON_MODULES), packs_kernel=True, loader="uboot",
    emulator=("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "256", "-bios", "/usr/lib/u-boot/qemu_arm64/u-boot.bin"),
    bus="device", flash="uboot")

X86 = Board(
    name="qemu-x86", model="Reference-x86", architecture="amd64", triple=_AMD64, preset="release",
    libraries=(Path("/usr/lib", _AMD64), Path("/lib", _AMD64), Path("/lib64")), linker="lib64", mounts=("boot/grub",),
    modules=("virtio_pci", *_COMMON_MODULES), packs_kernel=False, loader="grub",
    # Never KVM: inside other virtual machines it is often there and does not work.
    emulator=("qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-vga", "none"),
    bus="pci")

UEFI = replace(
    X86, name="qemu-uefi", model="Reference-UEFI", mounts=("efi",), modules=(*X86.modules, "vfat", "nls_cp437", "nls_ascii", "efivarfs"), loader="systemd-boot",
    emulator=(*X86.emulator, "-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"),
    flash="uefi", boot_mib=64, has_kernel_on_side=False, start_words="initrd: side={side}")

BOARDS = {board.name: board for board in (ARM64, X86, UEFI)}
