#!/usr/bin/env python3
"""One part of a proxy device: a process behind a socket with a firmware slot, as a motor or a camera on a bus might be.

    part.py --socket /run/parts/m-1.sock --folder /var/lib/parts/m-1

Answers one line to each line: "version" gives the version that runs, "install FILE VERSION" fills the slot, "apply VERSION" starts
what is in the slot. Each may be told again, and is on the disk when "ok" is said: the power may go in between. A file fail-install or
fail-apply in the folder makes that act fail with the words in it.
"""
import argparse
import os
import socketserver
from pathlib import Path


def text(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def put(file: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk."""
    with open(file.with_suffix(".new"), "wb") as new:
        new.write(content)
        new.flush()
        os.fsync(new.fileno())
    os.replace(new.name, file)
    folder = os.open(file.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def act(folder: Path, line: str) -> str:
    words = line.split()
    version, slot = folder / "version", folder / "slot"
    if words and (folder / f"fail-{words[0]}").exists():
        return "error " + text(folder / f"fail-{words[0]}")
    if words == ["version"]:
        return text(version) or "0.0"
    if len(words) == 3 and words[0] == "install":
        put(folder / "slot.bin", Path(words[1]).read_bytes())
        put(slot, words[2].encode())
    elif len(words) == 2 and words[0] == "apply" and words[1] in (text(slot), text(version)):
        put(version, words[1].encode())
    elif words and words[0] == "apply":
        return f"error the slot holds {text(slot) or 'nothing'}"
    else:
        return "error what does that mean"
    return "ok"


def answer(folder: Path, line: str) -> str:
    try:
        return act(folder, line)
    except OSError as problem:
        return f"error {problem}"


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
                self.wfile.write(answer(flags.folder, line.decode(errors="replace")).encode() + b"\n")

    socketserver.ThreadingUnixStreamServer.daemon_threads = True
    with socketserver.ThreadingUnixStreamServer(str(flags.socket), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
