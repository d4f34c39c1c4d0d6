"""What a workshop has that updates change, and how it looks when it is whole: packages, a container, a tree of files, what SWUpdate writes."""
from __future__ import annotations

import hashlib
import io
import json
import random
import re
import tarfile
from pathlib import Path

from apt_world import Repository, build_deb
from container_world import Image, build_program, oci, pack
from stack import wait_until
from swu import SwuMaker
from workshop_device import WorkshopDevice

APT, DEB, FILES, CONTAINER, SWU = "microsoft/apt:1", "godwit/deb:1", "godwit/files:1", "godwit/container:1", "microsoft/swupdate:1"
SCRIPT = "microsoft/script:1"
TOOL, PARTS = "godwit-test-tool", 300
TREE, LEAVES = "/opt/oven/app", 300
PLACE, WRITTEN = "/opt/swu", 16 << 20
EXAMPLE, MOTORS = Path(__file__).resolve().parents[2] / "extensions" / "components-example", ("m-1", "m-2", "m-3")


def say(words: str, seconds: float = 0) -> str:
    """Shell: a line on the console, and a while in which the power can go."""
    return f"echo 'now: {words}' >/dev/console; sleep {seconds}"


class Shelf:
    """The repository of the device, and the version of the tool that it has."""

    def __init__(self, device: WorkshopDevice, folder: Path):
        self.device, self.folder, self.repository = device, folder, Repository(folder / "repository")
        device.put("/etc/apt/sources.list", f"deb [trusted=yes] http://10.0.2.2:{self.repository.port}/ ./\n")
        self.version, self.number = "", 0

    def build(self, **scripts) -> tuple[str, Path]:
        """The next version: many files that all name it, and a conffile."""
        self.number += 1
        version = f"1.{self.number}"
        files = {f"/usr/share/{TOOL}/part-{part}": f"{version}\n" + f"{part}\n" * 2000 for part in range(PARTS)}
        deb = build_deb(self.folder, TOOL, version, files=files, conffiles={f"/etc/{TOOL}.conf": f"made for {version}\n"}, **scripts)
        self.repository.publish(deb)
        return version, deb

    def step(self, version: str, **more) -> tuple[str, dict, dict]:
        manifest = {"name": "tools", "version": "1.0", "packages": [{"name": TOOL, "version": version}]}
        return APT, {"installedCriteria": version, **more}, {"apt.json": json.dumps(manifest).encode()}

    def next_step(self, **more) -> tuple[str, tuple]:
        version, _ = self.build()
        return version, self.step(version, **more)

    def is_whole(self, version: str) -> None:
        """dpkg has nothing left to do, and every file is of this version; the conffile is as somebody edited it."""
        device = self.device
        assert device.sh("dpkg --audit; ls /var/lib/dpkg/updates") == ""
        assert device.sh(f"dpkg-query -W -f '${{db:Status-Status}} ${{Version}}' {TOOL}") == f"installed {version}"
        assert device.sh(f"head -qn 1 /usr/share/{TOOL}/part-* | sort | uniq -c").split() == [str(PARTS), version]
        assert device.sh(f"cat /usr/share/{TOOL}/part-* | wc -l") == str(PARTS * 2001)
        assert device.sh(f"ls /usr/share/{TOOL} | wc -l; ls /etc/{TOOL}* | grep -v dpkg-dist").split() == [str(PARTS), f"/etc/{TOOL}.conf"]
        assert device.sh(f"cat /etc/{TOOL}.conf") == "edited here"


class Harbour:
    """A container of the device, and what it answers."""

    def __init__(self, device: WorkshopDevice, folder: Path, name: str = "web", port: int = 8099):
        self.device, self.program, self.name, self.port, self.number, self.version = device, build_program(folder), name, port, 0, ""
        self.noise, self.base = random.Random(name).randbytes(10 << 20), {}

    def build(self, base: int = 0) -> tuple[str, bytes]:
        """The next version: an upper layer with much noise of its own; or that noise in a lower one, which is that of all versions with this `base`."""
        self.number += 1
        version = f"{self.name}-{self.number}"
        noise = {"noise": self.noise[(base or self.number) * 4096:]}
        self.base[version] = base or self.number
        return version, oci(Image(self.program, version, below=(pack(noise),)) if base else Image(self.program, version, extra=noise))

    def step(self, version: str, archive: bytes, **more) -> tuple[str, dict, dict]:
        return CONTAINER, {"name": self.name, "installedCriteria": version, "ports": [{"host": self.port, "container": 8080}], "healthCommand": ["/app", "check"],
                           "steadySeconds": 1, "healthTimeoutSeconds": 300, "healthTrySeconds": 60, **more}, {f"{version}.tar": archive}

    def next_step(self, **more) -> tuple[str, tuple]:
        version, archive = self.build()
        return version, self.step(version, archive, **more)

    def answer(self) -> str:
        return self.device.sh(f"exec 3<>/dev/tcp/127.0.0.1/{self.port} && cat <&3", check=False)

    def is_whole(self, version: str) -> None:
        """One container of the name, of this version, with its whole image, that runs and answers."""
        device, name = self.device, self.name
        ours = f"--filter name=^{name} --format '{{{{.Names}}}}"
        assert device.sh(f"podman ps --all {ours}'; podman ps {ours} runs'").splitlines() == [name, f"{name} runs"]
        wait_until("it answers", lambda: self.answer() == f"{version}|", 30)
        assert device.sh(f"podman exec {name} /app check", check=False) == ""
        wanted = hashlib.sha256(self.noise[self.base[version] * 4096:]).hexdigest()
        assert device.sh(f'sha256sum <"$(podman mount {name})/noise"; podman unmount {name} >/dev/null').split()[0] == wanted
        assert device.sh("ls -d /var/tmp/oci* /var/tmp/storage* /var/lib/godwit-container/.scratch 2>/dev/null", check=False) == ""
        count = "podman ps --quiet | wc -l; ls -l /proc/[0-9]*/exe 2>/dev/null | grep -c /conmon"
        wait_until("each container has one conmon, and those of the health commands are gone", lambda: len(set(device.sh(count).split())) == 1, 30)


def pack_tree(version: str) -> bytes:
    """Files that all name the version, and a large one."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        noise = random.Random(version).randbytes(8 << 20)
        for name, content in [(f"leaf-{number}", f"{version}\n".encode() * 500) for number in range(LEAVES)] + [("noise", noise)]:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Grove:
    def __init__(self, device: WorkshopDevice):
        self.device, self.number, self.version = device, 0, ""

    def next_step(self, **more) -> tuple[str, tuple]:
        self.number += 1
        version = f"t{self.number}"
        return version, (FILES, {"target": TREE, "installedCriteria": version, **more}, {"tree.tar": pack_tree(version)})

    def is_whole(self, version: str) -> None:
        device = self.device
        assert device.sh(f"cat {TREE}/leaf-* | sort | uniq -c").split() == [str(LEAVES * 500), version]
        assert device.sh(f"stat -c %s {TREE}/noise; ls {TREE} | wc -l").split() == [str(8 << 20), str(LEAVES + 1)]
        assert device.sh(f"ls -A {Path(TREE).parent} | grep -v godwit-old") == "app"


class Press:
    def __init__(self, device: WorkshopDevice, folder: Path):
        self.device, self.maker, self.number, self.version = device, SwuMaker(folder / "swu"), 0, ""
        device.put("/etc/godwit/operator.pem", self.maker.key("operator").read_text())
        device.put("/etc/hwrevision", "workshop 1.0\n")
        self.configure()
        device.sh(f"mkdir -p {PLACE} && sync")

    def configure(self, fails: bool = False) -> None:
        """apply takes what SWUpdate wrote into use; revert takes the one before."""
        switch = f"cp {PLACE}/version {PLACE}/version.old 2>/dev/null; {say('apply', 2)}; ln -sfn $(cat {PLACE}/next) {PLACE}/current && cp {PLACE}/next {PLACE}/version"
        back = f"{say('revert', 2)}; cp {PLACE}/version.old {PLACE}/version"
        self.device.put("/etc/godwit/swupdate.json", json.dumps({
            "publicKeyFile": "/etc/godwit/operator.pem", "hardwareRevision": "workshop:1.0", "versionFile": f"{PLACE}/version", "rebootAfterApply": False,
            "applyCommand": ["/bin/sh", "-c", switch + ("; exit 3" if fails else "")], "revertCommand": ["/bin/sh", "-c", back]}))

    def step(self) -> tuple[str, bytes, tuple]:
        self.number += 1
        version = f"s{self.number}"
        content = random.Random(version).randbytes(WRITTEN)
        script = f"#!/bin/sh\n{say('$1').replace(chr(39), chr(34))}; sleep 2\n"
        image = self.maker.image({f"{PLACE}/{version}": content, f"{PLACE}/next": f"{version}\n".encode()}, hardware="1.0", script=script)
        return version, content, (SWU, {"installedCriteria": version}, {"image.swu": image})

    def is_whole(self, version: str, content: bytes | None) -> None:
        assert self.device.sh(f"cat {PLACE}/version") == version
        if content:
            assert self.device.sh(f"sha256sum {PLACE}/current").split()[0] == hashlib.sha256(content).hexdigest()


class Toaster:
    """The parts of the device: processes behind sockets, which the example enumerator lists."""

    def __init__(self, device: WorkshopDevice):
        self.device, self.number, self.version = device, 0, ""
        device.put("/usr/local/lib/part.py", (EXAMPLE / "part.py").read_text())
        # The half of the agent that lists them has no rights: its group may speak to them.
        device.put("/etc/systemd/system/part@.service", (
            "[Service]\nExecStart=/usr/bin/python3 /usr/local/lib/part.py --socket /run/parts/%i.sock --folder /var/lib/parts/%i\n"
            "Group=godwit-agent\nUMask=0007\nRuntimeDirectory=parts\nRuntimeDirectoryPreserve=yes\n[Install]\nWantedBy=multi-user.target\n"))
        device.put("/etc/godwit/components.json", json.dumps({"components": [
            {"id": part, "name": f"the {part}", "group": "motors", "properties": {"socket": f"/run/parts/{part}.sock"}} for part in MOTORS]}))
        device.sh(f"systemctl daemon-reload; systemctl enable --now {' '.join(f'part@{part}' for part in MOTORS)} && "
                  "godwit-agent extension register --type component-enumerator --id godwit/components-example:1 --option inventory=/etc/godwit/components.json "
                  "/usr/lib/godwit/godwit-components-example.so && systemctl restart godwit-agent && sync")

    def firmware(self, version: str) -> bytes:
        return random.Random(version).randbytes(4 << 20)

    def next_step(self) -> tuple[str, tuple]:
        self.number += 1
        version = f"{self.number}.0"
        script = (EXAMPLE / "update-part.sh").read_text()
        for verb in ("install", "apply"):  # each act on the console, before and after
            found = re.search(rf"act {verb} [^;]*;", script).group()
            script = script.replace(found, f"{aloud(verb)}; {found} {aloud(verb + ' ended')};")
        return version, (SCRIPT, {"scriptFileName": "update-part.sh", "apiVersion": "1.1", "installedCriteria": version, "arguments": "--wait 60 --socket --component-prop-val socket"},
                         {"update-part.sh": script.encode(), "firmware.bin": self.firmware(version)})

    def is_whole(self, version: str) -> None:
        firmware = hashlib.sha256(self.firmware(version)).hexdigest()
        for part in MOTORS:
            assert self.device.sh(f"cat /var/lib/parts/{part}/version; echo; sha256sum </var/lib/parts/{part}/slot.bin").split()[:2] == [version, firmware]


def aloud(words: str) -> str:
    return f'echo "now: {words} $socket" >/dev/console; sleep 1'
