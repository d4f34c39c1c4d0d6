"""Several instances in one service: the same device, update and group ids in both, real agents and unmodified clients on both, and
no credential, link or id of one that means anything in the other."""
from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import ssl
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from operators import NODE, client_for
from scene import SANITIZER_ENV, SCRIPT, Scene
from stack import Device, wait_until

API = "api-version=2022-10-01"
HUB_API = "api-version=2021-04-12"
OTHER, OTHER_HUB = "plant-b", "plant-b.example"


class OneOf:
    """A scene's service as operators and devices of one instance see it; quacks like Service for Device."""

    def __init__(self, scene: Scene, instance: str, hub: str, folder):
        self.scene, self.instance, self.hub, self.folder = scene, instance, hub, folder
        folder.mkdir()

    def __getattr__(self, name):
        return getattr(self.scene.service, name)

    def cli(self, *words, check=True):
        return self.scene.service.cli("--instance", self.instance, *words, check=check)

    def json(self, *words):
        return json.loads(self.cli(*words, "-o", "json").stdout)

    def device(self, name: str, model: str) -> Device:
        device = Device(self, name, self.folder / name, group="line-1", model=model, env=SANITIZER_ENV)
        device.root = device.folder / "root"
        device.root.mkdir(parents=True)
        device.set_up()
        config = device.folder / "agent.toml"
        config.write_text(config.read_text().replace('host = "localhost"', f'host = "localhost"\nname = "{self.hub}"'))
        device.start()
        return device

    def update(self, device: Device, version: str, words: str) -> None:
        folder = self.folder / f"update-{version}"
        folder.mkdir()
        (folder / "run.sh").write_text(SCRIPT)
        (folder / "payload.bin").write_text(words)
        properties = {"scriptFileName": "run.sh", "apiVersion": "1.1", "installedCriteria": version, "arguments": f"--root {device.root}"}
        self.cli("update", "init", "v5", "--update-provider", "Tests", "--update-name", "Loom", "--update-version", version, "--folder", folder,
                 "--compat", "manufacturer=Contoso", f"model={device.model}", "--step", "handler=microsoft/script:1", "properties=" + json.dumps(properties),
                 "--file", f"path={folder / 'run.sh'}", "--file", f"path={folder / 'payload.bin'}")
        self.cli("update", "import", "--manifest", next(folder.glob("*.importmanifest.json")))

    def deploy(self, version: str, deployment: str) -> None:
        self.cli("device", "deployment", "create", "--group-id", "line-1", "--deployment-id", deployment, "--update-provider", "Tests", "--update-name", "Loom",
                 "--update-version", version)

    def key(self, device: str) -> str:
        return self.json("hub", "device-identity", "show", "-d", device)["authentication"]["symmetricKey"]["primaryKey"]


@pytest.fixture(scope="module")
def both(binaries, tmp_path_factory):
    """(first, other): a service with two instances."""
    scene = Scene(tmp_path_factory.mktemp("instances"), binaries)
    scene.service.init()
    made = subprocess.run([binaries / "godwitd", "instance", "create", OTHER, "--hub-name", OTHER_HUB, "--data", scene.service.data], capture_output=True, text=True,
                          env={**os.environ, **SANITIZER_ENV})
    assert made.returncode == 0 and "after the next start" in made.stdout, made.stderr
    scene.service.start()
    yield OneOf(scene, "default", "godwit.local", scene.folder / "first"), OneOf(scene, OTHER, OTHER_HUB, scene.folder / "other")
    scene.end()


@pytest.fixture(scope="module")
def devices(both):
    """The same device id in both instances, with agents."""
    made = [one.device("loom-1", f"Loom{number}") for number, one in enumerate(both)]
    yield made
    for device in made:
        device.stop()


def listed(one):
    return {d["deviceId"]: d for d in one.json("device", "list")}


def test_the_same_ids_live_apart_in_both(both, devices):
    for one, device in zip(both, devices):
        wait_until(f"{one.instance} lists its device", lambda: listed(one).get("loom-1", {}).get("groupId") == "line-1", 60)
        one.update(device, "1.0.0", f"for {one.instance}")
    first, other = both
    first.deploy("1.0.0", "monday")
    wait_until("the first one's device is updated", lambda: listed(first)["loom-1"].get("installedUpdate"), 90)
    assert listed(other)["loom-1"].get("installedUpdate") is None, "the other instance's device was not touched"
    other.deploy("1.0.0", "monday")
    wait_until("the other one's device is updated", lambda: listed(other)["loom-1"].get("installedUpdate"), 90)
    assert all((device.root / "history").read_text().splitlines() == ["installed 1.0.0", "applied 1.0.0"] for device in devices)
    # Deleting in one leaves the other.
    first.cli("device", "deployment", "cancel", "--group-id", "line-1", "--deployment-id", "monday")
    first.cli("device", "deployment", "delete", "--group-id", "line-1", "--deployment-id", "monday", "-y")
    first.cli("update", "delete", "--update-provider", "Tests", "--update-name", "Loom", "--update-version", "1.0.0", "-y")
    assert first.json("update", "list") == [] and len(other.json("update", "list")) == 1
    assert [d["deploymentId"] for d in other.json("device", "deployment", "list", "--group-id", "line-1")] == ["monday"]


def sas(scope: str, key: str) -> str:
    quoted, expiry = urllib.parse.quote(scope, safe=""), int(time.time()) + 600
    signature = base64.b64encode(hmac.new(base64.b64decode(key), f"{quoted}\n{expiry}".encode(), hashlib.sha256).digest()).decode()
    return f"SharedAccessSignature sr={quoted}&sig={urllib.parse.quote(signature, safe='')}&se={expiry}"


def connect(scene, hub: str, device: str, scope: str, key: str) -> subprocess.CompletedProcess:
    """mosquitto asks for the twin: 0 when it was let in."""
    return subprocess.run(["mosquitto_sub", "-h", "localhost", "-p", str(scene.service.ports["hub"]), "--cafile", scene.service.ca, "-V", "mqttv311", "-i", device,
                           "-u", f"{hub}/{device}/?{HUB_API}", "-P", sas(f"{scope}/devices/{device}", key), "-t", "$iothub/twin/res/#", "-W", "2"],
                          capture_output=True, text=True, timeout=30)


def test_mqtt_credentials_open_their_own_hub_only(both):
    first, other = both
    for one in both:
        one.cli("hub", "device-identity", "create", "-d", "probe")
    keys = {one.instance: one.key("probe") for one in both}
    assert keys["default"] != keys[OTHER]
    refused = re.compile("not authori[sz]ed|Connection Refused", re.I)
    for one in both:
        good = connect(one.scene, one.hub, "probe", one.hub, keys[one.instance])
        assert not refused.search(good.stderr), good.stderr
    for hub, scope, key in ((OTHER_HUB, OTHER_HUB, keys["default"]), ("godwit.local", "godwit.local", keys[OTHER]), (OTHER_HUB, "godwit.local", keys["default"]),
                            (OTHER_HUB, "godwit.local", keys[OTHER]), ("plant-c.example", "plant-c.example", keys[OTHER])):
        bad = connect(first.scene, hub, "probe", scope, key)
        assert refused.search(bad.stderr), (hub, scope, bad.stderr)


def test_the_node_client_speaks_to_the_other_hub_by_both_transports(both, npm_clients):
    _, other = both
    for number, transport in enumerate(({}, {"webSocket": True, "webSocketPort": other.ports["api"]})):
        name = f"sdk-{number}"
        other.cli("hub", "device-identity", "create", "-d", name)
        host = "localhost" if transport else f"localhost:{other.ports['hub']}"
        wish = {"host": host, "hub": OTHER_HUB, "device": name, "key": other.key(name), "ca": str(other.ca), **transport}
        running = subprocess.Popen(["node", NODE / "device.mjs", json.dumps(wish)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=NODE,
                                   env={**os.environ, "NODE_EXTRA_CA_CERTS": str(other.ca)})
        seen = ""
        while '"ready"' not in seen:
            line = running.stdout.readline()
            assert line, seen
            seen += line
        wait_until("the state is written", lambda: other.json("hub", "device-twin", "show", "-d", name)["connectionState"] == "Connected", 15)
        other.cli("hub", "device-twin", "update", "-d", name, "--desired", json.dumps({"ping": 1}))
        out, _ = running.communicate(timeout=60)
        assert running.returncode == 0, out


def rest(scene, method, path, token=None, body=None, headers=None):
    return scene.rest(method, path, body, headers, token)


def test_rest_tokens_open_what_they_are_for(both):
    first, other = both
    scene = first.scene
    made = other.json("token", "create", "--name", "b-admin", "--role", "administrator")
    token = made["token"]
    assert rest(scene, "GET", f"/deviceUpdate/{OTHER}/updates?{API}", token)[0] == 200
    status, _, body = rest(scene, "GET", f"/deviceUpdate/default/updates?{API}", token)
    assert status == 401, body
    assert rest(scene, "GET", f"/devices/probe?{HUB_API}", token)[0] == 401, "the first instance's hub"
    assert rest(scene, "GET", f"/devices/probe?{HUB_API}", token, None, {"Host": OTHER_HUB})[0] == 200
    assert rest(scene, "GET", f"/devices/probe?{HUB_API}", token, None, {"X-Godwit-Instance": OTHER})[0] == 200
    assert rest(scene, "GET", f"/devices/probe?{HUB_API}", None, None, {"X-Godwit-Instance": OTHER})[0] == 200, "who runs the service opens all"
    bound = first.json("token", "create", "--name", "only-first", "--role", "administrator", "--only-this-instance")["token"]
    assert rest(scene, "GET", f"/deviceUpdate/default/updates?{API}", bound)[0] == 200
    assert rest(scene, "GET", f"/deviceUpdate/{OTHER}/updates?{API}", bound)[0] == 403
    status, _, body = rest(scene, "GET", f"/deviceUpdate/plant-z/updates?{API}")
    assert status == 404 and b"plant-z" in body
    names = lambda one: {t["name"] for t in one.json("token", "list")}
    assert "b-admin" in names(other) and "b-admin" not in names(first)
    other.cli("token", "revoke", "--name", "b-admin", "-y")
    assert rest(scene, "GET", f"/deviceUpdate/{OTHER}/updates?{API}", token)[0] == 401, "revoked at once"


def test_the_genuine_operator_client_sees_its_own_instance(both):
    first, other = both
    seen = {one.instance: {d["deviceId"] for d in client_for(first.scene, instance=one.instance).device_management.list_devices()} for one in both}
    assert "loom-1" in seen["default"] and "loom-1" in seen[OTHER]
    first.cli("hub", "device-identity", "create", "-d", "first-only")
    assert rest(first.scene, "GET", f"/devices/first-only?{HUB_API}")[0] == 200
    assert rest(first.scene, "GET", f"/devices/first-only?{HUB_API}", None, None, {"X-Godwit-Instance": OTHER})[0] == 404


def test_policies_of_one_hub_sign_nothing_for_the_other(both):
    first, other = both
    strings = {one.instance: one.cli("hub", "connection-string", "show").stdout.strip() for one in both}
    parts = {name: dict(p.split("=", 1) for p in text.split(";")) for name, text in strings.items()}
    assert parts[OTHER]["HostName"].split(":")[0] == OTHER_HUB, strings[OTHER]

    def token(instance, scope):
        quoted, expiry = urllib.parse.quote(scope, safe=""), int(time.time()) + 600
        signature = base64.b64encode(hmac.new(base64.b64decode(parts[instance]["SharedAccessKey"]), f"{quoted}\n{expiry}".encode(), hashlib.sha256).digest()).decode()
        return f"SharedAccessSignature sr={quoted}&sig={urllib.parse.quote(signature, safe='')}&se={expiry}&skn={parts[instance]['SharedAccessKeyName']}"

    def get(host, authorization):
        return rest(first.scene, "GET", f"/devices/probe?{HUB_API}", "", None, {"Host": host, "Authorization": authorization})[0]

    assert get(OTHER_HUB, token(OTHER, OTHER_HUB)) == 200
    assert get("godwit.local", token("default", "godwit.local")) == 200
    assert get(OTHER_HUB, token("default", OTHER_HUB)) == 401
    assert get("godwit.local", token(OTHER, "godwit.local")) == 401
    assert get("godwit.local", token(OTHER, OTHER_HUB)) == 401


def test_links_of_one_open_nothing_in_the_other(both, devices):
    first, other = both
    other.update(devices[1], "1.1.0", "a payload of the other")
    other.deploy("1.1.0", "tuesday")
    wait_until("updated", lambda: (listed(other)["loom-1"].get("installedUpdate") or {}).get("updateId", {}).get("version") == "1.1.0", 90)
    desired = other.json("hub", "device-twin", "show", "-d", "loom-1")["properties"]["desired"]["deviceUpdate"]["service"]
    link = next(iter(u for u in desired["fileUrls"].values() if u and "payload.bin" in u))
    assert f"/i/{OTHER}/download/" in link and f"/i/{OTHER}/rootkeys/" in desired["rootKeyPackageUrl"]

    def fetch(url):
        try:
            with urllib.request.urlopen(url, context=ssl.create_default_context(cafile=str(first.ca)), timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()

    assert fetch(link) == (200, b"a payload of the other")
    assert fetch(link.replace(f"/i/{OTHER}", ""))[0] == 403
    assert fetch(link.replace(f"/i/{OTHER}", "/i/plant-z"))[0] == 404
    digest = re.search("/download/([0-9a-f]{64})/", link).group(1)
    assert rest(first.scene, "GET", f"/godwit/v1/default/blobs/{digest}?{API}")[0] == 404, "payloads are not shared"
    assert rest(first.scene, "GET", f"/godwit/v1/{OTHER}/blobs/{digest}?{API}")[0] == 200


def test_provisioning_goes_by_id_scope(both):
    first, other = both
    scopes = {one.instance: one.json("dps", "show")["idScope"] for one in both}
    assert scopes["default"] != scopes[OTHER]
    other.cli("dps", "enrollment-group", "create", "--eid", "looms")
    assert [g["enrollmentGroupId"] for g in other.json("dps", "enrollment-group", "list")] == ["looms"]
    assert [g["enrollmentGroupId"] for g in first.json("dps", "enrollment-group", "list")] == ["devices"], "what init made"
    group = other.json("dps", "enrollment-group", "show", "--eid", "looms", "--show-keys")["attestation"]["symmetricKey"]["primaryKey"]
    key = base64.b64encode(hmac.new(base64.b64decode(group), b"new-loom", hashlib.sha256).digest()).decode()

    def register(scope):
        return subprocess.run(["mosquitto_sub", "-h", "localhost", "-p", str(first.ports["hub"]), "--cafile", first.ca, "-V", "mqttv311", "-i", "new-loom",
                               "-u", f"{scope}/registrations/new-loom/api-version=2019-03-31", "-P", sas(f"{scope}/registrations/new-loom", key) + "&skn=registration",
                               "-t", "$dps/registrations/res/#", "-W", "2"], capture_output=True, text=True, timeout=30)

    assert not re.search("refused|authori", register(scopes[OTHER]).stderr, re.I)
    assert re.search("refused|authori", register(scopes["default"]).stderr, re.I)


def test_logs_are_collected_into_their_own_instance(both, devices):
    _, other = both
    other.cli("device", "log", "collect", "--log-collection-id", "from-b", "--agent-id", "deviceId=loom-1")
    wait_until("the logs are there", lambda: other.json("device", "log", "show", "--log-collection-id", "from-b")["status"] == "Succeeded", 60)
    assert rest(other.scene, "GET", f"/deviceUpdate/default/management/deviceDiagnostics/logCollections/from-b?{API}")[0] == 404


def test_figures_and_readiness_cover_both(both):
    first, other = both
    text = rest(first.scene, "GET", "/metrics")[2].decode()
    own = rest(first.scene, "GET", f"/i/{OTHER}/metrics")[2].decode()
    assert "process_resident_memory_bytes" in text and "process_resident_memory_bytes" not in own
    assert "godwit_hub_connects_total" in own or "godwit_hub_connects" in own
    assert rest(first.scene, "GET", "/readyz")[0] == 200


def test_a_kill_and_a_restart_keep_both(both, devices):
    first, other = both
    service = first.scene.service
    service.kill()
    service.start()
    for one in both:
        wait_until(f"{one.instance}: the device is back", lambda: one.json("hub", "device-twin", "show", "-d", "loom-1")["connectionState"] == "Connected", 60)
    assert (listed(other)["loom-1"].get("installedUpdate") or {})["updateId"]["version"] == "1.1.0"
    refused = subprocess.run([service.binaries / "godwitd", "instance", "remove", OTHER, "--delete-everything", OTHER, "--data", service.data], capture_output=True,
                             text=True, env={**os.environ, **SANITIZER_ENV})
    assert refused.returncode == 1 and "stop godwitd first" in refused.stderr, refused.stderr
