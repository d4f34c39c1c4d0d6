"""The genuine Python client of Device Update and our own agent: a whole update. Check by check stand in test_deviceupdate_*.py, with devices of the test's own."""
import time
from types import SimpleNamespace

import pytest

from operators import client_for, deployment_body
from scene import SANITIZER_ENV
from stack import Service


@pytest.fixture(scope="module")
def device(scene):
    return scene.device()


def test_the_client_updates_a_real_device_and_reads_its_end(scene, device):
    scene.import_update(scene.make_update(device, "1.0.0"))
    management = client_for(scene).device_management
    made = management.create_or_update_deployment(device.group, "from-python", deployment_body(device.group, "from-python", device.model, "1.0.0", provider="Tests"))
    assert made["deploymentId"] == "from-python" and len(made["deviceClassSubgroups"]) == 1
    scene.wait_state(device, "from-python", "Succeeded")
    status = management.get_deployment_status(device.group, "from-python")
    assert status["deploymentState"] == "Active" and status["subgroupStatus"][0]["devicesCompletedSucceededCount"] == 1
    states = list(management.list_device_states_for_device_class_subgroup_deployment(device.group, made["deviceClassSubgroups"][0], "from-python"))
    assert [(s["deviceId"], s["deviceState"]) for s in states] == [(device.id, "Succeeded")]
    seen = management.get_device(device.id)
    assert seen["installedUpdate"]["updateId"]["version"] == "1.0.0" and seen["onLatestUpdate"] is True and seen["lastInstallResult"]["resultCode"] == 700
    assert management.get_update_compliance_for_group(device.group)["onLatestUpdateDeviceCount"] == 1
    assert scene.history(device) == ["installed 1.0.0", "applied 1.0.0"]


def test_the_client_waits_as_long_as_429_says_and_then_succeeds(binaries, tmp_path):
    """A token with 60 reads a minute: the client is told to wait, waits, and gets what it asked for."""
    service = Service(tmp_path, binaries, env=SANITIZER_ENV)
    service.init()
    config = service.data / "godwit.toml"
    config.write_text(config.read_text().replace("reads = 60000", "reads = 60"))
    service.start()
    try:
        client = client_for(SimpleNamespace(service=service), service.cli("token", "create", "--name", "busy", "--role", "reader").stdout.strip())
        begin = time.monotonic()
        for _ in range(62):
            list(client.device_update.list_providers())
        assert time.monotonic() - begin > 1, "62 requests are more than a minute's 60"
    finally:
        service.stop()
