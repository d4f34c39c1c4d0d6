#!/usr/bin/env python3
"""record.py BIN OUT: lets the device programs in the folder BIN leave their data behind, and puts it into OUT for records_test.cpp. Run once for
each build whose data a newer one must read; what is in records/ stays as it is.

    test/compat/record.py build/release/bin test/compat/records/0.1.0
"""
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools" / "dev"), str(ROOT / "test" / "support")]
from scene import Scene  # noqa: E402
from stack import wait_until  # noqa: E402

# What devices keep for longer than a run; payloads, keys and sockets are not part of it.
KEPT = ("agent.toml", "installer.toml", "agent/*.json", "agent/*.jsonl", "agent/outbox/*", "installer/*.json", "installer/acts/*")


def copy(device, out: Path) -> None:
    for pattern in KEPT:
        for file in device.folder.glob(pattern):
            if file.is_file():
                target = out / file.relative_to(device.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                # The folders of this recording mean nothing elsewhere; and a text ends with its last line.
                target.write_bytes(file.read_bytes().replace(str(device.folder).encode(), b"/device").replace(str(device.binaries.parent).encode(), b"/usr").rstrip(b"\n") + b"\n")


def main() -> int:
    binaries, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        scene = Scene(Path(name), binaries)
        scene.start()
        try:
            device = scene.device(start=True)
            scene.import_update(scene.make_update(device, "1.0.0"))
            scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
            scene.import_update(scene.make_update(device, "2.0.0", arguments="--wait-in install", steps=1))
            scene.deploy(device, "2.0.0")
            wait_until("the install waits", (device.root / "waiting").exists, 60)
            device.agent.kill()
            device.installer.kill()
            copy(device, out / "installing")
            device.start()
            scene.service.stop()
            (device.root / "go").touch()
            outbox = device.folder / "agent" / "outbox"
            wait_until("its report waits", lambda: any('"is_final":true' in f.read_text() for f in outbox.glob("*.report.json")), 60)
            device.agent.kill()
            device.installer.kill()
            copy(device, out / "unreported")
        finally:
            scene.end()
    for file in sorted(out.rglob("*")):
        if file.is_file():
            print(f"{file.stat().st_size:8} {file.relative_to(out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
