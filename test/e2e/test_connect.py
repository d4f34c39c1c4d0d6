"""The agent's ways to the hub, with real binaries: each ends in a device that is listed or updated, or in a sentence in the agent's log."""
import json
import re
import shutil
import subprocess

import pytest

from certificates import Authority
from stack import wait_until


def connection_state(scene, device):
    return scene.service.json("hub", "device-twin", "show", "-d", device.id)["connectionState"]


def rewrite(device, old: str, new: str):
    config = device.folder / "agent.toml"
    text = config.read_text()
    assert text.count(old) == 1, text
    config.write_text(text.replace(old, new))


def wait_log(device, words: str, count: int = 1):
    wait_until(f"the agent says: {words}", lambda: device.agent.log.read_text().count(words) >= count, 60)


@pytest.fixture
def certified(scene):
    """Makes a device that has no key: registered with `authentication`, with the files of `leaf` in its folder."""
    def make(authentication, leaf_of):
        device = scene.device(start=False)
        scene.service.cli("hub", "device-identity", "delete", "-d", device.id, "-y")
        leaf = leaf_of(device.id)
        wish = {"deviceId": device.id, "authentication": authentication(leaf)}
        status, _, body = scene.rest("PUT", f"/devices/{device.id}?api-version=2021-04-12", wish)
        assert status == 200, body
        scene.service.cli("hub", "device-twin", "update", "-d", device.id, "--tags", json.dumps({"ADUGroup": device.group}))
        place(device, leaf)
        (device.folder / "device.key").unlink()
        rewrite(device, 'key_file = "device.key"', 'certificate_file = "device.pem"\ncertificate_key_file = "device-key.pem"')
        return device

    return make


def place(device, leaf):
    """As a renewal does it: each file whole or not at all."""
    for source, name in ((leaf.key, "device-key.pem"), (leaf.chain, "device.pem")):
        shutil.copy(source, device.folder / "new.pem")
        (device.folder / "new.pem").rename(device.folder / name)


def by_thumbprint(leaf):
    return {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": leaf.sha256, "secondaryThumbprint": ""}}


def test_a_device_known_by_its_thumbprint_is_updated(scene, certified, tmp_path):
    authority = Authority(tmp_path, "Anybody")
    device = certified(by_thumbprint, authority.issue)
    device.start()
    scene.wait_listed(device)
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    assert scene.service.json("hub", "device-twin", "show", "-d", device.id)["authenticationType"] == "selfSigned"


def test_a_device_of_an_authority_sends_its_chain_and_takes_a_renewed_certificate(scene, certified, tmp_path):
    root = Authority(tmp_path, "Plant CA")
    scene.service.cli("hub", "certificate", "create", "--name", "plant", "--path", root.certificate)
    line = root.intermediate("Line CA")
    device = certified(lambda leaf: {"type": "certificateAuthority"}, line.issue)
    device.start()
    scene.wait_listed(device)
    place(device, line.issue(device.id))
    wait_log(device, "link.online", 2)
    assert connection_state(scene, device) == "Connected"
    assert "link.broken" not in device.agent.log.read_text(), "a renewal is no failure"
    scene.service.cli("hub", "certificate", "delete", "--name", "plant", "-y")


def test_a_certificate_that_the_hub_does_not_know_is_refused_with_a_sentence(scene, certified, tmp_path):
    registered, other = Authority(tmp_path, "One"), Authority(tmp_path, "Two")
    device = certified(by_thumbprint, registered.issue)
    place(device, other.issue(device.id))
    device.start()
    wait_log(device, "the device's key or certificate")
    assert connection_state(scene, device) == "Disconnected"
    wait = int(re.search(r"again_in_ms=(\d+)", device.agent.log.read_text())[1])
    assert 2500 <= wait <= 5000, "a refused device waits for as long as it may (5 s here) from the first time on"
    place(device, registered.issue(device.id))  # another leaf of the same name: its thumbprint is unknown, too
    wait_log(device, "the device's key or certificate", 3)
    assert connection_state(scene, device) == "Disconnected"


def test_a_key_that_needs_a_passphrase_is_told(scene, certified, tmp_path):
    device = certified(by_thumbprint, Authority(tmp_path, "Anybody").issue)
    subprocess.run(["openssl", "pkey", "-in", device.folder / "device-key.pem", "-aes256", "-passout", "pass:secret", "-out", device.folder / "locked.pem"], check=True)
    (device.folder / "locked.pem").rename(device.folder / "device-key.pem")
    device.start()
    wait_log(device, "passphrase")


def test_a_device_of_the_original_agent_takes_its_configuration_along(scene):
    device = scene.device(start=False)
    key = (device.folder / "device.key").read_text().strip()
    original = {"schemaVersion": "1.1", "aduShellTrustedUsers": ["adu", "do"], "iotHubProtocol": "mqtt", "compatPropertyNames": "manufacturer,model",
                "manufacturer": "Contoso", "model": "Shown", "agents": [{
                    "name": "main", "runas": "adu", "manufacturer": "Contoso", "model": device.model, "additionalDeviceProperties": {"location": "plant7"},
                    "connectionSource": {"connectionType": "string", "connectionData": f"HostName=localhost;DeviceId={device.id};SharedAccessKey={key}"}}]}
    (device.folder / "du-config.json").write_text(json.dumps(original))
    old = (device.folder / "agent.toml").read_text()

    def run(*words):
        return subprocess.run([scene.service.binaries / "godwit-agent", "config", "import", device.folder / "du-config.json", *words], capture_output=True, text=True)

    refused = run("--out", device.folder / "agent.toml")
    assert refused.returncode == 1 and "nothing was changed" in refused.stderr and (device.folder / "agent.toml").read_text() == old
    (device.folder / "agent.toml").unlink()
    (device.folder / "device.key").unlink()
    done = run("--out", device.folder / "agent.toml", "--ca-file", "ca.pem")
    assert done.returncode == 0 and "aduShellTrustedUsers is left out" in done.stdout, done.stderr
    assert (device.folder / "device.key").stat().st_mode & 0o777 == 0o600
    text = (device.folder / "agent.toml").read_text()
    (device.folder / "agent.toml").write_text(text.replace("[hub]\n", f"[hub]\nport = {scene.service.ports['hub']}\n") +
                                              '\n[agent]\ndata = "agent"\ntrust_anchors = "trust-anchors.json"\n\n[installer]\nsocket = "run/installer.sock"\n')
    device.start()
    scene.wait_listed(device)
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    properties = scene.service.json("hub", "device-twin", "show", "-d", device.id)["properties"]["reported"]["deviceUpdate"]["agent"]["deviceProperties"]
    assert properties["location"] == "plant7" and properties["model"] == device.model
