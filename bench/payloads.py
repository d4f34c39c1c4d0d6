"""Payload download and upload: godwitd beside nginx with the same file, certificate and client."""
from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import time
from pathlib import Path

from measure import Process, cpu_seconds, row, wait_until
from registry import Api
from stack import Service


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
