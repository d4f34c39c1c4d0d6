"""Sides that hold more than build.py puts in: Debian's swupdate, or a ramdisk that checks the side with dm-verity. For build.make_side(more=...)."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build  # noqa: E402

ARCHITECTURE, TRIPLE = "arm64", "aarch64-linux-gnu"
LIBRARIES = build.ROOT / "build" / ARCHITECTURE / "lib"
VERITY_MODULES = ("dm-verity",)


def programs() -> Path:
    """Debian's swupdate and veritysetup for the device, extracted, with all that they depend on."""
    folder = build.WORK / f"{ARCHITECTURE}-programs"
    build.run(build.HERE / "common" / "get_programs.sh", ARCHITECTURE, folder, "swupdate", "cryptsetup-bin")
    return folder


def find(debian: Path, name: str) -> Path:
    places = [debian / folder / name for folder in ("usr/bin", "usr/sbin", "bin", "sbin", f"usr/lib/{TRIPLE}", f"lib/{TRIPLE}", "usr/lib", "lib")]
    found = next((p for p in places if p.exists()), None)
    if found is None:
        raise SystemExit(f"images: there is no {name} in {debian}")
    return found


def put_program(root: Path, debian: Path, name: str, leave_out: tuple = ()) -> None:
    """The program to /usr/bin of `root`, and each of its libraries that is not there yet."""
    (root / "usr" / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(find(debian, name), root / "usr" / "bin" / name)
    waiting, seen = [find(debian, name)], set(leave_out)
    while waiting:
        for needed in re.findall(r"\(NEEDED\).*\[(.+)\]", build.run(f"{TRIPLE}-readelf", "-d", waiting.pop()).stdout):
            if needed in seen:
                continue
            seen.add(needed)
            source = find(debian, needed)
            waiting.append(source)
            target = root / ("lib" if needed.startswith("ld-linux") else f"usr/lib/{TRIPLE}") / needed
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(source.resolve(), target)


# ---- SWUpdate ----------------------------------------------------------------------------------------------------------

def without_icu_data(root: Path) -> None:
    """31 MB of locale data that libxml2 links and nothing here asks for: a library of the same name with none in it."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "data.c"
        source.write_text("const char icudt72_dat[64] = {0};\n")
        build.run(f"{TRIPLE}-gcc", "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libicudata.so.72", "-o", root / "usr" / "lib" / TRIPLE / "libicudata.so.72", source)


def with_swupdate(operator: Path):
    """The side takes .swu images that are signed for this certificate, by both handlers, onto whichever side does not run."""
    def add(root: Path) -> None:
        put_program(root, programs(), "swupdate", leave_out=("libicudata.so.72",))
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
                build.run(f"{TRIPLE}-strip", "-o", root / "usr" / "lib" / "godwit" / f"godwit-{library}.so", LIBRARIES / f"godwit-{library}.so")
                lines.write(f"installer step-handler microsoft/swupdate:{number} godwit-{library}.so --network\n")
    return add


# ---- dm-verity ---------------------------------------------------------------------------------------------------------

def add_verity(root: Path) -> None:
    """A second archive behind the ramdisk of the side, which the kernel unpacks after the first: veritysetup and the modules for it."""
    debian = build.WORK / f"{ARCHITECTURE}-packages"
    kernel = (debian / ".whole").read_text().strip()
    with tempfile.TemporaryDirectory(dir=build.WORK) as name:
        work, archive = Path(name) / "root", Path(name) / "more.gz"
        (work / "modules").mkdir(parents=True)
        (work / "run").mkdir()
        put_program(work, programs(), "veritysetup")
        modules = []
        for module in VERITY_MODULES:
            shown = build.run("modprobe", "-d", debian, "-S", kernel, "--show-depends", module).stdout
            # The ramdisk has reed_solomon already: ramoops needs it, too.
            modules += [line.split()[1] for line in shown.splitlines() if line.startswith("insmod ") and "reed_solomon" not in line]
        for number, module in enumerate(dict.fromkeys(modules)):
            shutil.copy(module, work / "modules" / f"{number + 50}-{Path(module).name}")
        build.run(*build.as_root("sh", "-c", f"find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > {archive}"), cwd=work)
        with open(root / "boot" / "initrd", "ab") as initrd:
            initrd.write(b"\0" * (-os.path.getsize(root / "boot" / "initrd") % 4))
            initrd.write(archive.read_bytes())


def make_verity_side(out: Path, version: str) -> dict:
    """A side with its tree of hashes behind the file system, as a file of the usual size; gives the handler properties for it."""
    room = 1  # MiB for the tree: 1/128 of the side and a bit
    build.make_side(out, version, more=add_verity, mib=build.SIDE_MIB - room)
    offset = (build.SIDE_MIB - room) * build.MIB
    with open(out, "r+b") as file:
        file.truncate(build.SIDE_MIB * build.MIB)
    done = subprocess.run(["/usr/sbin/veritysetup", "format", f"--data-blocks={offset // 4096}", f"--hash-offset={offset}", out, out], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"images: veritysetup: {done.stderr}")
    return {"verityRootHash": re.search(r"Root hash:\s*(\w+)", done.stdout).group(1), "verityHashOffset": str(offset)}
