#!/usr/bin/env python3
"""Builds a reference device of boards.py: a side (kernel, libraries, the real agent), and a disk with boot, data, A and B.

No root, no loop device, no mount: mke2fs -d, sfdisk and copies of bytes. Needs the build that boards.py names for the board and the packages
of tools/dev/packages-image.txt. `images/build.py --help` lists the verbs; demo and tests call the functions.
"""
from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from boards import ARM64, BOARDS, BOOT_START, DATA_MIB, SIDE_MIB, Board  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / "build" / "images"
GRUB = Path("/usr/lib/grub/i386-pc")
SYSTEMD_BOOT = Path("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
UEFI_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")

MIB = 1024 * 1024
STATE_BYTES = 512
FLASH_MIB, FLASH_ENV = 64, 0x40000

# What goes wrong with a side, for tests and the demo. None: nothing.
FAULTS = {
    "garbage": "random bytes, not even a file system",
    "noinit": "no /sbin/init",
    "panic": "init ends at once: kernel panic",
    "hang": "init hangs for ever",
    "unhealthy": "the health check says no",
    "crash": "the agent crashes at each start",
    "offline": "no network",
}

APPLETS = ("sh ash mount umount cat cut grep sed ip ls sync reboot poweroff halt sleep rm mkdir chown chmod cp mv touch echo test [ true false head tail "
           "hostname insmod dmesg start-stop-daemon init ps kill free df wc sha256sum dd date env printf id").split()


def run(*words, **options) -> subprocess.CompletedProcess:
    """Runs a program; its words come along only when it fails."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"images: {' '.join(map(str, words))} gave {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def as_root(*words) -> list:
    """Words before a program that shall see our files as root's: nothing for root, a user namespace for others."""
    return list(words) if os.geteuid() == 0 else ["unshare", "--map-root-user", *words]


def packages(board: Board) -> Path:
    folder = WORK / f"{board.architecture}-packages"
    run(HERE / "common" / "get_packages.sh", board.architecture, folder)
    return folder


# ---- a side -----------------------------------------------------------------------------------------------------------

def needed_libraries(board: Board, programs: list[Path], leave_out: tuple = ()) -> dict[str, Path]:
    """Names and files of the shared libraries behind these programs, theirs included, but for those that are left out."""
    found, waiting = {}, list(programs)
    while waiting:
        words = run(f"{board.triple}-readelf", "-d", waiting.pop()).stdout
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", words):
            if name in found or name in leave_out:
                continue
            place = next((f / name for f in board.libraries if (f / name).exists()), None)
            if place is None:
                raise SystemExit(f"images: {name} is not in {board.libraries[0]}: run ./dev build {board.preset}")
            found[name] = place
            waiting.append(place)
    return found


def put_library(board: Board, root: Path, name: str, place: Path) -> None:
    """Where the linker of the board looks for it; one that is there stays."""
    target = root / (board.linker if name.startswith("ld-linux") else f"usr/lib/{board.triple}") / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy(place.resolve(), target)


def put_modules(debian: Path, names, folder: Path, first: int = 0, leave_out: str = "") -> None:
    """These modules of Debian's cloud kernel and those that they need, numbered from `first` in the order in which they are loaded; but for one
    that is loaded already."""
    version, files = (debian / ".whole").read_text().strip(), []
    for name in names:
        shown = run("modprobe", "-d", debian, "-S", version, "--show-depends", name).stdout
        files += [line.split()[1] for line in shown.splitlines() if line.startswith("insmod ")]
    wanted = [file for file in dict.fromkeys(files) if not leave_out or leave_out not in file]
    for number, file in enumerate(wanted, first):
        shutil.copy(file, folder / f"{number:02}-{Path(file).name}")


def make_initrd(board: Board, debian: Path) -> Path:
    """busybox and the few modules that Debian's cloud kernel needs to see its disk; made once."""
    made = WORK / f"{board.name}-initrd.gz"
    sources = [HERE / "common" / "initrd_init.sh", HERE / "boards.py", Path(__file__)]
    if made.exists() and made.stat().st_mtime > max(s.stat().st_mtime for s in sources):
        return made
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        root = Path(name)
        for folder in ("bin", "modules", "proc", "sys", "dev", "root"):
            (root / folder).mkdir()
        shutil.copy(debian / "bin" / "busybox", root / "bin" / "busybox")
        shutil.copy(HERE / "common" / "initrd_init.sh", root / "init")
        put_modules(debian, board.modules, root / "modules")
        run(*as_root("sh", "-c", f"find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > {made}.new && mv {made}.new {made}"), cwd=root)
    return made


def kernel_of(board: Board, debian: Path) -> Path:
    """As the board's loader takes it."""
    kernel = debian / "boot" / f"vmlinuz-{(debian / '.whole').read_text().strip()}"
    if not board.packs_kernel:
        return kernel
    packed = WORK / f"{board.architecture}-kernel.gz"
    if not packed.exists() or packed.stat().st_mtime < kernel.stat().st_mtime:
        packed.write_bytes(gzip.compress(kernel.read_bytes(), 6, mtime=0))
    return packed


def put_kernel(board: Board, debian: Path, folder: Path) -> None:
    shutil.copy(kernel_of(board, debian), folder / "vmlinuz")
    shutil.copy(make_initrd(board, debian), folder / "initrd")


def fill_side(board: Board, root: Path, version: str, fault: str | None) -> None:
    if why := board.missing():
        raise SystemExit(f"images: {why}")
    debian = packages(board)
    for folder in ("bin", "sbin", "boot", "dev", "proc", "sys", "run", "tmp", "data", "root", "usr/bin", "usr/lib/godwit", board.linker, f"usr/lib/{board.triple}"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for layer in (HERE / "common" / "rootfs", board.folder / "rootfs"):
        shutil.copytree(layer, root, dirs_exist_ok=True)
    for folder in board.mounts:
        (root / folder).mkdir(parents=True)
    if board.has_kernel_on_side:
        put_kernel(board, debian, root / "boot")

    shutil.copy(debian / "bin" / "busybox", root / "bin" / "busybox")
    for applet in APPLETS:
        (root / ("sbin" if applet in ("init", "start-stop-daemon", "reboot", "poweroff", "halt") else "bin") / applet).symlink_to("/bin/busybox")
    programs = [board.programs / "bin" / name for name in ("godwit-agent", "godwit-installer", "godwit-installer-wait", "godwit-slots")]
    wanted = (HERE / "common" / "rootfs" / "usr" / "lib" / "godwit" / "extensions.list").read_text().splitlines()
    libraries = [board.programs / "lib" / line.split()[3] for line in wanted if line and not line.startswith("#")]
    if missing := [p for p in [*programs, *libraries] if not p.exists()]:
        raise SystemExit(f"images: {missing[0]} is missing: run ./dev build {board.preset}")
    for sources, folder in ((programs, root / "usr" / "bin"), (set(libraries), root / "usr" / "lib" / "godwit")):
        for source in sources:
            run(f"{board.triple}-strip", "-o", folder / source.name, source)
    for name, place in needed_libraries(board, [*programs, *libraries]).items():
        put_library(board, root, name, place)

    (root / "etc" / "os-release").write_text(f'NAME="Godwit reference device"\nID=godwit-reference\nVERSION_ID={version}\n')
    for name in ("agent.toml", "installer.toml", "trust-anchors.json", "ca.pem", "device.key"):
        (root / "etc" / "godwit" / name).symlink_to(f"/data/etc/godwit/{name}")
    break_side(root, fault)


def break_side(root: Path, fault: str | None) -> None:
    def program(path: str, text: str) -> None:
        (root / path).unlink(missing_ok=True)
        (root / path).write_text(text)
        (root / path).chmod(0o755)

    if fault == "noinit":
        (root / "sbin" / "init").unlink()
    elif fault == "panic":
        program("sbin/init", "#!/bin/sh\nexit 1\n")
    elif fault == "hang":
        program("sbin/init", "#!/bin/sh\nwhile :; do sleep 1000; done\n")
    elif fault == "crash":
        program("usr/bin/godwit-agent", "#!/bin/sh\n[ \"$1\" = run ] || exit 0\nkill -SEGV $$\n")
    elif fault == "unhealthy":
        program("usr/bin/is-healthy", "#!/bin/sh\necho 'the oven stays cold'\nexit 3\n")
        slots = root / "etc" / "godwit" / "slots.toml"
        slots.write_text(slots.read_text().replace('["/usr/bin/godwit-agent", "health"]', '["/usr/bin/is-healthy"]').replace('time_limit = "40s"', 'time_limit = "6s"'))
    elif fault == "offline":
        (root / "etc" / "godwit" / "offline").touch()


def make_side(out: Path, version: str, fault: str | None = None, board: Board = ARM64, more=None, mib: int = SIDE_MIB) -> Path:
    """Writes one side as a file of `mib`; with the fault "garbage" as 4 MiB of noise. `more` gets its folder before it is packed."""
    WORK.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    if fault == "garbage":
        out.write_bytes(random.Random(version).randbytes(4 * MIB))
        return out
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        root = Path(name) / "root"
        root.mkdir()
        fill_side(board, root, version, fault)
        if more:
            more(root)
        run(*as_root("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal,^metadata_csum_seed", "-E", "root_owner=0:0", "-L", "side", "-d", root, out, f"{mib}M"))
    return out


# ---- a disk -----------------------------------------------------------------------------------------------------------

def put(disk: Path, offset_mib: int, source: Path) -> None:
    run("dd", f"if={source}", f"of={disk}", "bs=1M", f"seek={offset_mib}", "conv=notrunc,sparse", "status=none")


def put_uboot(board: Board, disk: Path, work: Path) -> None:
    """The boot state in two copies; the script lies in the flash."""
    run("mkenvimage", "-s", STATE_BYTES, "-p", "0", "-o", work / "state", "-", input="good=A\n")
    with open(disk, "r+b") as file:
        file.seek(BOOT_START * MIB)
        file.write((work / "state").read_bytes() * 2)


def put_grub(board: Board, disk: Path, work: Path) -> None:
    """GRUB before the first partition, its script and state in the boot partition. boot.img expects the core in sector 1, and the core the
    rest of itself in sector 2: where they lie here, so no grub-install is needed."""
    boot = work / "boot"
    boot.mkdir()
    shutil.copy(board.folder / "grub.cfg", boot)
    run("grub-editenv", boot / "grubenv", "create")
    run("grub-editenv", boot / "grubenv", "set", "good=A")
    # ext2: GRUB does not replay a journal.
    run(*as_root("mke2fs", "-q", "-t", "ext2", "-b", "1024", "-E", "root_owner=0:0", "-L", "boot", "-d", boot, work / "boot.ext2", f"{board.boot_mib}M"))
    put(disk, BOOT_START, work / "boot.ext2")
    # Every module inside: nothing of GRUB but the script and the state is read from a file system.
    run("grub-mkimage", "-d", GRUB, "-O", "i386-pc", "-p", "(hd0,msdos1)/", "-o", work / "core.img", "biosdisk", "part_msdos", "ext2", "normal",
        "linux", "serial", "terminal", "test", "loadenv", "reboot", "echo", "sleep")
    first, core = (GRUB / "boot.img").read_bytes()[:440], (work / "core.img").read_bytes()
    if len(core) > BOOT_START * MIB - STATE_BYTES:
        raise SystemExit(f"images: GRUB's core has {len(core)} bytes and does not fit before the first partition")
    with open(disk, "r+b") as file:
        file.write(first)
        file.seek(STATE_BYTES)
        file.write(core)


def put_systemd_boot(board: Board, disk: Path, work: Path) -> None:
    """The EFI system partition: systemd-boot where firmware looks without being told, a kernel for each side, the entries. mtools: no mount."""
    debian, esp = packages(board), work / "esp"
    (esp / "EFI" / "BOOT").mkdir(parents=True)
    shutil.copy(SYSTEMD_BOOT, esp / "EFI" / "BOOT" / "BOOTX64.EFI")
    entries = esp / "loader" / "entries"
    entries.mkdir(parents=True)
    shutil.copy(board.folder / "loader.conf", esp / "loader")
    for side, partition in (("A", 3), ("B", 4)):
        folder = esp / f"side-{side}"
        folder.mkdir()
        put_kernel(board, debian, folder)
        text = (board.folder / "side.entry.in").read_text().replace("@SIDE@", side).replace("@ROOT@", f"/dev/vda{partition}")
        (entries / f"side-{side.lower()}.entry").write_text(text)
        if side == "A":
            (entries / "side-a.conf").write_text("sort-key 00-godwit\nversion 1\n" + text)
    run("mkfs.vfat", "-C", "-F", "32", "-n", "BOOT", work / "boot.vfat", board.boot_mib * 1024)
    run("mcopy", "-s", "-Q", "-i", work / "boot.vfat", *sorted(esp.iterdir()), "::/")
    put(disk, BOOT_START, work / "boot.vfat")


LOADERS = {"uboot": (put_uboot, "83,bootable"), "grub": (put_grub, "83,bootable"), "systemd-boot": (put_systemd_boot, "ef")}  # and its partition's type


def make_disk(disk: Path, side: Path, etc: Path, board: Board = ARM64) -> Path:
    """A disk with `side` on A, nothing on B, and the files of `etc` as /etc/godwit of the device, on the data partition."""
    disk.unlink(missing_ok=True)
    with open(disk, "wb") as file:
        file.truncate((board.side_start("B") + SIDE_MIB + 1) * MIB)
    put_loader, kind = LOADERS[board.loader]
    table = "label: dos\nstart={}MiB,size={}MiB,type={}\nsize={}MiB,type=83\nsize={}MiB,type=83\nsize={}MiB,type=83\n"
    run("sfdisk", "-q", disk, input=table.format(BOOT_START, board.boot_mib, kind, DATA_MIB, SIDE_MIB, SIDE_MIB))
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        work = Path(name)
        put_loader(board, disk, work)
        shutil.copytree(etc, work / "data" / "etc" / "godwit")
        run(*as_root("mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-L", "data", "-d", work / "data", work / "data.ext4", f"{DATA_MIB}M"))
        put(disk, board.data_start, work / "data.ext4")
    put(disk, board.side_start("A"), side)
    return disk


def fill_uboot_flash(board: Board, flash: Path) -> None:
    """Where U-Boot looks for an environment: the boot script."""
    run("mkenvimage", "-s", FLASH_ENV, "-o", flash, board.folder / "uboot.env")
    with open(flash, "r+b") as file:
        file.truncate(FLASH_MIB * MIB)


def fill_uefi_flash(board: Board, flash: Path) -> None:
    """The firmware's variables: none yet."""
    shutil.copy(UEFI_VARIABLES, flash)


FLASHES = {"uboot": fill_uboot_flash, "uefi": fill_uefi_flash}


def make_flash(flash: Path, board: Board = ARM64) -> Path:
    """The second flash bank of a machine that has one."""
    FLASHES[board.flash](board, flash)
    return flash


def main() -> int:
    parser = argparse.ArgumentParser(prog="images/build.py", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    side = verbs.add_parser("side", help="one side, as a file")
    side.add_argument("out", type=Path)
    side.add_argument("--version", required=True)
    side.add_argument("--board", choices=BOARDS, default=ARM64.name)
    side.add_argument("--fault", choices=sorted(FAULTS), help="; ".join(f"{k}: {v}" for k, v in FAULTS.items()))
    disk = verbs.add_parser("disk", help="a disk with that side on A, and the flash where the board has one")
    disk.add_argument("out", type=Path)
    disk.add_argument("--board", choices=BOARDS, default=ARM64.name)
    disk.add_argument("--side", type=Path, required=True)
    disk.add_argument("--etc", type=Path, required=True, help="folder with agent.toml, installer.toml, trust-anchors.json, ca.pem, device.key")
    disk.add_argument("--flash", type=Path, help="needed for a board with a flash")
    wanted = parser.parse_args()
    board = BOARDS[wanted.board]
    if wanted.verb == "side":
        make_side(wanted.out, wanted.version, wanted.fault, board)
        return 0
    if board.flash and wanted.flash is None:
        parser.error(f"{board.name} has a flash beside its disk: --flash is needed")
    make_disk(wanted.out, wanted.side, wanted.etc, board)
    if board.flash:
        make_flash(wanted.flash, board)
    return 0


if __name__ == "__main__":
    sys.exit(main())
