"""The agent finds its hub through the provisioning service of a real godwitd, keeps what it was told, and asks again only when the hub refuses it."""
import base64
import json
import subprocess

import pytest

from certificates import Authority
from connecting import connection_state, rewrite, wait_connected, wait_log, wait_online


@pytest.fixture
def newcomer(scene):
    """Makes a device that knows the provisioning service only; `proof` is a line of agent.toml's section hub, `more` of provisioning."""
    def make(registration: str, proof: str, more: str = ""):
        about = scene.service.json("dps", "show")
        device = scene.device(start=False)
        section = f"""
[provisioning]
id_scope = "{about['idScope']}"
host = "localhost"
port = {scene.service.ports['hub']}
registration_id = "{registration}"
{more}
"""
        scene.service.cli("hub", "device-identity", "delete", "-d", device.id, "-y")
        (device.folder / "device.key").unlink()
        rewrite(device, f'host = "localhost"\nport = {scene.service.ports["hub"]}\ndevice_id = "{device.id}"\nkey_file = "device.key"', proof)
        with open(device.folder / "agent.toml", "a") as config:
            config.write(section)
        device.id = registration
        return device

    return make


@pytest.fixture
def group(scene):
    made = []

    def make(name, *words):
        scene.service.cli("dps", "enrollment-group", "create", "--eid", name, *words)
        made.append(name)
        return scene.service.json("dps", "enrollment-group", "show", "--eid", name, "--show-keys")["attestation"].get("symmetricKey", {}).get("primaryKey", "")

    yield make
    for name in made:
        scene.service.cli("dps", "enrollment-group", "delete", "--eid", name, "-y")


def registrations(device) -> int:
    return device.agent.log.read_text().count(" link.provisioned ")


def kept(device) -> dict:
    return json.loads((device.folder / "agent" / "assignment.json").read_text())


def test_a_group_key_brings_a_device_to_its_first_update_and_is_needed_once(scene, newcomer, group):
    key = group("fleet", "--initial-twin-tags", '{"ADUGroup":"line-1"}')
    device = newcomer("fleet-1", "", 'group_key_file = "group.key"')
    device.group = "line-1"
    (device.folder / "group.key").write_text(key + "\n")
    device.start()
    scene.wait_listed(device)
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    assert kept(device)["deviceId"] == "fleet-1"
    derived = device.folder / "agent" / "device.key"
    assert derived.stat().st_mode & 0o777 == 0o600 and key not in derived.read_text()
    assert derived.read_text().strip() == scene.service.cli("dps", "enrollment-group", "compute-device-key", "--eid", "fleet", "--rid", "fleet-1").stdout.strip()
    (device.folder / "group.key").unlink()
    device.agent.stop()
    device.agent.start()
    wait_online(device, 2)
    assert registrations(device) == 1, "a restart asks nobody"


def test_a_device_that_its_hub_forgot_is_provisioned_again(scene, newcomer, group):
    key = group("again", "--initial-twin-tags", '{"ADUGroup":"line-2"}')
    device = newcomer("again-1", "", 'group_key_file = "group.key"')
    (device.folder / "group.key").write_text(key)
    device.start()
    wait_online(device)
    (device.folder / "group.key").unlink()  # the derived key is enough for this, too
    scene.service.cli("hub", "device-identity", "delete", "-d", "again-1", "-y")
    wait_online(device, 2)
    text = device.agent.log.read_text()
    assert registrations(device) == 2 and "the hub refuses this device" in text
    wait_connected(scene, "again-1")


def test_a_hub_that_is_away_is_no_reason_to_ask_the_provisioning_service(scene, newcomer, group):
    device = newcomer("steady-1", "", 'group_key_file = "group.key"')
    (device.folder / "group.key").write_text(group("steady"))
    device.start()
    wait_online(device)
    scene.service.stop()
    wait_log(device, "link.broken", 2)
    scene.service.start()
    wait_online(device, 2)
    assert registrations(device) == 1


def test_an_individual_enrollment_gives_the_name_an_operator_chose(scene, newcomer):
    key = "dGhlIGtleSBvZiBvbmUgZGV2aWNlLCAzMiBieXRlcyE="
    scene.service.cli("dps", "enrollment", "create", "--eid", "sn-0815", "--device-id", "press-7", "--primary-key", key)
    device = newcomer("sn-0815", 'key_file = "own.key"')
    (device.folder / "own.key").write_text(key)
    device.start()
    wait_online(device)
    assert kept(device)["deviceId"] == "press-7"
    wait_connected(scene, "press-7")
    scene.service.cli("dps", "enrollment", "delete", "--eid", "sn-0815", "-y")


def test_an_authority_brings_a_device_with_a_certificate(scene, newcomer, group, tmp_path):
    authority = Authority(tmp_path, "Line CA")
    group("by-certificate", "--certificate-path", authority.certificate)
    leaf = authority.issue("cert-1")
    device = newcomer("cert-1", f'certificate_file = "{leaf.chain}"\ncertificate_key_file = "{leaf.key}"')
    device.start()
    wait_online(device)
    assert scene.service.json("hub", "device-twin", "show", "-d", "cert-1")["authenticationType"] in ("selfSigned", "certificateAuthority")


def test_a_refusal_is_told_and_a_corrected_enrollment_is_taken(scene, newcomer, group):
    key = group("closed")
    scene.service.cli("dps", "enrollment-group", "update", "--eid", "closed", "--provisioning-status", "disabled")
    device = newcomer("closed-1", "", 'group_key_file = "group.key"')
    (device.folder / "group.key").write_text(key)
    device.start()
    wait_log(device, "the provisioning service gives no hub (disabled)")
    assert not (device.folder / "agent" / "assignment.json").exists()
    scene.service.cli("dps", "enrollment-group", "update", "--eid", "closed", "--provisioning-status", "enabled")
    wait_online(device)
    health = subprocess.run([scene.service.binaries / "godwit-agent", "health", "--config", device.folder / "agent.toml"], capture_output=True, text=True)
    assert "hub" in health.stdout and "its certificate is good" in health.stdout, health.stdout


def test_provisioning_goes_over_a_websocket_where_nothing_else_goes(scene, newcomer, group):
    device = newcomer("narrow-1", "", f'group_key_file = "group.key"\n\n[connection]\ntransport = "websocket"\nwebsocket_port = {scene.service.ports["api"]}')
    (device.folder / "group.key").write_text(group("narrow"))
    device.start()
    wait_online(device)
    wait_connected(scene, "narrow-1")


def test_a_leaked_url_enrols_nobody_once_its_key_is_renewed(scene, newcomer, tmp_path):
    def comes_by(url: str, registration: str):
        device = newcomer(registration, "", 'group_key_file = "group.key"')
        (device.folder / "group.key").write_text(base64.b64encode(bytes.fromhex(url.strip().rsplit("-", 1)[1])).decode())
        device.start()
        return device

    leaked = scene.service.cli("enrolment", "url").stdout
    assert leaked.startswith(f"{scene.service.url}#")
    known = comes_by(leaked, "known-1")
    wait_online(known)
    assert "give -y" in scene.service.cli("enrolment", "renew-key", check=False).stderr
    renewed = scene.service.cli("enrolment", "renew-key", "-y", "--file", tmp_path / "url")
    assert "1 device came by the old key" in renewed.stderr, renewed.stderr
    fresh = (tmp_path / "url").read_text()
    assert fresh.split("-")[0] == leaked.split("-")[0] and fresh != leaked and scene.service.cli("enrolment", "url").stdout == fresh
    thief = comes_by(leaked, "thief-1")
    wait_log(thief, "link.broken")
    assert registrations(thief) == 0
    wait_online(comes_by(fresh, "honest-1"))
    assert connection_state(scene, known) == "Connected", "who is enrolled stays"
