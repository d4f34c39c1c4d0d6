"""An unmodified azure-iot-device client (Node) against the hub, and mosquitto's clients as raw peers."""
import json
import subprocess
import threading
from pathlib import Path

import pytest

from stack import wait_until

NODE = Path(__file__).parent / "node"


@pytest.fixture
def identity(scene):
    made = {}

    def make(name):
        scene.service.cli("hub", "device-identity", "create", "-d", name)
        device = scene.service.json("hub", "device-identity", "show", "-d", name)
        made[name] = device["authentication"]["symmetricKey"]["primaryKey"]
        return made[name]

    yield make
    for name in made:
        scene.service.cli("hub", "device-identity", "delete", "-d", name, "-y")


class SdkClient:
    """The Node script as a process whose JSON lines can be waited for."""

    def __init__(self, node, scene, **wish):
        wish = {"host": f"localhost:{scene.service.ports['hub']}", "hub": "localhost", "ca": str(scene.service.ca), **wish}
        self.log = scene.folder / f"sdk-{wish['device']}.log"
        with open(self.log, "wb") as out:
            self.child = subprocess.Popen([node, NODE / "device.mjs", json.dumps(wish)], stdout=out, stderr=subprocess.STDOUT, cwd=NODE)

    def events(self):
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def wait_event(self, name, timeout=60):
        def seen():
            found = [e for e in self.events() if e["event"] == name]
            if not found and self.child.poll() is not None:
                raise AssertionError(f"the client ended with {self.child.returncode} before '{name}':\n{self.log.read_text()}")
            return found

        return wait_until(f"event {name}\n{self.log.read_text()}", seen, timeout)[-1]

    def wait_end(self, timeout=60):
        code = self.child.wait(timeout)
        return code, self.log.read_text()


def desired(scene, device, value):
    scene.service.cli("hub", "device-twin", "update", "-d", device, "--desired", json.dumps({"ping": value}))


def test_the_device_sdk_gets_and_patches_its_twin_and_receives_a_desired_patch(scene, node, identity):
    key = identity("node-1")
    client = SdkClient(node, scene, device="node-1", key=key)
    client.wait_event("ready")
    desired(scene, "node-1", 1)
    code, log = client.wait_end()
    assert code == 0, log
    twin = scene.service.json("hub", "device-twin", "show", "-d", "node-1")
    assert twin["properties"]["reported"]["conformance"]["client"] == "azure-iot-device"


def test_the_device_sdk_survives_a_renewal_of_its_token_and_still_hears_desired_patches(scene, node, identity):
    # The SDK does not subscribe again after a renewal: the hub must remember the subscriptions of a persistent session.
    key = identity("node-2")
    client = SdkClient(node, scene, device="node-2", key=key, sasSeconds=12, waitForRenewal=True)
    client.wait_event("ready")
    desired(scene, "node-2", 1)
    client.wait_event("ready-again", 90)
    desired(scene, "node-2", 2)
    code, log = client.wait_end()
    assert code == 0, log
    assert any(e["event"] == "sas-renewed" for e in client.events()), log


def test_the_device_sdk_is_told_that_a_key_is_wrong(scene, node, identity):
    identity("node-3")
    client = SdkClient(node, scene, device="node-3", key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    code, log = client.wait_end()
    assert code == 1
    assert "uthorized" in log, log


def sas(scope, key, seconds=3600):
    import base64
    import hashlib
    import hmac
    import time
    import urllib.parse
    expiry = int(time.time()) + seconds
    quoted = urllib.parse.quote(scope, safe="")
    signature = base64.b64encode(hmac.new(base64.b64decode(key), f"{quoted}\n{expiry}".encode(), hashlib.sha256).digest())
    return f"SharedAccessSignature sr={quoted}&sig={urllib.parse.quote(signature, safe='')}&se={expiry}"


def mosquitto(program, scene, device, key, *words, timeout=30):
    return subprocess.run([program, "-h", "localhost", "-p", str(scene.service.ports["hub"]), "--cafile", scene.service.ca, "-V", "mqttv311", "-i", device,
                           "-u", f"localhost/{device}/?api-version=2021-04-12", "-P", sas(f"localhost/devices/{device}", key), *words],
                          capture_output=True, text=True, timeout=timeout)


def test_mosquitto_receives_a_desired_patch_by_its_raw_topic(scene, identity):
    key = identity("raw-1")
    heard = []
    listener = threading.Thread(target=lambda: heard.append(
        mosquitto("mosquitto_sub", scene, "raw-1", key, "-t", "$iothub/twin/PATCH/properties/desired/#", "-C", "1", "-W", "20", "-F", "%t %p")))
    listener.start()
    wait_until("the peer is connected", lambda: scene.service.json("hub", "device-twin", "show", "-d", "raw-1")["connectionState"] == "Connected", 15)
    desired(scene, "raw-1", 7)
    listener.join(30)
    assert heard and heard[0].returncode == 0, heard
    topic, body = heard[0].stdout.strip().split(" ", 1)
    assert topic.startswith("$iothub/twin/PATCH/properties/desired/?$version=")
    assert json.loads(body) == {"ping": 7, "$version": int(topic.rsplit("=", 1)[1])}


def test_mosquitto_with_a_foreign_topic_is_disconnected(scene, identity):
    key = identity("raw-2")
    done = mosquitto("mosquitto_pub", scene, "raw-2", key, "-q", "1", "-t", "devices/raw-1/messages/events/", "-m", "not mine")
    assert done.returncode != 0 or "disconnect" in done.stderr.lower() or "connection" in done.stderr.lower(), done
