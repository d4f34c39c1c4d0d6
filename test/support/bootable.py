"""A device that can be restarted: its two programs see a boot id of their own (a file mounted over the kernel's, in a mount
namespace), and its restart command makes this module cut them off and start them in the next boot."""
from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from pathlib import Path

from stack import Device

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Bootable:
    """Wraps a device of a scene that was not started yet. `at_boot(device)` runs between two boots."""

    def __init__(self, device: Device, at_boot=None, works: bool = True):
        self.device, self.at_boot, self.works, self.boots = device, at_boot or put_in_place, works, 0
        self.boot_file = device.folder / "boot_id"
        self.asked = device.folder / "restart-asked"
        self._new_boot()
        command = device.folder / "restart.sh"
        command.write_text(f"#!/bin/sh\n[ {int(works)} = 1 ] || {{ echo the bus is stuck; exit 5; }}\ntouch {self.asked}\n")
        command.chmod(0o755)
        device.installer_config += f'\n[restart]\ncommand = ["{command}"]\n'
        device.write_config()
        for process in (device.agent, device.installer):
            process.command = namespace_command(self.boot_file) + process.command
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self.device.start()
        self._watcher.start()

    def stop(self) -> None:
        self._ending.set()
        self._watcher.join()

    def _new_boot(self) -> None:
        self.boot_file.write_text(str(uuid.uuid4()) + "\n")

    def reboot(self) -> None:
        """Power off, power on."""
        self.device.agent.kill()
        self.device.installer.kill()
        self.boots += 1
        self._new_boot()
        (self.device.folder / "run" / "installer.sock").unlink(missing_ok=True)
        self.at_boot(self.device)
        self.device.start()

    def _watch(self) -> None:
        while not self._ending.is_set():
            if self.asked.exists():
                self.asked.unlink()
                self.reboot()
            time.sleep(0.05)


def put_in_place(device: Device) -> None:
    """What was applied `--at-boot` becomes the installed one."""
    for staged in Path(device.root).rglob("next"):
        shutil.move(staged, staged.with_name("installed"))


def namespace_command(boot_file: Path) -> list[str]:
    flags = "-m" if os.geteuid() == 0 else "-rm"
    return ["unshare", flags, "sh", "-c", f'mount --bind "{boot_file}" {BOOT_ID} && exec "$@"', "sh"]
