"""A device in a network namespace of its own: it reaches this machine by one way only, under names that the test gives."""
from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000


def ip(*words) -> None:
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(map(str, words))}: {done.stderr}"


class Namespace:
    """10.211.7.1 is this machine, 10.211.7.2 the device. `hosts`: what the device's hosts file says, "" without one."""

    ADDRESS = "10.211.7.1"

    def __init__(self, hosts: str = "", resolver: str = ""):
        self.name = f"godwit-{os.getpid()}"
        self.host, self.device = f"gw{os.getpid() % 100000}h", f"gw{os.getpid() % 100000}d"
        self.files = {"hosts": hosts, "resolv.conf": resolver}
        self.folder = Path("/etc/netns") / self.name

    @property
    def runner(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    def __enter__(self):
        ip("netns", "add", self.name)
        ip("link", "add", self.host, "type", "veth", "peer", "name", self.device, "netns", self.name)
        ip("link", "set", self.host, "up")
        ip("addr", "add", f"{self.ADDRESS}/24", "dev", self.host)
        ip("-n", self.name, "addr", "add", "10.211.7.2/24", "dev", self.device)
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "set", self.device, "up")
        self.folder.mkdir(parents=True)
        for name, text in self.files.items():
            if text:
                (self.folder / name).write_text(text)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(AssertionError):
            ip("netns", "del", self.name)
        with contextlib.suppress(AssertionError):
            ip("link", "del", self.host)  # gone with its other end, as a rule
        for name, text in self.files.items():
            if text:
                (self.folder / name).unlink()
        self.folder.rmdir()


    def listen(self, address: str, port: int = 0) -> socket.socket:
        """A listening socket inside, so that the device takes `address` for another host."""
        ip("-n", self.name, "addr", "replace", f"{address}/32", "dev", "lo")
        made = []

        def within():  # only this thread goes there; the socket stays there when it ends
            space = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(space, CLONE_NEWNET) == 0:
                    made.append(socket.create_server((address, port)))
            finally:
                os.close(space)

        thread = threading.Thread(target=within)
        thread.start()
        thread.join()
        assert made, f"no socket at {address}:{port} in {self.name}"
        return made[0]


class Resolver:
    """A DNS server on `address`:53 whose answers live for no time. `names`: name -> address, which the test may change at any time."""

    def __init__(self, address: str, names: dict[str, str]):
        self.names = names
        self.asked: list[str] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                question, client = self.socket.recvfrom(4096)
            except OSError:
                return
            if len(question) < 12:
                return  # close() says so
            self.socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        name, kind = ".".join(labels).lower(), int.from_bytes(question[at + 1:at + 3], "big")
        self.asked.append(name)
        address = self.names.get(name)
        records = b""
        if address and kind == 1:
            records = b"\xc0\x0c\x00\x01\x00\x01" + bytes(4) + b"\x00\x04" + socket.inet_aton(address)
        flags = b"\x81\x80" if address else b"\x81\x83"
        return question[:2] + flags + b"\x00\x01" + (b"\x00\x01" if records else b"\x00\x00") + bytes(4) + question[12:at + 5] + records

    def close(self) -> None:
        address = self.socket.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"end", address)
        self.thread.join(5)
        self.socket.close()
