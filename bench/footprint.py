"""What the programs weigh: idle memory and stripped sizes."""
from __future__ import annotations

import subprocess
import time
from pathlib import Path

from measure import BINARIES, row, rss_kib, wait_until
from stack import Device, Service


def bench_memory(service: Service, folder: Path, quick: bool) -> None:
    fresh = Service(folder / "idle", BINARIES)
    fresh.init()
    fresh.start()
    device = Device(fresh, "idle-1", folder / "idle" / "device", group="idle")
    try:
        device.set_up()
        device.start()
        wait_until("the device reports itself", lambda: any(d["deviceId"] == "idle-1" for d in fresh.json("device", "list")), 30)
        time.sleep(3)
        agent, installer = rss_kib(device.agent.child.pid), rss_kib(device.installer.child.pid)
        row("idle memory, agent + installer", f"{(agent['rss'] + installer['rss']) / 1024:.1f} MiB RSS ({agent['rss'] / 1024:.1f} + {installer['rss'] / 1024:.1f})", "goal: 8 MiB",
            f"private {(agent['private'] + installer['private']) / 1024:.1f} MiB, proportional {(agent['pss'] + installer['pss']) / 1024:.1f} MiB")
        daemon = rss_kib(fresh.process.child.pid)
        row("idle memory, godwitd", f"{daemon['rss'] / 1024:.1f} MiB RSS", "goal: 40 MiB", f"private {daemon['private'] / 1024:.1f} MiB")
    finally:
        device.stop()
        fresh.stop()


def bench_sizes(service: Service, folder: Path, quick: bool) -> None:
    for path in [*(BINARIES / n for n in ("godwitd", "godwit-agent", "godwit-installer", "godwit")), *sorted((BINARIES.parent / "lib").glob("godwit-*.so"))]:
        stripped = folder / path.name
        subprocess.run(["strip", "-o", stripped, path], check=True)
        row(f"stripped size, {path.name}", f"{stripped.stat().st_size / 1024:.0f} KiB", "-")
