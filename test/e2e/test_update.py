"""The main job and the ways it can fail, with real binaries: each end is asserted in REST, in the CLI's words and on the device."""
import json
import time

import pytest

from scene import sha256_base64
from stack import wait_until

PAYLOAD = bytes(range(256)) * 4096 * 3  # 3 MiB


def codes(state):
    return state["godwit"]["resultCode"], state["godwit"]["extendedResultCode"]


def cli_words(scene, device, deployment):
    return scene.service.cli("device", "deployment", "list-devices", "--group-id", device.group, "--deployment-id", deployment).stdout


def test_an_update_of_two_steps_is_installed_once_and_reported(scene):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", steps=2, payload=PAYLOAD))
    deployment = scene.deploy(device, "1.0.0")
    state = scene.wait_state(device, deployment, "Succeeded")
    assert state["godwit"]["resultCode"] == 700
    for step in (0, 1):
        assert (device.root / f"step-{step}" / "history").read_text().splitlines() == ["installed 1.0.0", "applied 1.0.0"]
    seen = scene.service.json("device", "show", "-d", device.id)
    assert seen["installedUpdate"]["updateId"]["version"] == "1.0.0" and seen["onLatestUpdate"] is True
    assert not list((device.folder / "agent" / "downloads").glob("*")), "the sandbox stays behind"


def test_an_update_that_is_in_place_is_not_installed_again(scene):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0", "first-" + device.id), "Succeeded")
    scene.wait_state(device, scene.deploy(device, "1.0.0", "second-" + device.id), "Succeeded")
    assert scene.history(device) == ["installed 1.0.0", "applied 1.0.0"]


@pytest.mark.parametrize("action", ["download", "install", "apply"])
def test_a_failing_script_is_reported_with_step_code_and_sentence(scene, action):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", arguments=f"--fail-in {action}"))
    deployment = scene.deploy(device, "1.0.0")
    state = scene.wait_state(device, deployment, "Failed")
    assert codes(state) == (0, "32000011"), state
    assert f"the test asked {action} to fail" in state["godwit"]["resultDetails"]
    assert f"the test asked {action} to fail" in cli_words(scene, device, deployment)
    assert "32000011" in device.agent.log.read_text()
    assert scene.service.json("device", "show", "-d", device.id).get("installedUpdate") is None


def test_a_failed_device_is_retried_when_asked(scene):
    device = scene.device()
    (device.root / "go").touch()
    scene.import_update(scene.make_update(device, "1.0.0", arguments="--fail-in install"))
    deployment = scene.deploy(device, "1.0.0")
    scene.wait_state(device, deployment, "Failed")
    before = (device.root / "count").read_text().count("install 1.0.0")
    scene.service.cli("device", "deployment", "retry", "--group-id", device.group, "--deployment-id", deployment)
    wait_until("the script runs again", lambda: (device.root / "count").read_text().count("install 1.0.0") > before, 60)
    state = scene.wait_state(device, deployment, "Failed")
    assert state["retryCount"] == 1


@pytest.mark.parametrize("action", ["is-installed", "download", "install", "apply"])
def test_a_deployment_is_cancelled_while_a_script_runs(scene, action):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", arguments=f"--wait-in {action}"))
    deployment = scene.deploy(device, "1.0.0")
    wait_until("the script waits", (device.root / "waiting").exists, 60)
    scene.service.cli("device", "deployment", "cancel", "--group-id", device.group, "--deployment-id", deployment)
    state = scene.wait_state(device, deployment, "Canceled")
    assert "applied 1.0.0" not in scene.history(device)
    # The device takes the next update afterwards.
    scene.import_update(scene.make_update(device, "1.1.0"))
    scene.wait_state(device, scene.deploy(device, "1.1.0"), "Succeeded")


def test_a_newer_deployment_replaces_the_running_one(scene):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", arguments="--wait-in install"))
    old = scene.deploy(device, "1.0.0")
    wait_until("the script waits", (device.root / "waiting").exists, 60)
    scene.import_update(scene.make_update(device, "1.1.0"))
    scene.wait_state(device, scene.deploy(device, "1.1.0"), "Succeeded")
    assert scene.state(device, old)["movedOnToNewDeployment"] is True
    assert "applied 1.0.0" not in scene.history(device)


def test_an_offline_device_is_updated_when_it_comes_back(scene):
    device = scene.device()
    device.agent.stop()
    scene.import_update(scene.make_update(device, "1.0.0"))
    deployment = scene.deploy(device, "1.0.0")
    time.sleep(1)
    assert scene.state(device, deployment)["deviceState"] == "InProgress"
    assert scene.history(device) == []
    device.agent.start()
    scene.wait_state(device, deployment, "Succeeded")


def test_two_devices_of_one_group_are_both_updated(scene):
    first = scene.device(group="pair", model="Pair")
    second = scene.device(group="pair", model="Pair")
    manifest = scene.make_update(first, "1.0.0")
    scene.import_update(manifest)
    deployment = scene.deploy(first, "1.0.0", "pair-1")
    for device in (first, second):
        scene.wait_state(device, deployment, "Succeeded")
    status = scene.service.json("device", "deployment", "show", "--status", "--group-id", "pair", "--deployment-id", deployment)
    assert status["subgroupStatus"][0]["devicesCompletedSucceededCount"] == 2


def test_a_device_that_joins_the_group_later_is_updated_too(scene):
    first = scene.device(group="late", model="Late")
    scene.import_update(scene.make_update(first, "1.0.0"))
    deployment = scene.deploy(first, "1.0.0", "late-1")
    scene.wait_state(first, deployment, "Succeeded")
    second = scene.device(group="late", model="Late")
    scene.wait_state(second, deployment, "Succeeded")


# ---- refusals on the device ---------------------------------------------------------------------------------------------

def test_an_unknown_handler_fails_with_its_code(scene):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", handler="nobody/nothing:1"))
    deployment = scene.deploy(device, "1.0.0")
    state = scene.wait_state(device, deployment, "Failed")
    assert codes(state) == (0, "30000003"), state
    assert "nobody/nothing:1" in state["godwit"]["resultDetails"]
    assert "nobody/nothing:1" in cli_words(scene, device, deployment)
    assert "nobody/nothing:1" in device.agent.log.read_text()


def test_a_missing_downloader_fails_with_its_code(scene):
    device = scene.device(skip_extensions=("godwit/curl:1",))
    scene.import_update(scene.make_update(device, "1.0.0"))
    state = scene.wait_state(device, scene.deploy(device, "1.0.0"), "Failed")
    assert state["godwit"]["extendedResultCode"] == "40000003", state
    assert "downloader" in state["godwit"]["resultDetails"]


def test_a_library_that_changed_after_registration_is_refused(scene):
    device = scene.device(skip_extensions=("microsoft/script:1",))
    copy = device.folder / "script.so"
    source = scene.service.binaries.parent / "lib" / "godwit-step-script.so"
    copy.write_bytes(source.read_bytes())
    copy.chmod(0o755)
    import subprocess
    subprocess.run([scene.service.binaries / "godwit-installer", "extension", "register", "--config", device.folder / "installer.toml", "--type", "step-handler",
                    "--id", "microsoft/script:1", copy], check=True)
    copy.write_bytes(source.read_bytes() + b"\0")
    scene.import_update(scene.make_update(device, "1.0.0"))
    state = scene.wait_state(device, scene.deploy(device, "1.0.0"), "Failed")
    assert scene.history(device) == []
    assert "script.so" in state["godwit"]["resultDetails"] or "microsoft/script:1" in state["godwit"]["resultDetails"], state


def tamper(scene, device, deployment, change):
    """Stops the agent, deploys, changes the desired document as an attacker with the hub's keys could, starts the agent."""
    device.agent.stop()
    name = scene.deploy(device, "1.0.0", deployment)
    wait_until("the offer is written", lambda: "deviceUpdate" in scene.service.json("hub", "device-twin", "show", "-d", device.id)["properties"]["desired"], 30)
    service = scene.service.json("hub", "device-twin", "show", "-d", device.id)["properties"]["desired"]["deviceUpdate"]["service"]
    scene.service.cli("hub", "device-twin", "update", "-d", device.id, "--desired", json.dumps({"deviceUpdate": {"service": change(service)}}))
    device.agent.start()
    return name


def test_a_changed_manifest_is_refused(scene):
    # faults: 5
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0"))
    name = tamper(scene, device, "tampered-" + device.id, lambda s: {"updateManifest": s["updateManifest"].replace("payload.bin", "payloaX.bin")})
    state = scene.wait_state(device, name, "Failed")
    assert state["godwit"]["extendedResultCode"] == "80300001", state
    assert scene.history(device) == []


def test_a_signature_by_nobody_is_refused(scene):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0"))

    def forge(service):
        head, payload, signature = service["updateManifestSignature"].split(".")
        return {"updateManifestSignature": ".".join((head, payload, signature[:-8] + ("AAAAAAAA" if not signature.endswith("AAAAAAAA") else "BBBBBBBB")))}

    name = tamper(scene, device, "forged-" + device.id, forge)
    state = scene.wait_state(device, name, "Failed")
    assert state["godwit"]["extendedResultCode"] in ("A0200004", "A0200000"), state
    assert scene.history(device) == []
    assert state["godwit"]["extendedResultCode"] in device.agent.log.read_text()


def test_an_incompatible_device_refuses_even_a_signed_manifest(scene):
    # faults: 7. The document of one device is replayed to a device of another class.
    source, victim = scene.device(), scene.device()
    scene.import_update(scene.make_update(source, "1.0.0"))
    scene.import_update(scene.make_update(victim, "1.0.0"))
    scene.wait_state(source, scene.deploy(source, "1.0.0"), "Succeeded")
    offered = scene.service.json("hub", "device-twin", "show", "-d", source.id)["properties"]["desired"]["deviceUpdate"]["service"]
    name = tamper(scene, victim, "replayed-" + victim.id, lambda s: {key: offered[key] for key in ("updateManifest", "updateManifestSignature", "fileUrls")})
    state = scene.wait_state(victim, name, "Failed")
    assert state["godwit"]["extendedResultCode"] == "80300012", state
    assert scene.history(victim) == []


def test_a_payload_with_another_digest_is_refused(scene):
    # The URL of the payload leads to the script: right server, wrong bytes.
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", payload=PAYLOAD))

    def swap(service):
        first, second = sorted(service["fileUrls"])
        return {"fileUrls": {first: service["fileUrls"][second], second: service["fileUrls"][first]}}

    name = tamper(scene, device, "swapped-" + device.id, swap)
    state = scene.wait_state(device, name, "Failed", timeout=180)
    assert state["godwit"]["extendedResultCode"] in ("4000000C", "40000102", "00100003"), state
    assert "installed 1.0.0" not in scene.history(device)


# ---- refusals at import -------------------------------------------------------------------------------------------------

def import_direct(scene, manifest_text):
    return scene.rest("POST", "/godwit/v1/default/updates:import", [{"importManifest": manifest_text}])


def updates(scene, name):
    return [u for u in scene.service.json("update", "list") if u["updateId"]["name"] == name]


@pytest.mark.parametrize("change, words", [
    (lambda m: m.pop("updateId"), "updateId"),
    (lambda m: m.update(manifestVersion="3.0"), "manifestVersion"),
    (lambda m: m.update(colour="red"), "colour"),
    (lambda m: m["updateId"].update(version="1"), "version"),
    (lambda m: m["updateId"].update(provider="x" * 65), "provider"),
    (lambda m: m.update(compatibility=[]), "compatibility"),
    (lambda m: m["instructions"]["steps"][0].update(files=["nothing.bin"]), "nothing.bin"),
    (lambda m: m["instructions"].update(steps=m["instructions"]["steps"] * 11), "steps"),
    (lambda m: m["files"][0].update(sizeInBytes=2147483649), "sizeInBytes"),
    (lambda m: m["files"][0].update(filename="../escape"), "filename"),
    (lambda m: m["files"][0]["hashes"].update(sha256=sha256_base64(b"something that was never uploaded")), ""),
])
def test_a_bad_manifest_is_refused_with_a_sentence_and_nothing_is_stored(scene, change, words):
    device = scene.devices[0] if scene.devices else scene.device()
    path = scene.make_update(device, "7.0.0", name="Refused")
    manifest = json.loads(path.read_text())
    change(manifest)
    status, _, body = import_direct(scene, json.dumps(manifest))
    assert 400 <= status < 500, body
    error = json.loads(body)["error"]
    assert error["code"] and words in error["message"], error
    assert updates(scene, "Refused") == []


def test_an_update_cannot_be_imported_twice(scene):
    device = scene.device()
    manifest = scene.make_update(device, "1.0.0")
    scene.import_update(manifest)
    again = scene.service.cli("update", "import", "--manifest", manifest, check=False)
    assert again.returncode == 1 and "UpdateAlreadyExists" in again.stderr, again
    assert len(updates(scene, device.model)) == 1


def test_a_body_that_is_not_what_was_announced_leaves_no_blob(scene):
    digest = "ab" * 32
    status, _, body = scene.rest("PUT", f"/godwit/v1/default/blobs/{digest}", b"other bytes", {"Content-Type": "application/octet-stream"})
    assert status == 400, body
    assert "SHA-256" in json.loads(body)["error"]["message"]
    status, _, _ = scene.rest("HEAD", f"/godwit/v1/default/blobs/{digest}")
    assert status == 404


# ---- downloads ----------------------------------------------------------------------------------------------------------

def test_a_download_link_serves_ranges_and_refuses_a_changed_signature(scene):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", payload=PAYLOAD))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    urls = scene.service.json("hub", "device-twin", "show", "-d", device.id)["properties"]["desired"]["deviceUpdate"]["service"]["fileUrls"]
    path = next(u for u in urls.values() if "payload.bin" in u)[len(scene.service.url):]
    status, headers, body = scene.rest("GET", path, token="", headers={"Range": "bytes=1000-1999"})
    assert status == 206 and body == PAYLOAD[1000:2000] and headers["Content-Range"] == f"bytes 1000-1999/{len(PAYLOAD)}"
    status, _, body = scene.rest("GET", path, token="", headers={"Range": "bytes=-5"})
    assert status == 206 and body == PAYLOAD[-5:]
    status, headers, _ = scene.rest("HEAD", path, token="")
    assert status == 200 and int(headers["Content-Length"]) == len(PAYLOAD) and headers["ETag"]
    status, _, _ = scene.rest("GET", path, token="", headers={"Range": f"bytes={len(PAYLOAD)}-"})
    assert status == 416
    broken = path[:-3] + ("AAA" if not path.endswith("AAA") else "BBB")
    status, _, _ = scene.rest("GET", broken, token="")
    assert status == 403
