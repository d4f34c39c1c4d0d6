"""A Debian of its own, made by mmdebstrap and booted by systemd-nspawn, in which the packages are tried. Needs root."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

NEEDED = ("systemd", "systemd-sysv", "dbus", "procps", "iproute2", "sqlite3")


def run(*command, **more) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
    assert done.returncode == 0, f"{' '.join(map(str, command))} gave {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def libraries_of(packages: list[Path]) -> list[str]:
    """What the packages depend on, the first of alternatives, without those of ours."""
    names = set()
    for package in packages:
        for part in run("dpkg-deb", "--field", package, "Depends").replace("\n", " ").split(","):
            if name := re.match(r"\s*([a-z0-9][a-z0-9.+-]*)", part):
                names.add(name.group(1))
    return sorted(name for name in names if not name.startswith("godwit"))


def repacked(package: Path, version: str, folder: Path, change=None) -> Path:
    """The same package under another version; `change` may do something to its unpacked files."""
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    run("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
    if change:
        change(tree)
    out = folder / f"{package.name.split('_')[0]}_{version}.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, out)
    return out


class Machine:
    """One Debian: its own processes, loopback network, systemd as process 1."""

    def __init__(self, folder: Path, packages: list[Path], *, more: tuple = (), options: tuple = (), env: dict | None = None):
        """`packages`: what they depend on is in it, beside `more`. `options` and `env` are for systemd-nspawn."""
        self.folder, self.root = folder, folder / "root"
        self.options, self.env = options, env or {}
        self.log = folder / "boot.log"
        self.nspawn: subprocess.Popen | None = None
        self.leader = 0
        run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join([*NEEDED, *more, *libraries_of(packages)])}",
            "bookworm", self.root)
        (self.root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")

    def start(self) -> None:
        with open(self.log, "ab") as out:
            self.nspawn = subprocess.Popen(["systemd-nspawn", "--directory", self.root, "--boot", "--quiet", "--register=no", "--keep-unit",
                                            "--private-network", "--machine", f"godwit{self.folder.stat().st_ino}", *self.options],
                                           stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env={**os.environ, **self.env})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.nspawn.poll() is None, f"systemd-nspawn ended:\n{self.log.read_text(errors='replace')[-2000:]}"
            children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
            found = [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd"]
            if found:
                self.leader = found[0]
                if self.sh("systemctl is-system-running", check=False).stdout.strip() in ("running", "degraded"):
                    return
            time.sleep(0.2)
        raise AssertionError(f"the machine did not boot:\n{self.log.read_text(errors='replace')[-2000:]}")

    def sh(self, script: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess:
        done = subprocess.run(["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root",
                               "/usr/bin/env", "-i", "--chdir=/", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
                               "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "/bin/bash", "-c", script],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"{script}\ngave {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def out(self, script: str) -> str:
        return self.sh(script).stdout.strip()

    def until(self, script: str, seconds: float = 30) -> None:
        """Waits until `script` succeeds in the machine."""
        deadline = time.monotonic() + seconds
        while (last := self.sh(script, check=False)).returncode != 0:
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {script}\n{last.stdout}{last.stderr}"
            time.sleep(0.2)

    def install(self, packages: list[Path]) -> str:
        target = self.root / "var" / "cache" / "godwit"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for package in packages:
            shutil.copy(package, target)
        return self.sh("apt-get install -y --no-install-recommends --allow-downgrades /var/cache/godwit/*.deb 2>&1").stdout

    def end(self) -> None:
        if self.nspawn is None:
            return
        if self.leader and self.nspawn.poll() is None:
            self.sh("systemctl --no-block poweroff", check=False)
        try:
            self.nspawn.wait(30)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
