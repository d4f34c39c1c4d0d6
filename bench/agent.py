"""The agent at rest and at work: start, wake-ups, memory and processor time of a large update."""
from __future__ import annotations

import json
import resource
import subprocess
import threading
import time
from pathlib import Path

from measure import TICK, physical_kib, row, rss_kib, wait_until
from payloads import make_download_url, write_payload
from stack import Device, Service

SCRIPT = """#!/bin/sh
action='' result='' criteria='' root=''
while [ $# -gt 0 ]; do case "$1" in --action) action=$2; shift 2 ;; --result-file) result=$2; shift 2 ;; --installed-criteria) criteria=$2; shift 2 ;; --root) root=$2; shift 2 ;; *) shift ;; esac; done
answer() { printf '{"resultCode":%s,"extendedResultCode":0,"resultDetails":""}' "$1" > "$result"; exit 0; }
case "$action" in
  is-installed) if [ "$(cat "$root/version" 2>/dev/null)" = "$criteria" ]; then answer 900; else answer 901; fi ;;
  apply) echo "$criteria" > "$root/version"; answer 700 ;;
  install) answer 600 ;;
  *) answer 500 ;;
esac
"""


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            for child in (task / "children").read_text().split():
                found += family(int(child))
        except OSError:
            pass
    return found


def cpu_with_children(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICK


class Watch:
    """The largest memory of the agent and of the installer with everything that each started, looked at every 20 ms: what is resident, counted
    process by process (`most`), and the physical memory that all hold together (`together`)."""

    def __init__(self, device: Device):
        self.device, self.most, self.together, self.stopped = device, 0, 0, False
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self) -> None:
        while not self.stopped:
            rss, pids = 0, []
            for root in (self.device.agent.child.pid, self.device.installer.child.pid):
                for pid in family(root):
                    try:
                        found = rss_kib(pid)
                        name = Path(f"/proc/{pid}/exe").resolve().name
                    except (OSError, KeyError):
                        continue
                    if name.startswith("godwit"):  # not the script's shell
                        rss += found["rss"]
                        pids.append(pid)
            self.most, self.together = max(self.most, rss), max(self.together, physical_kib(pids))
            time.sleep(0.02)

    def stop(self) -> None:
        self.stopped = True
        self.thread.join()


def wake_ups(pids: list[int]) -> int:
    """Times that a thread of these was put onto a processor."""
    count = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            for line in (task / "status").read_text().splitlines():
                if line.startswith(("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")):
                    count += int(line.split()[1])
    return count


def curl_and_sha256sum(url: str, ca: Path) -> float:
    """CPU seconds of both together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(f"curl -sf --cacert '{ca}' '{url}' | sha256sum", shell=True, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def import_large(service: Service, folder: Path, root: Path, size: int) -> bytes:
    work = folder / "update"
    work.mkdir()
    digest = write_payload(work / "payload.bin", size)
    (work / "run.sh").write_text(SCRIPT)
    service.cli("update", "init", "v5", "--update-provider", "Bench", "--update-name", "Agent", "--update-version", "1.0", "--folder", work,
                "--compat", "manufacturer=Contoso", "model=BenchAgent", "--step", "handler=microsoft/script:1",
                "properties=" + json.dumps({"scriptFileName": "run.sh", "apiVersion": "1.1", "installedCriteria": "1.0", "arguments": f"--root {root}"}),
                "--file", f"path={work / 'run.sh'}", "--file", f"path={work / 'payload.bin'}")
    service.cli("update", "import", "--manifest", next(work.glob("*.importmanifest.json")))
    return digest


def bench_agent(service: Service, folder: Path, quick: bool) -> None:
    folder = folder / "agent"
    folder.mkdir()
    device = Device(service, "bench-agent", folder / "device", group="bench-agent", model="BenchAgent")
    device.set_up()
    device.start_installer()
    begun = time.monotonic()
    device.agent.start()
    wait_until("the agent is on-line", lambda: "link.online" in device.agent.log.read_text(), 30)
    online = time.monotonic() - begun
    begun = time.monotonic()
    subprocess.run(["openssl", "s_client", "-connect", f"localhost:{service.ports['hub']}", "-CAfile", service.ca, "-brief"], stdin=subprocess.DEVNULL, capture_output=True)
    row("agent: from start to on-line", f"{online * 1000:.0f} ms", f"{(time.monotonic() - begun) * 1000:.0f} ms (openssl s_client, TLS handshake alone)")
    try:
        wait_until("the device is listed", lambda: any(d["deviceId"] == "bench-agent" for d in service.json("device", "list")), 30)
        time.sleep(8)  # it gives its memory back
        idle = [rss_kib(p.child.pid) for p in (device.agent, device.installer)]
        seconds = 60 if quick else 600
        pids = [device.agent.child.pid, device.installer.child.pid]
        before = wake_ups(pids)
        time.sleep(seconds)
        count = wake_ups(pids) - before
        row(f"agent and installer: wake-ups at rest, {seconds} s", f"{count} ({count * 3600 / seconds:.0f} an hour)", "40 an hour: a ping each 180 s and its answer")
        size = (256 if quick else 1024) * 1024 * 1024
        digest = import_large(service, folder, device.folder, size)
        cpu = sum(cpu_with_children(pid) for pid in pids)
        watch = Watch(device)
        begun = time.monotonic()
        service.cli("device", "deployment", "create", "--group-id", "bench-agent", "--deployment-id", "bench-agent-1", "--update-provider", "Bench",
                    "--update-name", "Agent", "--update-version", "1.0")
        wait_until("the update ends", lambda: (device.folder / "version").exists(), 600)
        took = time.monotonic() - begun
        watch.stop()
        cpu = sum(cpu_with_children(pid) for pid in (device.agent.child.pid, device.installer.child.pid)) - cpu
        reference = min(curl_and_sha256sum(make_download_url(service, digest), service.ca) for _ in range(3))
        gigabytes = size / 1e9
        row(f"agent and installer: memory at work, update of {size >> 20} MiB", f"{watch.together / 1024:.1f} MiB at most", "goal: 24 MiB",
            f"all processes of both, what they share counted once; {watch.most / 1024:.1f} counted process by process; at rest {sum(i['rss'] for i in idle) / 1024:.1f}")
        row(f"agent and installer: CPU of an update of {size >> 20} MiB", f"{cpu / gigabytes:.2f} s a GB, {took:.1f} s in all", f"{reference / gigabytes:.2f} s a GB (curl | sha256sum)",
            "fetched, verified by the agent, copied and verified again by the installer")
    finally:
        device.stop()
