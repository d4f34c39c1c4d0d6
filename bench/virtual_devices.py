"""What the virtual fleet itself needs: memory for each device of godwit-fleet, beside TLS alone and a client process for each device."""
from __future__ import annotations

import subprocess
import time
from pathlib import Path

from measure import BINARIES, Fleet, Peer, StackError, free_port, listens, row, rss_kib, wait_until
from peers import start_bare_tls, start_mosquitto

GOAL_MIB = 200  # for 10,000 devices
PROCESSES = 20  # of mosquitto_sub: they differ by little

SCENARIO = """time_limit = "0s"
updates = 0
say_every = "1s"

[[class]]
name = "boiler"
count = {count}
manufacturer = "Contoso"
model = "Boiler"
installed = "Contoso/Boiler/1.0"
"""


def peak_kib(pid: int) -> int:
    """The most that a process had at any moment, the storm of connects included."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def kib_each(few: tuple[int, int], many: tuple[int, int]) -> float:
    """Memory of one device more, from two sizes: what the program needs without any falls out."""
    return (many[1] - few[1]) / (many[0] - few[0])


def of_fleet(peer: Peer, devices: int, *words) -> tuple[int, int]:
    """Resident memory at rest and at most, in KiB, of godwit-fleet with so many connected devices."""
    run = Fleet(words[0], peer, devices, *words[1:])
    try:
        run.wait("ready")
        time.sleep(3)  # what follows a login, twin and identity, is over then
        return rss_kib(run.child.pid)["rss"], peak_kib(run.child.pid)
    finally:
        run.child.terminate()
        run.child.wait(30)


def of_tls_alone(bare: Peer, devices: int) -> int:
    child = subprocess.Popen([BINARIES / "bench_tls_connect", bare.ca, str(bare.port), str(devices)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if child.stdout.readline() != "ready\n":
            raise StackError("bench_tls_connect did not connect")
        return rss_kib(child.pid)["rss"]
    finally:
        child.stdin.close()
        child.wait(30)


def of_processes(folder: Path, peer: Peer) -> float:
    """KiB that one mosquitto_sub over TLS needs for itself: a device as a process."""
    port = free_port()
    config = folder / f"plain-{port}.conf"
    config.write_text(f"user root\nlistener {port} 127.0.0.1\ncertfile {peer.ca.parent}/server.pem\nkeyfile {peer.ca.parent}/server-key.pem\nallow_anonymous true\nlog_type none\n")
    broker = subprocess.Popen(["/usr/sbin/mosquitto", "-c", config])
    clients: list[subprocess.Popen] = []
    try:
        wait_until("mosquitto listens", lambda: listens(port), 15)
        for number in range(PROCESSES):
            clients.append(subprocess.Popen(["mosquitto_sub", "-h", "localhost", "-p", str(port), "--cafile", peer.ca, "-i", f"device-{number}", "-t", "$iothub/twin/res/#"]))
        time.sleep(3)
        if any(client.poll() is not None for client in clients):  # it ends when it cannot connect
            raise StackError("mosquitto_sub did not connect")
        return sum(rss_kib(client.pid)["private"] for client in clients) / PROCESSES
    finally:
        for child in [*clients, broker]:
            child.terminate()
            child.wait(15)


def bench_fleet(bench) -> None:
    """Part of the hub's benchmarks: its devices are registered already."""
    few, many = (100, 1000) if bench.quick else (1000, 10_000)
    peer = bench.restart()
    connected = {count: of_fleet(peer, count, "connect", "--seconds", 60) for count in (few, many)}
    playing = {}
    for count in (few, many):
        peer = bench.restart()
        scenario = bench.folder / f"rest-{count}.toml"
        scenario.write_text(SCENARIO.format(count=count))
        playing[count] = of_fleet(peer, count, "run", scenario)
    bare = start_bare_tls(bench.folder, peer, bench.tls)
    try:
        alone = {count: of_tls_alone(bare, count) for count in (few, many)}
    finally:
        bare.process.stop()
    process = of_processes(bench.folder, peer)
    tls = kib_each((few, alone[few]), (many, alone[many]))
    for verb, figures in (("that holds connections (`connect`)", connected), ("with agent and session (`run`), at rest", playing)):
        each = kib_each((few, figures[few][0]), (many, figures[many][0]))
        rest, most = (figures[many][i] / 1024 for i in (0, 1))
        row(f"memory of one virtual device {verb}, from {few:,} and {many:,}", f"{each:.1f} KiB", f"{tls:.1f} KiB (TLS of a client alone), {process:,.0f} KiB (mosquitto_sub, a process each)",
            f"{each - tls:.1f} KiB above TLS; {many:,} devices: {rest:,.0f} MiB, at most {most:,.0f} MiB while connecting; goal for 10,000: {GOAL_MIB} MiB")


__all__ = ["bench_fleet"]
