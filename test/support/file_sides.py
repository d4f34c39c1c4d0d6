"""Two sides that are files, with the boot loader's state in the form of U-Boot: for the handlers of whole images, without a machine."""
from __future__ import annotations

import struct
import zlib
from pathlib import Path


class FileSides:
    def __init__(self, folder: Path, binaries: Path, size: int):
        self.folder, self.slots, self.attempts = Path(folder), binaries / "godwit-slots", 3
        for side in "ab":
            (self.folder / side).write_bytes(b"-" * size)
        self.write_state({"good": "A"})
        self.health("/bin/true")
        self.boot("A", "1.0")

    def health(self, program: str) -> None:
        f = self.folder
        f.joinpath("slots.toml").write_text(f'[slots]\na = "{f}/a"\nb = "{f}/b"\ndata = "{f}/data"\ncommand_line = "{f}/cmdline"\n[boot]\nenvironment = "{f}/state"\n'
                                            f'[health]\ncommand = ["{program}"]\ntime_limit = "1s"\npause = "200ms"\n')
        # The script calls one program: godwit-slots with this file.
        (f / "slots").write_text(f'#!/bin/sh\nexec "{self.slots}" --config "{f}/slots.toml" "$@"\n')
        (f / "slots").chmod(0o755)

    def boot(self, side: str, version: str) -> None:
        (self.folder / "cmdline").write_text(f"root={self.folder / side.lower()}\n")
        (self.folder / "version").write_text(version + "\n")

    def write_state(self, words: dict) -> None:
        body = b"".join(f"{k}={v}\0".encode() for k, v in words.items()).ljust(508, b"\0")
        (self.folder / "state").write_bytes((struct.pack("<I", zlib.crc32(body)) + body) * 2)

    def state(self) -> dict:
        return dict(word.split("=") for word in (self.folder / "state").read_bytes()[4:512].decode().split("\0") if word)

    def start_as_the_loader_does(self) -> None:
        """One start of the device: a side that is to be tried costs an attempt; without attempts the good side comes back."""
        state = self.state()
        side = state["good"]
        if state.get("try") and int(state["left"]) > 0:
            side = state["try"]
            self.write_state({**state, "left": str(int(state["left"]) - 1)})
        elif state.get("try"):
            self.write_state({"good": side, "failed": state["try"], "left": "0"})
        self.boot(side, "1.0")
