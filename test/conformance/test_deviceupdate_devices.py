"""Devices, classes, groups, compliance and health as the genuine Python client (and npm's runtime) sees them: checks 18 to 29."""
import re
import time

import pytest

from hub_device import Wire, announce, identity_report, register, tag
from operators import deployment_body
from stack import wait_until

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError  # noqa: E402

ORDERS = ["groupId", "groupId desc", "deviceCount", "deviceCount desc", "createdDate desc", "createdDateTime", "subgroupsWithNewUpdatesAvailableCount desc",
          "subgroupsWithUpdatesInProgressCount desc", "subgroupsOnLatestUpdateCount desc", "subgroupsWithOnLatestUpdateCount"]


@pytest.fixture(scope="module")
def lamp(bench):
    """A device with an update it does not have yet."""
    bench.update("lamp", "1.0", "1.1")
    return bench.device("lamp", "lamps")


@pytest.fixture(scope="module")
def many_groups(bench):
    """More groups than a page has, each with one device."""
    ids = [f"grouped-{number}" for number in range(105)]
    register(bench.scene, ids, {device: f"of-many-{device}" for device in ids})
    announce(bench.scene, ids, {"manufacturer": "Contoso", "model": "crowd"})
    return {f"of-many-{device}" for device in ids}


@pytest.fixture(scope="module")
def node(bench, lamp, many_groups):
    return bench.node("deviceupdate_devices.mjs", classId=bench.class_of(lamp), healthy=lamp.id)


def count_of(bench, group: str) -> int:
    try:
        return bench.management.get_group(group)["deviceCount"]
    except ResourceNotFoundError:
        return 0


@pytest.mark.check(18)
def test_an_agent_that_connects_is_listed_with_class_and_group(bench):
    device = bench.scene.device()  # the real agent, not the one of the tests
    listed = {d["deviceId"]: d for d in bench.management.list_devices()}[device.id]
    assert listed["groupId"] == device.group and re.fullmatch("[0-9a-f]{40}", listed["deviceClassId"]) and listed["onLatestUpdate"] is True
    assert "deploymentStatus" not in listed and "installedUpdate" not in listed and "lastDeploymentId" not in listed
    assert bench.management.get_device(device.id) == listed
    device.stop()


@pytest.mark.check(19)
def test_a_device_class_is_described_renamed_and_found_by_its_name(bench, lamp, node):
    class_id = bench.class_of(lamp)
    described = bench.management.get_device_class(class_id)
    assert re.fullmatch("[0-9a-f]{40}", class_id) and described["deviceClassId"] == class_id
    assert described["deviceClassProperties"]["compatProperties"] == {"manufacturer": "Contoso", "model": "lamp"}
    assert described["deviceClassProperties"]["contractModel"]["id"] == "dtmi:azure:iot:deviceUpdateContractModel;3"
    assert described["bestCompatibleUpdate"]["updateId"] == {"provider": "Conformance", "name": "lamp", "version": "1.1"}
    assert [u["updateId"]["version"] for u in bench.management.list_installable_updates_for_device_class(class_id)] in (["1.1", "1.0"], ["1.0", "1.1"])
    assert bench.management.update_device_class(class_id, {"friendlyName": "Lamps.of-2"})["friendlyName"] == "Lamps.of-2"
    assert [c["deviceClassId"] for c in bench.client.device_management.list_device_classes(filter="friendlyName eq 'Lamps.of-2'")] == [class_id]
    for wrong in ("", "with space", "x" * 101):
        with pytest.raises(HttpResponseError) as refusal:
            bench.management.update_device_class(class_id, {"friendlyName": wrong})
        assert refusal.value.status_code == 400
    assert node["class"]["model"] == "lamp" and node["rename"]["friendlyName"] == "Lamps.by-node" and node["found"]["classes"] == 1, node


@pytest.mark.check(20)
def test_the_default_group_is_first_under_every_order_and_its_path_works(bench, lamp, many_groups, node):
    for order in [None, *ORDERS]:
        groups = list(bench.management.list_groups(order_by=order))
        assert groups[0]["groupId"] == "$default" and lamp.group in {g["groupId"] for g in groups}, order
    ids = [g["groupId"] for g in bench.management.list_groups(order_by="groupId desc")][1:]
    assert ids == sorted(ids, reverse=True)
    default = bench.management.get_group("$default")
    assert default["groupId"] == "$default" and default["groupType"] == "DefaultNoTag" and bench.management.get_group(lamp.group)["groupType"] == "IoTHubTag"
    with pytest.raises(HttpResponseError) as refusal:
        list(bench.management.list_groups(order_by="colour"))
    assert refusal.value.status_code == 400
    assert node["default-group"] == {"check": "default-group", "first": "$default", "raw": "$default", "encoded": "$default"}, node


@pytest.mark.check(21)
def test_a_changed_tag_moves_a_device_and_both_counts(bench):
    device, other = bench.device("mover", "moves-from"), bench.device("mover", "moves-to")
    assert (count_of(bench, "moves-from"), count_of(bench, "moves-to")) == (1, 1)
    tag(bench.scene, device.id, "moves-to")
    assert (count_of(bench, "moves-from"), count_of(bench, "moves-to")) == (0, 2)
    before = count_of(bench, "$default")
    tag(bench.scene, other.id, None)
    assert (count_of(bench, "moves-to"), count_of(bench, "$default")) == (1, before + 1)
    assert bench.management.get_device(other.id)["groupId"] == "$default"


@pytest.mark.check(22)
def test_more_groups_than_a_page_are_listed_once_each(bench, many_groups, node):
    pages = []
    groups = [g["groupId"] for g in bench.management.list_groups(raw_response_hook=lambda answer: pages.append(answer))]
    assert len(pages) >= 2 and len(groups) == len(set(groups)) and many_groups < set(groups)
    ordered = [g["groupId"] for g in bench.management.list_groups(order_by="groupId")]
    assert sorted(ordered[1:]) == ordered[1:] and set(ordered) == set(groups), "the order is kept over pages"
    assert node["groups"]["pages"] >= 2 and node["groups"]["distinct"] == node["groups"]["total"] >= 106, node


@pytest.mark.check(23)
def test_devices_are_filtered_by_group_class_and_state(bench):
    bench.update("filtered", "1.0")
    good, bad = bench.device("filtered", "filters"), bench.device("filtered", "filters", outcome="fail")
    ids = {good.id, bad.id}
    bench.management.create_or_update_deployment("filters", "filters", deployment_body("filters", "filters", "filtered", "1.0"))

    def found(text):
        return {d["deviceId"] for d in bench.management.list_devices(filter=text)}

    wait_until("one fails", lambda: found("groupId eq 'filters' and deploymentStatus eq 'Failed'") == {bad.id}, 20)
    wait_until("one succeeds", lambda: found("groupId eq 'filters' and deploymentStatus eq 'Succeeded'") == {good.id}, 20)
    late = bench.device("unfiltered", "filters")
    assert found("groupId eq 'filters'") == ids | {late.id} and found(f"deviceClassId eq '{bench.class_of(good)}'") == ids
    assert found("groupId eq 'filters' and deploymentStatus eq null") == {late.id} and found("groupId eq 'filters' and deploymentStatus eq 'InProgress'") == set()
    assert found("GroupId eq 'filters'") == ids | {late.id}, "names match without regard to case"
    for wrong in ("groupId eq 'filters' or groupId eq 'x'", "colour eq 'red'", "groupId eq", "deploymentStatus eq 'Lost'"):
        with pytest.raises(HttpResponseError) as refusal:
            found(wrong)
        assert refusal.value.status_code == 400, wrong


@pytest.mark.check(24)
def test_subgroups_are_filtered_by_their_compatibility_properties(bench):
    bench.device("apple", "fruits", properties={"manufacturer": "Contoso", "model": "apple"})
    bench.device("pear", "fruits", properties={"manufacturer": "Fabrikam", "model": "pear"})
    subgroups = list(bench.management.list_device_class_subgroups_for_group("fruits"))
    assert len(subgroups) == 2 and all(s["groupId"] == "fruits" and s["deviceCount"] == 1 and s["createdDateTime"] for s in subgroups)

    def models(text):
        return {bench.management.get_device_class(s["deviceClassId"])["deviceClassProperties"]["compatProperties"]["model"]
                for s in bench.management.list_device_class_subgroups_for_group("fruits", filter=text)}

    assert models("compatProperties/manufacturer eq 'Contoso'") == {"apple"}
    assert models("compatProperties/manufacturer eq 'Fabrikam' and compatProperties/model eq 'pear'") == {"pear"}
    assert models("compatProperties/manufacturer eq 'Fabrikam' and compatProperties/model eq 'apple'") == set()
    assert bench.management.get_device_class_subgroup("fruits", subgroups[0]["deviceClassId"]) == subgroups[0]


@pytest.mark.check(25)
def test_best_updates_are_a_list_for_a_group_and_an_object_for_a_subgroup(bench, lamp):
    class_id = bench.class_of(lamp)
    best = list(bench.management.list_best_updates_for_group(lamp.group))
    assert [(b["groupId"], b["deviceClassId"], b["update"]["updateId"]["version"], b["deviceCount"]) for b in best] == [(lamp.group, class_id, "1.1", 1)]
    assert bench.management.get_best_updates_for_device_class_subgroup(lamp.group, class_id) == best[0]
    bench.device("without-update", "nothing-to-get")
    assert list(bench.management.list_best_updates_for_group("nothing-to-get")) == []
    with pytest.raises(ResourceNotFoundError):
        list(bench.management.list_best_updates_for_group("no-such-group"))


@pytest.mark.check(26)
def test_compliance_adds_up_at_three_levels_and_moves_with_the_device(bench):
    bench.update("complies", "1.0")
    device, still = bench.device("complies", "complies", outcome="hold"), bench.device("complies-not", "complies")
    class_id = bench.class_of(device)
    total = "totalDeviceCount"
    parts = ["newUpdatesAvailableDeviceCount", "updatesInProgressDeviceCount", "onLatestUpdateDeviceCount"]

    def levels():
        return (bench.management.get_update_compliance(), bench.management.get_update_compliance_for_group("complies"),
                bench.management.get_device_class_subgroup_update_compliance("complies", class_id))

    def counts():
        for level in levels():
            assert sum(level[p] for p in parts) == level[total], level
        return [levels()[2][p] for p in parts], [levels()[1][p] for p in parts]

    assert counts() == ([1, 0, 0], [1, 0, 1])
    bench.management.create_or_update_deployment("complies", "complies", deployment_body("complies", "complies", "complies", "1.0"))
    wait_until("the device works", lambda: counts() == ([0, 1, 0], [0, 1, 1]), 20)
    everybody = levels()[0]
    device.outcome = "succeed"
    device.work()
    wait_until("the device is on the latest", lambda: counts() == ([0, 0, 1], [0, 0, 2]), 20)
    after = levels()[0]
    assert after["updatesInProgressDeviceCount"] == everybody["updatesInProgressDeviceCount"] - 1 and after[total] == everybody[total]
    assert bench.management.get_device(device.id)["onLatestUpdate"] is True and still.problem is None


@pytest.mark.check(27)
def test_devices_are_imported_from_the_hub_by_a_bare_string(bench, node):
    began = time.monotonic()
    for kind in ("Devices", "Modules", "All"):
        answers = []
        assert bench.management.begin_import_devices(kind, raw_response_hook=lambda answer: answers.append(answer.http_response)).result(60) is None
        assert answers[0].status_code == 202 and "/management/operations/" in answers[0].headers["Operation-Location"]
    assert time.monotonic() - began < 15, "a poll that is answered without Retry-After makes the client sleep 30 s"
    operations = list(bench.management.list_operation_statuses())
    assert operations and all(one["status"] == "Succeeded" for one in operations)
    assert bench.management.get_operation_status(operations[0]["operationId"])["status"] == "Succeeded"
    with pytest.raises(HttpResponseError) as refusal:
        bench.management.begin_import_devices("Everything")
    assert refusal.value.status_code == 400
    assert node["import-devices"] == {"check": "import-devices", "started": 202, "sent": '"All"', "status": "Succeeded"}, node


@pytest.mark.check(28)
def test_health_names_the_failed_check_and_needs_a_filter(bench, lamp):
    register(bench.scene, ["sick"])
    wire = Wire(bench.scene, "sick")
    wire.subscribe("$iothub/twin/res/#")
    wire.report(identity_report({f"name{number}": "x" for number in range(6)}, 3))  # one compatibility property too many
    wire.read_publish()
    wire.close()
    node = bench.node("deviceupdate_health.mjs", sick="sick", healthy=lamp.id)
    assert node["unhealthy"]["state"] == "unhealthy" and "userError" in node["unhealthy"]["results"] and node["unhealthy"]["failed"], node
    assert node["unhealthy-list"]["hasSick"] is True and node["unhealthy-list"]["states"] == ["unhealthy"], node
    assert node["healthy-list"]["hasSick"] is False and node["healthy-list"]["states"] == ["healthy"], node
    assert node["healthy"]["results"] == ["success"] * 5, node
    assert node["no-filter"]["status"] == 400 and node["no-filter"]["code"], node
    assert "sick" not in {d["deviceId"] for d in bench.management.list_devices()}


@pytest.mark.check(29)
def test_a_group_with_members_is_not_deleted_and_an_empty_one_is(bench):
    device = bench.device("leaver", "leaves")
    with pytest.raises(ResourceExistsError) as refusal:
        bench.management.delete_group("leaves")
    assert refusal.value.status_code == 409 and refusal.value.error.code
    tag(bench.scene, device.id, None)
    assert bench.management.delete_group("leaves") is None
    with pytest.raises(ResourceNotFoundError):
        bench.management.get_group("leaves")
    with pytest.raises(HttpResponseError) as default:
        bench.management.delete_group("$default")
    assert default.value.status_code in (400, 409)
