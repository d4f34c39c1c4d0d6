#!/usr/bin/env python3
"""One part of a proxy device: a process behind a socket with a firmware slot, as a motor or a camera on a bus might be.

    part.py --socket /run/parts/m-1.sock --folder /var/lib/parts/m-1

Answers one line to each line: "version" gives the version that runs, "install FILE VERSION" fills the slot, "apply" starts what is
in the slot, "restore" goes back to the version before. A file fail-install or fail-apply in the folder makes that act fail with the
words in it.
"""
import argparse
import os
import shutil
import socketserver
from pathlib import Path


def act(folder: Path, line: str) -> str:
    words = line.split()
    version, slot, before = folder / "version", folder / "slot", folder / "before"
    if words and (folder / f"fail-{words[0]}").exists():
        return "error " + (folder / f"fail-{words[0]}").read_text().strip()
    if words == ["version"]:
        return version.read_text().strip() if version.exists() else "0.0"
    if len(words) == 3 and words[0] == "install":
        shutil.copy(words[1], folder / "slot.bin")
        slot.write_text(words[2])
        return "ok"
    if words == ["apply"] and slot.exists():
        if version.exists():
            shutil.copy(version, before)
        os.replace(slot, version)
        return "ok"
    if words == ["restore"] and before.exists():
        os.replace(before, version)
        return "ok"
    return "error what does that mean"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    flags = parser.parse_args()
    flags.folder.mkdir(parents=True, exist_ok=True)
    flags.socket.unlink(missing_ok=True)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            for line in self.rfile:
                self.wfile.write(act(flags.folder, line.decode(errors="replace")).encode() + b"\n")

    socketserver.ThreadingUnixStreamServer.daemon_threads = True
    with socketserver.ThreadingUnixStreamServer(str(flags.socket), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
