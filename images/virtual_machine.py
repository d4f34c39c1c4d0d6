"""A reference device as a virtual machine: QEMU, its serial console in a log, the power switch."""
from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from boards import ARM64, Board  # noqa: E402


class MachineError(Exception):
    """The machine did not say what was awaited; the text holds the end of its console."""


class Machine:
    """One device. start() is power on, kill() a power cut: what the device had not flushed is lost. Disk and flash stay."""

    def __init__(self, disk: Path, flash: Path, console: Path, block: list | None = None, on_line=None, board: Board = ARM64,
                 more: tuple = ()):
        """`block`: other words for QEMU about the disk than a plain file, its device named "disk". `on_line`: called with each line of
        the console, by the thread that reads it. `more`: further words for QEMU."""
        self.board, self.more = board, more
        self.disk, self.flash, self.console = Path(disk), Path(flash), Path(console)
        self.block = block or ["-drive", f"if=none,id=disk,format=raw,cache=writeback,file={self.disk}"]
        self.on_line = on_line
        self.child: subprocess.Popen | None = None
        self.lines: list[str] = []
        self._seen = 0
        self._changed = threading.Condition()

    def command(self) -> list[str]:
        bus = self.board.bus
        # Read only for U-Boot: its saveenv erases this bank and then fails under QEMU. UEFI keeps its variables there.
        mode = "off" if self.board.flash == "uefi" else "on"
        flash = ["-drive", f"if=pflash,unit=1,format=raw,readonly={mode},file={self.flash}"] if self.board.flash else []
        first = "" if "-kernel" in self.board.emulator else ",bootindex=0"
        return [*self.board.emulator, "-smp", "1", "-nodefaults", "-nographic", "-serial", "stdio", *flash,
                *self.block, "-device", f"virtio-blk-{bus},drive=disk{first}",
                "-object", "rng-random,id=chance,filename=/dev/urandom", "-device", f"virtio-rng-{bus},rng=chance",
                "-netdev", "user,id=net", "-device", f"virtio-net-{bus},netdev=net", *self.more]

    def start(self) -> None:
        with open(self.console, "a") as log:
            log.write("--- power on\n")
        self.child = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        threading.Thread(target=self._read, args=(self.child,), daemon=True).start()

    def _read(self, child: subprocess.Popen) -> None:
        with open(self.console, "a") as log:
            for raw in iter(child.stdout.readline, b""):
                line = raw.decode("latin1").strip("\r\n")
                log.write(f"{time.strftime('%H:%M:%S')} {line}\n")
                log.flush()
                if self.on_line:
                    self.on_line(line)
                with self._changed:
                    self.lines.append(line)
                    self._changed.notify_all()

    def wait_for(self, *texts: str, timeout: float = 180) -> str:
        """The next line, after the last one found, that contains one of the texts."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                while self._seen < len(self.lines):
                    line = self.lines[self._seen]
                    self._seen += 1
                    if any(text in line for text in texts):
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or (self.child is not None and self.child.poll() is not None and not self._changed.wait(0.5)):
                    raise MachineError(f"the console never said {' or '.join(texts)} (within {timeout:.0f} s); it ends:\n" + "\n".join(self.lines[-30:]))
                self._changed.wait(min(left, 1))

    def skip(self) -> None:
        """What the console has said so far is no answer to the next wait_for()."""
        with self._changed:
            self._seen = len(self.lines)

    def count(self, text: str) -> int:
        with self._changed:
            return sum(text in line for line in self.lines)

    def running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None
