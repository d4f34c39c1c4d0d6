"""The simulator (microsoft/simulator:1) through the real service, agent and installer: each phase fails, is cancelled, is killed."""
import json

import pytest

from handlers import code, make_update, register_handler, run_update
from stack import wait_until

HANDLER = "microsoft/simulator:1"
NOT_THERE = {"isInstalled": {"*": {"resultCode": 901}}}


def data(**sections) -> dict:
    return {"du-simulator-data.json": json.dumps({"version": "1.0", **NOT_THERE, **sections}).encode()}


@pytest.fixture
def device(scene):
    made = scene.device(start=False)
    register_handler(made, HANDLER, "step-simulator")
    made.start()
    scene.wait_listed(made)
    return made


def test_a_simulated_update_succeeds_and_one_that_is_in_place_is_skipped(scene, device):
    assert code(run_update(scene, device, "1.0.0", HANDLER, data(), {"installedCriteria": "1"}))[0] == 700
    in_place = data(isInstalled={"2": {"resultCode": 900}}, install={"resultCode": 0, "extendedResultCode": 1})
    run_update(scene, device, "1.1.0", HANDLER, in_place, {"installedCriteria": "2"})


@pytest.mark.parametrize("phase", ["isInstalled", "download", "backup", "install", "apply"])
def test_each_phase_fails_with_the_code_and_words_of_the_data(scene, device, phase):
    answer = {"resultCode": 0, "extendedResultCode": 0x30300ABC, "resultDetails": f"{phase} as told"}
    sections = {phase: {"*": answer} if phase in ("isInstalled", "download") else answer}
    state = run_update(scene, device, "1.0.0", HANDLER, data(**sections), {"installedCriteria": "1"}, end="Failed")
    assert code(state) == (0, "30300ABC"), state
    assert f"{phase} as told" in state["godwit"]["resultDetails"]


def test_a_file_on_the_device_serves_updates_that_bring_none(scene, device):
    there = device.root / "data.json"
    there.write_text(json.dumps({**NOT_THERE, "download": {"payload.bin": {"resultCode": 0, "extendedResultCode": 0x30300001}}}))
    properties = {"installedCriteria": "1", "simulatorDataFile": str(there)}
    state = run_update(scene, device, "1.0.0", HANDLER, {"payload.bin": b"x"}, properties, end="Failed")
    assert code(state) == (0, "30300001"), state


@pytest.mark.parametrize("phase", ["download", "backup", "install", "apply"])
def test_a_slow_phase_is_cancelled(scene, device, phase):
    slow = {"resultCode": {"download": 500, "backup": 1000, "install": 600, "apply": 700}[phase], "delaySeconds": 600}
    scene.import_update(make_update(scene, device, "1.0.0", HANDLER, data(**{phase: slow}), {"installedCriteria": "1"}))
    deployment = scene.deploy(device, "1.0.0")
    wait_until(f"{phase} runs", lambda: any("act.begins" in line and f"verb={phase}" in line for line in device.installer.log.read_text().splitlines()), 60)
    scene.service.cli("device", "deployment", "cancel", "--group-id", device.group, "--deployment-id", deployment)
    scene.wait_state(device, deployment, "Canceled")
