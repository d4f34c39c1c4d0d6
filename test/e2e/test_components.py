"""Updates that refer to others, on a device with parts of its own: each part is a process behind a socket, known through the
example enumerator. What runs on each part at the end is what the service shows."""
import base64
import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest

from bootable import Bootable
from stack import Process, wait_until

EXAMPLE = Path(__file__).resolve().parents[2] / "extensions" / "components-example"


class Proxy:
    """A device with parts. `parts`: id -> group."""

    def __init__(self, scene, parts: dict, can_restart: bool = False):
        """`can_restart`: the device has boots of its own; its parts run through them."""
        self.scene, self.device = scene, scene.device(start=False)
        self.boots = Bootable(self.device, at_boot=lambda device: None) if can_restart else None
        self.folder = self.device.folder / "parts"
        self.folder.mkdir()
        self.parts = {}
        for part in parts:
            self.parts[part] = Process(part, [sys.executable, EXAMPLE / "part.py", "--socket", self.socket(part), "--folder", self.folder / part],
                                       self.folder / f"{part}.log")
            self.plug(part)
        (self.folder / "components.json").write_text(json.dumps({"components": [
            {"id": part, "name": f"the {part}", "group": self.group(group), "properties": {"socket": str(self.socket(part))}} for part, group in parts.items()]}))
        self.device.register_extension("agent", "component-enumerator", "godwit/components-example:1",
                                       scene.service.binaries.parent / "lib" / "godwit-components-example.so",
                                       "--option", f"inventory={self.folder / 'components.json'}")
        (self.boots or self.device).start()
        scene.wait_listed(self.device)

    def group(self, name):
        """A compatibility set belongs to one update name in the whole service."""
        return f"{self.device.model}-{name}"

    def socket(self, part):
        return self.folder / f"{part}.sock"

    def plug(self, part):
        self.socket(part).unlink(missing_ok=True)
        self.parts[part].start()
        wait_until(f"{part} listens", self.socket(part).exists, 20)

    def unplug(self, part):
        self.parts[part].stop()
        self.socket(part).unlink(missing_ok=True)

    def versions(self):
        return {part: (self.folder / part / "version").read_text() if (self.folder / part / "version").exists() else "0.0" for part in self.parts}

    def fail(self, part, act, words):
        (self.folder / part / f"fail-{act}").write_text(words)

    def heal(self, part):
        for file in (self.folder / part).glob("fail-*"):
            file.unlink()

    def stop(self):
        if self.boots:
            self.boots.stop()
        for part in self.parts.values():
            part.stop()

    # ---- updates ----------------------------------------------------------------------------------------------------------

    def import_child(self, name, version, selector, arguments="--socket --component-prop-val socket", steps=1, says=(), held=""):
        """`says`: (success of the script, what it answers instead). `held`: after these words of the script it waits, once, and `folder`/held is there."""
        folder = self.scene.folder / "updates" / f"{self.device.id}-{name}-{version}"
        folder.mkdir(parents=True)
        script = (EXAMPLE / "update-part.sh").read_text()
        if says:
            assert f"answer {says[0]} " in script
            script = script.replace(f"answer {says[0]} ", f"answer {says[1]} ")
        if held:
            assert f"{held};" in script
            mark = self.folder / "held"
            script = script.replace(f"{held};", f"{held}; if [ ! -e {mark} ]; then touch {mark}; sleep 1000; fi;")
        (folder / "update-part.sh").write_text(script)
        (folder / "firmware.bin").write_bytes(f"firmware {name} {version}".encode() * 100)
        step = {"handler": "microsoft/script:1", "files": ["update-part.sh", "firmware.bin"],
                "handlerProperties": {"scriptFileName": "update-part.sh", "apiVersion": "1.1", "installedCriteria": version, "arguments": arguments}}
        manifest = {"updateId": {"provider": "Tests", "name": f"{self.device.model}-{name}", "version": version}, "isDeployable": False,
                    "compatibility": [{**selector, "group": self.group(selector["group"])}], "instructions": {"steps": [step] * steps},
                    "files": [{"filename": f.name, "sizeInBytes": f.stat().st_size,
                               "hashes": {"sha256": base64.b64encode(hashlib.sha256(f.read_bytes()).digest()).decode()}} for f in sorted(folder.iterdir())],
                    "manifestVersion": "5.0", "createdDateTime": "2026-11-22T10:00:00Z"}
        path = folder / "child.importmanifest.json"
        path.write_text(json.dumps(manifest))
        self.scene.import_update(path)
        return manifest["updateId"]

    def deploy_parent(self, version, *children):
        folder = self.scene.folder / "updates" / f"{self.device.id}-parent-{version}"
        folder.mkdir(parents=True)
        path = folder / "parent.importmanifest.json"
        path.write_text(json.dumps({
            "updateId": {"provider": "Tests", "name": self.device.model, "version": version},
            "compatibility": [{"manufacturer": "Contoso", "model": self.device.model}],
            "instructions": {"steps": [{"type": "reference", "updateId": child} for child in children]},
            "manifestVersion": "5.0", "createdDateTime": "2026-11-22T10:00:00Z"}))
        self.scene.import_update(path)
        return self.scene.deploy(self.device, version)


@pytest.fixture
def proxy(scene):
    made = []

    def make(parts, **options):
        made.append(Proxy(scene, parts, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


ACTS = {"install": 'install "$work/firmware.bin" "$criteria"', "apply": 'apply "$criteria"'}  # as update-part.sh has them
MOTORS_AND_CAMERA = {"m-1": "motors", "m-2": "motors", "c-1": "cameras"}


def step_results(device):
    """What the twin says of each step of the top-level manifest, in order."""
    twin = device.service.json("hub", "device-twin", "show", "-d", device.id)
    results = twin["properties"]["reported"]["deviceUpdate"]["agent"]["lastInstallResult"]["stepResults"]
    return [results[f"step_{i}"] for i in range(len(results))]


def test_each_child_reaches_the_parts_that_it_is_for(scene, proxy):
    one = proxy(MOTORS_AND_CAMERA)
    motor = one.import_child("motor", "2.0", {"group": "motors"})
    camera = one.import_child("camera", "7.1", {"group": "cameras"})
    door = one.import_child("door", "3.0", {"group": "doors"})
    state = scene.wait_state(one.device, one.deploy_parent("1.0", motor, camera, door), "Succeeded")
    assert one.versions() == {"m-1": "2.0", "m-2": "2.0", "c-1": "7.1"}
    results = step_results(one.device)
    assert [r["resultCode"] for r in results] == [700, 700, 604], results
    assert results[0]["resultDetails"] == "the m-1 (m-1): done; the m-2 (m-2): done"
    assert results[2]["resultDetails"] == f"no component matches group={one.group('doors')}"
    assert f"no component matches group={one.group('doors')}" in state["godwit"]["resultDetails"]


def test_a_part_that_fails_is_named_and_a_retry_repeats_only_what_is_not_in_place(scene, proxy):
    one = proxy(MOTORS_AND_CAMERA)
    motor = one.import_child("motor", "2.0", {"group": "motors"})
    one.fail("m-2", "install", "the coil is warm")
    deployment = one.deploy_parent("1.0", motor)
    state = scene.wait_state(one.device, deployment, "Failed")
    assert one.versions() == {"m-1": "2.0", "m-2": "0.0", "c-1": "0.0"}
    assert "step 1.1 (microsoft/script:1) for the m-2 (m-2) install: error the coil is warm" in state["godwit"]["resultDetails"], state
    assert step_results(one.device)[0]["resultDetails"].startswith("the m-1 (m-1): done; the m-2 (m-2): step 1.1")
    one.heal("m-2")
    one.fail("m-1", "install", "must not be touched again")
    scene.service.cli("device", "deployment", "retry", "--group-id", one.device.group, "--deployment-id", deployment)
    wait_until("the retry ends well", lambda: scene.state(one.device, deployment).get("deviceState") == "Succeeded", 90)
    assert one.versions() == {"m-1": "2.0", "m-2": "2.0", "c-1": "0.0"}
    assert step_results(one.device)[0]["resultDetails"] == "the m-1 (m-1): was in place; the m-2 (m-2): done"


def test_an_off_line_part_fails_the_update_unless_its_selector_asks_for_those_on_line(scene, proxy):
    one = proxy(MOTORS_AND_CAMERA)
    one.unplug("m-2")
    anywhere = one.import_child("motor", "2.0", {"group": "motors"})
    state = scene.wait_state(one.device, one.deploy_parent("1.0", anywhere), "Failed")
    assert "is off-line" in state["godwit"]["resultDetails"], state
    online = one.import_child("motor", "3.0", {"group": "motors", "state": "on-line"})
    deployment = one.deploy_parent("2.0", online)
    scene.wait_state(one.device, deployment, "Succeeded")
    assert one.versions()["m-1"] == "3.0"
    assert one.versions()["m-2"] == "0.0"
    one.plug("m-2")  # it comes back, and somebody on the device asks for it to be taken up
    command = [one.device.service.binaries / "godwit-agent", "retry", "--config", one.device.folder / "agent.toml"]
    wait_until("the retry is taken", lambda: __import__("subprocess").run(command, capture_output=True).returncode == 0, 30)
    wait_until("the part is taken up", lambda: one.versions()["m-2"] == "3.0", 60)
    wait_until("the deployment is whole again", lambda: scene.state(one.device, deployment).get("deviceState") == "Succeeded", 60)


def test_an_off_line_part_is_waited_for_as_the_arguments_ask(scene, proxy):
    one = proxy({"m-1": "motors"})
    one.unplug("m-1")
    motor = one.import_child("motor", "2.0", {"group": "motors"}, "--wait 60 --socket --component-prop-val socket")
    deployment = one.deploy_parent("1.0", motor)
    wait_until("the step waits", lambda: "verb=is_installed" in one.device.installer.log.read_text(), 60)
    one.plug("m-1")
    scene.wait_state(one.device, deployment, "Succeeded")
    assert one.versions() == {"m-1": "2.0"}


@pytest.mark.parametrize("says", [(600, 605), (700, 705)])
def test_the_device_is_restarted_between_the_parts_and_no_part_is_done_twice(scene, proxy, says):
    one = proxy(MOTORS_AND_CAMERA, can_restart=True)
    motor = one.import_child("motor", "2.0", {"group": "motors"}, says=says)
    state = scene.wait_state(one.device, one.deploy_parent("1.0", motor), "Succeeded", timeout=180)
    assert state["godwit"]["resultCode"] == 700, state
    assert one.boots.boots == 2 and one.versions() == {"m-1": "2.0", "m-2": "2.0", "c-1": "0.0"}
    assert step_results(one.device)[0]["resultDetails"] == "the m-1 (m-1): done; the m-2 (m-2): done"
    begun = [line for line in one.device.installer.log.read_text().splitlines() if "act.begins" in line and "verb=install" in line]
    assert len(begun) == 2, begun


def test_a_part_that_goes_off_line_in_the_middle_is_the_only_one_repeated_when_it_is_back(scene, proxy):
    one = proxy({"m-1": "motors", "m-2": "motors", "m-3": "motors"})
    motor = one.import_child("motor", "2.0", {"group": "motors"}, "--wait 2 --socket --component-prop-val socket")
    one.unplug("m-2")
    deployment = one.deploy_parent("1.0", motor)
    state = scene.wait_state(one.device, deployment, "Failed")
    assert one.versions() == {"m-1": "2.0", "m-2": "0.0", "m-3": "0.0"}
    assert "the m-2 (m-2)" in state["godwit"]["resultDetails"] and "is off-line" in state["godwit"]["resultDetails"], state
    one.plug("m-2")
    one.fail("m-1", "install", "must not be touched again")
    scene.service.cli("device", "deployment", "retry", "--group-id", one.device.group, "--deployment-id", deployment)
    wait_until("the retry ends well", lambda: scene.state(one.device, deployment).get("deviceState") == "Succeeded", 90)
    assert one.versions() == {"m-1": "2.0", "m-2": "2.0", "m-3": "2.0"}
    assert step_results(one.device)[0]["resultDetails"] == "the m-1 (m-1): was in place; the m-2 (m-2): done; the m-3 (m-3): done"


@pytest.mark.parametrize("verb", ["install", "apply"])
def test_the_installer_is_killed_when_a_part_has_done_what_it_was_told(scene, proxy, verb):
    one = proxy({"m-1": "motors", "m-2": "motors"})
    motor = one.import_child("motor", "2.0", {"group": "motors"}, held=f"act {ACTS[verb]}")
    deployment = one.deploy_parent("1.0", motor)
    wait_until("the first part has done it", (one.folder / "held").exists, 60)
    one.device.installer.kill()
    one.device.start_installer()
    scene.wait_state(one.device, deployment, "Succeeded")
    assert one.versions() == {"m-1": "2.0", "m-2": "2.0"}
    assert step_results(one.device)[0]["resultDetails"] == "the m-1 (m-1): done; the m-2 (m-2): done"


def test_an_enumerator_that_breaks_fails_the_update_with_its_words(scene, proxy):
    one = proxy({"m-1": "motors"})
    motor = one.import_child("motor", "2.0", {"group": "motors"})
    (one.folder / "components.json").write_text("{")
    state = scene.wait_state(one.device, one.deploy_parent("1.0", motor), "Failed")
    assert state["godwit"]["extendedResultCode"] == "70000101", state
    assert "components.json" in state["godwit"]["resultDetails"]


def test_a_device_without_enumerator_does_a_referenced_update_itself(scene):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0", name=f"{device.model}-child", model=f"{device.model}-part"))
    folder = scene.folder / "updates" / f"{device.id}-parent"
    folder.mkdir(parents=True)
    path = folder / "parent.importmanifest.json"
    path.write_text(json.dumps({
        "updateId": {"provider": "Tests", "name": device.model, "version": "1.0"},
        "compatibility": [{"manufacturer": "Contoso", "model": device.model}],
        "instructions": {"steps": [{"type": "reference", "updateId": {"provider": "Tests", "name": f"{device.model}-child", "version": "1.0"}}]},
        "manifestVersion": "5.0", "createdDateTime": "2026-11-22T10:00:00Z"}))
    scene.import_update(path)
    state = scene.wait_state(device, scene.deploy(device, "1.0"), "Succeeded")
    assert scene.history(device) == ["installed 1.0", "applied 1.0"]
    assert [r["resultCode"] for r in step_results(device)] == [700]
