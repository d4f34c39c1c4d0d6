#!/usr/bin/env python3
"""Measures the claims of docs/explain/performance.md, each beside its reference in the same run, and prints a table.

`./dev bench [--quick] [name ...]` builds what is needed and calls this. Nothing here passes or fails on time.
"""
from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure import BINARIES, ROOT, raise_descriptor_limit  # noqa: E402
from agent import bench_agent  # noqa: E402
from console import bench_console  # noqa: E402
from delta import bench_delta  # noqa: E402
from deployments import bench_deployments  # noqa: E402
from footprint import bench_memory, bench_sizes  # noqa: E402
from image import bench_image  # noqa: E402
from hub import PARTS, HubBench  # noqa: E402
from payloads import bench_download, bench_import  # noqa: E402
from stack import Service  # noqa: E402

ALONE = {"sizes": bench_sizes, "memory": bench_memory, "agent": bench_agent, "download": bench_download, "import": bench_import, "deployments": bench_deployments, "delta": bench_delta, "image": bench_image, "console": bench_console}
NAMES = [*ALONE, "hub", *(f"hub-{part}" for part in PARTS)]


def run_alone(names: list[str], folder: Path, quick: bool) -> None:
    service = Service(folder, BINARIES)
    service.init()
    service.start()
    try:
        for name in names:
            ALONE[name](service, folder, quick)
    finally:
        service.stop()


def run_hub(parts: list[str], folder: Path, quick: bool, figures: Path | None) -> None:
    bench = HubBench(folder, quick)
    bench.set_up()
    try:
        for part in parts:
            PARTS[part](bench)
    finally:
        bench.tear_down()
    if figures and bench.curve:
        from curve import draw
        draw(bench.curve, figures)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(NAMES)}; none = all")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="draw the cost curves as SVG into this folder")
    wanted = parser.parse_args()
    for name in wanted.names:
        if name not in NAMES:
            parser.error(f"'{name}' is not one of {', '.join(NAMES)}")
    raise_descriptor_limit()
    names = wanted.names or [*ALONE, "hub"]
    parts = [part for part in PARTS if "hub" in names or f"hub-{part}" in names]
    folder = Path(tempfile.mkdtemp(prefix="godwit-bench-", dir=ROOT / "build"))
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}, {time.strftime('%Y-%m-%d')}\n\n| claim | Godwit | reference in the same run | remark |\n|---|---|---|---|", flush=True)
    try:
        if alone := [name for name in names if name in ALONE]:
            run_alone(alone, folder, wanted.quick)
        if parts:
            run_hub(parts, folder, wanted.quick, wanted.draw)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
