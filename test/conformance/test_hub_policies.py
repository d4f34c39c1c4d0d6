"""Shared access policies through an unmodified azure-iothub Registry (Node): what each policy's key may and may not."""
import base64
import hashlib
import hmac
import json
import subprocess
import time
import urllib.parse
from pathlib import Path

NODE = Path(__file__).parent / "node"


def connection(scene, policy, *words):
    return scene.service.cli("hub", "connection-string", "show", "--policy", policy, *words).stdout.strip()


def run(node, scene, text, device, *steps):
    """The steps' answers by name."""
    wish = {"connection": text, "port": scene.service.ports["api"], "ca": str(scene.service.ca), "device": device, "steps": steps}
    done = subprocess.run([node, NODE / "registry.mjs", json.dumps(wish)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = {answer["step"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert list(answers) == list(steps), done.stdout + done.stderr
    return answers


def refused(answer):
    return answer.get("error") == "UnauthorizedError"


def test_the_owner_key_lists_creates_reads_changes_and_deletes_devices(scene, node):
    text = connection(scene, "iothubowner")
    assert text.startswith("HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey="), text
    done = run(node, scene, text, "by-owner", "create", "list", "get", "update", "twin", "patch", "query", "statistics", "delete")
    assert all(answer.get("ok") for answer in done.values()), done
    assert "by-owner" in done["list"]["devices"] and done["get"]["device"] == "by-owner"
    assert done["update"]["status"] == "disabled"
    assert done["patch"]["tags"] == {"line": "a"}
    assert "by-owner" in done["query"]["devices"] and done["statistics"]["total"] >= 1
    gone = run(node, scene, text, "by-owner", "get")
    assert gone["get"]["error"] == "DeviceNotFoundError", gone


def test_a_registry_read_key_reads_and_may_not_create(scene, node):
    scene.service.cli("hub", "device-identity", "create", "-d", "read-only")
    done = run(node, scene, connection(scene, "registryRead"), "read-only", "list", "get", "statistics", "query", "create", "update", "patch", "delete")
    assert all(done[step].get("ok") for step in ("list", "get", "statistics", "query")), done
    assert all(refused(done[step]) for step in ("create", "update", "patch", "delete")), done
    assert "ErrorCode:IotHubUnauthorizedAccess" in str(done["create"]["body"]), done["create"]
    scene.service.cli("hub", "device-identity", "delete", "-d", "read-only", "-y")


def test_each_other_policy_opens_its_own_part(scene, node):
    writer = run(node, scene, connection(scene, "registryReadWrite"), "parts", "create", "get", "patch")
    assert writer["create"].get("ok") and writer["get"].get("ok") and refused(writer["patch"]), writer
    service = run(node, scene, connection(scene, "service", "--key", "secondary"), "parts", "twin", "patch", "query", "get", "delete")
    assert all(service[step].get("ok") for step in ("twin", "patch", "query")), service
    assert refused(service["get"]) and refused(service["delete"]), service
    device = run(node, scene, connection(scene, "device"), "parts", "list", "twin", "create")
    assert all(map(refused, device.values())), device
    scene.service.cli("hub", "device-identity", "delete", "-d", "parts", "-y")


def test_a_custom_policy_is_made_renewed_and_deleted_with_the_command_line(scene, node):
    scene.service.cli("hub", "policy", "create", "-n", "shop", "--rights", "RegistryRead,ServiceConnect")
    assert scene.service.json("hub", "policy", "show", "-n", "shop")["rights"] == ["RegistryRead", "ServiceConnect"]
    assert {"shop", "iothubowner"} <= {policy["name"] for policy in scene.service.json("hub", "policy", "list")}
    first, second = connection(scene, "shop"), connection(scene, "shop", "--key", "secondary")
    assert run(node, scene, first, "x", "list")["list"].get("ok")
    scene.service.cli("hub", "policy", "renew", "-n", "shop", "--key", "primary", "-y")
    assert refused(run(node, scene, first, "x", "list")["list"]), "the old key must be dead at once"
    assert run(node, scene, second, "x", "list")["list"].get("ok"), "the other key must go on"
    assert run(node, scene, connection(scene, "shop"), "x", "list")["list"].get("ok")
    scene.service.cli("hub", "policy", "delete", "-n", "shop", "-y")
    assert refused(run(node, scene, second, "x", "list")["list"])
    status, _, body = scene.rest("GET", "/godwit/v1/default/auditEvents")
    assert status == 200
    actions = [(event["action"], event["subject"]) for event in json.loads(body)["value"]]
    assert actions[:1] == [("policy.removed", "shop")] and ("policy.created", "iothubowner") in actions


def test_a_policy_survives_a_restart_and_opens_nothing_outside_the_hub(scene, node):
    text = connection(scene, "iothubowner")
    scene.service.stop()
    scene.service.start()
    assert connection(scene, "iothubowner") == text
    assert run(node, scene, text, "x", "list")["list"].get("ok")
    parts = dict(part.split("=", 1) for part in text.split(";"))
    expiry = int(time.time()) + 600
    signature = base64.b64encode(hmac.new(base64.b64decode(parts["SharedAccessKey"]), f"localhost\n{expiry}".encode(), hashlib.sha256).digest())
    token = f"SharedAccessSignature sr=localhost&sig={urllib.parse.quote(signature, safe='')}&se={expiry}&skn=iothubowner"
    own = {"Authorization": token}
    assert scene.rest("GET", "/devices?api-version=2021-04-12", headers=own, token="")[0] == 200
    for path in ("/godwit/v1/default/hub/policies", "/godwit/v1/default/status", "/deviceUpdate/default/updates?api-version=2022-10-01"):
        assert scene.rest("GET", path, headers=own, token="")[0] == 401, path


def test_the_connection_string_of_a_device_has_both_spellings(scene):
    scene.service.cli("hub", "device-identity", "create", "-d", "spelled")
    short = scene.service.cli("hub", "device-identity", "connection-string", "-d", "spelled").stdout
    assert short.startswith("HostName=localhost;DeviceId=spelled;SharedAccessKey=")
    assert scene.service.cli("hub", "device-identity", "connection-string", "show", "-d", "spelled").stdout == short
    scene.service.cli("hub", "device-identity", "delete", "-d", "spelled", "-y")
