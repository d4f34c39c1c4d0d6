"""A device as a Debian: systemd, apt and dpkg, podman, SWUpdate, and the project's own package, on one ext4 disk that boots in a virtual machine.

For the steps that leave the system in its place. Needs root (mmdebstrap), ./dev package amd64, and the packages of tools/dev/packages-image.txt.
"""
from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build  # noqa: E402
from boards import X86  # noqa: E402

PACKAGES = ("systemd", "systemd-sysv", "dbus", "e2fsprogs", "iproute2", "kmod", "zstd", "podman", "crun", "netavark", "iptables", "ca-certificates", "swupdate", "python3")
DISK_MIB = 3072
# What a device in a drawer needs no time for.
MASKED = ("getty.target", "serial-getty@.service", "systemd-logind.service", "systemd-journal-flush.service", "systemd-update-utmp.service", "systemd-pstore.service",
          "e2scrub_reap.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "podman-auto-update.timer",
          "swupdate.service", "swupdate.socket", "swupdate-progress.service", "podman.socket", "podman.service", "podman-auto-update.service", "modprobe@drm.service", "dev-hugepages.mount")

BOARD = replace(X86, name="workshop", model="Workshop", modules=("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng"), mounts=(), start_words="initrd: side=")

FILES = {
    "etc/hostname": "workshop\n",
    "etc/hosts": "127.0.0.1 localhost workshop\n10.0.2.2 godwit.test\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/machine-id": hashlib.md5(b"workshop").hexdigest() + "\n",
    "etc/systemd/journald.conf.d/console.conf": "[Journal]\nStorage=volatile\nForwardToConsole=yes\nTTYPath=/dev/ttyS0\nMaxLevelConsole=info\nRateLimitBurst=0\n",
    "etc/apt/apt.conf.d/99workshop": 'Acquire::Retries "0";\nAcquire::Languages "none";\n',
    "etc/systemd/system/network.service": (
        "[Unit]\nDescription=The one network card\nDefaultDependencies=no\nAfter=local-fs.target\nBefore=network.target network-online.target\n"
        "Wants=network.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        "ExecStart=/bin/sh -c 'ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2'\n"
        "[Install]\nWantedBy=multi-user.target network-online.target\n"),
    # A shell for who holds the other end of the second serial line: a script in base64 on a line, its end and its words on another.
    "etc/systemd/system/hatch.service": (
        "[Unit]\nDescription=The hatch of the workshop\nAfter=network.service\n[Service]\nExecStart=/usr/local/lib/hatch\nRestart=always\nRestartSec=1\n"
        "[Install]\nWantedBy=multi-user.target\n"),
    "usr/local/lib/hatch": (
        "#!/bin/bash\nexec </dev/ttyS1 >/dev/ttyS1\nstty -F /dev/ttyS1 raw -echo\n"
        "while read -r number script; do\n"
        "  said=$(bash -c \"$(base64 -d <<<\"$script\")\" 2>&1 </dev/null)\n"
        "  echo \"hatch $number $? $(base64 -w0 <<<\"$said\")\"\n"
        "done\n"),
    # podman says on the console what it is told and when it is done: the moments of the tests.
    "usr/local/bin/podman-aloud": (
        "#!/bin/bash\necho \"podman: begins ${*:2}\" >/dev/console\n/usr/bin/podman \"$@\"\ncode=$?\n"
        "echo \"podman: ended $2 $code\" >/dev/console\nexit $code\n"),
}


def package() -> Path | None:
    """The agent's package of this checkout."""
    made = sorted((build.ROOT / "build" / "packages").glob("godwit-agent_*_amd64.deb"))
    return made[-1] if made else None


def missing() -> str:
    """Why it cannot be made here; empty when it can."""
    if why := BOARD.missing():
        return why
    if os.geteuid() != 0:
        return "the workshop is made as root only"
    if shutil.which("mmdebstrap") is None:
        return "the workshop needs mmdebstrap: run ./dev setup image"
    return "" if package() else "the workshop needs ./dev package amd64"


def libraries_of(deb: Path) -> list[str]:
    """What the package depends on, the first of alternatives."""
    depends = build.run("dpkg-deb", "--field", deb, "Depends").stdout
    return [found.group(1) for part in depends.split(",") if (found := re.match(r"\s*([a-z0-9][a-z0-9.+-]*)", part))]


def fill(root: Path, deb: Path, debian: Path) -> None:
    register = ("/usr/bin/godwit-installer extension register --config /usr/share/godwit/registration/installer.toml --type step-handler --id godwit/container:1 --network "
                "--option podman=/usr/local/bin/podman-aloud /usr/lib/godwit/godwit-step-container.so")
    # In hooks: there /proc, /sys and /dev are those of a machine, and the package loads what it registers.
    hooks = (f"copy-in {deb} /", f'chroot "$1" dpkg --install /{deb.name}', f'chroot "$1" {register}', f'rm "$1/{deb.name}"')
    build.run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join([*PACKAGES, *libraries_of(deb)])}",
              *(f"--customize-hook={hook}" for hook in hooks), "bookworm", root)
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).unlink(missing_ok=True)
        (root / path).write_text(text)
        (root / path).chmod(0o755 if text.startswith("#!") else 0o644)
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for unit in ("network.service", "hatch.service"):
        build.run("chroot", root, "systemctl", "enable", unit)
    build.run("chroot", root, "systemctl", "set-default", "multi-user.target")
    for path in ("etc/apt/sources.list", "usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt/archives"):
        build.run("rm", "-rf", root / path)
    for path in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        (root / path).mkdir(parents=True)
    shutil.copytree(debian / "lib" / "modules", root / "usr" / "lib" / "modules", dirs_exist_ok=True, symlinks=True)
    build.run("depmod", "--basedir", root, (debian / ".whole").read_text().strip())


def make_disk() -> Path:
    """The disk of a device that has no identity yet; made once for the same package and the same words in this file."""
    deb, debian = package(), build.packages(BOARD)
    inputs = hashlib.sha256(b"".join([deb.read_bytes(), Path(__file__).read_bytes(), (debian / ".whole").read_bytes()])).hexdigest()[:16]
    made = build.WORK / f"workshop-{inputs}.ext4"
    if made.exists():
        return made
    build.WORK.mkdir(parents=True, exist_ok=True)
    for old in build.WORK.glob("workshop-*.ext4"):
        old.unlink()
    with tempfile.TemporaryDirectory(dir=build.WORK) as name:
        root, new = Path(name) / "root", Path(name) / "new"
        fill(root, deb, debian)
        build.run("mke2fs", "-q", "-t", "ext4", "-L", "workshop", "-d", root, new, f"{DISK_MIB}M")
        new.rename(made)
    return made


def board():
    """The board with its kernel and ramdisk, which QEMU itself loads."""
    debian = build.packages(BOARD)
    words = "root=/dev/vda console=ttyS0 panic=1 quiet systemd.show_status=no systemd.firstboot=off"
    return replace(BOARD, emulator=(*(word if word != "256" else "1024" for word in X86.emulator), "-kernel", str(build.kernel_of(BOARD, debian)),
                                    "-initrd", str(build.make_initrd(BOARD, debian)), "-append", words))


def put_files(disk: Path, files: dict[str, tuple[bytes, int, str]]) -> None:
    """Writes path: (content, mode, owner) into the disk; nobody has to mount it."""
    users = subprocess.run(["debugfs", "-R", "cat /etc/passwd", disk], capture_output=True, text=True, check=True).stdout
    ids = {line.split(":")[0]: line.split(":")[2:4] for line in users.splitlines() if line.count(":") == 6}
    with tempfile.TemporaryDirectory() as name:
        words = []
        for number, (path, (content, mode, owner)) in enumerate(files.items()):
            (Path(name) / str(number)).write_bytes(content)
            uid, gid = ids[owner]
            words += [f"rm {path}", f"write {Path(name) / str(number)} {path}", f"sif {path} mode 0{0o100000 | mode:o}", f"sif {path} uid {uid}", f"sif {path} gid {gid}"]
        (Path(name) / "words").write_text("\n".join(words) + "\n")
        build.run("debugfs", "-w", "-f", Path(name) / "words", disk)
