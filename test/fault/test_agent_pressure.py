"""The device under pressure while it updates: its token runs out again and again, descriptors run out, memory is short, and it
replaces its own program. Each ends with the truth at the service, and with each act done once."""
import os
import resource
import shutil
import subprocess
import time

import pytest

from stack import wait_until


def test_token_renewals_during_an_update_change_nothing(scene):
    """faults: 39. Each renewal is a new connection: the twin is read again, and the goal in it is the one under way."""
    device = scene.device(start=False)
    config = device.folder / "agent.toml"
    config.write_text(config.read_text().replace("[hub]\n", '[hub]\ntoken_lifetime = "10s"\n'))
    device.start()
    scene.wait_listed(device)
    scene.import_update(scene.make_update(device, "1.0", arguments="--wait-in install"))
    deployment = scene.deploy(device, "1.0")
    wait_until("the step waits", (device.root / "waiting").exists, 60)
    before = device.agent.log.read_text().count("link.online")
    wait_until("two renewals", lambda: device.agent.log.read_text().count("link.online") >= before + 2, 60)
    assert scene.state(device, deployment)["deviceState"] == "InProgress"
    (device.root / "go").touch()
    scene.wait_state(device, deployment, "Succeeded")
    assert scene.history(device) == ["installed 1.0", "applied 1.0"]
    renewals = device.agent.log.read_text().count("link.online")
    wait_until("two more renewals", lambda: device.agent.log.read_text().count("link.online") >= renewals + 2, 60)
    assert scene.state(device, deployment)["deviceState"] == "Succeeded", "it does not flip back"
    assert scene.history(device) == ["installed 1.0", "applied 1.0"]


def test_descriptors_that_run_out_fail_the_update_and_not_the_agent(scene):
    """faults: 63. One is left: enough for the journal, not for an extension. UBSan's look at virtual tables needs two of its own."""
    device = scene.device(start=False)
    quiet = device.folder / "ubsan.supp"
    quiet.write_text("vptr:*\n")
    device.agent.env = {**device.agent.env, "UBSAN_OPTIONS": f"halt_on_error=1:print_stacktrace=1:suppressions={quiet}"}
    device.start()
    scene.wait_listed(device)
    pid = device.agent.child.pid
    used = len(os.listdir(f"/proc/{pid}/fd"))
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 1, hard))
    scene.import_update(scene.make_update(device, "1.0"))
    deployment = scene.deploy(device, "1.0")
    time.sleep(8)  # it tries; whatever it can do without a descriptor it may do
    device.agent.check_alive()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    state = scene.wait_state(device, deployment, "Succeeded", "Failed")
    if state["deviceState"] == "Failed":
        assert state["godwit"]["extendedResultCode"] != "00000000" and state["godwit"]["resultDetails"], state
        scene.service.cli("device", "deployment", "retry", "--group-id", device.group, "--deployment-id", deployment)
        wait_until("the retry ends well", lambda: scene.state(device, deployment).get("deviceState") == "Succeeded", 60)
    device.agent.check_alive()
    assert device.agent.child.pid == pid, "it never died"
    again = device.agent.log.read_text().count("report.not_removed")
    assert again < 10, f"what could not be removed was sent {again} times"
    assert scene.history(device) == ["installed 1.0", "applied 1.0"]


@pytest.mark.parametrize("phase", ["download", "install", "apply"])
def test_the_kernel_takes_the_agent_for_its_memory(scene, phase):
    """faults: 63. What the out-of-memory killer does is SIGKILL; whoever watches the service starts it again."""
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0", arguments=f"--wait-in {phase}"))
    deployment = scene.deploy(device, "1.0")
    wait_until("the step waits", (device.root / "waiting").exists, 60)
    device.agent.kill()
    (device.root / "go").touch()
    device.agent.start()
    scene.wait_state(device, deployment, "Succeeded")
    assert scene.history(device) == ["installed 1.0", "applied 1.0"]


def test_the_agent_replaces_itself_and_finishes_the_deployment(scene, tmp_path):
    """faults: 64. The update brings another godwit-agent and asks for its restart (code 607): the new program takes the work up
    where it was, and reports it."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for program in ("godwit-agent", "godwit-installer", "godwit-installer-wait"):
        shutil.copy2(scene.service.binaries / program, binaries / program)
    device = scene.device(start=False)
    device.agent.command[0] = str(binaries / "godwit-agent")
    device.start()
    scene.wait_listed(device)
    folder = scene.folder / "updates" / "self"
    folder.mkdir(parents=True)
    new = folder / "godwit-agent"
    new.write_bytes((binaries / "godwit-agent").read_bytes() + b"version two")  # an ELF program runs with a tail
    (folder / "replace.sh").write_text(f"""#!/bin/sh
action='' result='' work=''
while [ $# -gt 0 ]; do case "$1" in --action) action=$2; shift 2 ;; --result-file) result=$2; shift 2 ;; --work-folder) work=$2; shift 2 ;; *) shift ;; esac; done
answer() {{ printf '{{"resultCode":%s,"extendedResultCode":0,"resultDetails":""}}' "$1" > "$result"; exit 0; }}
case "$action" in
  is-installed) if tail -c 11 {binaries}/godwit-agent | grep -q 'version two'; then answer 900; else answer 901; fi ;;
  install) cp "$work/godwit-agent" {binaries}/.new && chmod 755 {binaries}/.new && sync {binaries}/.new && mv {binaries}/.new {binaries}/godwit-agent && answer 607 ;;
  *) answer 700 ;;
esac
""")
    scene.service.cli("update", "init", "v5", "--update-provider", "Tests", "--update-name", device.model, "--update-version", "2.0", "--folder", folder,
                      "--compat", "manufacturer=Contoso", f"model={device.model}",
                      "--step", "handler=microsoft/script:1", 'properties={"scriptFileName":"replace.sh","apiVersion":"1.1","installedCriteria":"2"}',
                      "--file", f"path={folder / 'replace.sh'}", "--file", f"path={new}")
    scene.import_update(next(folder.glob("*.importmanifest.json")))
    pid = device.agent.child.pid
    state = scene.wait_state(device, scene.deploy(device, "2.0"), "Succeeded", timeout=120)
    assert state["godwit"]["resultCode"] == 700
    assert device.agent.child.pid == pid and device.agent.running()
    running = subprocess.run(["tail", "-c", "11", f"/proc/{pid}/exe"], capture_output=True).stdout
    assert running == b"version two", "the process runs the new program"
    assert "workflow.woke_up" in device.agent.log.read_text()
