"""godwit-fleet, the load program, against the real service: its figures are true and its ledger finds a loss."""
import json
import subprocess
from types import SimpleNamespace

import pytest

from stack import wait_until
from virtual_fleet import VirtualFleet, next_milestone, result_of

API = "api-version=2021-04-12"
COUNT = 50


@pytest.fixture(scope="module")
def fleet(scene):
    return VirtualFleet(scene, "virtual", COUNT)


def test_devices_connect_and_are_seen_as_connected(fleet, scene):
    child = fleet.start("connect", "--seconds", 0, "--steps", 10)
    first = next_milestone(child, "step")
    assert first["devices"] == 10
    next_milestone(child, "ready")

    def all_are_seen():  # the hub writes connections down in batches, a little later
        listed = scene.service.json("hub", "device-identity", "list")
        return sum(d["deviceId"] in fleet.ids and d["connectionState"] == "Connected" for d in listed) == COUNT

    wait_until("the operator sees all devices connected", all_are_seen, 20)
    child.terminate()
    output, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors
    figures = result_of(output)
    assert figures["connects"] == COUNT and figures["lost"] == 0 and figures["connection_errors"] == {}


def test_twin_reads_are_all_answered(fleet, scene):
    figures = fleet.figures("twins", "--seconds", 2, "--in-flight", 20, "--server-pid", scene.service.process.child.pid)
    assert figures["answered"] > 100 and figures["unanswered"] == 0 and figures["request_errors"] == {}
    assert 0 < figures["answer_ms"]["p50"] <= figures["answer_ms"]["p99"] <= figures["answer_ms"]["max"]
    assert figures["server_cpu_seconds"] > 0 and figures["server_resident_kib"] > 1000


def test_a_rate_is_kept(fleet):
    figures = fleet.figures("twins", "--seconds", 3, "--per-second", 50)
    assert 120 <= figures["answered"] <= 160


def test_every_acknowledged_patch_is_in_the_ledger_and_in_the_twin(fleet, scene, tmp_path):
    ledger = tmp_path / "ledger"
    figures = fleet.figures("reports", "--seconds", 2, "--in-flight", 25, "--ledger", ledger)
    assert figures["answered"] > 100 and figures["request_errors"] == {}
    lines = ledger.read_text().splitlines()
    assert len(lines) >= figures["answered"]
    last = {device: (int(sequence), int(version)) for device, sequence, version in map(str.split, lines)}
    assert fleet.figures("verify", "--ledger", ledger)["checked"] == len(last)
    for device in fleet.ids[:3]:
        status, _, body = scene.rest("GET", f"/twins/{device}?{API}")
        assert status == 200 and f'"sequence":{last[device][0]}'.encode() in body.replace(b" ", b"")


def test_a_promise_that_was_not_kept_is_found(fleet, tmp_path):
    ledger = tmp_path / "ledger"
    fleet.figures("reports", "--seconds", 1, "--in-flight", 10, "--ledger", ledger)
    device, sequence, version = ledger.read_text().splitlines()[-1].split()
    with open(ledger, "a") as out:
        out.write(f"{device} {int(sequence) + 1} {int(version) + 1}\n")
    done = fleet.run("verify", "--ledger", ledger)
    assert done.returncode == 1, done.stderr
    figures = result_of(done.stdout)
    assert figures["broken"] == 1
    assert figures["sentences"] == [f"{device}: patch {int(sequence) + 1} was acknowledged, the twin shows {sequence}"]


def test_desired_patches_arrive_at_every_device(fleet, scene):
    child = fleet.start("watch", "--seconds", 60, "--expect", 2)
    next_milestone(child, "ready")
    for value in (1, 2):
        for device in fleet.ids:
            status, _, body = scene.rest("PATCH", f"/twins/{device}?{API}", {"properties": {"desired": {"wanted": value}}})
            assert status == 200, body
    figures = next_milestone(child, "result")
    child.communicate(timeout=30)
    assert figures["done"] == COUNT and figures["arrived"] == 2 * COUNT and figures["out_of_order"] == 0
    assert 0 < figures["first_arrival_us"] < figures["last_arrival_us"]


def test_a_wrong_key_is_named_as_the_reason(scene, tmp_path):
    fleet = VirtualFleet(scene, "stranger", 2)
    fleet.keys.write_text("".join(f"{device} {'A' * 43}=\n" for device in fleet.ids))
    done = fleet.run("connect", "--seconds", 1, "--connect-seconds", 2, "--source", "127.77.0.1")
    assert done.returncode == 1
    assert "0 of 2 devices are ready" in done.stderr and "CONNACK 5" in done.stderr


def test_a_mistake_on_the_command_line_is_explained(fleet, tmp_path):
    done = fleet.run("reports", "--source", "10.0.0.1")
    assert done.returncode == 1 and "127.x.y.1" in done.stderr
    done = fleet.run("connect", "--devices", COUNT + 1)
    assert done.returncode == 1 and f"has {COUNT} devices" in done.stderr


SCENARIO = """seed = 11
time_limit = "3m"
[[class]]
name = "boiler"
count = 140
manufacturer = "Contoso"
model = "FleetBoiler"
tags = { ADUGroup = "fleet-boilers" }
[class.delay]
download = { min = "100ms", max = "1s" }
reboot = "1s"
[[class.failure]]
phase = "install"
share = 0.1
extended_code = "30500205"
[[class.failure]]
phase = "download"
count = 6
result_code = -1
[[class.restart]]
phase = "apply"
share = 0.2
[class.disconnect]
every = { min = "2s", max = "20s" }
lasts = "500ms"
[[class]]
name = "pump"
count = 60
manufacturer = "Contoso"
model = "FleetPump"
tags = { ADUGroup = "fleet-pumps" }
[[class.failure]]
phase = "apply"
count = 9
extended_code = "30000101"
"""


def test_a_scenario_ends_at_the_service_as_it_says(scene, tmp_path):
    """200 devices of two classes take an update each; what the service counts is what the scenario asked for."""
    (tmp_path / "rig.toml").write_text(SCENARIO)
    (tmp_path / "group.key").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")
    program = [str(scene.service.binaries / "godwit-fleet")]
    own = [str(tmp_path / "rig.toml"), "--group-key-file", str(tmp_path / "group.key")]
    printed = subprocess.run([*program, "devices", *own], capture_output=True, text=True, check=True)
    devices = [json.loads(line) for line in printed.stdout.splitlines()]
    assert len(devices) == 200
    for at in range(0, 200, 100):
        status, _, body = scene.rest("POST", f"/devices?{API}", devices[at:at + 100])
        assert status == 200, body
    some = VirtualFleet(scene, "unused", 0)
    child = subprocess.Popen([*program, "run", *own, "--hub", f"localhost:{scene.service.ports['hub']}", "--hub-name", some.hub_name, "--ca", str(scene.service.ca), "-o", "json",
                              "--json", str(tmp_path / "figures.json")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        next_milestone(child, "ready")
        groups = {"fleet-boilers": ("FleetBoiler", 140), "fleet-pumps": ("FleetPump", 60)}
        for group, (model, count) in groups.items():
            manifest = scene.make_update(SimpleNamespace(id=group, model=model, root=tmp_path), "2.0")
            scene.import_update(manifest)

            def are_listed(group=group, count=count):
                return sum(d.get("groupId") == group for d in scene.service.json("device", "list")) == count

            wait_until(f"{count} devices are in {group}", are_listed, 60)
            scene.deploy(SimpleNamespace(id=group, group=group, model=model), "2.0", f"{group}-1")
        output, errors = child.communicate(timeout=240)
        assert child.returncode == 0, errors
    finally:
        child.kill()
    figures = json.loads((tmp_path / "figures.json").read_text())
    outcomes = {(o["state"], o["resultCode"], o["extendedResultCode"]): o["count"] for o in figures["outcomes"]}
    assert outcomes == {("succeeded", 700, "00000000"): 140 - 14 - 6 + 51, ("failed", 0, "30500205"): 14, ("failed", -1, "00000000"): 6, ("failed", 0, "30000101"): 9}
    assert figures["finished"] == figures["offers"] == 200 and figures["reports"] >= 600
    assert 0 < figures["update_ms"]["p50"] <= figures["update_ms"]["p95"] <= figures["update_ms"]["max"]
    assert figures["caused"]["restarts"] > 0
    for group, failed in (("fleet-boilers", 20), ("fleet-pumps", 9)):
        states = scene.states(SimpleNamespace(group=group), f"{group}-1")
        assert sum(s["deviceState"] == "Failed" for s in states) == failed
        assert sum(s["deviceState"] == "Succeeded" for s in states) == groups[group][1] - failed


def test_a_mistake_in_a_scenario_is_explained_with_its_line(scene, tmp_path):
    (tmp_path / "rig.toml").write_text(SCENARIO.replace("share = 0.1", "shares = 0.1"))
    (tmp_path / "key").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    done = subprocess.run([scene.service.binaries / "godwit-fleet", "devices", tmp_path / "rig.toml", "--group-key-file", tmp_path / "key"], capture_output=True, text=True)
    assert done.returncode == 1 and 'rig.toml:12: needs either "share"' in done.stderr
