"""What the benchmarks share: figures of a process, free ports, one row of the table, a run of godwit-fleet."""
from __future__ import annotations

import json
import os
import queue
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from stack import Process, StackError, wait_until  # noqa: E402

BINARIES = Path(os.environ.get("GODWIT_BIN", ROOT / "build" / "bench" / "bin"))
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12)) / TICK


def rss_kib(pid: int) -> dict:
    """Resident memory of a process in KiB: all of it, and the part no other process shares."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("Rss", "Pss", "Private_Clean", "Private_Dirty"):
            found[name] = int(value.split()[0])
    return {"rss": found["Rss"], "pss": found["Pss"], "private": found["Private_Clean"] + found["Private_Dirty"]}


def physical_kib(pids: list[int]) -> int:
    """Physical memory that these processes hold together, in KiB, as on a machine where nobody else maps their files: the
    pages of a file count once, in the part of it that most of them is resident of; anonymous pages count in each process
    (what a fork still shares is counted twice: an upper bound)."""
    files: dict[tuple, int] = {}
    anonymous = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps").read_text()
        except OSError:
            continue
        key, resident = None, 0
        for line in text.splitlines():
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                key = tuple(words[2:5]) if words[4] != "0" else None  # offset, device, inode
            elif words[0] == "Rss:":
                resident = int(words[1])
            elif words[0] == "Anonymous:":
                anonymous += int(words[1])
                if key:
                    files[key] = max(files.get(key, 0), resident - int(words[1]))
    return anonymous + sum(files.values())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def raise_descriptor_limit() -> None:
    """Children inherit it; a server of 19,000 devices needs it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def row(claim: str, ours: str, reference: str, remark: str = "") -> None:
    print(f"| {claim} | {ours} | {reference} | {remark} |", flush=True)


class Peer:
    """A server to measure: where it listens, which process it is, and whom its certificate and devices belong to."""

    def __init__(self, name: str, process: Process, port: int, ca: Path, keys: Path, hub_name: str):
        self.name, self.process, self.port, self.ca, self.keys, self.hub_name = name, process, port, ca, keys, hub_name

    @property
    def pid(self) -> int:
        return self.process.child.pid


class Fleet:
    """One run of godwit-fleet. Its milestones come as dictionaries, the last one is the result."""

    def __init__(self, verb: str, peer: Peer, devices: int, *options, first: int = 0):
        words = [BINARIES / "godwit-fleet", verb, "--hub", f"localhost:{peer.port}", "--hub-name", peer.hub_name, "--ca", peer.ca, "--keys", peer.keys,
                 "--devices", devices, "--first", first, "--server-pid", peer.pid, "-o", "json", *options]
        self.child = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.milestones: queue.Queue = queue.Queue()
        self.seen: list[dict] = []
        self.errors = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.child.stdout:
            self.milestones.put({**json.loads(line), "at": time.monotonic()})
        self.errors = self.child.stderr.read()
        self.child.wait()
        self.milestones.put(None)

    def wait(self, event: str, timeout: float = 600) -> dict:
        """The next milestone of that name; those before it are kept in `seen`."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                milestone = self.milestones.get(timeout=max(0.1, deadline - time.monotonic()))
            except queue.Empty:
                self.child.kill()
                raise StackError(f"godwit-fleet said no '{event}' within {timeout:.0f} s") from None
            if milestone is None:
                raise StackError(f"godwit-fleet ended with {self.child.returncode} before '{event}': {self.errors.strip()}")
            self.seen.append(milestone)
            if milestone["event"] == event:
                return milestone

    def stop(self) -> dict:
        """Asks it to end and gives the result."""
        self.child.terminate()
        return self.wait("result", 60)


def fleet(verb: str, peer: Peer, devices: int, *options) -> dict:
    return Fleet(verb, peer, devices, *options).wait("result")


__all__ = ["BINARIES", "Fleet", "Peer", "Process", "ROOT", "StackError", "cpu_seconds", "fleet", "free_port", "listens", "raise_descriptor_limit", "row", "rss_kib", "wait_until"]
