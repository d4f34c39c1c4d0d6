"""The agent's ways to the hub, with real binaries: each ends in a device that is listed or updated, or in a sentence in the agent's log."""
import json
import re
import subprocess

import pytest

from certificates import Authority
from connecting import TinyProxy, by_thumbprint, connection_state, free_port, place, register_anew, rewrite, wait_connected, wait_log, wait_online


@pytest.fixture
def certified(scene):
    """Makes a device that has no key: registered with `authentication`, with the files of `leaf` in its folder."""
    def make(authentication, leaf_of):
        device = scene.device(start=False)
        leaf = leaf_of(device.id)
        register_anew(scene, device, authentication(leaf))
        place(device, leaf)
        (device.folder / "device.key").unlink()
        rewrite(device, 'key_file = "device.key"', 'certificate_file = "device.pem"\ncertificate_key_file = "device-key.pem"')
        return device

    return make


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
                                              '\n[agent]\ndata = "agent"\nsocket = "run/agent.sock"\ntrust_anchors = "trust-anchors.json"\n\n[installer]\nsocket = "run/installer.sock"\n')
    device.start()
    scene.wait_listed(device)
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    properties = scene.service.json("hub", "device-twin", "show", "-d", device.id)["properties"]["reported"]["deviceUpdate"]["agent"]["deviceProperties"]
    assert properties["location"] == "plant7" and properties["model"] == device.model


# ---- ways to the hub ---------------------------------------------------------------------------------------------------

def be_updated(scene, device):
    scene.wait_listed(device)
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")


def remembered(device):
    return json.loads((device.folder / "agent" / "transport.json").read_text())["transport"]


def test_a_device_whose_mqtt_port_is_blocked_is_updated_by_websocket_and_remembers_it(scene):
    device = scene.device(start=False, agent_config=f"\n[connection]\nwebsocket_port = {scene.service.ports['api']}\n")
    rewrite(device, f"port = {scene.service.ports['hub']}\ndevice_id", f"port = {free_port()}\ndevice_id")
    device.start()
    be_updated(scene, device)
    assert remembered(device) == "websocket"
    device.agent.stop()
    device.agent.start()
    wait_online(device, 2)
    assert "link.broken" not in device.agent.log.read_text(), "the blocked port is not asked again"
    health = subprocess.run([scene.service.binaries / "godwit-agent", "health", "--config", device.folder / "agent.toml"], capture_output=True, text=True)
    assert "answers by websocket" in health.stdout, health.stdout + health.stderr


def test_a_websocket_wanted_by_name_is_taken_though_mqtt_would_work(scene):
    device = scene.device(agent_config=f"\n[connection]\ntransport = \"websocket\"\nwebsocket_port = {scene.service.ports['api']}\n")
    wait_connected(scene, device.id)
    assert not (device.folder / "agent" / "transport.json").exists(), "there is nothing to remember"


def test_a_device_known_by_its_certificate_is_updated_by_websocket(scene, certified, tmp_path):
    root = Authority(tmp_path, "Site CA")
    scene.service.cli("hub", "certificate", "create", "--name", "site", "--path", root.certificate)
    device = certified(lambda leaf: {"type": "certificateAuthority"}, root.intermediate("Hall CA").issue)
    with open(device.folder / "agent.toml", "a") as config:
        config.write(f'\n[connection]\ntransport = "websocket"\nwebsocket_port = {scene.service.ports["api"]}\n')
    device.start()
    be_updated(scene, device)
    place(device, Authority(tmp_path, "Somebody").issue(device.id))
    wait_log(device, "the device's key or certificate")
    scene.service.cli("hub", "certificate", "delete", "--name", "site", "-y")


def test_a_device_behind_a_proxy_is_updated_through_it(scene, tmp_path):
    ports = scene.service.ports
    with TinyProxy(tmp_path, [ports["hub"], ports["api"]], "line-7", "open-sesame") as proxy:
        device = scene.device(start=False, agent_config=f"\n[connection]\nproxy = \"http://127.0.0.1:{proxy.port}\"\nproxy_credentials_file = \"proxy.txt\"\n")
        (device.folder / "proxy.txt").write_text("line-7:wrong\n")
        device.start()
        wait_log(device, "it wants a user and a password")
        assert "open-sesame" not in device.agent.log.read_text()
        (device.folder / "proxy.txt").write_text("line-7:open-sesame\n")
        be_updated(scene, device)
        assert f"CONNECT localhost:{ports['hub']}" in proxy.log(), proxy.log()
        proxy.process.kill()
        wait_log(device, "through the proxy")
        proxy.process.start()
        wait_online(device, 2)


def test_a_proxy_that_lets_only_https_through_leads_to_the_websocket(scene, tmp_path):
    ports = scene.service.ports
    with TinyProxy(tmp_path, [ports["api"]]) as proxy:
        device = scene.device(start=False, agent_config=f"\n[connection]\nwebsocket_port = {ports['api']}\n")
        device.agent.env = {**device.agent.env, "https_proxy": f"http://127.0.0.1:{proxy.port}", "no_proxy": "elsewhere.example"}
        device.start()
        be_updated(scene, device)
        assert remembered(device) == "websocket" and f"CONNECT localhost:{ports['api']}" in proxy.log()
        device.agent.stop()
        (device.folder / "agent" / "transport.json").unlink()
        seen = proxy.log().count("CONNECT")
        device.agent.env["no_proxy"] = "localhost"
        device.agent.start()
        wait_online(device, 2)
        assert remembered(device) == "mqtt" and proxy.log().count("CONNECT") == seen, "no_proxy names the hub: the way is direct"


# ---- what differs from hub to hub --------------------------------------------------------------------------------------

def test_a_gateway_as_parent_is_dialled_and_the_hub_behind_it_is_named(scene):
    # As behind a gateway: socket and certificate are the parent's, user name and token say the hub's name.
    device = scene.device(start=False)
    rewrite(device, 'host = "localhost"', 'host = "127.0.0.1"\nname = "godwit.local"\ntls_name = "localhost"')
    device.start()
    be_updated(scene, device)
    assert scene.service.json("hub", "device-twin", "show", "-d", device.id)["modelId"] == "dtmi:azure:iot:deviceUpdateModel;3"
    device.agent.stop()
    rewrite(device, "godwit.local", "fleet.azure-devices.net")
    device.agent.start()
    wait_log(device, "check hub.name")


def test_the_authorities_of_the_system_count_only_where_they_are_chosen(scene):
    device = scene.device(start=False)
    system = {"SSL_CERT_FILE": str(device.folder / "ca.pem"), "SSL_CERT_DIR": "/nonexistent"}
    rewrite(device, 'ca_file = "ca.pem"', 'trust = "system"')
    device.start()
    wait_log(device, "check hub.trust")
    device.agent.stop()
    device.agent.env = {**device.agent.env, **system}
    device.agent.start()
    wait_online(device)
    device.agent.stop()
    (device.folder / "other.pem").write_bytes(Authority(device.folder, "Other").certificate.read_bytes())
    rewrite(device, 'trust = "system"', 'ca_file = "other.pem"')
    device.agent.start()
    wait_log(device, "check hub.ca_file")
