"""The genuine Python client of Device Update (Debian's python3-azure) against the service, unmodified, over TLS."""
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "build" / "tools" / "python-azure"))

from azure.core.credentials import AccessToken  # noqa: E402
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceNotFoundError  # noqa: E402
from azure.iot.deviceupdate import DeviceUpdateClient  # noqa: E402


class Token:
    def __init__(self, text):
        self.text = text

    def get_token(self, *scopes, **more):
        return AccessToken(self.text, int(time.time()) + 3600)


def client_for(scene, token=None):
    text = scene.service.token_file.read_text().strip() if token is None else token
    return DeviceUpdateClient(endpoint=f"localhost:{scene.service.ports['api']}", instance_id="default", credential=Token(text), connection_verify=str(scene.service.ca))


@pytest.fixture(scope="module")
def device(scene):
    return scene.device()


@pytest.fixture(scope="module")
def imported(scene, device):
    scene.import_update(scene.make_update(device, "1.0.0"))
    return device.model


def test_the_client_lists_and_reads_updates(scene, imported):
    client = client_for(scene)
    updates = list(client.device_update.list_updates())
    assert [u["updateId"]["version"] for u in updates if u["updateId"]["name"] == imported] == ["1.0.0"]
    update = client.device_update.get_update("Tests", imported, "1.0.0")
    assert update["manifestVersion"] == "5.0" and update["isDeployable"] is True
    assert update["etag"].startswith('"') and update["etag"].endswith('"')
    assert "Tests" in list(client.device_update.list_providers())
    assert imported in list(client.device_update.list_names("Tests"))
    assert list(client.device_update.list_versions("Tests", imported)) == ["1.0.0"]
    files = list(client.device_update.list_files("Tests", imported, "1.0.0"))
    assert len(files) == 2
    names = {client.device_update.get_file("Tests", imported, "1.0.0", f)["fileName"] for f in files}
    assert names == {"run.sh", "payload.bin"}


def test_the_client_creates_a_deployment_and_reads_its_status_to_the_end(scene, device, imported):
    client = client_for(scene)
    body = {"deploymentId": "from-python", "groupId": device.group, "startDateTime": datetime.now(timezone.utc).isoformat(),
            "update": {"updateId": {"provider": "Tests", "name": imported, "version": "1.0.0"}}}
    made = client.device_management.create_or_update_deployment(device.group, "from-python", body)
    assert made["deploymentId"] == "from-python" and len(made["deviceClassSubgroups"]) == 1
    assert client.device_management.get_deployment(device.group, "from-python")["groupId"] == device.group
    scene.wait_state(device, "from-python", "Succeeded")
    status = client.device_management.get_deployment_status(device.group, "from-python")
    assert status["deploymentState"] == "Active"
    assert status["subgroupStatus"][0]["devicesCompletedSucceededCount"] == 1
    states = list(client.device_management.list_device_states_for_device_class_subgroup_deployment(device.group, made["deviceClassSubgroups"][0], "from-python"))
    assert [(s["deviceId"], s["deviceState"]) for s in states] == [(device.id, "Succeeded")]
    seen = client.device_management.get_device(device.id)
    assert seen["installedUpdate"]["updateId"]["version"] == "1.0.0" and seen["onLatestUpdate"] is True
    assert seen["lastInstallResult"]["resultCode"] == 700
    assert client.device_management.get_update_compliance_for_group(device.group)["onLatestUpdateDeviceCount"] == 1


def test_the_client_sees_the_default_group_first(scene, device):
    groups = [g["groupId"] for g in client_for(scene).device_management.list_groups()]
    assert groups[0] == "$default" and device.group in groups


def test_the_client_raises_its_own_classes(scene, device, imported):
    client = client_for(scene)
    with pytest.raises(ResourceNotFoundError):
        client.device_update.get_update("Tests", imported, "9.9.9")
    with pytest.raises(ResourceNotFoundError):
        list(client.device_update.list_names("Nobody"))
    with pytest.raises(ClientAuthenticationError):
        list(client_for(scene, "wrong").device_update.list_updates())
    with pytest.raises(HttpResponseError) as refused:
        list(client.device_update.list_updates(filter="color eq 'red'"))
    assert refused.value.status_code == 400


def test_a_failed_import_reaches_the_client_with_code_and_inner_code(scene):
    client = client_for(scene)
    poller = client.device_update.begin_import_update([{"importManifest": {"url": "https://localhost:1/none.json", "sizeInBytes": 10, "hashes": {"sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}}}])
    with pytest.raises(HttpResponseError) as failed:
        poller.result(60)
    assert "CannotProcessImportManifest" in str(failed.value), failed.value


def test_the_client_collects_logs_of_devices(scene, device):
    client = client_for(scene)
    made = client.device_management.start_log_collection("from-python", {"deviceList": [{"deviceId": device.id}], "description": "by the client"})
    assert made["operationId"] == "from-python" and made["deviceList"] == [{"deviceId": device.id}]
    for _ in range(100):
        seen = client.device_management.get_log_collection("from-python")
        if seen["status"] in ("Succeeded", "Failed"):
            break
        time.sleep(0.2)
    assert seen["status"] == "Succeeded" and seen["description"] == "by the client"
    assert "from-python" in [c["operationId"] for c in client.device_management.list_log_collections()]
    detail = client.device_management.get_log_collection_detailed_status("from-python")
    assert [(d["deviceId"], d["status"], d["resultCode"]) for d in detail["deviceStatus"]] == [(device.id, "Succeeded", "200")]
    assert detail["deviceStatus"][0]["logLocation"]
    with pytest.raises(ResourceNotFoundError):
        client.device_management.get_log_collection("nobody")


@pytest.mark.parametrize("role, may_read_updates, may_read_groups, may_deploy", [
    ("administrator", True, True, True), ("reader", True, True, False), ("content-administrator", True, False, False),
    ("content-reader", True, False, False), ("deployments-administrator", True, True, True), ("deployments-reader", True, True, False)])
def test_each_role_may_what_its_name_says(scene, role, may_read_updates, may_read_groups, may_deploy):
    client = client_for(scene, scene.service.cli("token", "create", "--name", f"sdk-{role}", "--role", role).stdout.strip())

    def is_allowed(call):
        try:
            call()
        except HttpResponseError as error:
            if error.status_code == 403:
                assert role in str(error.error.message)
                return False
            assert error.status_code == 404, "it was let in, and there is no such group"
        return True

    assert is_allowed(lambda: list(client.device_update.list_updates())) == may_read_updates
    assert is_allowed(lambda: list(client.device_management.list_groups())) == may_read_groups
    body = {"deploymentId": "nothing", "groupId": "nowhere", "startDateTime": datetime.now(timezone.utc).isoformat(),
            "update": {"updateId": {"provider": "Tests", "name": "none", "version": "1.0"}}}
    assert is_allowed(lambda: client.device_management.create_or_update_deployment("nowhere", "nothing", body)) == may_deploy


def test_an_expired_or_revoked_token_is_an_authentication_error(scene):
    text = scene.service.cli("token", "create", "--name", "sdk-brief", "--role", "reader").stdout.strip()
    client = client_for(scene, text)
    list(client.device_update.list_providers())
    scene.service.cli("token", "revoke", "--name", "sdk-brief", "-y")
    with pytest.raises(ClientAuthenticationError):
        list(client.device_update.list_providers())


def test_the_client_waits_as_long_as_429_says_and_then_succeeds(binaries, tmp_path):
    from types import SimpleNamespace

    from scene import SANITIZER_ENV
    from stack import Service

    service = Service(tmp_path, binaries, env=SANITIZER_ENV)
    service.init()
    config = service.data / "godwit.toml"
    config.write_text(config.read_text().replace("reads = 60000", "reads = 60"))
    service.start()
    try:
        text = service.cli("token", "create", "--name", "busy", "--role", "reader").stdout.strip()
        client = client_for(SimpleNamespace(service=service), text)
        begin = time.monotonic()
        for _ in range(62):
            list(client.device_update.list_providers())
        assert time.monotonic() - begin > 1, "62 requests are more than a minute's 60"
    finally:
        service.stop()
