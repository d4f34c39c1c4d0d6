"""kill -9 of the service while a whole fleet writes: what was acknowledged is there afterwards, versions never go back."""
import http.client
import json
import os
import random
import threading
import time

from stack import wait_until
from virtual_fleet import VirtualFleet, next_milestone, result_of

SEED = int(os.environ.get("GODWIT_SEED", "20261125"))
API = "api-version=2021-04-12"
COUNT, KILLS = 60, 6


class DesiredWriter(threading.Thread):
    """An operator who writes desired properties all the time and remembers what was acknowledged."""

    def __init__(self, scene, device: str):
        super().__init__(daemon=True)
        self.scene, self.device = scene, device
        self.acknowledged: list[tuple[int, int]] = []  # (number, version)
        self.done = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.done.is_set():
            number += 1
            try:
                status, _, body = self.scene.rest("PATCH", f"/twins/{self.device}?{API}", {"properties": {"desired": {"number": number}}})
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)  # the service is down: what was not acknowledged may be there or not
                continue
            if status == 200:
                self.acknowledged.append((number, json.loads(body)["properties"]["desired"]["$version"]))


def connected(scene, fleet: VirtualFleet) -> int:
    listed = scene.service.json("hub", "device-identity", "list")
    return sum(d["deviceId"] in fleet.ids and d["connectionState"] == "Connected" for d in listed)


def rises(numbers: list[int]) -> bool:
    return all(a < b for a, b in zip(numbers, numbers[1:]))


def test_kill_of_the_hub_under_load_loses_nothing_acknowledged(scene, tmp_path):
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    fleet = VirtualFleet(scene, "loaded", COUNT)
    ledger = tmp_path / "ledger"
    writer = DesiredWriter(scene, fleet.ids[0])
    reports = fleet.start("reports", "--seconds", 0, "--in-flight", 40, "--ledger", ledger, "--backoff-ms", 100, "--largest-backoff-ms", 500, "--seed", SEED)
    next_milestone(reports, "ready")
    writer.start()
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.1, 1.5))  # the short ones hit while devices are coming back
        scene.service.kill()
        scene.service.start()
    wait_until("all devices are back", lambda: connected(scene, fleet) == COUNT, 60)
    time.sleep(1)
    writer.done.set()
    reports.terminate()
    output, errors = reports.communicate(timeout=60)
    writer.join(60)
    assert reports.returncode == 0, errors
    figures = result_of(output)
    print(json.dumps(figures))
    assert figures["lost"] >= COUNT and figures["answered"] > COUNT * KILLS
    assert set(figures["request_errors"]) <= {"lost with the connection"}, "a version went back or a patch was refused"

    check = fleet.run("verify", "--ledger", ledger)
    assert check.returncode == 0, check.stdout + check.stderr

    numbers, versions = zip(*writer.acknowledged)
    assert len(numbers) > KILLS and rises(numbers) and rises(versions), writer.acknowledged
    status, _, body = scene.rest("GET", f"/twins/{writer.device}?{API}")
    desired = json.loads(body)["properties"]["desired"]
    assert status == 200 and desired["number"] >= numbers[-1] and desired["$version"] >= versions[-1]
