"""Unmodified provisioning clients (Node): one credential for a whole fleet, from the group to a connected device."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
from pathlib import Path

import pytest

from certificates import Authority

NODE = Path(__file__).parent / "node"


@pytest.fixture
def group(scene):
    """Makes enrollment groups; gives the primary key (base64), "" for one that attests by certificate."""
    made = []

    def make(name, *words):
        scene.service.cli("dps", "enrollment-group", "create", "--eid", name, *words)
        made.append(name)
        shown = scene.service.json("dps", "enrollment-group", "show", "--eid", name, "--show-keys")
        return shown["attestation"].get("symmetricKey", {}).get("primaryKey", "")

    yield make
    for name in made:
        scene.service.cli("dps", "enrollment-group", "delete", "--eid", name, "-y")


def device_key(group_key, registration):
    return base64.b64encode(hmac.new(base64.b64decode(group_key), registration.encode(), hashlib.sha256).digest()).decode()


def run_script(node, scene, script, **wish):
    done = subprocess.run([node, NODE / script, json.dumps(wish)], capture_output=True, text=True, cwd=NODE, timeout=90,
                          env={**os.environ, "NODE_EXTRA_CA_CERTS": str(scene.service.ca)})
    events = {line["event"]: line for line in map(json.loads, filter(lambda l: l.startswith("{"), done.stdout.splitlines()))}
    return done.returncode, events, done.stdout + done.stderr


def provision(node, scene, registration, **proof):
    about = scene.service.json("dps", "show")
    return run_script(node, scene, "provision.mjs", host=f"localhost:{scene.service.ports['hub']}", idScope=about["idScope"], registrationId=registration, **proof)


def connect(node, scene, device, key):
    """The ordinary device client with the key it was provisioned with; twin and report must work."""
    client = subprocess.Popen([node, NODE / "device.mjs", json.dumps({"host": f"localhost:{scene.service.ports['hub']}", "hub": "localhost", "device": device, "key": key,
                                                                      "ca": str(scene.service.ca)})], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=NODE)
    log = ""
    for line in client.stdout:
        log += line
        if '"ready"' in line:
            scene.service.cli("hub", "device-twin", "update", "-d", device, "--desired", '{"ping":1}')
    return client.wait(60), log


def test_one_group_key_brings_two_devices_to_their_identities(scene, node, group):
    group_key = group("fleet", "--initial-twin-tags", '{"ADUGroup":"line-1"}')
    for name in ("fleet-1", "fleet-2"):
        key = device_key(group_key, name)
        assert scene.service.cli("dps", "enrollment-group", "compute-device-key", "--eid", "fleet", "--rid", name).stdout.strip() == key
        code, events, log = provision(node, scene, name, key=key)
        assert code == 0, log
        assert events["assigned"]["device"] == name
        assert events["assigned"]["substatus"] == "initialAssignment"
        assert events["assigned"]["hub"] == f"localhost:{scene.service.ports['hub']}"
        twin = scene.service.json("hub", "device-twin", "show", "-d", name)
        assert twin["tags"] == {"ADUGroup": "line-1"}
        code, log = connect(node, scene, name, key)
        assert code == 0, log
    listed = scene.service.json("dps", "registration", "list", "--eid", "fleet")
    assert [(r["registrationId"], r["status"]) for r in listed] == [("fleet-1", "assigned"), ("fleet-2", "assigned")]


def test_a_device_that_comes_again_keeps_its_twin_or_starts_over_as_the_policy_says(scene, node, group):
    key = device_key(group("again", "--initial-twin-tags", '{"ADUGroup":"first"}'), "again-1")
    assert provision(node, scene, "again-1", key=key)[0] == 0
    scene.service.cli("hub", "device-twin", "update", "-d", "again-1", "--tags", '{"ADUGroup":"moved"}')
    code, events, log = provision(node, scene, "again-1", key=key)
    assert code == 0 and events["assigned"]["substatus"] == "deviceDataMigrated", log
    assert scene.service.json("hub", "device-twin", "show", "-d", "again-1")["tags"] == {"ADUGroup": "moved"}
    scene.service.cli("dps", "enrollment-group", "update", "--eid", "again", "--reprovision-policy", "reprovisionandresetdata")
    code, events, log = provision(node, scene, "again-1", key=key)
    assert code == 0 and events["assigned"]["substatus"] == "deviceDataReset", log
    assert scene.service.json("hub", "device-twin", "show", "-d", "again-1")["tags"] == {"ADUGroup": "first"}


def test_a_wrong_key_is_refused_and_a_disabled_group_gives_nothing(scene, node, group):
    group_key = group("closed")
    code, events, log = provision(node, scene, "closed-1", key=device_key(group_key, "another"))
    assert code == 1 and "assigned" not in events, log
    assert "uthorized" in log, log
    scene.service.cli("dps", "enrollment-group", "update", "--eid", "closed", "--provisioning-status", "disabled")
    code, events, log = provision(node, scene, "closed-1", key=device_key(group_key, "closed-1"))
    assert code == 1 and events["failed"]["status"]["status"] == "disabled", log
    assert scene.service.json("dps", "registration", "list", "--eid", "closed")[0]["errorCode"] == 403001


def test_an_individual_enrollment_gives_the_name_an_operator_chose(scene, node):
    key = base64.b64encode(b"the key of one device, 32 bytes!").decode()
    scene.service.cli("dps", "enrollment", "create", "--eid", "sn-0815", "--device-id", "press-7", "--primary-key", key)
    try:
        code, events, log = provision(node, scene, "sn-0815", key=key)
        assert code == 0 and events["assigned"]["device"] == "press-7", log
        code, log = connect(node, scene, "press-7", key)
        assert code == 0, log
    finally:
        scene.service.cli("dps", "enrollment", "delete", "--eid", "sn-0815", "-y")


def test_one_authority_brings_devices_with_certificates_to_their_identities(scene, node, group, tmp_path):
    authority = Authority(tmp_path, "Line CA")
    group("by-certificate", "--certificate-path", authority.certificate)
    own = authority.issue("cert-1")
    stranger = Authority(tmp_path, "Other CA").issue("cert-1")
    code, events, log = provision(node, scene, "cert-1", cert=str(stranger.chain), certKey=str(stranger.key))
    assert code == 1, log
    code, events, log = provision(node, scene, "cert-1", cert=str(own.chain), certKey=str(own.key))
    assert code == 0 and events["assigned"]["device"] == "cert-1", log
    code, events, log = run_script(node, scene, "device_x509.mjs", host=f"localhost:{scene.service.ports['hub']}", hub="localhost", device="cert-1",
                                   cert=str(own.chain), certKey=str(own.key), ca=str(scene.service.ca))
    assert code == 0 and "done" in events, log


def test_the_service_client_manages_enrollments_groups_and_registrations(scene, node, group):
    key = device_key(group("sdk-line"), "sdk-line-1")
    assert provision(node, scene, "sdk-line-1", key=key)[0] == 0
    code, events, log = run_script(node, scene, "provisioning_service.mjs", host="localhost", port=scene.service.ports["api"], token=scene.service.token_file.read_text().strip(),
                                   ca=str(scene.service.ca), group="sdk-line", registrations=1)
    assert code == 0 and "done" in events, log
