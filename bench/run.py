#!/usr/bin/env python3
"""Measures the claims of docs/explain/performance.md, each beside its reference in the same run, and prints a table.

`./dev bench [--quick] [name ...]` builds what is needed and calls this. Nothing here passes or fails on time.
"""
from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
from stack import Device, Process, Service, StackError, wait_until  # noqa: E402

BINARIES = Path(os.environ.get("GODWIT_BIN", ROOT / "build" / "bench" / "bin"))
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its ended children."""
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


def row(claim: str, ours: str, reference: str, remark: str = "") -> None:
    print(f"| {claim} | {ours} | {reference} | {remark} |", flush=True)


class Api:
    """Keep-alive HTTPS with the service's CA and token."""

    def __init__(self, service: Service):
        self.service = service
        self.connection = http.client.HTTPSConnection("localhost", service.ports["api"], context=ssl.create_default_context(cafile=str(service.ca)), timeout=600)
        self.token = service.token_file.read_text().strip()

    def call(self, method: str, path: str, body=None, headers=None):
        self.connection.request(method, path, body=body, headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **(headers or {})})
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise StackError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data


# ---- payload download: godwitd beside nginx -----------------------------------------------------------------------------

def fetch(url: str, ca: Path, pid_of) -> tuple[float, float]:
    """(seconds, CPU seconds of the server) for one whole download."""
    before, begun = cpu_seconds(pid_of()), time.monotonic()
    subprocess.run(["curl", "-sf", "--cacert", ca, "-o", "/dev/null", url], check=True)
    return time.monotonic() - begun, cpu_seconds(pid_of()) - before


def start_nginx(folder: Path, service: Service, root: Path) -> tuple[Process, int]:
    import socket
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "nginx.conf").write_text(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log; user root;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {service.data}/tls/server.pem; ssl_certificate_key {service.data}/tls/server-key.pem; ssl_protocols TLSv1.2 TLSv1.3; root {root}; }} }}
""")
    process = Process("nginx", ["/usr/sbin/nginx", "-c", folder / "nginx.conf"], folder / "nginx.out")
    process.start()
    wait_until("nginx answers", lambda: subprocess.run(["curl", "-sk", "-o", "/dev/null", f"https://localhost:{port}/"]).returncode == 0, 10)
    return process, port


def bench_download(service: Service, folder: Path, quick: bool) -> None:
    size = (256 if quick else 1024) * 1024 * 1024
    payload = folder / "www" / "payload.bin"
    payload.parent.mkdir()
    with open(payload, "wb") as out:
        block = os.urandom(1 << 20)
        for number in range(size >> 20):
            out.write(number.to_bytes(8, "big") + block[8:])
    digest = hashlib.sha256()
    with open(payload, "rb") as data:
        while chunk := data.read(1 << 20):
            digest.update(chunk)
    api = Api(service)
    begun = time.monotonic()
    with open(payload, "rb") as data:
        api.call("PUT", f"/godwit/v1/default/blobs/{digest.hexdigest()}", data, {"Content-Type": "application/octet-stream", "Content-Length": str(size)})
    upload = time.monotonic() - begun
    url = make_download_url(service, digest.digest())
    nginx, port = start_nginx(folder, service, payload.parent)
    try:
        worker = int(subprocess.run(["pgrep", "-P", str(nginx.child.pid)], capture_output=True, text=True).stdout.split()[0])
        ours, theirs = [], []
        for _ in range(3 if quick else 5):  # interleaved, so that both see the same machine
            ours.append(fetch(url, service.ca, lambda: service.process.child.pid))
            theirs.append(fetch(f"https://localhost:{port}/payload.bin", service.ca, lambda: worker))
        def words(runs):
            best = min(runs)
            return f"{size / best[0] / 1e6:.0f} MB/s best, {size / sorted(runs)[len(runs) // 2][0] / 1e6:.0f} median, {min(r[1] for r in runs):.2f} CPU s"
        row(f"payload download, {size >> 20} MiB over TLS, {len(ours)} runs", words(ours), words(theirs) + " (nginx)")
        row(f"payload upload, {size >> 20} MiB, hashed and fsynced", f"{size / upload / 1e6:.0f} MB/s", "-")
    finally:
        nginx.stop()


def make_download_url(service: Service, digest: bytes) -> str:
    """docs/reference/rest.md: HMAC-SHA256 over "HEX\\nEXPIRY" with the installation's URL key."""
    import hmac
    key = base64.b64decode((service.data / "secrets" / "url.key").read_text().strip()) if is_base64(service.data / "secrets" / "url.key") else (service.data / "secrets" / "url.key").read_bytes()
    expiry = int(time.time()) + 3600
    signature = base64.urlsafe_b64encode(hmac.new(key, f"{digest.hex()}\n{expiry}".encode(), hashlib.sha256).digest()).decode().rstrip("=")
    return f"{service.url}/download/{digest.hex()}/payload.bin?se={expiry}&sig={signature}"


def is_base64(path: Path) -> bool:
    try:
        return len(base64.b64decode(path.read_text().strip(), validate=True)) >= 16
    except (ValueError, UnicodeDecodeError):
        return False


# ---- durable reported patches beside SQLite's own commit rate -----------------------------------------------------------

def bench_twins(service: Service, folder: Path, quick: bool) -> None:
    devices, seconds = (200, 5) if quick else (1000, 15)
    api = Api(service)
    with open(folder / "keys", "w") as keys:
        for number in range(devices):
            name = f"bench-{number}"
            made = json.loads(api.call("PUT", f"/devices/{name}?api-version=2021-04-12", json.dumps({"deviceId": name})))
            keys.write(f"{name} {made['authentication']['symmetricKey']['primaryKey']}\n")
    reference = json.loads(subprocess.run([BINARIES / "bench_sqlite_commits", folder, "6"], capture_output=True, text=True, check=True).stdout)
    before = cpu_seconds(service.process.child.pid)
    done = subprocess.run([BINARIES / "bench_twin_patches", "localhost", str(service.ports["hub"]), "localhost", service.ca, folder / "keys", str(seconds)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise StackError(done.stderr)
    ours = json.loads(done.stdout)
    cpu = cpu_seconds(service.process.child.pid) - before
    row(f"durable reported patches, {devices} connected devices", f"{ours['patches_per_second']}/s, p50 {ours['p50_ms']} ms, p99 {ours['p99_ms']} ms",
        f"{reference['one_per_commit']}/s one row a commit, {reference['hundred_per_commit']}/s 100 rows a commit (SQLite, same disk)",
        f"{ours['patches_per_second'] / max(1, reference['one_per_commit']):.0f} times one row a commit; hub used {cpu:.1f} CPU s; {ours['connects_per_second']} connects/s, one after the other")


# ---- memory and sizes ---------------------------------------------------------------------------------------------------

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


BENCHES = {"sizes": bench_sizes, "memory": bench_memory, "twins": bench_twins, "download": bench_download}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(BENCHES)}; none = all")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    wanted = parser.parse_args()
    for name in wanted.names:
        if name not in BENCHES:
            parser.error(f"'{name}' is not one of {', '.join(BENCHES)}")
    folder = Path(tempfile.mkdtemp(prefix="godwit-bench-", dir=ROOT / "build"))
    service = Service(folder, BINARIES)
    try:
        service.init()
        service.start()
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} cores, load {load:.1f}, {time.strftime('%Y-%m-%d')}\n\n| claim | Godwit | reference in the same run | remark |\n|---|---|---|---|")
        for name in wanted.names or BENCHES:
            BENCHES[name](service, folder, wanted.quick)
    finally:
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
