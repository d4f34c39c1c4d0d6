"""The agent and the installer built for arm64, run by QEMU, take an update from the service on this machine: the same protocol and
the same extensions on another processor. Built by `./dev build arm64`; without that these tests are left out."""
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD, SYSROOT = ROOT / "build" / "arm64", ROOT / "build" / "arm64-sysroot"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# An ELF header of 64 bits for aarch64; F: the interpreter is opened now, so that it is found in every namespace.
ENTRY = r":qemu-aarch64-godwit:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:" \
        r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F"

pytestmark = [
    pytest.mark.skipif(not (BUILD / "bin" / "godwit-agent").exists(), reason="no arm64 build; make one with ./dev build arm64"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may tell the kernel about QEMU"),
]


@pytest.fixture(scope="module")
def qemu():
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "none", BINFMT], check=True)
    known = [entry for entry in BINFMT.iterdir() if entry.name.startswith("qemu-aarch64")]
    if not known:
        (BINFMT / "register").write_text(ENTRY)
    yield [ROOT / "test" / "support" / "run-arm64.sh", SYSROOT]
    if not known:
        (BINFMT / "qemu-aarch64-godwit").write_text("-1")


def arm64_device(scene, qemu):
    return scene.device(binaries=BUILD / "bin", runner=qemu)


def test_the_programs_are_for_arm64_and_name_their_version(qemu):
    for name in ("godwit-agent", "godwit-installer"):
        assert "ARM aarch64" in subprocess.run(["file", "-b", BUILD / "bin" / name], capture_output=True, text=True, check=True).stdout
        done = subprocess.run([*qemu, BUILD / "bin" / name, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(name)


def test_an_arm64_device_completes_an_update_and_fails_a_bad_one(scene, qemu):
    device = arm64_device(scene, qemu)
    scene.import_update(scene.make_update(device, "1.0", payload=os.urandom(3_000_000)))
    scene.wait_state(device, scene.deploy(device, "1.0"), "Succeeded", timeout=240)
    assert scene.history(device) == ["installed 1.0", "applied 1.0"]
    scene.import_update(scene.make_update(device, "1.1", arguments="--fail-in apply"))
    state = scene.wait_state(device, scene.deploy(device, "1.1"), "Failed", timeout=240)
    assert state["godwit"]["extendedResultCode"] == "32000011", state
