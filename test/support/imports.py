"""What the tests of imports share: a clamd with a signature of our own, a web server, keys of a configuration."""
from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

from stack import Process, Service, wait_until

MALWARE = b"GODWIT-" + b"TEST-MALWARE"
SIGNATURE = "Godwit.Test"


def set_config(service: Service, **values) -> None:
    """`scan__kind='"clamd"'` writes kind = "clamd" into [scan]. The file has every key already."""
    path, lines, section, left = service.data / "godwit.toml", [], "", dict(values)
    for line in path.read_text().splitlines():
        if line.strip().startswith("["):
            section = line.strip().strip("[]")
        name = f"{section}__{line.split('=')[0].strip().lstrip('# ')}"
        if "=" in line and name in left:
            line = f"{name.split('__')[1]} = {left.pop(name)}"
        lines.append(line)
    assert not left, f"no such keys: {left}"
    path.write_text("\n".join(lines) + "\n")


class Clamd(Process):
    """Debian's clamd in the foreground, offline, with one signature."""

    def __init__(self, folder: Path):
        self.socket = folder / "clamd.sock"
        (folder / "db").mkdir(parents=True)
        (folder / "db" / "own.ndb").write_text(f"{SIGNATURE}:0:*:{MALWARE.hex()}\n")
        (folder / "clamd.conf").write_text(f"LocalSocket {self.socket}\nDatabaseDirectory {folder / 'db'}\nForeground yes\nStreamMaxLength 8M\n")
        super().__init__("clamd", [shutil.which("clamd") or "/usr/sbin/clamd", f"--config-file={folder / 'clamd.conf'}"], folder / "clamd.log")

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        super().start()

        def listens():
            self.check_alive()
            return self.socket.exists()

        wait_until("clamd listens", listens, 30)


class Web:
    """Files over HTTP on loopback, at a bounded rate when asked to."""

    def __init__(self, rate: float = 0):
        self.files: dict[str, bytes] = {}
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = web.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for at in range(0, len(body), 65536):
                    self.wfile.write(body[at:at + 65536])
                    if rate:
                        time.sleep(65536 / rate)

            def log_message(self, *words):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # the service was killed while it read

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def publish(self, name: str, manifest: Path) -> list:
        """Puts a manifest and the files beside it on the web; gives the words for `godwit update import`."""
        text = manifest.read_bytes()
        self.files[f"/{name}/manifest"] = text
        words = ["--url", f"{self.url}/{name}/manifest", "--size", len(text), "--hashes", "sha256=" + base64_sha256(text)]
        for file in json.loads(text)["files"]:
            self.files[f"/{name}/{file['filename']}"] = (manifest.parent / file["filename"]).read_bytes()
            words += ["--file", f"filename={file['filename']}", f"url={self.url}/{name}/{file['filename']}"]
        return words

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def base64_sha256(data: bytes) -> str:
    import base64
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def make_update(service: Service, folder: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """Writes files and the manifest of an update with one step; gives the manifest's path."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = ["update", "init", "v5", "--update-provider", "Tests", "--update-name", name, "--update-version", version, "--folder", folder,
             "--compat", "manufacturer=Contoso", f"model={name}", "--step", "handler=microsoft/script:1", 'properties={"scriptFileName":"run.sh","installedCriteria":"1"}']
    for file_name, content in files.items():
        (folder / file_name).write_bytes(content)
        words += ["--file", f"path={folder / file_name}"]
    service.cli(*words)
    return next(folder.glob("*.importmanifest.json"))


def blob_path(service: Service, content: bytes) -> Path:
    name = hashlib.sha256(content).hexdigest()
    return service.data / "blobs" / name[:2] / name


def start_import(service: Service, *words, env: dict | None = None) -> subprocess.Popen:
    """`godwit update import` in the background."""
    import os
    return subprocess.Popen([str(w) for w in (service.binaries / "godwit", "update", "import", *words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            stdin=subprocess.DEVNULL, env={**os.environ, **(service.env_extra or {}), **service.env(), **(env or {})})
