"""What a person on the device sees and does: status, why, history, cancel, retry, pause, resume, health, with the real agent
over its socket, and the service showing the same truth."""
import json
import os
import stat
import subprocess
import time

import pytest

from scene import SANITIZER_ENV
from stack import wait_until


@pytest.fixture
def local(scene):
    """A device; local.agent(words) runs godwit-agent on it."""
    device = scene.device()
    config = device.folder / "agent.toml"

    def agent(*words, check=True):
        done = subprocess.run([device.service.binaries / "godwit-agent", *words, "--config", config], capture_output=True, text=True,
                              env={**os.environ, **SANITIZER_ENV}, timeout=60)
        assert not check or done.returncode == 0, f"{words}: {done.stderr}{done.stdout}"
        return done

    device.say = agent
    return device


def status(device):
    return json.loads(device.say("status", "-o", "json").stdout)


def test_status_why_and_history_tell_what_was_done(scene, local):
    before = status(local)
    assert before["state"] == "idle" and before["agentRuns"] and before["link"]["online"]
    assert "No update was offered" in local.say("why").stdout
    scene.import_update(scene.make_update(local, "1.0.0", arguments="--fail-in install"))
    scene.wait_state(local, scene.deploy(local, "1.0.0"), "Failed")
    assert "the test asked install to fail" in local.say("why").stdout
    text = local.say("status").stdout
    assert "failed" in text and "32000011" in text and "connected since" in text
    history = local.say("history").stdout
    assert f"Tests/{local.model}/1.0.0" in history and "32000011" in history
    entries = json.loads(local.say("history", "-o", "json").stdout)["entries"]
    assert len(entries) == 1 and entries[0]["state"] == "failed" and entries[0]["attempt"] == 1


def test_without_an_agent_the_files_speak(scene, local):
    scene.import_update(scene.make_update(local, "1.0.0"))
    scene.wait_state(local, scene.deploy(local, "1.0.0"), "Succeeded")
    local.agent.stop()
    now = status(local)
    assert now["state"] == "succeeded" and not now["agentRuns"]
    assert "not running" in local.say("status").stdout
    refused = local.say("cancel", check=False)
    assert refused.returncode == 1 and "is the godwit-agent service running?" in refused.stderr
    local.agent.start()


def test_cancel_and_retry_on_the_device_reach_the_service(scene, local):
    assert "no update is under way" in local.say("cancel", check=False).stderr
    assert "no update to try again" in local.say("retry", check=False).stderr
    scene.import_update(scene.make_update(local, "1.0.0", arguments="--wait-in install"))
    deployment = scene.deploy(local, "1.0.0")
    wait_until("the script waits", (local.root / "waiting").exists, 60)
    local.say("cancel")
    state = scene.wait_state(local, deployment, "Failed")
    assert state["godwit"]["resultDetails"].startswith("cancelled on the device"), state
    assert state["godwit"]["extendedResultCode"] == "20000105"
    (local.root / "go").touch()
    local.say("retry")
    wait_until("the retry succeeds", lambda: scene.state(local, deployment)["deviceState"] == "Succeeded", 60)
    assert [e["state"] for e in json.loads(local.say("history", "-o", "json").stdout)["entries"]] == ["cancelled", "succeeded"]


def test_a_pause_holds_updates_until_resume(scene, local):
    local.say("pause", "--for", "8h", "--reason", "inspection")
    scene.import_update(scene.make_update(local, "1.0.0"))
    deployment = scene.deploy(local, "1.0.0")
    wait_until("it waits", lambda: status(local)["state"] == "consenting" and status(local)["waitingFor"], 60)
    assert "inspection" in local.say("why").stdout and "until 20" in local.say("status").stdout
    wait_until("the service shows why", lambda: "inspection" in (scene.state(local, deployment)["godwit"].get("waitingFor") or ""), 60)
    time.sleep(1)
    assert scene.history(local) == []
    local.say("resume")
    scene.wait_state(local, deployment, "Succeeded")
    wrong = local.say("pause", "--for", "soon", check=False)
    assert wrong.returncode == 1 and "--for" in wrong.stderr


def test_health_finds_what_is_wrong(scene, local):
    good = local.say("health")
    assert "This device can take updates." in good.stdout, good.stdout
    checks = {c["name"]: c["verdict"] for c in json.loads(local.say("health", "-o", "json").stdout)["checks"]}
    assert checks["hub"] == checks["installer"] == checks["agent"] == checks["extension godwit/curl:1"] == "good", checks
    local.installer.stop()
    anchors = local.folder / "trust-anchors.json"
    text = anchors.read_text()
    anchors.write_text("{}")
    bad = local.say("health", check=False)
    assert bad.returncode == 1
    assert "bad      installer" in bad.stdout and "bad      trust anchors" in bad.stdout, bad.stdout
    anchors.write_text(text)
    local.start_installer()


def test_the_socket_is_for_those_who_may_open_it(local):
    mode = stat.S_IMODE((local.folder / "run" / "agent.sock").stat().st_mode)
    assert mode == 0o660


def is_online(device):
    """An agent that only begins does not answer yet: then its files speak, and they know of no connection."""
    return status(device).get("link", {}).get("online", False)


def test_check_ends_the_wait_before_the_next_try(scene, local):
    """After a cut a device waits a random part of hub.reconnect_spread, so that a fleet does not storm; a person does not want to."""
    config = local.folder / "agent.toml"
    local.agent.stop()
    config.write_text(config.read_text().replace("[hub]\n", '[hub]\nreconnect_spread = "10m"\n'))
    local.agent.start()
    wait_until("the agent is on-line", lambda: is_online(local), 60)
    assert "asks the hub" in local.say("check").stdout, "with a connection it reads its twin once more"
    scene.service.stop()
    wait_until("the agent notices", lambda: not is_online(local), 60)
    scene.service.start()
    time.sleep(1)
    if not is_online(local):  # one in some hundred is drawn a wait below a second
        local.say("check")
    wait_until("the agent is back at once", lambda: is_online(local), 10)
