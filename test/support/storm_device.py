"""A device for tests that kill the service: it outlives the hub's end, keeps its reports, and can say what was acknowledged."""
from __future__ import annotations

import json
import random
import re
import time
from dataclasses import dataclass, field

from hub_device import HubDevice


@dataclass
class Report:
    outcome: str  # "" while it works
    arguments: tuple
    workflow: str
    sent: float = field(default_factory=time.monotonic)
    acknowledged: float = 0.0


class StormDevice(HubDevice):
    """Comes back by itself, sends each report until it is acknowledged, and remembers which were."""

    def __init__(self, scene, device_id: str, *, seed: int, **more):
        self.chance = random.Random(f"{seed} {device_id}")
        self.version = 0  # of the newest goal that it saw
        self.waiting: list[Report] = []
        self.reports: list[Report] = []  # acknowledged ones, in their order
        self.refusals: list[str] = []
        self.is_over = False
        self._asked: dict[str, Report] = {}
        super().__init__(scene, device_id, **more)

    def _connect(self) -> None:
        self.service = {}  # what comes after a subscription is the whole section: a member that is gone is not in it
        super()._connect()
        self._asked = {}
        for report in self.waiting:
            self._send(report)

    def _run(self) -> None:
        while not self.is_over:
            try:
                self._listen()
            except OSError:
                self._come_back()
            except Exception as problem:  # the thread's own end, for the test to see
                self.problem = problem
                return

    def _come_back(self) -> None:
        while not self.is_over:
            time.sleep(self.chance.uniform(0.05, 0.3))
            try:
                return self._connect()
            except (OSError, AssertionError):  # nobody listens, or nobody lets it in yet
                continue

    def _listen(self) -> None:
        while True:
            topic, payload = self.wire.read_publish()
            answer = re.match(r"\$iothub/twin/res/(\d+)/\?\$rid=(\w+)", topic)
            if not answer:
                self._hear(json.loads(payload))
            elif answer[2].startswith("get"):
                self._hear(json.loads(payload)["desired"])
            elif answer[1] != "204":
                self.refusals.append(topic)
            elif report := self._asked.pop(answer[2], None):
                report.acknowledged = time.monotonic()
                self.waiting.remove(report)
                self.reports.append(report)

    def _hear(self, desired: dict) -> None:
        self._take(desired)
        self.version = desired["$version"]

    def work(self) -> None:
        self.outcome = self.chance.choices(("succeed", "fail", "hold"), (5, 4, 1))[0]
        time.sleep(self.chance.uniform(0, 0.2))
        super().work()

    def _report(self, state: int, workflow: dict, result: dict, installed: dict | None = None) -> None:
        outcome = {6: "", 255: "Failed"}.get(state, "Succeeded" if installed else "Canceled")
        self.waiting.append(Report(outcome, (state, workflow, result, installed), workflow["id"]))
        self._send(self.waiting[-1])

    def _send(self, report: Report) -> None:
        try:
            self._asked[super()._report(*report.arguments)] = report
        except OSError:
            pass  # it waits; the next read finds the connection gone

    def close(self) -> None:
        self.is_over = True
        super().close()
