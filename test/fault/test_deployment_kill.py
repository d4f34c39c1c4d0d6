"""kill -9 of the service while operators make, supersede, cancel and retry deployments and devices report their ends in a storm.

Each operator has a group of its own and does one thing after another, so that the state of each deployment is known: a verb that got
no answer is asked again until it gets one. Devices keep a report until it is acknowledged. Both remember what was acknowledged and when.
"""
from __future__ import annotations

import collections
import http.client
import itertools
import json
import os
import random
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone

from hub_device import announce, register
from imports import make_update
from stack import wait_until
from storm_device import StormDevice

SEED = int(os.environ.get("GODWIT_SEED", "20261127"))
API = "api-version=2022-10-01"
MANAGEMENT = "/deviceUpdate/default/management"
GROUPS, MODELS, VERSIONS = ("plant", "hall"), ("Toaster", "Kettle"), ("1.0", "2.0")
BOTH = "Appliance"  # the name of updates for both classes
DEVICES_EACH, ABSENT, KILLS = 9, 450, 6  # absent devices make one subgroup so large that the work on it is done in pieces


@dataclass
class Verb:
    kind: str
    deployment: str
    classes: tuple
    sent: float
    ended: float
    status: int


class Operator(threading.Thread):
    """Works on one group. `states` is what each subgroup's deployment must be after the verbs that were answered."""

    def __init__(self, scene, group: str, classes: dict[str, str]):
        super().__init__(daemon=True)
        self.scene, self.group, self.classes = scene, group, classes
        self.chance = random.Random(f"{SEED} {group}")
        self.verbs: list[Verb] = []
        self.states: dict[tuple[str, str], str] = {}  # (deployment, class)
        self.retried: set[tuple[str, str]] = set()
        self.unanswered = 0
        self.creates, self.done = threading.Event(), threading.Event()
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.done.is_set():
                kind = self.chance.choices(("create", "cancel", "retry"), (3, 1, 5))[0] if self.states else "create"
                self.create() if kind == "create" else self.ask_for(kind)
                self.done.wait(self.chance.uniform(0.02, 0.3))
        except BaseException as problem:
            self.problem = problem

    def create(self) -> None:
        deployment, name = f"{self.group}-{len(self.verbs)}", self.chance.choice((*MODELS, BOTH))
        update = {"provider": "Tests", "name": name, "version": self.chance.choice(VERSIONS)}
        wish = {"deploymentId": deployment, "groupId": self.group, "startDateTime": datetime.now(timezone.utc).isoformat(), "update": {"updateId": update}}
        classes = tuple(self.classes.values()) if name == BOTH else (self.classes[name],)
        verb = self.ask("create", deployment, classes, "PUT", f"/deployments/{deployment}", wish)
        assert verb.status == 200, verb
        for (other, one), state in self.states.items():
            if one in classes and state == "Active":
                self.states[other, one] = "Inactive"
        self.states.update({(deployment, one): "Active" for one in classes})

    def ask_for(self, kind: str) -> None:
        """Cancels or retries one of the newest deployments, which need not be active any more; mostly one that is."""
        newest = list(self.states)[-4:]
        deployment, one = self.chance.choice(newest + 3 * [key for key in newest if self.states[key] == "Active"])
        verb = self.ask(kind, deployment, (one,), "POST", f"/deviceClassSubgroups/{one}/deployments/{deployment}:{kind}", None)
        state = self.states[deployment, one]
        if kind == "cancel":
            assert verb.status == (409 if state == "Inactive" else 200), (verb, state)
            self.states[deployment, one] = "Inactive" if state == "Inactive" else "Canceled"
        elif verb.status == 200:
            assert state == "Active", (verb, state)
            self.retried.add((deployment, one))
        else:
            assert verb.status == 409, verb  # not active, or its devices are still being told

    def ask(self, kind: str, deployment: str, classes: tuple, method: str, path: str, body) -> Verb:
        sent = time.monotonic()
        if kind == "create":
            self.creates.set()
        while True:
            try:
                status, _, _ = self.scene.rest(method, f"{MANAGEMENT}/groups/{self.group}{path}?{API}", body)
                break
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
                time.sleep(0.05)  # the service is down: what was not acknowledged may be there or not
        self.verbs.append(Verb(kind, deployment, classes, sent, time.monotonic(), status))
        return self.verbs[-1]

    def ends_of(self, deployment: str, one: str) -> list[Verb]:
        """What may have ended it: cancels, and the deployments that were made later."""
        made = next(n for n, v in enumerate(self.verbs) if v.kind == "create" and v.deployment == deployment)
        return [v for v in self.verbs[made + 1:] if one in v.classes and (v.kind == "create" or v.kind == "cancel" and v.deployment == deployment)]


def get(scene, path: str) -> dict:
    status, _, body = scene.rest("GET", path if path.startswith("/deviceUpdate") else MANAGEMENT + path)
    assert status == 200, (path, body)
    return json.loads(body)


def pages(scene, path: str) -> list[dict]:
    found, next_path = [], f"{path}?{API}"
    while next_path:
        page = get(scene, next_path)
        found += page["value"]
        next_path = page.get("nextLink", "").removeprefix(scene.service.url)
    return found


class Aftermath:
    """What the service says when all is quiet."""

    def __init__(self, scene, operators: list[Operator]):
        self.statuses = {(o.group, d): get(scene, f"/groups/{o.group}/deployments/{d}/status?{API}") for o in operators for d in {d: 0 for d, _ in o.states}}
        self.rows = {(o.group, d, one): pages(scene, f"/groups/{o.group}/deviceClassSubgroups/{one}/deployments/{d}/devicestates")
                     for o in operators for d, one in o.states}
        self.devices = {d["deviceId"]: d for d in pages(scene, "/devices")}
        self.groups = {g["groupId"]: g for g in pages(scene, "/groups")}
        self.subgroups = {(g, s["deviceClassId"]): s for g in self.groups for s in pages(scene, f"/groups/{g}/deviceClassSubgroups")}

    def __eq__(self, other) -> bool:
        return vars(self) == vars(other)


def wait_quiet(scene, operators: list[Operator], devices: list[StormDevice]) -> Aftermath:
    seen: list[Aftermath] = []

    def quiet():
        twins = {d: json.loads(scene.rest("GET", f"/twins/{d.id}?api-version=2021-04-12")[2]) for d in devices}
        seen.append(Aftermath(scene, operators))
        has_news = any(d.waiting or d.version != t["properties"]["desired"]["$version"] for d, t in twins.items())
        return len(seen) > 1 and not has_news and seen[-2] == seen[-1] and seen[-1]

    return wait_until("everything is quiet", quiet, 30)


def check_deployments(operator: Operator, after: Aftermath) -> None:
    for (group, deployment), status in after.statuses.items():
        if group != operator.group:
            continue
        shown = {one["deviceClassId"]: one["deploymentState"] for one in status["subgroupStatus"]}
        assert shown == {c: state for (d, c), state in operator.states.items() if d == deployment}, f"{deployment}: {shown}"
        for one in status["subgroupStatus"]:
            count = collections.Counter(row["deviceState"] for row in after.rows[group, deployment, one["deviceClassId"]])
            names = {"InProgress": "devicesInProgressCount", "Failed": "devicesCompletedFailedCount", "Succeeded": "devicesCompletedSucceededCount", "Canceled": "devicesCanceledCount"}
            assert {name: one[name] for name in names.values()} == {name: count[state] for state, name in names.items()}, f"{deployment}: counts"
            assert one["totalDevices"] == count.total(), f"{deployment}: total"
    live = {one: d for (d, one), state in operator.states.items() if state == "Active"}
    assert len(live) == sum(state == "Active" for state in operator.states.values()), "the operator's own record"
    assert {c: s.get("deploymentId") for (g, c), s in after.subgroups.items() if g == operator.group} == {c: live.get(c) for c in operator.classes.values()}
    assert set(after.groups[operator.group]["deployments"]) == set(live.values())


def check_row(row: dict, operator: Operator, deployment: str, one: str, device: StormDevice | None) -> bool:
    """Whether what the device said is in its row; true when only one state would do."""
    state, workflow = row["deviceState"], row["godwit"]["workflowId"]
    where = f"{row['deviceId']} in {deployment} is {state}, workflow {workflow}"
    ends = operator.ends_of(deployment, one)
    finals = [r for r in device.reports if r.workflow == workflow and r.outcome in ("Succeeded", "Failed")] if device else []
    if not finals:
        assert state == "InProgress" or (state == "Canceled" and ends), f"{where}, and the device has not ended it"
        allowed = {"InProgress", "Canceled"}
    else:
        last = finals[-1]
        retried = last.outcome == "Failed" and any(v.kind == "retry" and (v.deployment, v.classes) == (deployment, (one,)) and v.ended > last.sent for v in operator.verbs)
        allowed = {last.outcome} | ({"InProgress"} if retried else set()) | ({"Canceled"} if ends and (retried or ends[0].sent < last.acknowledged) else set())
        assert state in allowed, f"{where}, and the device's {last.outcome} was acknowledged"
    if state == "InProgress":
        assert not row["movedOnToNewDeployment"] and operator.states[deployment, one] != "Canceled", where
        assert device is None or (device.service["workflow"]["id"] == workflow and device.outcome == "hold"), f"{where}, and the device is not at it"
    return len(allowed) == 1


def check_compliance(scene, after: Aftermath) -> None:
    def figures(path: str) -> collections.Counter:
        shown = get(scene, f"{path}/updateCompliance?{API}")
        assert shown["totalDeviceCount"] == shown["onLatestUpdateDeviceCount"] + shown["newUpdatesAvailableDeviceCount"] + shown["updatesInProgressDeviceCount"], shown
        return collections.Counter(shown)

    whole = figures("")
    by_group = {g: figures(f"/groups/{g}") for g in after.groups}
    by_subgroup = {(g, c): figures(f"/groups/{g}/deviceClassSubgroups/{c}") for g, c in after.subgroups}
    assert sum(by_group.values(), collections.Counter()) == +whole
    for group, shown in by_group.items():
        assert sum((f for (g, _), f in by_subgroup.items() if g == group), collections.Counter()) == +shown, group
    for (group, one), shown in by_subgroup.items():
        members = [d for d in after.devices.values() if (d["groupId"], d["deviceClassId"]) == (group, one)]
        assert (shown["totalDeviceCount"], shown["onLatestUpdateDeviceCount"]) == (len(members), sum(d["onLatestUpdate"] for d in members)), (group, one)
    assert whole["totalDeviceCount"] == len(GROUPS) * len(MODELS) * DEVICES_EACH + ABSENT


def set_the_stage(scene) -> tuple[list[Operator], list[StormDevice]]:
    for name, version in itertools.product((*MODELS, BOTH), VERSIONS):
        manifest = make_update(scene.service, scene.folder / "updates" / f"{name}-{version}", name, version, {"run.sh": f"#!/bin/sh\n# {name} {version}\n".encode()})
        if name == BOTH:
            text = json.loads(manifest.read_text())
            manifest.write_text(json.dumps({**text, "compatibility": [{"manufacturer": "Contoso"}]}))
        scene.import_update(manifest)
    devices = [StormDevice(scene, f"{group}-{model}-{number}".lower(), seed=SEED, model=model, group=group)
               for group, model, number in itertools.product(GROUPS, MODELS, range(DEVICES_EACH))]
    absent = [f"absent-{number}" for number in range(ABSENT)]
    register(scene, absent, dict.fromkeys(absent, GROUPS[0]))
    announce(scene, absent, {"manufacturer": "Contoso", "model": MODELS[0]})
    wait_until("all are listed", lambda: len(pages(scene, "/devices")) == len(devices) + ABSENT, 30)
    classes = {d.properties["model"]: get(scene, f"/devices/{d.id}?{API}")["deviceClassId"] for d in devices}
    return [Operator(scene, group, classes) for group in GROUPS], devices


def test_kill_of_the_service_while_deployments_change_loses_nothing_acknowledged(scene):
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    operators, devices = set_the_stage(scene)
    for operator in operators:
        operator.start()
    for number in range(KILLS):
        time.sleep(chance.uniform(0.2, 2.5))
        if number % 2:  # in the middle of a new deployment, which is sent to its devices in pieces
            operators[0].creates.clear()
            operators[0].creates.wait(10)
            time.sleep(chance.uniform(0.02, 0.25))
        scene.service.kill()
        scene.service.start()
    for operator in operators:
        operator.done.set()
    for operator in operators:
        operator.join(60)
        assert not operator.is_alive() and operator.problem is None, operator.problem
    after = wait_quiet(scene, operators, devices)
    assert [(d.id, d.problem, d.refusals) for d in devices if d.problem or d.refusals] == []

    by_id, by_group = {d.id: d for d in devices}, {o.group: o for o in operators}
    for operator in operators:
        check_deployments(operator, after)
        for deployment, one in operator.retried:
            assert get(scene, f"/groups/{operator.group}/deviceClassSubgroups/{one}/deployments/{deployment}?{API}").get("isRetried"), deployment
    certain, states = 0, collections.Counter()
    for (group, deployment, one), rows in after.rows.items():
        for row in rows:
            certain += check_row(row, by_group[group], deployment, one, by_id.get(row["deviceId"]))
            states[row["deviceState"]] += row["deviceId"] in by_id
        if by_group[group].states[deployment, one] == "Active":
            members = {d for d, shown in after.devices.items() if (shown["groupId"], shown["deviceClassId"]) == (group, one)}
            assert members == {row["deviceId"] for row in rows if not row["movedOnToNewDeployment"]}, f"{deployment} is for all of them"
    newest = {(row["deviceId"], deployment): row["deviceState"] for (_, deployment, _), rows in after.rows.items() for row in rows}
    for device in after.devices.values():
        assert device.get("deploymentStatus") == newest.get((device["deviceId"], device.get("lastDeploymentId"))), device
    check_compliance(scene, after)

    verbs = collections.Counter((v.kind, v.status) for o in operators for v in o.verbs)
    reports, unanswered = sum(len(d.reports) for d in devices), [o.unanswered for o in operators]
    print(f"{dict(verbs)}, {unanswered} requests without an answer, {reports} reports, {dict(states)}, {certain} states could be no other")
    for device in devices:
        device.close()
    assert verbs["create", 200] > KILLS and verbs["cancel", 200] and verbs["retry", 200] and any(unanswered) and certain > len(devices)
