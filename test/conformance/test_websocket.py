"""MQTT over WebSocket on the HTTPS port, by clients that others wrote: the Node device SDK and npm's mqtt package."""
import errno
import json
import subprocess
import time

import pytest

from gate import Gate
from stack import wait_until
from test_device_sdk import NODE, SdkClient, desired, identity, sas  # noqa: F401 (identity is a fixture)


def test_the_device_sdk_over_websocket_gets_and_patches_its_twin_and_receives_a_desired_patch(scene, node, identity):  # noqa: F811
    key = identity("web-1")
    client = SdkClient(node, scene, device="web-1", key=key, host="localhost", webSocket=True, webSocketPort=scene.service.ports["api"])
    client.wait_event("ready")
    wait_until("the records know", lambda: scene.service.json("hub", "device-twin", "show", "-d", "web-1")["connectionState"] == "Connected", 10)
    desired(scene, "web-1", 1)
    code, log = client.wait_end()
    assert code == 0, log
    twin = scene.service.json("hub", "device-twin", "show", "-d", "web-1")
    assert twin["properties"]["reported"]["conformance"]["client"] == "azure-iot-device"


def test_the_device_sdk_over_websocket_survives_a_renewal_of_its_token(scene, node, identity):  # noqa: F811
    key = identity("web-2")
    client = SdkClient(node, scene, device="web-2", key=key, host="localhost", webSocket=True, webSocketPort=scene.service.ports["api"],
                       sasSeconds=12, waitForRenewal=True)
    client.wait_event("ready")
    desired(scene, "web-2", 1)
    client.wait_event("ready-again", 90)
    desired(scene, "web-2", 2)
    code, log = client.wait_end()
    assert code == 0, log
    assert any(e["event"] == "sas-renewed" for e in client.events()), log


def test_the_device_sdk_over_websocket_is_told_that_a_key_is_wrong(scene, node, identity):  # noqa: F811
    identity("web-3")
    client = SdkClient(node, scene, device="web-3", key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", host="localhost", webSocket=True,
                       webSocketPort=scene.service.ports["api"])
    code, log = client.wait_end()
    assert code == 1
    assert "uthorized" in log, log


@pytest.fixture
def port_443(scene):
    """Port 443 of this machine as a way to the service, as a load balancer in front of it would be."""
    deadline = time.monotonic() + 60
    while True:
        try:
            way = Gate(scene.service.ports["api"], door=443)
            break
        except PermissionError:
            pytest.skip("only root may listen on port 443")
        except OSError as problem:  # another test run on this machine
            if problem.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(1)
    yield
    way.close()


def test_the_device_sdk_finds_port_443_by_itself(scene, node, identity, port_443):  # noqa: F811
    key = identity("web-4")
    client = SdkClient(node, scene, device="web-4", key=key, host="localhost", webSocket=True)
    client.wait_event("ready")
    desired(scene, "web-4", 1)
    code, log = client.wait_end()
    assert code == 0, log


def test_the_mqtt_package_reads_its_twin_sends_telemetry_and_keeps_alive(scene, node, identity):  # noqa: F811
    key = identity("web-5")
    wish = {"url": f"wss://localhost:{scene.service.ports['api']}/$iothub/websocket?iothub-no-client-cert=true", "ca": str(scene.service.ca), "device": "web-5",
            "user": "localhost/web-5/?api-version=2021-04-12", "password": sas("localhost/devices/web-5", key)}
    done = subprocess.run([node, NODE / "mqtt-websocket.mjs", json.dumps(wish)], capture_output=True, text=True, timeout=90, cwd=NODE)
    assert done.returncode == 0, done.stdout + done.stderr
    events = {line["event"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert events["connected"]["code"] == 0
    assert events["twin"]["topic"] == "$iothub/twin/res/200/?$rid=1"
    assert set(events["twin"]["body"]) == {"desired", "reported"}
    wait_until("the device is seen to have left",
               lambda: scene.service.json("hub", "device-twin", "show", "-d", "web-5")["connectionState"] == "Disconnected", 15)
