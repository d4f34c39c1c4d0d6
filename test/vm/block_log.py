"""Every disk that a power cut could have left: the writes of a machine as QEMU's blklogwrites recorded them, replayed one by one.

Format of the log: dm-log-writes of Linux (Documentation/admin-guide/device-mapper/log-writes.rst): a head of one sector with magic, version,
number of entries and sector size; then for each entry a sector with start, count, flags, length of its data, followed by the data.
"""
from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC, FLUSH, DISCARD = 0x6A736677736872, 1, 4
SECTOR = 512


@dataclass(frozen=True)
class Entry:
    offset: int  # bytes
    data: bytes  # empty: a flush alone
    is_flush: bool


def recording(disk: Path, log: Path) -> list[str]:
    """Words for Machine(block=...): `disk` as a plain file, all its writes in `log`."""
    log.write_bytes(b"")
    return ["-blockdev", f"driver=file,filename={disk},node-name=plain", "-blockdev", f"driver=file,filename={log},node-name=log",
            "-blockdev", "driver=blklogwrites,file=plain,log=log,node-name=disk,log-append=off"]


def entries(log: Path) -> Iterator[Entry]:
    with open(log, "rb") as file:
        magic, _, count, sector = struct.unpack("<QQQI", file.read(28))
        assert magic == MAGIC, f"{log} is no log of writes"
        position = sector
        for _ in range(count):
            file.seek(position)
            start, length, flags, _ = struct.unpack("<QQQQ", file.read(32))
            position += sector
            if flags & DISCARD:
                continue
            file.seek(position)
            data = file.read(length * sector)
            position += length * sector
            yield Entry(start * sector, data, bool(flags & FLUSH))
