"""The genuine Device Update client for Python and a place for what it imports by URL, for the conformance tests."""
from __future__ import annotations

import base64
import hashlib
import http.server
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from scene import Scene
from stack import StackError, wait_until

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "test" / "conformance" / "node"
sys.path.insert(0, str(ROOT / "build" / "tools" / "python-azure"))

from azure.core.credentials import AccessToken  # noqa: E402
from azure.iot.deviceupdate import DeviceUpdateClient  # noqa: E402

API = "api-version=2022-10-01"


class Token:
    def __init__(self, text: str):
        self.text = text

    def get_token(self, *scopes, **more):
        return AccessToken(self.text, int(time.time()) + 3600)


def client_for(scene: Scene, token: str | None = None, instance: str = "default") -> DeviceUpdateClient:
    text = scene.service.token_file.read_text().strip() if token is None else token
    return DeviceUpdateClient(endpoint=f"localhost:{scene.service.ports['api']}", instance_id=instance, credential=Token(text), connection_verify=str(scene.service.ca))


def sha256_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class Shelf:
    """A web server on loopback with what a test put into it; stands in for the storage account of an import by URL."""

    def __init__(self):
        self._things: dict[str, bytes] = {}
        self._numbers = itertools.count(1)
        shelf = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                data = shelf._things.get(self.path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *words):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, name: str, data: bytes) -> str:
        path = f"/{next(self._numbers)}/{name}"
        self._things[path] = data
        return self.url + path

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def manifest_of(name: str, version: str, files: dict[str, bytes] | None = None, *, provider: str = "Conformance", model: str | None = None, compat: list | None = None,
                children: list | None = None, manifest_version: str = "5.0", **more) -> dict:
    """An import manifest of one script step over `files`, or of reference steps to `children`."""
    files = {"run.sh": f"#!/bin/sh\n# {name} {version}\n".encode()} if files is None and children is None else files or {}
    steps = [{"type": "reference", "updateId": child} for child in children or []]
    if files:
        steps.append({"handler": "microsoft/script:1", "files": list(files), "handlerProperties": {"scriptFileName": next(iter(files)), "installedCriteria": version}})
    made = {"updateId": {"provider": provider, "name": name, "version": version}, "compatibility": compat or [{"manufacturer": "Contoso", "model": model or name}],
            "instructions": {"steps": steps}, "manifestVersion": manifest_version, "createdDateTime": "2026-01-02T03:04:05Z", **more}
    if files:
        made["files"] = [{"filename": file, "sizeInBytes": len(data), "hashes": {"sha256": sha256_base64(data)}} for file, data in files.items()]
    made["_files"] = files
    return made


def import_item(shelf: Shelf, manifest: dict, *, friendly_name: str | None = None, claim_hash_of: bytes | None = None, payloads: dict[str, bytes] | None = None) -> dict:
    """One element of an import request. `claim_hash_of` lies about the manifest's hash, `payloads` about the files (None: a link to nothing)."""
    files = {**manifest["_files"], **(payloads or {})}
    text = json.dumps({key: value for key, value in manifest.items() if key != "_files"}).encode()
    item = {"importManifest": {"url": shelf.put("update.importmanifest.json", text), "sizeInBytes": len(text), "hashes": {"sha256": sha256_base64(claim_hash_of or text)}},
            "files": [{"filename": name, "url": shelf.url + "/nothing" if data is None else shelf.put(name, data)} for name, data in files.items()]}
    if friendly_name:
        item["friendlyName"] = friendly_name
    return item


def import_quickly(scene: Scene, *items: dict) -> None:
    """Imports without the second that the genuine client waits between polls; for what a test needs but does not check."""
    status, headers, body = scene.rest("POST", f"/deviceUpdate/default/updates:import?{API}", list(items))
    assert status == 202, body
    location = next(value for name, value in headers.items() if name.lower() == "operation-location")

    def ended():
        operation = json.loads(scene.rest("GET", location)[2])
        if operation["status"] == "Failed":
            raise AssertionError(f"the import failed: {operation}")
        return operation["status"] == "Succeeded"

    wait_until("the import ends", ended, 60, 0.05)


def deployment_body(group: str, deployment: str, name: str, version: str, *, provider: str = "Conformance", start: timedelta = timedelta(0), rollback: dict | None = None) -> dict:
    body = {"deploymentId": deployment, "groupId": group, "startDateTime": (datetime.now(timezone.utc) + start).isoformat(),
            "update": {"updateId": {"provider": provider, "name": name, "version": version}}}
    return {**body, "rollbackPolicy": rollback} if rollback else body


def code_of(refusal) -> tuple:
    """(outer code, inner code) of the client's exception."""
    error = refusal.error
    inner = error.innererror if error is not None else None
    return (error.code if error is not None else None, inner.get("code") if isinstance(inner, dict) else inner)


def run_node(scene: Scene, script: str, **wish) -> dict:
    """Runs a script of node/ against the service; the result of each check by its name."""
    wish = {"endpoint": f"https://localhost:{scene.service.ports['api']}", "token": scene.service.token_file.read_text().strip(), **wish}
    done = subprocess.run(["node", NODE / script, json.dumps(wish)], cwd=NODE, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "NODE_EXTRA_CA_CERTS": str(scene.service.ca)})
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["check"]: line for line in lines}


__all__ = ["API", "DeviceUpdateClient", "NODE", "ROOT", "Shelf", "StackError", "Token", "client_for", "code_of", "deployment_body", "import_item", "import_quickly", "manifest_of",
           "run_node", "sha256_base64"]
