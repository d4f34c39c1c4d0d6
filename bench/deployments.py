"""Deployments over whole fleets: the real store, planner and views without sockets, beside SQLite alone in the same run."""
from __future__ import annotations

import json
import subprocess
from pathlib import Path

from measure import BINARIES, StackError, row
from stack import Service

READS = {"status": "deployment status", "device_states": "device states, a page of 100", "compliance": "compliance", "devices": "device list, a page of 100"}


def measure(folder: Path, devices: int) -> dict:
    place = folder / f"deployments-{devices}"
    place.mkdir()
    run = subprocess.run([BINARIES / "bench_deployments", place, str(devices)], capture_output=True, text=True)
    if run.returncode:
        raise StackError(f"bench_deployments {devices} failed: {run.stderr.strip()}")
    for file in place.iterdir():
        file.unlink()
    return json.loads(run.stdout)


def show(found: dict) -> None:
    devices = found["devices"]
    fleet = f"{devices:,} devices"
    offers, limit = devices / found["offer_seconds"], found["sqlite_inserts_per_second"]
    row(f"deployment to {fleet}, from the PUT to the last stored goal", f"{found['offer_seconds']:.2f} s, {offers:,.0f} goals/s",
        f"{devices / limit:.2f} s, {limit:,.0f} rows/s of {found['offer_bytes']:,} bytes (SQLite)",
        f"{offers / limit:.2f} of SQLite; the PUT itself {found['put_seconds'] * 1000:.0f} ms; {found['offers_per_commit']:.0f} goals and rows a commit")
    reporting = found["begin_seconds"] + found["succeed_seconds"]
    reports, limit = 2 * devices / reporting, found["sqlite_updates_per_second"]
    row(f"{fleet} report in progress, then success, until the last Succeeded", f"{reporting:.2f} s, {reports:,.0f} reports/s",
        f"{2 * devices / limit:.2f} s, {limit:,.0f} rows/s of {found['report_bytes']:,} bytes (SQLite)",
        f"{reports / limit:.2f} of SQLite; {found['begin_seconds']:.2f} s and {found['succeed_seconds']:.2f} s; {found['reports_per_commit']:.0f} reports and rows a commit")
    reads, idle = found["reads"], found["idle_reads"]
    words = lambda read: f"p50 {read['p50']:.1f}, p99 {read['p99']:.1f} ms"
    for name, title in READS.items():
        row(f"{title}, while {fleet} are updated", words(reads[name]), f"{words(idle[name])} (nothing is written)", f"{reads['rounds']} reads")
    row(f"list of all {fleet}, {-(-devices // 100):,} pages of 100", f"{found['list_seconds']:.2f} s", f"{found['sqlite_list_seconds']:.2f} s (the same rows in one SQLite query)",
        f"{found['list_seconds'] / devices * 1e5:.2f} ms a page")
    row(f"resident memory after a deployment to {fleet}", f"{found['end_kib'] / 1024:.0f} MiB", f"{found['filled_kib'] / 1024:.0f} MiB before it",
        f"at most {found['peak_kib'] / 1024:.0f} MiB; database {found['file_bytes'] / devices / 1024:.1f} KiB a device")


def bench_deployments(service: Service, folder: Path, quick: bool) -> None:
    for devices in (1_000, 10_000) if quick else (1_000, 10_000, 100_000):
        show(measure(folder, devices))
