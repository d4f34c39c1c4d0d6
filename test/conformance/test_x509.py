"""An unmodified azure-iot-device client (Node) that proves itself by certificate: by thumbprint, and by an authority of the hub."""
import json
import subprocess

import pytest

from certificates import Authority
from stack import wait_until
from test_device_sdk import NODE


@pytest.fixture
def identity(scene):
    made = []

    def make(name, authentication):
        status, _, body = scene.rest("PUT", f"/devices/{name}?api-version=2021-04-12", {"deviceId": name, "authentication": authentication})
        assert status == 200, body
        made.append(name)

    yield make
    for name in made:
        scene.service.cli("hub", "device-identity", "delete", "-d", name, "-y")


@pytest.fixture
def authority(scene, tmp_path):
    """An authority that the hub trusts under the name "plant"."""
    made = Authority(tmp_path, "Plant CA")
    scene.service.cli("hub", "certificate", "create", "--name", "plant", "--path", made.certificate)
    yield made
    scene.service.cli("hub", "certificate", "delete", "--name", "plant", "-y")


def start(node, scene, device, own, **more):
    wish = {"host": f"localhost:{scene.service.ports['hub']}", "hub": "localhost", "device": device, "cert": str(own.chain), "certKey": str(own.key), "ca": str(scene.service.ca), **more}
    return subprocess.Popen([node, NODE / "device_x509.mjs", json.dumps(wish)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=NODE)


def run(node, scene, device, own):
    client = start(node, scene, device, own)
    log, _ = client.communicate(timeout=60)
    return client.returncode, log


def test_a_device_comes_in_by_its_thumbprint(scene, node, identity, tmp_path):
    own = Authority(tmp_path, "Anybody").issue("whatever")
    other = Authority(tmp_path, "Anybody 2").issue("whatever")
    identity("thumb-1", {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": own.sha256.upper(), "secondaryThumbprint": ""}})
    code, log = run(node, scene, "thumb-1", own)
    assert code == 0, log
    twin = scene.service.json("hub", "device-twin", "show", "-d", "thumb-1")
    assert twin["properties"]["reported"]["conformance"]["client"] == "azure-iot-device x509"
    assert twin["authenticationType"] == "selfSigned"
    code, log = run(node, scene, "thumb-1", other)
    assert code == 1 and "uthorized" in log, log


def test_a_device_comes_in_by_its_authority_and_a_revocation_ends_it(scene, node, identity, authority, tmp_path):
    identity("plant-1", {"type": "certificateAuthority"})
    identity("plant-2", {"type": "certificateAuthority"})
    own = authority.issue("plant-1")
    assert run(node, scene, "plant-1", own)[0] == 0
    assert run(node, scene, "plant-1", authority.issue("plant-1"))[0] == 0, "a renewed certificate needs no change at the hub"
    code, log = run(node, scene, "plant-2", own)
    assert code == 1, log

    live = start(node, scene, "plant-1", own, waitForEnd=True)
    wait_until("the device is connected", lambda: scene.service.json("hub", "device-twin", "show", "-d", "plant-1")["connectionState"] == "Connected", 30)
    authority.revoke(own)
    scene.service.cli("hub", "certificate", "revoke-list", "--name", "plant", "--path", authority.revocation_list())
    wait_until("its connection ends", lambda: scene.service.json("hub", "device-twin", "show", "-d", "plant-1")["connectionState"] == "Disconnected", 30)
    live.kill()
    live.wait()
    code, log = run(node, scene, "plant-1", own)
    assert code == 1, log
    assert run(node, scene, "plant-2", authority.issue("plant-2"))[0] == 0


def test_a_device_behind_an_intermediate_sends_its_chain(scene, node, identity, authority):
    identity("deep-1", {"type": "certificateAuthority"})
    own = authority.intermediate("Line CA").issue("deep-1")
    code, log = run(node, scene, "deep-1", own)
    assert code == 0, log


def test_operators_are_not_asked_for_a_certificate(scene):
    """Browsers, curl and our programs offer a protocol by ALPN; devices that come by WebSocket offer none, and may show a certificate."""
    asked = subprocess.run(["openssl", "s_client", "-alpn", "http/1.1", "-connect", f"localhost:{scene.service.ports['api']}", "-CAfile", scene.service.ca],
                           input="", capture_output=True, text=True, timeout=20)
    assert "No client certificate CA names sent" in asked.stdout
    assert "Acceptable client certificate" not in asked.stdout and "Requested Signature Algorithms" not in asked.stdout, asked.stdout
    devices = subprocess.run(["openssl", "s_client", "-connect", f"localhost:{scene.service.ports['hub']}", "-CAfile", scene.service.ca], input="", capture_output=True, text=True, timeout=20)
    assert "Requested Signature Algorithms" in devices.stdout, devices.stdout
