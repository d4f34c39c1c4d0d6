"""Updates that want the device or the agent restarted, at once or at the end, with the real programs in boots of their own; and
the leave that is asked for before. What the service shows at the end is the truth on the device."""
import json
import os

import pytest

from bootable import Bootable
from stack import wait_until


@pytest.fixture
def bootable(scene):
    made = []

    def make(**options):
        agent_config = options.pop("agent_config", "")
        device = scene.device(start=False, agent_config=agent_config)
        one = Bootable(device, **options)
        made.append(one)
        one.start()
        scene.wait_listed(device)
        return one

    yield make
    for one in made:
        one.stop()


def run(scene, one, version="1.0.0", end="Succeeded", **update):
    scene.import_update(scene.make_update(one.device, version, **update))
    deployment = scene.deploy(one.device, version)
    return scene.wait_state(one.device, deployment, end, timeout=120)


def history(device, step):
    return (device.root / f"step-{step}" / "history").read_text().splitlines()


def order(device):
    """The actions of both steps in the order of their files' times is not kept; what each did, is."""
    return [history(device, step) for step in (0, 1)]


@pytest.mark.parametrize("action, code", [("install", 605), ("apply", 705)])
def test_a_restart_at_once_comes_between_the_steps(scene, bootable, action, code):
    one = bootable()
    first = f"--at-boot --say-in {action} --say {code}" if action == "apply" else f"--say-in {action} --say {code}"
    state = run(scene, one, steps=2, arguments=[first, ""])
    assert one.boots == 1
    assert order(one.device) == [["installed 1.0.0", "applied 1.0.0"]] * 2
    assert state["godwit"]["resultCode"] == 700
    log = one.device.agent.log.read_text()
    assert log.index("to=rebooting") < log.index("to=confirming") < log.rindex("to=installing"), "step 2 came after the restart"


def test_a_restart_at_the_end_comes_once_and_after_all_steps(scene, bootable):
    one = bootable()
    run(scene, one, steps=2, arguments=["--at-boot --say-in apply --say 706", "--at-boot --say-in apply --say 706"])
    assert one.boots == 1
    assert order(one.device) == [["installed 1.0.0", "applied 1.0.0"]] * 2
    log = one.device.agent.log.read_text()
    assert log.rindex("to=applying") < log.index("to=reboot_pending")


def test_what_the_restart_did_not_keep_is_a_failure_with_its_code(scene, bootable):
    one = bootable(at_boot=lambda device: None)  # the boot loader fell back
    state = run(scene, one, end="Failed", arguments="--at-boot --say-in apply --say 705")
    assert one.boots == 1
    assert state["godwit"]["extendedResultCode"] == "20000103", state
    assert "not in place after the restart" in state["godwit"]["resultDetails"]


def test_a_device_that_does_not_restart_is_a_failure_with_the_commands_words(scene, bootable):
    one = bootable(works=False)
    state = run(scene, one, end="Failed", arguments="--at-boot --say-in apply --say 705")
    assert one.boots == 0
    assert state["godwit"]["extendedResultCode"] == "20000102", state
    assert "ended with exit code 5: the bus is stuck" in state["godwit"]["resultDetails"]


def test_an_agent_that_is_to_be_restarted_goes_on_by_itself(scene):
    device = scene.device()
    pid = device.agent.child.pid
    scene.import_update(scene.make_update(device, "1.0.0", steps=2, arguments=["--say-in apply --say 707", "--say-in apply --say 708"]))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    assert order(device) == [["installed 1.0.0", "applied 1.0.0"]] * 2
    log = device.agent.log.read_text()
    assert log.count("agent.started") == 3, "once, and once anew for each step"
    assert device.agent.child.pid == pid and device.agent.running(), "the supervisor sees one process"


def consent(device_folder_answers: str, tmp_path) -> str:
    command = tmp_path / "ask.sh"
    command.write_text(f"#!/bin/sh\ncd {tmp_path}\ncat >> questions\n{device_folder_answers}\n")
    command.chmod(0o755)
    return f'\n[consent]\ncommand = ["{command}"]\n'


def test_an_update_waits_for_leave_and_says_why(scene, tmp_path):
    device = scene.device(agent_config=consent('if [ -e go ]; then echo now; else echo later 1 not before night; fi', tmp_path))
    scene.import_update(scene.make_update(device, "1.0.0"))
    deployment = scene.deploy(device, "1.0.0")
    state = wait_until("the device waits", lambda: (s := scene.state(device, deployment)).get("godwit", {}).get("waitingFor") and s, 60)
    assert state["godwit"]["phase"] == "consenting" and state["godwit"]["waitingFor"] == "not before night"
    assert scene.history(device) == [], "nothing was changed without leave"
    os.utime(tmp_path / "ask.sh")
    (tmp_path / "go").touch()
    scene.wait_state(device, deployment, "Succeeded")
    question = json.loads((tmp_path / "questions").read_text().splitlines()[0])
    assert question["question"] == "install" and question["updateId"]["version"] == "1.0.0" and question["steps"] == 1


def test_a_no_is_a_failure_with_its_reason(scene, tmp_path):
    device = scene.device(agent_config=consent("echo no the machine is milling", tmp_path))
    scene.import_update(scene.make_update(device, "1.0.0"))
    state = scene.wait_state(device, scene.deploy(device, "1.0.0"), "Failed")
    assert state["godwit"]["extendedResultCode"] == "20000104", state
    assert "the machine is milling" in state["godwit"]["resultDetails"]
    assert scene.history(device) == []


def test_a_cancel_ends_the_wait_for_leave(scene, tmp_path):
    device = scene.device(agent_config=consent("echo later 3600", tmp_path))
    scene.import_update(scene.make_update(device, "1.0.0"))
    deployment = scene.deploy(device, "1.0.0")
    wait_until("the device waits", lambda: (scene.state(device, deployment).get("godwit") or {}).get("phase") == "consenting", 60)
    scene.service.cli("device", "deployment", "cancel", "--group-id", device.group, "--deployment-id", deployment)
    scene.wait_state(device, deployment, "Canceled")
    assert scene.history(device) == []
