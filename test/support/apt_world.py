"""A device with a package system of its own: its installer sees this machine's files through an overlay, in a mount namespace, with
dpkg's books and apt's lists apart; what apt and dpkg do there stays there. And a repository made on the spot, served over HTTP."""
from __future__ import annotations

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


class AptWorld(NamespaceWorld):
    def __init__(self, device):
        self.folder = folder = device.folder.parent / f"{device.id}-world"
        self.repository = device.folder.parent / f"{device.id}-repository"
        self.repository.mkdir()
        super().__init__(device, "-m", SETUP, folder, device.folder, device.service.binaries.parent, ready=folder / "ready", inside=("chroot", folder / "system"))
        handler = functools.partial(QuietHandler, directory=str(self.repository))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.server.server_port}/"
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

    def publish(self, *debs: Path) -> None:
        for deb in debs:
            shutil.copy(deb, self.repository)
        packages = subprocess.run(["dpkg-scanpackages", "-m", "."], cwd=self.repository, capture_output=True, text=True, check=True).stdout
        (self.repository / "Packages").write_text(packages)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        super().stop()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def build_deb(folder: Path, name: str, version: str, *, depends: str = "", files: dict | None = None, conffiles: dict | None = None, postinst: str = "") -> Path:
    """A real package; `files` and `conffiles` are path: text, `postinst` the body of a shell script."""
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
    if postinst:
        (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\nset -e\n{postinst}\n")
        (tree / "DEBIAN/postinst").chmod(0o755)
    deb = folder / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True, stdout=subprocess.DEVNULL)
    return deb
