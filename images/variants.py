"""Sides that hold more than build.py puts in: Debian's swupdate, or a ramdisk that checks the side with dm-verity. For build.make_side(more=...)."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build  # noqa: E402
from boards import ARM64, Board  # noqa: E402

VERITY_MODULES = ("dm-verity",)


def programs(board: Board) -> Path:
    """Debian's swupdate and veritysetup for the device, extracted, with all that they depend on."""
    folder = build.WORK / f"{board.architecture}-programs"
    build.run(build.HERE / "common" / "get_programs.sh", board.architecture, folder, "swupdate", "cryptsetup-bin")
    return folder


def put_program(board: Board, root: Path, name: str, leave_out: tuple = ()) -> None:
    """The program to /usr/bin of `root`, and each of its libraries that is not there yet."""
    debian = programs(board)
    place = next((p for folder in ("usr/bin", "usr/sbin", "bin", "sbin") if (p := debian / folder / name).exists()), None)
    if place is None:
        raise SystemExit(f"images: there is no {name} in {debian}")
    (root / "usr" / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(place, root / "usr" / "bin" / name)
    of_debian = replace(board, libraries=tuple(debian / f for f in (f"usr/lib/{board.triple}", f"lib/{board.triple}", "usr/lib", "lib", "lib64")))
    for library, source in build.needed_libraries(of_debian, [place], leave_out).items():
        build.put_library(board, root, library, source)


# ---- SWUpdate ----------------------------------------------------------------------------------------------------------

def without_icu_data(root: Path) -> None:
    """31 MB of locale data that libxml2 links and nothing here asks for: a library of the same name with none in it."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "data.c"
        source.write_text("const char icudt72_dat[64] = {0};\n")
        build.run(f"{ARM64.triple}-gcc", "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libicudata.so.72", "-o", root / "usr" / "lib" / ARM64.triple / "libicudata.so.72", source)


def with_swupdate(operator: Path):
    """The side takes .swu images that are signed for this certificate, by both handlers, onto whichever side does not run."""
    def add(root: Path) -> None:
        put_program(ARM64, root, "swupdate", leave_out=("libicudata.so.72",))
        without_icu_data(root)
        (root / "bin" / "tr").symlink_to("/bin/busybox")
        (root / "etc" / "hwrevision").write_text("reference 1.0\n")
        shutil.copy(operator, root / "etc" / "godwit" / "operator.pem")
        version = re.search(r"VERSION_ID=(.+)", (root / "etc" / "os-release").read_text()).group(1)
        (root / "etc" / "adu-version").write_text(version + "\n")
        (root / "etc" / "godwit" / "swupdate.json").write_text('{"publicKeyFile": "/etc/godwit/operator.pem", "slots": {"a": "stable,copy-a", "b": "stable,copy-b"}}\n')
        (root / "etc" / "godwit" / "swupdate-handler-config.json").write_text('{"--public-key-file": "/etc/godwit/operator.pem"}\n')
        with open(root / "usr" / "lib" / "godwit" / "extensions.list", "a") as lines:
            for number, library in ((1, "step-swupdate"), (2, "step-swupdate-script")):
                build.run(f"{ARM64.triple}-strip", "-o", root / "usr" / "lib" / "godwit" / f"godwit-{library}.so", ARM64.programs / "lib" / f"godwit-{library}.so")
                lines.write(f"installer step-handler microsoft/swupdate:{number} godwit-{library}.so --network\n")
    return add


# ---- dm-verity ---------------------------------------------------------------------------------------------------------

def add_verity(board: Board, root: Path) -> None:
    """A second archive behind the ramdisk of the side, which the kernel unpacks after the first: veritysetup and the modules for it."""
    debian = build.WORK / f"{board.architecture}-packages"
    with tempfile.TemporaryDirectory(dir=build.WORK) as name:
        work, archive = Path(name) / "root", Path(name) / "more.gz"
        (work / "modules").mkdir(parents=True)
        (work / "run").mkdir()
        put_program(board, work, "veritysetup")
        # The ramdisk has reed_solomon already: ramoops needs it, too.
        build.put_modules(debian, VERITY_MODULES, work / "modules", 50, leave_out="reed_solomon")
        build.run(*build.as_root("sh", "-c", f"find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > {archive}"), cwd=work)
        with open(root / "boot" / "initrd", "ab") as initrd:
            initrd.write(b"\0" * (-os.path.getsize(root / "boot" / "initrd") % 4))
            initrd.write(archive.read_bytes())


def make_verity_side(out: Path, version: str, board: Board = ARM64) -> dict:
    """A side with its tree of hashes behind the file system, as a file of the usual size; gives the handler properties for it."""
    room = 1  # MiB for the tree: 1/128 of the side and a bit
    build.make_side(out, version, board=board, more=partial(add_verity, board), mib=build.SIDE_MIB - room)
    offset = (build.SIDE_MIB - room) * build.MIB
    with open(out, "r+b") as file:
        file.truncate(build.SIDE_MIB * build.MIB)
    done = subprocess.run(["/usr/sbin/veritysetup", "format", f"--data-blocks={offset // 4096}", f"--hash-offset={offset}", out, out], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"images: veritysetup: {done.stderr}")
    return {"verityRootHash": re.search(r"Root hash:\s*(\w+)", done.stdout).group(1), "verityHashOffset": str(offset)}
