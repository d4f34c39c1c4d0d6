"""A device with a package system of its own: its installer sees this machine's files through an overlay, in a mount namespace, with
dpkg's books and apt's lists apart; what apt and dpkg do there stays there. And a repository made on the spot, served over HTTP."""
from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import subprocess
import threading
from pathlib import Path

from namespace_world import NamespaceWorld

# $1: folder for the world, $2: the device's folder, $3: the build. Everything is gone with the namespace.
SETUP = r"""
set -eu
mkdir -p "$1"; mount -t tmpfs -o size=1g world "$1"; mkdir "$1/upper" "$1/work" "$1/system"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" world "$1/system"
for folder in /proc /dev /sys; do mount --rbind "$folder" "$1/system$folder"; done
for folder in "$2" "$3"; do mkdir -p "$1/system$folder"; mount --bind "$folder" "$1/system$folder"; done
for folder in /var/lib/dpkg /var/lib/apt /var/cache/apt; do mount -t tmpfs world "$1/system$folder"; done
cp -a /var/lib/dpkg/. "$1/system/var/lib/dpkg/"
rm -f "$1"/system/var/lib/dpkg/lock*
mkdir -p "$1/system/var/lib/apt/lists/partial" "$1/system/var/cache/apt/archives/partial"
rm -rf "$1/system/etc/apt/apt.conf.d/docker-clean" "$1/system/etc/apt/sources.list" "$1/system"/etc/apt/sources.list.d/*
touch "$1/ready"
exec sleep 100000
"""


class Repository:
    """A folder of packages, served over HTTP."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(folder)))
        self.server.held, self.server.reached = "", threading.Event()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_port

    def hold(self, words: str) -> threading.Event:
        """From now on half of each file whose name contains `words` is served, and then nothing more; "": no file any more. Set once one was asked for."""
        self.server.held, self.server.reached = words, threading.Event()
        return self.server.reached

    def publish(self, *debs: Path) -> None:
        for deb in debs:
            shutil.copy(deb, self.folder)
        packages = subprocess.run(["dpkg-scanpackages", "-m", "."], cwd=self.folder, capture_output=True, text=True, check=True).stdout
        (self.folder / "Packages").write_text(packages)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class AptWorld(NamespaceWorld):
    def __init__(self, device):
        self.folder = folder = device.folder.parent / f"{device.id}-world"
        self.served = Repository(device.folder.parent / f"{device.id}-repository")
        self.repository, self.publish = self.served.folder, self.served.publish
        super().__init__(device, "-m", SETUP, folder, device.folder, device.service.binaries.parent, ready=folder / "ready", inside=("chroot", folder / "system"))
        url = f"http://127.0.0.1:{self.served.port}/"
        self.write("/etc/apt/sources.list", f"deb [trusted=yes] {url} ./\n")
        self.write("/etc/apt/apt.conf.d/99world", 'Acquire::http::Proxy::127.0.0.1 "DIRECT";\nAcquire::Retries "0";\n')

    def start(self, *words) -> subprocess.Popen:
        return subprocess.Popen([*self._inside, *map(str, words)], stdout=subprocess.PIPE, text=True)

    def write(self, path: str, text: str) -> None:
        subprocess.run([*self._inside, "tee", path], input=text, text=True, stdout=subprocess.DEVNULL, check=True)

    def read(self, path: str) -> str:
        return self.run("cat", path)

    def version(self, package: str) -> str:
        """"" when it is not installed; with its state when it is not whole."""
        said = self.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package, check=False)
        state, _, version = said.partition(" ")
        return "" if state in ("", "not-installed", "config-files") else version if state == "installed" else said

    def is_whole(self) -> bool:
        return self.run("dpkg", "--audit") == ""

    def stop(self) -> None:
        self.served.stop()
        super().stop()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def copyfile(self, source, outputfile):
        if not self.server.held or self.server.held not in self.path:
            return super().copyfile(source, outputfile)
        content = source.read()
        outputfile.write(content[:len(content) // 2])
        outputfile.flush()
        self.server.reached.set()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.recv(1)  # until the other side is gone

    def log_message(self, *_):
        pass


def build_deb(folder: Path, name: str, version: str, *, depends: str = "", files: dict | None = None, conffiles: dict | None = None, postinst: str = "",
              preinst: str = "") -> Path:
    """A real package; `files` and `conffiles` are path: text, `postinst` and `preinst` the bodies of shell scripts."""
    tree = folder / f"{name}-{version}"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Tests <tests@example.org>\nDescription: made by a test\n"
    (tree / "DEBIAN/control").write_text(control + (f"Depends: {depends}\n" if depends else ""))
    for path, text in {**(files or {}), **(conffiles or {})}.items():
        target = tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    if conffiles:
        (tree / "DEBIAN/conffiles").write_text("".join(f"{path}\n" for path in conffiles))
    for name_of_script, body in (("postinst", postinst), ("preinst", preinst)):
        if body:
            (tree / "DEBIAN" / name_of_script).write_text(f"#!/bin/sh\nset -e\n{body}\n")
            (tree / "DEBIAN" / name_of_script).chmod(0o755)
    deb = folder / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True, stdout=subprocess.DEVNULL)
    return deb
