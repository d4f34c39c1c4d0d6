"""The hub's claims: memory, connects, twins, patches, pushes and coming back, each beside its reference in the same run."""
from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from measure import BINARIES, Fleet, Peer, StackError, fleet, row
from peers import openssl_speed, start_bare_tls, start_mosquitto
from registry import push_desired, register
from stack import Service
from virtual_devices import bench_fleet

RES, DESIRED = "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"
STEPS, QUICK_STEPS = (1000, 5000, 10000, 19000), (500, 1000, 2000)


class HubBench:
    """A service with registered devices, restarted before each measurement."""

    def __init__(self, folder: Path, quick: bool):
        self.folder, self.quick = folder / "hub", quick
        self.steps = QUICK_STEPS if quick else STEPS
        self.seconds = 3 if quick else 8
        self.service = Service(self.folder, BINARIES)
        self.keys = self.folder / "keys"
        self.curve: list[dict] = []

    def set_up(self) -> None:
        self.service.init()
        self.service.start()
        begun = time.monotonic()
        register(self.service, self.steps[-1], self.keys)
        print(f"<!-- {self.steps[-1]} devices registered in {time.monotonic() - begun:.1f} s -->", flush=True)

    def tear_down(self) -> None:
        self.service.stop()

    def restart(self) -> Peer:
        self.service.stop()
        self.service.start()
        name = next(line.split('"')[1] for line in (self.service.data / "godwit.toml").read_text().splitlines() if line.startswith("name"))
        return Peer("Godwit", self.service.process, self.service.ports["hub"], self.service.ca, self.keys, name)

    @property
    def tls(self) -> Path:
        return self.service.data / "tls"


def filters(peer: Peer) -> list[str]:
    """What a device subscribes to; the bare TLS loop answers nothing but a CONNACK."""
    return [] if peer.name == "bare TLS" else ["--subscribe", RES, "--subscribe", DESIRED]


def connect_steps(bench: HubBench, peer: Peer) -> list[dict]:
    """Connects up to each step in turn; what the server used for each, and its memory after a rest."""
    from measure import rss_kib
    before = rss_kib(peer.pid)["rss"]
    run = Fleet("connect", peer, bench.steps[-1], "--steps", ",".join(map(str, bench.steps)), "--seconds", 2, "--connecting", 256, *filters(peer))
    run.wait("ready")
    found = [m for m in run.seen if m["event"] == "step"]
    for step in found:
        step["kib_each"] = (step["server_resident_kib"] - before) / step["devices"]
    result = run.wait("result")
    return found + [result]


def words_of_curve(steps: list[dict]) -> str:
    return ", ".join(f"{s['kib_each']:.1f}" for s in steps if s["event"] == "step")


def bench_connect(bench: HubBench) -> None:
    ours = connect_steps(bench, bench.restart())
    theirs = start_mosquitto(bench.folder, bench.restart(), bench.tls)
    try:
        mosquitto = connect_steps(bench, theirs)
    finally:
        theirs.process.stop()
    limit = start_bare_tls(bench.folder, theirs, bench.tls)
    try:
        bare = connect_steps(bench, limit)
    finally:
        limit.process.stop()
    sizes = ", ".join(f"{s:,}" for s in bench.steps)
    row(f"memory per idle TLS device, at {sizes}", words_of_curve(ours) + " KiB", words_of_curve(mosquitto) + " KiB (mosquitto)", f"TLS alone: {words_of_curve(bare)} KiB")
    rate = lambda steps: steps[-1]["per_server_cpu_second"]
    row("TLS connects with SAS check per server CPU second", f"{rate(ours):,.0f}", f"{rate(mosquitto):,.0f} (mosquitto + plugin), {rate(bare):,.0f} (handshake alone)",
        f"{rate(ours) / rate(mosquitto):.2f} times mosquitto, {rate(ours) / rate(bare):.2f} of the handshake limit; ours p99 {ours[-1]['connect_ms']['p99']:.0f} ms; {openssl_speed()}")
    by_step = lambda steps: ", ".join(f"{s['per_server_cpu_second']:,.0f}" for s in steps if s["event"] == "step")
    row(f"the same from step to step ({sizes})", by_step(ours), f"{by_step(mosquitto)} (mosquitto), {by_step(bare)} (handshake alone)")
    bench.curve = [{"server": name, "devices": s["devices"], "kib_each": s["kib_each"], "connects_per_cpu_second": s["per_server_cpu_second"]}
                   for name, steps in (("Godwit", ours), ("mosquitto", mosquitto), ("TLS alone", bare)) for s in steps if s["event"] == "step"]


def bench_twins(bench: HubBench) -> None:
    peer = bench.restart()
    theirs = start_mosquitto(bench.folder, peer, bench.tls)
    limit = start_bare_tls(bench.folder, peer, bench.tls)
    try:
        for devices, in_flight in ((50, 50), (1000, 256), (50, 800)):
            options = ("--seconds", bench.seconds, "--in-flight", in_flight)
            servers = [peer, theirs] if in_flight > devices else [peer, theirs, limit]  # the bare loop puts no split packets together
            ours, mosquitto, *bare = (fleet("twins", server, devices, *options) for server in servers)
            for figures in (ours, mosquitto, *bare):
                if figures["request_errors"] or figures["lost"]:
                    raise StackError(f"twin GETs failed: {json.dumps(figures)}")
            rate = lambda figures: figures["per_server_cpu_second"]
            row(f"twin GET round trips per server CPU second, {devices} devices, {in_flight} in flight", f"{rate(ours):,.0f}",
                ", ".join([f"{rate(mosquitto):,.0f} (mosquitto + plugin)", *(f"{rate(one):,.0f} (TLS and fixed bytes alone)" for one in bare)]),
                "".join([f"{rate(ours) / rate(mosquitto):.2f} times mosquitto, ", *(f"{rate(ours) / rate(one):.2f} of TLS alone, " for one in bare)]) +
                f"wall {ours['per_second']:,.0f}/s p99 {ours['answer_ms']['p99']:.1f} ms against {mosquitto['per_second']:,.0f}/s p99 {mosquitto['answer_ms']['p99']:.1f} ms")
    finally:
        theirs.process.stop()
        limit.process.stop()


def bench_reports(bench: HubBench) -> None:
    devices = min(10_000, bench.steps[-1])
    filler = 250
    reference = json.loads(subprocess.run([BINARIES / "bench_sqlite_commits", bench.folder, str(devices), str(filler + 60), str(bench.seconds)], capture_output=True, text=True, check=True).stdout)
    (bench.folder / "reference.sqlite").unlink()
    peer = bench.restart()
    options = ("--seconds", bench.seconds, "--in-flight", 256, "--filler", filler)
    ours = fleet("reports", peer, devices, *options, "--ledger", bench.folder / "ledger")
    check = fleet("verify", peer, devices, "--ledger", bench.folder / "ledger")
    if ours["request_errors"] or check["broken"]:
        raise StackError(f"patches failed: {json.dumps(ours)} {json.dumps(check)}")
    lines = []
    for persistence, name in (("persistence true\nautosave_on_changes true\nautosave_interval 100", "written every 100 changes"), ("persistence true", "written every 30 minutes")):
        theirs = start_mosquitto(bench.folder, peer, bench.tls, persistence=persistence)
        try:
            figures = fleet("reports", theirs, devices, *options)
            lines.append(f"{figures['per_second']:,.0f}/s p99 {figures['answer_ms']['p99']:.0f} ms (mosquitto, {name})")
        finally:
            theirs.process.stop()
    row(f"durable reported patches, {devices:,} devices, 256 in flight", f"{ours['per_second']:,.0f}/s, p50 {ours['answer_ms']['p50']:.1f}, p99 {ours['answer_ms']['p99']:.1f} ms",
        f"{reference['hundred']:,}/s and {reference['thousand']:,}/s at 100 and 1,000 rows a commit (SQLite); {'; '.join(lines)}",
        f"{ours['per_second'] / reference['hundred']:.2f} and {ours['per_second'] / reference['thousand']:.2f} of SQLite; {ours['per_server_cpu_second']:,.0f} per CPU second; "
        f"SQLite with one row a commit {reference['one']:,}/s")


def bench_push(bench: HubBench) -> None:
    devices = min(10_000, bench.steps[-1])
    peer = bench.restart()
    run = Fleet("watch", peer, devices, "--seconds", 120)
    run.wait("ready")
    begun = time.time()
    push_desired(bench.service, devices, int(begun))
    written = time.time() - begun
    result = run.wait("result")
    row(f"desired push to {devices:,} connected devices", f"{result['last_arrival_us'] / 1e6 - begun:.2f} s from the first REST call to the last arrival", "-",
        f"{result['arrived']:,} arrived, written in {devices // 1000} bulk calls within {written:.2f} s, server {result['server_cpu_seconds']:.2f} CPU s")


def come_back(bench: HubBench, peer: Peer, start_again) -> tuple[float, dict]:
    """Seconds from the start of the new process to the last device, after a kill -9 of the old one."""
    run = Fleet("connect", peer, bench.steps[-1], "--seconds", 0, "--connecting", 256, "--backoff-ms", 200, "--largest-backoff-ms", 1000, *filters(peer))
    run.wait("ready")
    peer.process.kill()
    run.wait("lost")
    begun = time.monotonic()
    start_again()
    back = run.wait("back")
    run.stop()
    return back["at"] - begun, back


def bench_restart(bench: HubBench) -> None:
    peer = bench.restart()
    ours, back = come_back(bench, peer, bench.service.start)
    from measure import rss_kib
    memory = rss_kib(bench.service.process.child.pid)["rss"]
    limit = start_bare_tls(bench.folder, peer, bench.tls)
    try:
        bare, _ = come_back(bench, limit, limit.process.start)
    finally:
        limit.process.stop()
    devices = bench.steps[-1]
    row(f"kill -9 and start again, {devices:,} devices come back", f"{ours:.1f} s", f"{bare:.1f} s (handshake alone)",
        f"{ours / bare:.2f} times; {memory / 1024:.0f} MiB resident afterwards; connects p99 {back['connect_ms']['p99']:.0f} ms")


PARTS = {"connect": bench_connect, "twins": bench_twins, "reports": bench_reports, "push": bench_push, "restart": bench_restart, "fleet": bench_fleet}
