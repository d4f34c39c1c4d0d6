"""godwit-fleet against the scene's service: registers virtual devices with known keys and runs the program's verbs."""
from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from pathlib import Path

from scene import SANITIZER_ENV, Scene
from stack import StackError


class VirtualFleet:
    def __init__(self, scene: Scene, name: str, devices: int):
        self.scene, self.name = scene, name
        self.ids = [f"{name}-{number}" for number in range(devices)]
        self.keys = Path(scene.folder) / f"{name}.keys"
        self.keys.write_text("".join(f"{device} {self.key_of(device)}\n" for device in self.ids))
        for device in self.ids:
            key = self.key_of(device)
            status, _, body = scene.rest("PUT", f"/devices/{device}?api-version=2021-04-12",
                                         {"deviceId": device, "authentication": {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}})
            assert status in (200, 201), body

    def key_of(self, device: str) -> str:
        return base64.b64encode(hashlib.sha256(device.encode()).digest()).decode()

    def command(self, verb: str, *options) -> list[str]:
        service = self.scene.service
        return [str(w) for w in (service.binaries / "godwit-fleet", verb, "--hub", f"localhost:{service.ports['hub']}", "--hub-name", self.hub_name, "--ca", service.ca,
                                 "--keys", self.keys, "-o", "json", *options)]

    @property
    def hub_name(self) -> str:
        config = (self.scene.service.data / "godwit.toml").read_text()
        return next(line.split('"')[1] for line in config.splitlines() if line.startswith("name = "))

    def start(self, verb: str, *options) -> subprocess.Popen:
        return subprocess.Popen(self.command(verb, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **SANITIZER_ENV})

    def run(self, verb: str, *options, timeout: float = 120) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(verb, *options), capture_output=True, text=True, timeout=timeout, env={**os.environ, **SANITIZER_ENV})

    def figures(self, verb: str, *options) -> dict:
        """The result of a run that must succeed."""
        done = self.run(verb, *options)
        if done.returncode != 0:
            raise StackError(f"godwit-fleet {verb} gave {done.returncode}: {done.stderr or done.stdout}")
        return result_of(done.stdout)


def result_of(output: str) -> dict:
    return next(line for line in map(json.loads, output.splitlines()) if line["event"] == "result")


def next_milestone(child: subprocess.Popen, event: str) -> dict:
    for line in child.stdout:
        milestone = json.loads(line)
        if milestone["event"] == event:
            return milestone
    raise StackError(f"godwit-fleet ended before '{event}': {child.stderr.read()}")
