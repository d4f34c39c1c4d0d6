"""Step handlers other than scripts, for tests: registered with a device of a scene, and updates made of any files for them."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

# A microsoft/script:1 of apiVersion 1.1 that is downloaded well and fails when it installs: what the steps before it did is there by then.
FAILS_IN_INSTALL = b"""#!/bin/sh
while [ $# -gt 0 ]; do case "$1" in --action) action=$2;; --result-file) result=$2;; esac; shift; done
case "$action" in is-installed) code=901;; download) code=500;; *) exit 3;; esac
echo "{\\"resultCode\\":$code,\\"extendedResultCode\\":0}" >"$result"
"""


def register_handler(device, handler: str, library: str, *, network: bool = False, options: dict[str, str] | None = None) -> None:
    """Registers lib/godwit-`library`.so of the build as step handler `handler`; the installer must not run yet."""
    binaries = device.service.binaries
    command = [binaries / "godwit-installer", "extension", "register", "--config", device.folder / "installer.toml", "--type", "step-handler", "--id", handler,
               *(["--network"] if network else []), *(word for name, value in (options or {}).items() for word in ("--option", f"{name}={value}")), binaries.parent / "lib" / f"godwit-{library}.so"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(device.env or {})})
    assert done.returncode == 0, done.stderr or done.stdout


def make_update(scene, device, version: str, handler: str, files: dict[str, bytes | Path], properties: dict) -> Path:
    """Writes the files (name: content, or a file to copy) and the manifest of a one-step update; gives the manifest's path."""
    folder = scene.folder / "updates" / f"{device.id}-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = ["update", "init", "v5", "--update-provider", "Tests", "--update-name", device.model, "--update-version", version, "--folder", folder,
             "--compat", "manufacturer=Contoso", f"model={device.model}", "--step", f"handler={handler}", "properties=" + json.dumps(properties)]
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            shutil.copy(content, folder / name)
        words += ["--file", f"path={folder / name}"]
    scene.service.cli(*words)
    return next(folder.glob("*.importmanifest.json"))


def run_update(scene, device, version: str, handler: str, files: dict, properties: dict, end: str = "Succeeded", timeout: float = 120) -> dict:
    """Imports and deploys; gives the device's end state, which must be `end`."""
    scene.import_update(make_update(scene, device, version, handler, files, properties))
    return scene.wait_state(device, scene.deploy(device, version), end, timeout=timeout)


def code(state: dict) -> tuple[int, str]:
    return state["godwit"]["resultCode"], state["godwit"]["extendedResultCode"]
