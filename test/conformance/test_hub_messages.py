"""Methods, messages, telemetry and bulk changes between unmodified clients: azure-iot-device and azure-iothub (Node)."""
import http.server
import json
import ssl
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest

from stack import Service, wait_until

NODE = Path(__file__).parent / "node"


class SdkDevice:
    """device-messages.mjs as a process whose JSON lines can be waited for."""

    def __init__(self, node, service, folder, name):
        service.cli("hub", "device-identity", "create", "-d", name)
        key = service.json("hub", "device-identity", "show", "-d", name)["authentication"]["symmetricKey"]["primaryKey"]
        self.name, self.log = name, folder / f"sdk-{name}.log"
        self.wish = {"host": f"localhost:{service.ports['hub']}", "hub": "localhost", "ca": str(service.ca), "device": name, "key": key}
        self.node = node
        self.start()

    def start(self):
        with open(self.log, "wb") as out:
            self.child = subprocess.Popen([self.node, NODE / "device-messages.mjs", json.dumps(self.wish)], stdout=out, stderr=subprocess.STDOUT, cwd=NODE)
        self.wait_events("ready", 1)

    def events(self, name):
        return [e for e in (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")) if e["event"] == name]

    def wait_events(self, name, count, timeout=60):
        def seen():
            found = self.events(name)
            if len(found) < count and self.child.poll() is not None:
                raise AssertionError(f"the client ended with {self.child.returncode}:\n{self.log.read_text()}")
            return found if len(found) >= count else None

        return wait_until(f"{count} events {name}\n{self.log.read_text()}", seen, timeout)

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()


@pytest.fixture
def device(node, scene, request):
    made = SdkDevice(node, scene.service, scene.folder, "sdk-" + request.node.name.replace("_", "-")[5:60])
    yield made
    made.stop()


def steps(node, service, *wishes):
    wish = {"hub": "localhost", "port": service.ports["api"], "ca": str(service.ca), "token": service.token_file.read_text().strip(), "steps": wishes}
    done = subprocess.run([node, NODE / "service-messages.mjs", json.dumps(wish)], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(wishes), done.stdout + done.stderr
    return answers


def get(service, path):
    request = urllib.request.Request(service.url + path, headers={"Authorization": f"Bearer {service.token_file.read_text().strip()}"})
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=str(service.ca)), timeout=60) as answer:
        return json.loads(answer.read())


def test_a_method_is_invoked_and_answered(node, scene, device):
    [answer] = steps(node, scene.service, {"do": "invoke", "device": device.name, "params": {"methodName": "echo", "payload": {"deep": [1, "two"]}, "responseTimeoutInSeconds": 20}})
    assert answer["result"] == {"status": 207, "payload": {"echo": {"deep": [1, "two"]}}}, answer
    assert device.wait_events("method", 1)[0]["payload"] == {"deep": [1, "two"]}
    by_cli = scene.service.json("hub", "invoke-device-method", "-d", device.name, "--mn", "echo", "--mp", '"hi"')
    assert by_cli == {"status": 207, "payload": {"echo": "hi"}}


def test_a_device_that_does_not_answer_or_is_away_raises_the_clients_own_errors(node, scene, device):
    scene.service.cli("hub", "device-identity", "create", "-d", "never-there")
    slow, away, nobody = steps(node, scene.service,
                               {"do": "invoke", "device": device.name, "params": {"methodName": "slow", "responseTimeoutInSeconds": 5}},
                               {"do": "invoke", "device": "never-there", "params": {"methodName": "echo"}},
                               {"do": "invoke", "device": "not-registered", "params": {"methodName": "echo"}})
    assert slow["error"] == "GatewayTimeoutError" and slow["status"] == 504, slow
    assert away["status"] == 404 and "404103" in str(away["body"]), away
    assert nobody["error"] == "DeviceNotFoundError", nobody
    failed = scene.service.cli("hub", "invoke-device-method", "-d", "never-there", "--mn", "echo", check=False)
    assert failed.returncode == 1 and "DeviceNotOnline" in failed.stderr, failed.stderr


def test_a_call_waits_for_a_device_that_connects_in_time(node, scene):
    first = SdkDevice(node, scene.service, scene.folder, "late-comer")
    first.stop()
    answers = []
    caller = threading.Thread(target=lambda: answers.extend(steps(node, scene.service, {
        "do": "invoke", "device": "late-comer", "params": {"methodName": "echo", "payload": 1, "connectTimeoutInSeconds": 60, "responseTimeoutInSeconds": 30}})))
    caller.start()
    first.start()
    caller.join(120)
    first.stop()
    assert answers and answers[0]["result"] == {"status": 207, "payload": {"echo": 1}}, answers


def test_messages_reach_the_device_client_and_are_completed(node, scene, device):
    scene.service.cli("device", "c2d-message", "send", "-d", device.name, "--data", "one", "--mid", "m1", "--ct", "text/plain", "-p", "room=a b/c", "-p", "empty=", "--ack", "full")
    scene.service.cli("device", "c2d-message", "send", "-d", device.name, "--data", "two")
    first, second = device.wait_events("message", 2)[:2]
    assert first["data"] == "one" and first["messageId"] == "m1" and first["contentType"] == "text/plain", first
    assert first["to"] == f"/devices/{device.name}/messages/devicebound", first
    assert first["properties"]["room"] == "a b/c" and first["properties"]["empty"] == "", first
    assert second["data"] == "two"
    wait_until("both are completed", lambda: scene.service.json("hub", "device-twin", "show", "-d", device.name)["cloudToDeviceMessageCount"] == 0, 20)
    feedback = get(scene.service, "/messages/serviceBound/feedback?api-version=2021-04-12")
    assert [(f["originalMessageId"], f["statusCode"]) for f in feedback if f["deviceId"] == device.name] == [("m1", "Success")], feedback


def test_messages_wait_for_an_absent_device_and_survive_a_killed_service(node, scene):
    device = SdkDevice(node, scene.service, scene.folder, "sleeper")
    device.wait_events("ready", 1)
    device.stop()
    for number in range(3):
        scene.service.cli("device", "c2d-message", "send", "-d", "sleeper", "--data", str(number))
    scene.service.kill()
    scene.service.start()
    assert scene.service.json("hub", "device-twin", "show", "-d", "sleeper")["cloudToDeviceMessageCount"] == 3
    device.wish["host"] = f"localhost:{scene.service.ports['hub']}"
    device.start()
    assert [m["data"] for m in device.wait_events("message", 3)] == ["0", "1", "2"]
    wait_until("all are completed", lambda: scene.service.json("hub", "device-twin", "show", "-d", "sleeper")["cloudToDeviceMessageCount"] == 0, 20)
    device.stop()
    scene.service.cli("device", "c2d-message", "send", "-d", "sleeper", "--data", "never read")
    assert "purged 1 " in scene.service.cli("device", "c2d-message", "purge", "-d", "sleeper").stdout


def test_telemetry_is_streamed_to_whoever_listens(node, scene, device):
    heard = []
    monitor = threading.Thread(target=lambda: heard.append(scene.service.cli("hub", "monitor-events", "-d", device.name, "--mc", "1", "-t", "40", "-o", "json")))
    monitor.start()
    wait_until("somebody listens", lambda: get(scene.service, "/godwit/v1/default/hub/counters")["telemetryStream"]["readers"] > 0, 20)
    [said] = steps(node, scene.service, {"do": "invoke", "device": device.name, "params": {"methodName": "say", "payload": {"t": 21.5}}})
    assert said["result"]["status"] == 200, said
    monitor.join(60)
    event = json.loads(heard[0].stdout)
    assert event["deviceId"] == device.name and event["body"] == {"t": 21.5}, event
    assert event["properties"] == {"room": "a b"} and event["systemProperties"]["messageId"] == "said", event
    assert get(scene.service, "/godwit/v1/default/hub/counters")["telemetry"] >= 1


def test_bulk_changes_of_the_registry_client(node, scene):
    ids = [f"bulk-{i}" for i in range(100)]
    added, again, changed, removed = steps(node, scene.service,
                                           {"do": "add", "devices": ids}, {"do": "add", "devices": ids[:1]},
                                           {"do": "update", "devices": ids, "status": "disabled"}, {"do": "remove", "devices": ids[1:]})
    assert added["result"] == {"isSuccessful": True, "errors": [], "warnings": []}, added
    assert again["error"] == "ArgumentError" and "DeviceAlreadyExists" in str(again["body"]), again
    assert changed["result"]["isSuccessful"] and removed["result"]["isSuccessful"], (changed, removed)
    assert scene.service.json("hub", "device-identity", "show", "-d", "bulk-0")["status"] == "disabled"
    names = [d["deviceId"] for d in scene.service.json("hub", "device-identity", "list")]
    assert [n for n in names if n.startswith("bulk-")] == ["bulk-0"]


def test_many_devices_are_tagged_by_one_command(node, scene, tmp_path):
    ids = [f"tagged-{i}" for i in range(100)]
    steps(node, scene.service, {"do": "add", "devices": ids})
    (tmp_path / "ids").write_text("\n".join(ids) + "\n")
    done = scene.service.cli("device", "tag", "--set", "ADUGroup=tagged", "--from-file", tmp_path / "ids")
    assert "tagged 100 devices" in done.stdout
    assert scene.service.json("hub", "device-twin", "show", "-d", "tagged-99")["tags"] == {"ADUGroup": "tagged"}
    failed = scene.service.cli("device", "tag", "--unset", "ADUGroup", "-d", "tagged-0", "-d", "nobody", check=False)
    assert failed.returncode == 1 and "tagged 1 device\n" in failed.stdout and "nobody" in failed.stdout, failed.stdout


def test_the_webhook_gets_batches_over_tls_and_what_was_missed_meanwhile(node, binaries, tmp_path):
    service = Service(tmp_path, binaries)
    service.init()
    heard, refuse = [], [2]

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if refuse[0] > 0:
                refuse[0] -= 1
                self.send_response(503)
            else:
                heard.append((self.headers["Authorization"], json.loads(body)))
                self.send_response(204)
            self.end_headers()

        def log_message(self, *words):
            pass

    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(service.data / "tls" / "server.pem", service.data / "tls" / "server-key.pem")
    receiver.socket = tls.wrap_socket(receiver.socket, server_side=True)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    (tmp_path / "token").write_text("secret-word\n")
    config = service.data / "godwit.toml"
    text = config.read_text()
    for key, value in (("webhook_url", f"https://localhost:{receiver.server_port}/in"), ("webhook_ca_file", service.ca), ("webhook_token_file", tmp_path / "token")):
        text = text.replace(f'{key} = ""', f'{key} = "{value}"')
    config.write_text(text)
    service.start()
    try:
        device = SdkDevice(node, service, tmp_path, "hooked")
        steps(node, service, {"do": "invoke", "device": "hooked", "params": {"methodName": "say", "payload": {"n": 1}}})
        wait_until("the receiver heard", lambda: heard, 30)
        device.stop()
        authorization, batch = heard[0]
        assert authorization == "Bearer secret-word"
        assert [event["body"] for event in batch] == [{"n": 1}] and batch[0]["deviceId"] == "hooked", batch
    finally:
        service.stop()
        receiver.shutdown()
