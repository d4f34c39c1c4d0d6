"""How tests turn a device of the scene into one that connects otherwise: by certificate, through a proxy, provisioned."""
from __future__ import annotations

import contextlib
import json
import shutil
import socket
from pathlib import Path

from stack import Process, wait_until


def connection_state(scene, device):
    return scene.service.json("hub", "device-twin", "show", "-d", device.id)["connectionState"]


def wait_connected(scene, device_id: str):
    """The service tells of a connection a moment after it stands."""
    wait_until(f"{device_id} is connected", lambda: scene.service.json("hub", "device-twin", "show", "-d", device_id)["connectionState"] == "Connected", 15)


def rewrite(device, old: str, new: str):
    config = device.folder / "agent.toml"
    text = config.read_text()
    assert text.count(old) == 1, text
    config.write_text(text.replace(old, new))


def wait_log(device, words: str, count: int = 1):
    def said():
        device.agent.check_alive()
        return device.agent.log.read_text().count(words) >= count

    wait_until(f"the agent says: {words}", said, 60)


def wait_online(device, count: int = 1):
    wait_log(device, " link.online ", count)


def place(device, leaf):
    """As a renewal does it: each file whole or not at all."""
    for source, name in ((leaf.key, "device-key.pem"), (leaf.chain, "device.pem")):
        shutil.copy(source, device.folder / "new.pem")
        (device.folder / "new.pem").rename(device.folder / name)


def by_thumbprint(leaf):
    return {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": leaf.sha256, "secondaryThumbprint": ""}}


def register_anew(scene, device, authentication: dict):
    """The same device under another credential, with its group."""
    scene.service.cli("hub", "device-identity", "delete", "-d", device.id, "-y")
    wish = {"deviceId": device.id, "authentication": authentication}
    status, _, body = scene.rest("PUT", f"/devices/{device.id}?api-version=2021-04-12", wish)
    assert status == 200, body
    scene.service.cli("hub", "device-twin", "update", "-d", device.id, "--tags", json.dumps({"ADUGroup": device.group}))


def free_port() -> int:
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class TinyProxy:
    """A real proxy: Debian's tinyproxy, which lets CONNECT through to `ports` only and may want user and password."""

    def __init__(self, folder: Path, ports: list[int], user: str = "", password: str = ""):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        config = folder / "tinyproxy.conf"
        lines = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 600", "MaxClients 20", "LogLevel Connect", *(f"ConnectPort {p}" for p in ports)]
        if user:
            lines.append(f"BasicAuth {user} {password}")
        config.write_text("\n".join(lines) + "\n")
        self.process = Process("tinyproxy", ["tinyproxy", "-d", "-c", config], folder / "tinyproxy.log")

    def __enter__(self):
        self.process.start()

        def listens():
            self.process.check_alive()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True

        wait_until("tinyproxy listens", listens, 10)
        return self

    def __exit__(self, *_):
        self.process.stop()

    def log(self) -> str:
        return self.process.log.read_text(errors="replace")
