"""Two builds of the device's programs on the same data, as on a device with two sides: one is killed in the middle of an update, the other ends
it. GODWIT_OTHER_BUILD names the folder of the other one, with bin/ and lib/; without it the release build beside this one is taken, which the
packages are made of. test/compat reads what earlier versions recorded.
"""
import json
import os
from pathlib import Path

import pytest

from scene import SANITIZER_ENV
from stack import Device, wait_until

OTHER = Path(os.environ.get("GODWIT_OTHER_BUILD", Path(__file__).resolve().parents[2] / "build" / "release"))
pytestmark = pytest.mark.skipif(not (OTHER / "bin" / "godwit-agent").exists(), reason="there is no other build; make one with ./dev build release")


def of_build(scene, like: Device, binaries: Path) -> Device:
    """The same device, run by another build: what a start of its other side does."""
    (like.folder / "run" / "installer.sock").unlink(missing_ok=True)
    made = Device(scene.service, like.id, like.folder, group=like.group, model=like.model, env=SANITIZER_ENV, binaries=binaries)
    made.root = like.root
    made.register_extensions()
    scene.devices.append(made)
    made.start()
    return made


def kill(device: Device) -> None:
    device.agent.kill()
    device.installer.kill()


@pytest.mark.parametrize("direction", ["the other, then this one", "this one, then the other"])
def test_a_build_ends_what_another_began(scene, direction):
    here, other = scene.service.binaries, OTHER / "bin"
    first, second = (other, here) if direction.startswith("the other") else (here, other)
    device = scene.device(binaries=first)
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    scene.import_update(scene.make_update(device, "2.0.0", arguments="--wait-in install"))
    deployment = scene.deploy(device, "2.0.0")
    wait_until("the install waits", (device.root / "waiting").exists, 60)
    kill(device)
    (device.root / "go").touch()

    device = of_build(scene, device, second)
    scene.wait_state(device, deployment, "Succeeded")
    assert (device.root / "installed").read_text() == "2.0.0\n"
    assert [e["updateId"]["version"] for e in json.loads((device.folder / "agent" / "history.json").read_text())["entries"]] == ["1.0.0", "2.0.0"]

    kill(device)  # and what the second one wrote is read by the first
    device = of_build(scene, device, first)
    scene.import_update(scene.make_update(device, "3.0.0"))
    scene.wait_state(device, scene.deploy(device, "3.0.0"), "Succeeded")
