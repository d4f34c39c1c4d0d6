"""godwit/files:1: a tree from a tar.zst made by tar itself, switched on the device by one rename, judged by a health command."""
import io
import subprocess
import tarfile

import pytest

from handlers import code, make_update, register_handler, run_update
from stack import wait_until

HANDLER = "godwit/files:1"


@pytest.fixture
def device(scene):
    made = scene.device(start=False)
    register_handler(made, HANDLER, "step-files")
    made.app = made.root / "app"
    made.start()
    scene.wait_listed(made)
    return made


def tree(tmp_path, version: str) -> bytes:
    folder = tmp_path / version
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "app").write_text(f"#!/bin/sh\necho {version}\n")
    (folder / "bin" / "app").chmod(0o755)
    (folder / "data.bin").write_bytes(bytes(range(256)) * 4096)
    (folder / "current").symlink_to("bin/app")
    (folder / f"only-in-{version}").touch()
    return subprocess.run(["tar", "--zstd", "-C", folder, "-cf", "-", "."], check=True, capture_output=True).stdout


def pack(*members) -> bytes:
    """(TarInfo changes, content) each."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for changes, content in members:
            info = tarfile.TarInfo(changes.pop("name"))
            info.size = len(content)
            for key, value in changes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return subprocess.run(["zstd", "-q"], input=out.getvalue(), check=True, capture_output=True).stdout


def update(scene, device, version, archive, end="Succeeded", **properties):
    return run_update(scene, device, version, HANDLER, {"tree.tar.zst": archive}, {"target": str(device.app), "installedCriteria": version, **properties}, end=end)


def answer(device):
    return subprocess.run([device.app / "current"], capture_output=True, text=True).stdout.strip()


def test_a_tree_is_installed_upgraded_and_skipped_once_in_place(scene, device, tmp_path):
    restart = ["/bin/sh", "-c", f"{device.app}/current >> {device.root}/restarts"]
    update(scene, device, "1.0.0", tree(tmp_path, "one"), restartCommand=restart)
    assert answer(device) == "one"
    update(scene, device, "1.1.0", tree(tmp_path, "two"), restartCommand=restart)
    assert answer(device) == "two" and not (device.app / "only-in-one").exists()
    assert (device.root / "restarts").read_text().split() == ["one", "two"]
    run_update(scene, device, "1.2.0", HANDLER, {"tree.tar.zst": tree(tmp_path, "three")}, {"target": str(device.app), "installedCriteria": "1.1.0"})
    assert answer(device) == "two"


def test_an_unhealthy_tree_is_taken_back_and_the_service_restarted_on_the_old_one(scene, device, tmp_path):
    restart = ["/bin/sh", "-c", f"{device.app}/current >> {device.root}/restarts"]
    update(scene, device, "1.0.0", tree(tmp_path, "one"), restartCommand=restart)
    state = update(scene, device, "1.1.0", tree(tmp_path, "two"), end="Failed", restartCommand=restart, healthTimeoutSeconds=2,
                   healthCommand=["/bin/sh", "-c", "echo no answer on port 80; exit 4"])
    assert code(state) == (0, "34000007"), state
    assert "no answer on port 80" in state["godwit"]["resultDetails"]
    assert answer(device) == "one"
    assert (device.root / "restarts").read_text().split() == ["one", "two", "one"]
    assert sorted(p.name for p in device.root.iterdir() if "godwit" in p.name) == [], "the refused tree takes no room"


@pytest.mark.parametrize("what, expected", [("traversal", "34000003"), ("link", "34000003"), ("device", "34000003"), ("setuid", "34000003"),
                                            ("bomb", "34000004"), ("cut", "34000002"), ("text", "34000002")])
def test_a_hostile_archive_is_refused_before_anything_changes(scene, device, tmp_path, what, expected):  # faults: 45, 46
    good = tree(tmp_path, "one")
    archive = {
        "traversal": lambda: pack(({"name": "a"}, b"x"), ({"name": "../escaped"}, b"x")),
        "link": lambda: pack(({"name": "l", "type": tarfile.SYMTYPE, "linkname": "/etc"}, b""), ({"name": "l/x"}, b"x")),
        "device": lambda: pack(({"name": "sda", "type": tarfile.BLKTYPE, "devmajor": 8}, b"")),
        "setuid": lambda: pack(({"name": "su", "mode": 0o4755}, b"x")),
        "bomb": lambda: pack(({"name": "zeros"}, bytes(64 << 20))),
        "cut": lambda: good[:len(good) // 2],
        "text": lambda: b"no archive" * 100,
    }[what]()
    state = update(scene, device, "1.0.0", archive, end="Failed", sizeLimitBytes=32 << 20)
    assert code(state) == (0, expected), state
    assert sorted(p.name for p in device.root.iterdir()) == []
    assert not (device.root.parent / "escaped").exists()


@pytest.mark.parametrize("end", ["Succeeded", "Failed"])
def test_the_installer_is_killed_while_the_health_command_waits(scene, device, tmp_path, end):
    update(scene, device, "1.0.0", tree(tmp_path, "one"))
    health = ["/bin/sh", "-c", f"touch {device.root}/asked; test -e {device.root}/go"]
    scene.import_update(make_update(scene, device, "1.1.0", HANDLER, {"tree.tar.zst": tree(tmp_path, "two")},
                                    {"target": str(device.app), "installedCriteria": "1.1.0", "healthCommand": health, "healthTimeoutSeconds": 60 if end == "Succeeded" else 3}))
    deployment = scene.deploy(device, "1.1.0")
    wait_until("health is asked", (device.root / "asked").exists, 60)
    device.installer.kill()
    if end == "Succeeded":
        (device.root / "go").touch()
    device.start_installer()
    state = scene.wait_state(device, deployment, end)
    assert answer(device) == ("two" if end == "Succeeded" else "one"), state


def test_a_cancel_while_the_health_command_fails_brings_the_old_tree_back(scene, device, tmp_path):
    update(scene, device, "1.0.0", tree(tmp_path, "one"))
    health = ["/bin/sh", "-c", f"touch {device.root}/asked; false"]
    scene.import_update(make_update(scene, device, "1.1.0", HANDLER, {"tree.tar.zst": tree(tmp_path, "two")},
                                    {"target": str(device.app), "installedCriteria": "1.1.0", "healthCommand": health, "healthTimeoutSeconds": 600}))
    deployment = scene.deploy(device, "1.1.0")
    wait_until("health is asked", (device.root / "asked").exists, 60)
    scene.service.cli("device", "deployment", "cancel", "--group-id", device.group, "--deployment-id", deployment)
    scene.wait_state(device, deployment, "Canceled")
    # The service knows of its own cancel at once; the device still puts things back.
    wait_until("the old tree is back", lambda: answer(device) == "one", 30)
