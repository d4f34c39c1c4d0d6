"""A large fleet in the inventory: identities in bulk, then each device logs in once with its own key, by `godwit-fleet run`, and reports who it is."""
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from hub_device import key_of, register
from scene import SANITIZER_ENV, Scene
from stack import StackError, wait_until

WAVE = 10_000  # connected at a time: a virtual device of a build with sanitizers takes 140 KB, and a process may have 20,000 files


class Crowd:
    """`groups` are taken in turn. The last wave stays connected until end()."""

    def __init__(self, scene: Scene, name: str, count: int, model: str, groups: list[str]):
        self.scene, self.name, self.model = scene, name, model
        self.ids = [f"{name}-{number:05}" for number in range(count)]
        self.keys = Path(scene.folder) / f"{name}.keys"
        self.keys.write_text("".join(f"{device} {key_of(device)}\n" for device in self.ids))
        self.child: subprocess.Popen | None = None
        register(scene, self.ids, {device: groups[number % len(groups)] for number, device in enumerate(self.ids)})

    def come(self) -> None:
        before = self._listed()
        for first in range(0, len(self.ids), WAVE):
            self.end()
            wave = min(WAVE, len(self.ids) - first)
            self._start(first, wave)
            wait_until(f"{self.name}: devices {first} to {first + wave - 1} are listed", lambda known=first + wave: self._is_known(before + known), 600, 0.5)

    def _start(self, first: int, count: int) -> None:
        scenario = Path(self.scene.folder) / f"{self.name}.toml"
        scenario.write_text(f'time_limit = "1h"\nsay_every = "60s"\n[[class]]\nname = "{self.name}"\ncount = {count}\nmanufacturer = "Contoso"\nmodel = "{self.model}"\n')
        service = self.scene.service
        hub_name = next(line.split('"')[1] for line in (service.data / "godwit.toml").read_text().splitlines() if line.startswith("name = "))
        words = [service.binaries / "godwit-fleet", "--hub", f"localhost:{service.ports['hub']}", "--hub-name", hub_name, "--ca", service.ca, "--keys", self.keys,
                 "--first", first, "--devices", count, "-o", "json", "run", scenario]
        with open(Path(self.scene.folder) / f"{self.name}.log", "ab") as log:
            self.child = subprocess.Popen([str(word) for word in words], stdout=log, stderr=log, env={**os.environ, **SANITIZER_ENV})

    def _listed(self) -> int:
        _, _, body = self.scene.rest("GET", "/deviceUpdate/default/management/updateCompliance?api-version=2022-10-01")
        return json.loads(body)["totalDeviceCount"]

    def _is_known(self, count: int) -> bool:
        if self.child.poll() is not None:
            raise StackError(f"godwit-fleet ended with {self.child.returncode}: see {self.name}.log")
        return self._listed() >= count

    def end(self) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            self.child.wait(60)
        self.child = None
