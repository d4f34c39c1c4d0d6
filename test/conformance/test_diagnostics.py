"""Log collection with clients that others wrote: device and storage SDK on one side, the generated operators' client on the other."""
import json
import os
import subprocess
from pathlib import Path

from stack import wait_until

NODE = Path(__file__).parent / "node"


def agent(node, scene, name, outcome):
    """Registers a device and starts its agent; gives the process and a reader of its events."""
    service = scene.service
    service.cli("hub", "device-identity", "create", "-d", name)
    key = service.json("hub", "device-identity", "show", "-d", name)["authentication"]["symmetricKey"]["primaryKey"]
    wish = {"host": f"localhost:{service.ports['hub']}", "hub": "localhost", "ca": str(service.ca), "device": name, "key": key, "outcome": outcome}
    log = scene.folder / f"diagnostics-{name}.log"
    with open(log, "wb") as out:
        child = subprocess.Popen([node, NODE / "diagnostics.mjs", json.dumps(wish)], stdout=out, stderr=subprocess.STDOUT, cwd=NODE,
                                 env={**os.environ, "NODE_EXTRA_CA_CERTS": str(service.ca)})

    def events():
        return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]

    wait_until(f"{name} is ready", lambda: any(e["event"] == "ready" for e in events()), 60)
    return child, events, log


def test_foreign_agents_send_their_logs_and_the_operator_sees_them(scene, node, tmp_path):
    service = scene.service
    good, good_events, good_log = agent(node, scene, "sdk-good", 200)
    bad, _, _ = agent(node, scene, "sdk-bad", -1)
    service.cli("device", "log", "collect", "--log-collection-id", "sdk-1", "--agent-id", "deviceId=sdk-good", "--agent-id", "sdk-bad", "--description", "why it is slow")
    assert good.wait(60) == 0, good_log.read_text()
    assert bad.wait(60) == 0
    events = {e["event"]: e for e in good_events()}
    assert events["asked"] == {"event": "asked", "operationId": "sdk-1", "parameters": ["sv", "sr", "sp", "se", "sig"]}
    assert events["forged"] == {"event": "forged", "status": 403, "code": "AuthenticationFailed"}
    assert all(e["status"] == 201 and e["hasEtag"] and e["hasDate"] for e in good_events() if e["event"] == "uploaded")

    detail = service.json("device", "log", "show", "--log-collection-id", "sdk-1", "--detailed")
    by_device = {d["deviceId"]: d for d in detail["deviceStatus"]}
    assert detail["status"] == "Failed", "one of them had no logs"
    assert by_device["sdk-good"]["status"] == "Succeeded" and by_device["sdk-good"]["resultCode"] == "200"
    assert by_device["sdk-good"]["logLocation"]
    assert by_device["sdk-bad"]["status"] == "Failed" and by_device["sdk-bad"]["resultCode"] == "-1"
    service.cli("device", "log", "download", "--log-collection-id", "sdk-1", "--folder", tmp_path)
    assert (tmp_path / "sdk-good" / "sdk-1" / "adu" / "du-agent.log").read_text() == "first line\n" * 1000
    assert (tmp_path / "sdk-good" / "sdk-1" / "adu" / "with blank.log").read_text() == "second"
