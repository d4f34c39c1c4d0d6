"""An image onto a side, as godwit/image:1 writes it, beside dd with fsync and sha256sum on the same bytes and disk."""
from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measure import BINARIES, row

MIB = 1 << 20
BLOCK = 64 * 1024  # what differs between two images differs in blocks of this size


def noise(path: Path, size: int, seed: int) -> None:
    dice = random.Random(seed)
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(dice.randbytes(MIB))


def timed(*words) -> float:
    begun = time.monotonic()
    subprocess.run([str(w) for w in words], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def install(image: Path, side: Path, folder: Path, *more) -> dict:
    for name in ("contents.json", "progress.json"):
        (folder / name).unlink(missing_ok=True)
    done = subprocess.run([BINARIES / "bench_image_install", image, side, folder, *map(str, more)], capture_output=True, text=True)
    if done.returncode != 0 and not more:
        sys.exit(f"bench: {done.stderr.strip()}")
    return json.loads(done.stdout)


def bench_image(service, folder: Path, quick: bool) -> None:
    size = (128 if quick else 1024) * MIB
    image, side, other = folder / "image", folder / "side", folder / "other"
    noise(image, size, 1)
    noise(other, size, 2)

    ours, copies, hashes, memory, most = [], [], [], 0, -1
    for _ in range(3):
        shutil.copy(other, side)
        subprocess.run(["sync", side], check=True)
        told = install(image, side, folder)
        ours.append(told["seconds"])
        memory, most = max(memory, told["peak_kib"]), max(most, told["most_unwritten"])
        shutil.copy(other, side)
        subprocess.run(["sync", side], check=True)
        copies.append(timed("dd", f"if={image}", f"of={side}", "bs=1M", "conv=notrunc,fsync", "status=none"))
        hashes.append(timed("sha256sum", image))
    slower = max(statistics.median(copies), statistics.median(hashes))
    row(f"an image of {size // MIB} MiB written, synced, read back from the medium, median of 3", f"{statistics.median(ours):.2f} s",
        f"dd conv=fsync {statistics.median(copies):.2f} s, sha256sum {statistics.median(hashes):.2f} s", f"{statistics.median(ours) / slower:.2f} of the slower, goal 1.15")
    row("memory at work", f"{memory / 1024:.1f} MiB", "-", "goal 24 MiB")

    subprocess.run([BINARIES / "godwit", "image", "pack", image, "--folder", folder, "--level", "1"], check=True, stdout=subprocess.DEVNULL)
    stored, index = folder / "image.zst", folder / "image.zst.index"
    shutil.copy(other, side)
    subprocess.run(["sync", side], check=True)
    told = install(stored, side, folder, index)
    row(f"the same image streamed: {told['rounds']} pieces of 8 MiB from the same disk, checked, unpacked, written, read back", f"{told['seconds']:.2f} s", f"whole, not packed {statistics.median(ours):.2f} s",
        f"{told['peak_kib'] / 1024:.1f} MiB, goal 24 MiB")
    stored.unlink()

    dice, blocks = random.Random(3), size // BLOCK
    shutil.copy(image, side)
    with open(side, "r+b") as file:
        for number in dice.sample(range(blocks), blocks // 20):
            file.seek(number * BLOCK)
            file.write(dice.randbytes(BLOCK))
    told = install(image, side, folder)
    row("bytes written where 5 % of the blocks differ", f"{100 * told['written'] / size:.2f} %", "5 %", "goal 6 %")

    shutil.copy(other, side)
    subprocess.run(["sync", side], check=True)
    before = install(image, side, folder, size // 2)["done"]
    told = install(image, side, folder)
    row("written twice after a kill in the middle", f"{max(0, before + told['written'] - size) / MIB:.2f} MiB", "-", "a kill leaves the page cache whole")
    row("most bytes of the side that a power cut would have found in memory only, asked after each block of 1 MiB",
        f"{most / MIB:.2f} MiB" if most >= 0 else "the kernel does not tell", "-", "goal one block; a medium with a cache of its own that forgets costs a window of 8 MiB at most")
