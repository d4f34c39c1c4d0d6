"""Deltas between two images of a Debian root file system, beside zstd --patch-from and xdelta3 on the same pair.

The pair is made once by debian_images.sh and kept in build/delta-images; GODWIT_DELTA_IMAGES names a folder with A.ext4 and B.ext4 instead.
"""
from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

from measure import BINARIES, ROOT, row


def measured(words: list) -> tuple[float, int]:
    """Runs a command; its CPU seconds and the most memory it held, in MiB."""
    child = subprocess.Popen([str(w) for w in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"bench: {words[0]} failed: {errors.decode(errors='replace').strip()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def images(folder: Path) -> tuple[Path, Path]:
    given = os.environ.get("GODWIT_DELTA_IMAGES")
    where = Path(given) if given else ROOT / "build" / "delta-images"
    pair = where / "A.ext4", where / "B.ext4"
    if not all(image.exists() for image in pair):
        if given:
            sys.exit(f"bench: {where} has no A.ext4 and B.ext4")
        subprocess.run([ROOT / "bench" / "debian_images.sh", where], check=True, stdout=subprocess.DEVNULL)
    return pair


def shortened(pair: tuple[Path, Path], folder: Path, size: int) -> tuple[Path, Path]:
    """The same place of both images, for a first look."""
    out = []
    for image in pair:
        piece = folder / f"short-{image.name}"
        with open(image, "rb") as whole, open(piece, "wb") as part:
            part.write(whole.read(size))
        out.append(piece)
    return out[0], out[1]


def bench_delta(service, folder: Path, quick: bool) -> None:
    a, b = images(folder)
    if quick:
        a, b = shortened((a, b), folder, 128 << 20)
    godwit = BINARIES / "godwit"
    tools = {
        "Godwit -19": ([godwit, "delta", "make", "--jobs", "1", a, b, "D"], [godwit, "delta", "apply", a, "D", "T"]),
        "zstd --patch-from -19": (["zstd", "-q", "-f", "-19", "--long=31", f"--patch-from={a}", b, "-o", "D"],
                                  ["zstd", "-q", "-f", "-d", "--long=31", f"--patch-from={a}", "D", "-o", "T"]),
        "zstd --patch-from -3": (["zstd", "-q", "-f", "-3", "--long=31", f"--patch-from={a}", b, "-o", "D"],
                                 ["zstd", "-q", "-f", "-d", "--long=31", f"--patch-from={a}", "D", "-o", "T"]),
        "xdelta3 -9 -S lzma": (["xdelta3", "-f", "-9", "-S", "lzma", "-e", "-s", a, b, "D"], ["xdelta3", "-f", "-d", "-s", a, "D", "T"]),
    }
    figures = {}
    for name, (make, apply) in tools.items():
        if shutil.which(str(make[0])) is None:
            sys.exit(f"bench: {make[0]} is missing")
        delta, target = folder / "delta", folder / "target"
        placed = [[delta if w == "D" else target if w == "T" else w for w in words] for words in (make, apply)]
        made = measured(placed[0])
        applied = measured(placed[1])
        if not filecmp.cmp(target, b, shallow=False):
            sys.exit(f"bench: {name} did not give the target back")
        figures[name] = (delta.stat().st_size, made, applied)
        delta.unlink()
        target.unlink()

    def beside(text) -> tuple[str, str]:
        told = {name: text(figure) for name, figure in figures.items()}
        ours = told.pop("Godwit -19")
        return ours, ", ".join(f"{name}: {figure}" for name, figure in told.items())

    pair = f"{a.stat().st_size >> 20} MiB, ext4 of Debian 12 without and with its security updates"
    row("delta: size", *beside(lambda f: f"{f[0] / 1e6:.2f} MB"), pair)
    row("delta: make", *beside(lambda f: f"{f[1][0]:.0f} CPU s, {f[1][1]} MiB"), "files that are mapped count as memory, as far as the kernel keeps them")
    row("delta: apply", *beside(lambda f: f"{f[2][0]:.1f} CPU s, {f[2][1]} MiB"), "compared with the target byte for byte")
