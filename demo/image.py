#!/usr/bin/env python3
"""An image update, seen from both ends: a virtual machine runs side A, is updated to B, then gets an image that panics and comes back.

The machine is the reference device of images/qemu-arm64: U-Boot, Debian's kernel, the real agent built for arm64. `./dev demo --image` calls
this after building. Exit code 0 means that all went as expected.
"""
from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "images"))
sys.path.insert(0, str(HERE))
import build  # noqa: E402
from virtual_machine import MachineError  # noqa: E402
from reference import HOSTS, ReferenceDevice, import_image  # noqa: E402
from run import Unexpected, good, heed_signals, ignore_signals, only_one, paint, say, title  # noqa: E402
from stack import Service, StackError, binaries_folder  # noqa: E402

GROUP, DEVICE = "lab", "board-1"
# What the terminal shows of the serial console: the boot loader's choice, the side that came up, panics, the agent's moves.
TOLD = re.compile(r"(boot: side.*|device: side.*|(?<=\] )Kernel panic.*|(?<=info )workflow\.moved.*|guard\.gives_up.*)")


def tell(line: str) -> None:
    found = TOLD.search(line)
    if found:
        words = found.group(1)
        moved = re.search(r"from=(\S+) .*to=(\S+)", words) if words.startswith("workflow") else None
        say(paint("2", "console | ") + (f"agent: {moved[1]} -> {moved[2]}" if moved else words[:120]))


class ImageDemo:
    def __init__(self, folder: Path):
        self.folder = folder
        self.service = Service(folder, binaries_folder("release"))
        self.device = ReferenceDevice(self.service, DEVICE, folder / DEVICE, GROUP)
        self.device.machine.on_line = tell

    def update(self, version: str, wanted_code: int, fault: str | None = None) -> None:
        import_image(self.service, self.folder / "updates", version, fault)
        deployment = f"image-{version}".replace(".", "-")
        self.device.deploy(version, deployment)
        begun = time.monotonic()
        words = ["device", "deployment", "show", "--group-id", GROUP, "--deployment-id", deployment, "--wait", "--timeout", "600"]
        done = self.service.cli(*words, check=False, timeout=700)
        if done.returncode != wanted_code:
            raise Unexpected(f"{deployment} ended with exit code {done.returncode}, expected {wanted_code}: {done.stdout}{done.stderr}")
        say(f"took {time.monotonic() - begun:.0f} s")

    def run(self) -> None:
        title("1. The service")
        self.service.init(hosts=HOSTS)
        self.service.start()
        good(f"godwitd serves {self.service.url} (REST) and port {self.service.ports['hub']} (MQTT over TLS)")
        title("2. The device: a disk with boot, data, A and B; version 1.0 on A")
        self.device.set_up(build.make_side(self.folder / "first.ext4", "1.0"))
        self.device.machine.start()
        self.device.machine.wait_for("side A runs version 1.0")
        self.device.wait_known()
        good(f"{DEVICE} is in group '{GROUP}'")
        title("3. Version 2.0: written to B, verified, tried, kept")
        self.update("2.0", 0)
        self.device.machine.wait_for("side B runs version 2.0", timeout=1)
        good("the device runs 2.0 from side B")
        title("4. Version 3.0 panics at its start: three attempts, then the device comes back by itself")
        self.update("3.0", 3, "panic")
        self.device.machine.wait_for("side B runs version 2.0", timeout=1)
        state = self.device.state("image-3-0")
        if "panic" not in json.dumps(state):
            raise Unexpected(f"the report should name the panic: {json.dumps(state)}")
        say("the service says: " + state["godwit"]["resultDetails"])
        good("the device runs 2.0 from side B, and everybody knows why")
        title("Where to look")
        for what, where in (("serial console", self.device.machine.console), ("service log", self.service.process.log), ("the disk", self.device.machine.disk)):
            say(f"{what:16} {where}")

    def end(self) -> None:
        self.device.machine.kill()
        self.service.stop()


def main() -> int:
    folder = HERE.parent / "build" / "demo-image"
    _lock = only_one(folder)  # held until the end
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    heed_signals()
    demo, code, begun = ImageDemo(folder), 1, time.monotonic()
    try:
        demo.run()
        print(f"\n{paint('32', 'All went as expected')} in {time.monotonic() - begun:.0f} s.")
        code = 0
    except KeyboardInterrupt:
        code = 130
    except (StackError, MachineError, Unexpected, subprocess.SubprocessError) as problem:
        print(f"\n{paint('31', 'Not as expected')}: {problem}\nLogs: {folder}/*.log {demo.device.machine.console}", file=sys.stderr)
    finally:
        ignore_signals()
        demo.end()
    return code


if __name__ == "__main__":
    sys.exit(main())
