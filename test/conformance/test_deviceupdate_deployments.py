"""Deployments as the genuine Python client (and npm's runtime) sees them: checks 30 to 41. Each test has a group and an update of its own."""
from datetime import timedelta

import pytest

from hub_device import FAILURE_CODE, tag, wait_listed
from operators import deployment_body
from stack import StackError, wait_until

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError  # noqa: E402


class Stage:
    """One group, one update name, and what the client says of the deployments between them."""

    def __init__(self, bench, stem: str, *versions: str):
        self.bench, self.group, self.update = bench, f"group-of-{stem}", stem
        bench.update(stem, *(versions or ("1.0",)))

    def device(self, **more):
        return self.bench.device(self.update, self.group, **more)

    def deploy(self, deployment: str, version: str = "1.0", **more):
        return self.bench.management.create_or_update_deployment(self.group, deployment, deployment_body(self.group, deployment, self.update, version, **more))

    def classes(self, deployment: str) -> list:
        return self.bench.management.get_deployment(self.group, deployment)["deviceClassSubgroups"]

    def states(self, deployment: str, **more) -> dict:
        return {state["deviceId"]: state for one in self.classes(deployment)
                for state in self.bench.management.list_device_states_for_device_class_subgroup_deployment(self.group, one, deployment, **more)}

    def wait_states(self, deployment: str, wanted: dict) -> None:
        def reached():
            seen = {device: state["deviceState"] for device, state in self.states(deployment).items()}
            if seen != wanted:
                raise StackError(f"the states are {seen}")
            return True

        wait_until(f"the states of {deployment} are {wanted}", reached, 20, 0.05)

    def counts(self, deployment: str) -> tuple:
        """(total, in progress, failed, succeeded, canceled) of its only subgroup."""
        status = self.bench.management.get_deployment_status(self.group, deployment)["subgroupStatus"]
        assert len(status) == 1
        assert status[0] == self.bench.management.get_device_class_subgroup_deployment_status(self.group, status[0]["deviceClassId"], deployment)
        return tuple(status[0][name] for name in ("totalDevices", "devicesInProgressCount", "devicesCompletedFailedCount", "devicesCompletedSucceededCount", "devicesCanceledCount"))

    def state(self, deployment: str) -> str:
        return self.bench.management.get_deployment_status(self.group, deployment)["deploymentState"]


@pytest.mark.check(30)
def test_a_deployment_is_put_read_back_and_pointed_at(bench):
    stage = Stage(bench, "puts")
    device = stage.device(outcome="hold")
    answers = []
    body = deployment_body(stage.group, "puts", "puts", "1.0")
    made = bench.management.create_or_update_deployment(stage.group, "puts", body, raw_response_hook=lambda answer: answers.append(answer.http_response))
    class_id = bench.class_of(device)
    assert answers[0].status_code == 200 and made["deviceClassSubgroups"] == [class_id]
    assert bench.management.get_deployment(stage.group, "puts") == made == bench.management.get_deployment_for_device_class_subgroup(stage.group, class_id, "puts")
    assert "isCanceled" not in made and "isRetried" not in made and made["update"]["updateId"] == body["update"]["updateId"]
    assert bench.management.get_group(stage.group)["deployments"] == ["puts"]
    assert bench.management.get_device_class_subgroup(stage.group, class_id)["deploymentId"] == "puts"
    assert [d["deploymentId"] for d in bench.management.list_deployments_for_group(stage.group)] == ["puts"]
    assert bench.management.create_or_update_deployment(stage.group, "puts", body) == made, "the same once more changes nothing"
    with pytest.raises(ResourceExistsError):
        stage.deploy("puts", start=timedelta(days=1))
    node = bench.node("deviceupdate_deployments.mjs", group=stage.group, deployment="puts-by-node", update=body["update"], classId=class_id)
    assert node["put"] == {"check": "put", "status": 200, "classes": [class_id], "equal": True, "group": ["puts-by-node"], "subgroup": "puts-by-node"}, node


@pytest.mark.check(31)
def test_ids_that_are_not_allowed_are_refused(bench):
    stage = Stage(bench, "ids")
    class_id = bench.class_of(stage.device())
    node = bench.node("deviceupdate_deployments.mjs", group=stage.group, deployment="ids-by-node", update={"updateId": {"provider": "Conformance", "name": "ids", "version": "1.0"}},
                      classId=class_id)
    refused = node["bad-ids"]["statuses"]
    assert len(refused) >= 14 and set(refused.values()) == {400}, node
    assert node["bad-ids"]["longest"] == 200, "73 characters are allowed"


@pytest.mark.check(32)
def test_a_deployment_of_the_future_waits(bench):
    stage = Stage(bench, "later")
    device = stage.device()
    stage.deploy("later", start=timedelta(seconds=3))
    assert stage.state("later") == "Active" and stage.counts("later")[1] == 0 and device.actions == []
    assert "deploymentStatus" not in bench.management.get_device(device.id)
    stage.wait_states("later", {device.id: "Succeeded"})
    assert [action for action, _ in device.actions] == [3]


@pytest.mark.check(33)
@pytest.mark.parametrize("contract", [1, 2, 3])
def test_a_device_that_finishes_is_shown_so_everywhere(bench, contract):
    stage = Stage(bench, f"finishes-{contract}")
    device = stage.device(contract=contract)
    stage.deploy("finishes")
    stage.wait_states("finishes", {device.id: "Succeeded"})
    assert stage.counts("finishes") == (1, 0, 0, 1, 0) and stage.state("finishes") == "Active"
    state = stage.states("finishes")[device.id]
    assert state["retryCount"] == 0 and state["movedOnToNewDeployment"] is False
    shown = bench.management.get_device(device.id)
    update = {"provider": "Conformance", "name": stage.update, "version": "1.0"}
    assert shown["installedUpdate"]["updateId"] == shown["lastAttemptedUpdate"]["updateId"] == update
    assert shown["lastDeploymentId"] == "finishes" and shown["deploymentStatus"] == "Succeeded" and shown["onLatestUpdate"] is True
    result = shown["lastInstallResult"]
    assert (result["resultCode"], result["extendedResultCode"]) == (700, 0)
    assert [(step["resultCode"], step["extendedResultCode"]) for step in result["stepResults"]] == [(700, 0)]


@pytest.mark.check(34)
@pytest.mark.parametrize("contract", [1, 3])
def test_a_device_that_fails_is_shown_with_both_codes(bench, contract):
    stage = Stage(bench, f"fails-{contract}")
    device = stage.device(outcome="fail", contract=contract)
    stage.deploy("fails")
    stage.wait_states("fails", {device.id: "Failed"})
    assert stage.counts("fails") == (1, 0, 1, 0, 0)
    shown = bench.management.get_device(device.id)
    result = shown["lastInstallResult"]
    assert (result["resultCode"], result["extendedResultCode"], result["resultDetails"]) == (0, FAILURE_CODE, "the disk of the test is full")
    assert result["stepResults"][0]["extendedResultCode"] == FAILURE_CODE
    assert shown["deploymentStatus"] == "Failed" and "installedUpdate" not in shown and shown["onLatestUpdate"] is False
    assert set(stage.states("fails", filter="deviceState eq 'Failed'")) == {device.id} and stage.states("fails", filter="deviceState eq 'Succeeded'") == {}
    assert set(stage.states("fails", filter=f"deviceId eq '{device.id}'")) == {device.id}


@pytest.mark.check(35)
def test_a_retry_reaches_the_failed_device_alone_and_counts(bench):
    stage = Stage(bench, "retries")
    bad, good = stage.device(outcome="fail"), stage.device()
    stage.deploy("retries")
    stage.wait_states("retries", {bad.id: "Failed", good.id: "Succeeded"})
    before = list(good.actions)
    bad.outcome = "succeed"
    retried = bench.management.retry_deployment(stage.group, stage.classes("retries")[0], "retries")
    assert retried["isRetried"] is True and bench.management.get_deployment(stage.group, "retries")["isRetried"] is True
    stage.wait_states("retries", {bad.id: "Succeeded", good.id: "Succeeded"})
    states = stage.states("retries")
    assert (states[bad.id]["retryCount"], states[good.id]["retryCount"]) == (1, 0)
    assert len({workflow for _, workflow in bad.actions}) == 1 and good.actions == before, "the same workflow, and for the failed device only"


@pytest.mark.check(36)
def test_a_cancel_reaches_the_device_as_action_255(bench):
    stage = Stage(bench, "cancels")
    busy, done = stage.device(outcome="hold"), stage.device()
    stage.deploy("cancels")
    stage.wait_states("cancels", {busy.id: "InProgress", done.id: "Succeeded"})
    canceled = bench.management.stop_deployment(stage.group, stage.classes("cancels")[0], "cancels")
    assert canceled["isCanceled"] is True
    stage.wait_states("cancels", {busy.id: "Canceled", done.id: "Succeeded"})
    wait_until("the agent hears of it", lambda: 255 in [action for action, _ in busy.actions], 10, 0.05)
    assert stage.state("cancels") == "Canceled" and stage.counts("cancels") == (2, 0, 0, 1, 1)
    assert bench.management.get_deployment(stage.group, "cancels")["isCanceled"] is True
    assert bench.management.get_device(busy.id)["deploymentStatus"] == "Canceled"
    with pytest.raises(HttpResponseError) as refusal:
        bench.management.retry_deployment(stage.group, stage.classes("cancels")[0], "cancels")
    assert refusal.value.status_code == 409


@pytest.mark.check(37)
def test_a_newer_deployment_takes_the_place_of_an_older_one(bench):
    stage = Stage(bench, "supersedes", "1.0", "2.0")
    device = stage.device(outcome="hold")
    stage.deploy("older")
    stage.wait_states("older", {device.id: "InProgress"})
    device.outcome = "succeed"
    stage.deploy("newer", "2.0")
    stage.wait_states("newer", {device.id: "Succeeded"})
    assert stage.state("older") == "Inactive" and stage.state("newer") == "Active"
    assert stage.states("older")[device.id]["movedOnToNewDeployment"] is True and stage.states("newer")[device.id]["movedOnToNewDeployment"] is False
    assert bench.management.get_group(stage.group)["deployments"] == ["newer"] and bench.management.get_device(device.id)["lastDeploymentId"] == "newer"
    assert [d["deploymentId"] for d in bench.management.list_deployments_for_group(stage.group, order_by="startDateTime desc")] == ["newer", "older"]
    with pytest.raises(HttpResponseError) as refusal:
        bench.management.retry_deployment(stage.group, stage.classes("older")[0], "older")
    assert refusal.value.status_code == 409


@pytest.mark.check(38)
def test_a_device_that_joins_the_group_later_gets_the_deployment(bench):
    stage = Stage(bench, "joins")
    first = stage.device()
    stage.deploy("joins")
    stage.wait_states("joins", {first.id: "Succeeded"})
    second = stage.device()
    stage.wait_states("joins", {first.id: "Succeeded", second.id: "Succeeded"})
    moved = bench.device("joins", "elsewhere")
    assert moved.actions == []
    tag(bench.scene, moved.id, stage.group)
    stage.wait_states("joins", {first.id: "Succeeded", second.id: "Succeeded", moved.id: "Succeeded"})
    assert stage.counts("joins") == (3, 0, 0, 3, 0)


@pytest.mark.check(39)
def test_a_rollback_starts_at_its_thresholds_and_takes_all_devices_back(bench):
    stage = Stage(bench, "rolls-back", "1.0", "2.0")
    good, bad, worse = stage.device(), stage.device(), stage.device()
    everybody = {good.id, bad.id, worse.id}
    stage.deploy("first")
    stage.wait_states("first", dict.fromkeys(everybody, "Succeeded"))
    bad.outcome, worse.outcome = {"2.0": "fail"}, {"2.0": "hold"}
    policy = {"update": {"updateId": {"provider": "Conformance", "name": stage.update, "version": "1.0"}}, "failure": {"devicesFailedPercentage": 50, "devicesFailedCount": 2}}
    made = stage.deploy("second", "2.0", rollback=policy)
    assert made["rollbackPolicy"]["failure"] == policy["failure"] and made["rollbackPolicy"]["update"]["updateId"] == policy["update"]["updateId"]
    stage.wait_states("second", {good.id: "Succeeded", bad.id: "Failed", worse.id: "InProgress"})
    assert stage.state("second") == "Active" and len(list(bench.management.list_deployments_for_group(stage.group))) == 2, "one failure is below both thresholds"
    worse.outcome = {"2.0": "fail"}
    worse.work()
    rollback = wait_until("the rollback is there", lambda: [d for d in bench.management.list_deployments_for_group(stage.group) if d.get("isCloudInitiatedRollback")], 20, 0.05)[0]
    assert rollback["update"]["updateId"] == policy["update"]["updateId"] and stage.state("second") == "Inactive"
    stage.wait_states(rollback["deploymentId"], dict.fromkeys(everybody, "Succeeded"))
    assert {bench.management.get_device(one)["installedUpdate"]["updateId"]["version"] for one in everybody} == {"1.0"}


@pytest.mark.check(40)
def test_a_deployment_is_deleted_after_its_cancel_only(bench):
    stage = Stage(bench, "deletes")
    stage.device(outcome="hold")
    stage.deploy("deletes")
    with pytest.raises(ResourceExistsError) as refusal:
        bench.management.delete_deployment(stage.group, "deletes")
    assert refusal.value.status_code == 409
    bench.management.stop_deployment(stage.group, stage.classes("deletes")[0], "deletes")
    assert bench.management.delete_deployment(stage.group, "deletes") is None
    for gone in (bench.management.get_deployment, bench.management.get_deployment_status, bench.management.delete_deployment):
        with pytest.raises(ResourceNotFoundError):
            gone(stage.group, "deletes")


@pytest.mark.check(41)
def test_a_mixed_group_has_an_active_deployment_for_each_class(bench):
    apple, pear = Stage(bench, "mixed-apple"), Stage(bench, "mixed-pear")
    pear.group = apple.group
    one, other = apple.device(outcome="hold"), pear.device(outcome="hold")
    apple.deploy("apples")
    pear.deploy("pears")
    apple.wait_states("apples", {one.id: "InProgress"})
    pear.wait_states("pears", {other.id: "InProgress"})
    assert sorted(bench.management.get_group(apple.group)["deployments"]) == ["apples", "pears"] and apple.state("apples") == pear.state("pears") == "Active"
    subgroups = {s["deviceClassId"]: s["deploymentId"] for s in bench.management.list_device_class_subgroups_for_group(apple.group)}
    assert subgroups == {bench.class_of(one): "apples", bench.class_of(other): "pears"}
    wait_listed(bench.client, one, other)
