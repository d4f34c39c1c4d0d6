"""Payload download and upload: godwitd beside nginx with the same file, certificate and client."""
from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

from measure import Process, StackError, cpu_seconds, row, wait_until
from registry import Api
from stack import Service


def fetch(url: str, ca: Path, pid_of) -> tuple[float, float]:
    """(seconds, CPU seconds of the server) for one whole download."""
    before, begun = cpu_seconds(pid_of()), time.monotonic()
    subprocess.run(["curl", "-sf", "--cacert", ca, "-o", "/dev/null", url], check=True)
    return time.monotonic() - begun, cpu_seconds(pid_of()) - before


def start_nginx(folder: Path, service: Service, root: Path, is_tls: bool = True) -> tuple[Process, int]:
    import socket
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    tls = f"ssl_certificate {service.data}/tls/server.pem; ssl_certificate_key {service.data}/tls/server-key.pem; ssl_protocols TLSv1.2 TLSv1.3;" if is_tls else ""
    (folder / "nginx.conf").write_text(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log; user root;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}{" ssl" if is_tls else ""}; {tls} root {root}; }} }}
""")
    process = Process("nginx", ["/usr/sbin/nginx", "-c", folder / "nginx.conf"], folder / "nginx.out")
    process.start()
    wait_until("nginx answers", lambda: subprocess.run(["curl", "-sk", "-o", "/dev/null", f"{'https' if is_tls else 'http'}://localhost:{port}/"]).returncode == 0, 10)
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


def write_payload(path: Path, size: int) -> bytes:
    """A file without equal blocks; gives its SHA-256."""
    digest, block = hashlib.sha256(), os.urandom(1 << 20)
    with open(path, "wb") as out:
        for number in range(size >> 20):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            out.write(piece)
    return digest.digest()


def seconds_of(*words) -> float:
    begun = time.monotonic()
    subprocess.run([str(w) for w in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begun


def import_manifest(version: str, digest: bytes, size: int) -> bytes:
    file = {"filename": "payload.bin", "sizeInBytes": size, "hashes": {"sha256": base64.b64encode(digest).decode()}}
    return json.dumps({"updateId": {"provider": "Bench", "name": "Import", "version": version}, "compatibility": [{"model": "bench"}],
                       "instructions": {"steps": [{"handler": "microsoft/script:1", "files": ["payload.bin"], "handlerProperties": {}}]},
                       "files": [file], "manifestVersion": "5.0", "createdDateTime": "2026-01-01T00:00:00Z"}).encode()


def wait_for_import(api: Api, location: str) -> None:
    while (operation := json.loads(api.call("GET", location)))["status"] in ("NotStarted", "Running"):
        time.sleep(0.02)
    if operation["status"] != "Succeeded":
        raise StackError(f"the import failed: {operation}")


def import_by_url(service: Service, api: Api, web: Path, port: int, version: str, digest: bytes, size: int) -> float:
    manifest = import_manifest(version, digest, size)
    (web / "manifest").write_bytes(manifest)
    item = {"importManifest": {"url": f"http://127.0.0.1:{port}/manifest", "sizeInBytes": len(manifest), "hashes": {"sha256": base64.b64encode(hashlib.sha256(manifest).digest()).decode()}},
            "files": [{"filename": "payload.bin", "url": f"http://127.0.0.1:{port}/payload.bin"}]}
    path = "/deviceUpdate/default/updates:import?api-version=2022-10-01"
    begun = time.monotonic()
    wait_for_import(api, api.location("POST", path, json.dumps([item]).encode(), {"Content-Type": "application/json"}))
    took = time.monotonic() - begun
    gone = f"/deviceUpdate/default/updates/providers/Bench/names/Import/versions/{version}?api-version=2022-10-01"
    wait_for_import(api, api.location("DELETE", gone, None, {}))
    return took


def bench_import(service: Service, folder: Path, quick: bool) -> None:
    """Fetch, hash and write in one pass, beside the two halves of that work done by the usual tools on the same file."""
    size = (256 if quick else 2000) * 1024 * 1024
    web = folder / "import"
    web.mkdir()
    digest = write_payload(web / "payload.bin", size)
    service.stop()
    config = service.data / "godwit.toml"
    config.write_text(config.read_text().replace("allow_private_addresses = false", "allow_private_addresses = true"))
    service.start()
    api = Api(service)
    nginx, port = start_nginx(web, service, web, is_tls=False)
    ours, hashing, writing = [], [], []
    try:
        for run in range(3):  # interleaved, so that all see the same machine
            hashing.append(seconds_of("sha256sum", web / "payload.bin"))
            writing.append(seconds_of("dd", f"if={web / 'payload.bin'}", f"of={web / 'copy'}", "bs=1M", "conv=fsync"))
            (web / "copy").unlink()
            ours.append(import_by_url(service, api, web, port, f"1.{run}", digest, size))
    finally:
        nginx.stop()
    slower = max(min(hashing), min(writing))
    row(f"import of {size >> 20} MiB by URL, {len(ours)} runs", f"{min(ours):.2f} s best, {sorted(ours)[1]:.2f} median",
        f"sha256sum {min(hashing):.2f} s, dd conv=fsync {min(writing):.2f} s", f"{min(ours) / slower:.2f} of the slower")


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
