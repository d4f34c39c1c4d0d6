"""Diagnostics, roles, throttling, errors, paths and size as the genuine Python client (and npm's runtime) sees them: checks 42 to 48."""
import json
import os
import time

import pytest

from hub_device import announce, register
from operators import client_for, code_of, deployment_body, run_node
from scene import Scene
from stack import wait_until

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError  # noqa: E402

FLEET = int(os.environ.get("GODWIT_CONFORMANCE_DEVICES", "1500"))  # 10000 is the number of the check; it takes minutes under the sanitizers
ROLES = {  # role: what it may do of updates and of management
    "administrator": ("rwd", "rwd"), "reader": ("r", "r"), "content-administrator": ("rwd", ""),
    "content-reader": ("r", ""), "deployments-administrator": ("r", "rwd"), "deployments-reader": ("r", "r"),
}


@pytest.fixture(scope="module")
def node(bench):
    bench.update("robust", "1.0")
    return bench.node("deviceupdate_robustness.mjs", name="robust")


def make_token(bench, **wish) -> str:
    status, _, body = bench.scene.rest("POST", "/godwit/v1/default/tokens", wish)
    assert status == 201, body
    return json.loads(body)["token"]


@pytest.mark.check(42)
def test_logs_are_collected_listed_and_shown_for_each_device(bench):
    good, bad = bench.device("logs", "logs"), bench.device("logs", "logs")
    bad.log = None
    answers = []
    wish = {"deviceList": [{"deviceId": good.id}, {"deviceId": bad.id}], "description": "why it is slow"}
    made = bench.management.start_log_collection("from-python", {**wish, "operationId": "from-python"}, raw_response_hook=lambda answer: answers.append(answer.http_response))
    assert answers[0].status_code == 201 and made["operationId"] == "from-python" and made["description"] == "why it is slow" and made["createdDateTime"]
    ended = wait_until("all devices have an end", lambda: (lambda one: one if one["status"] in ("Succeeded", "Failed") else None)(bench.management.get_log_collection("from-python")), 30)
    assert ended["status"] == "Failed", "one of the two had no logs"
    assert "from-python" in {one["operationId"] for one in bench.management.list_log_collections()}
    detail = {one["deviceId"]: one for one in bench.management.get_log_collection_detailed_status("from-python")["deviceStatus"]}
    assert detail[good.id]["status"] == "Succeeded" and detail[good.id]["resultCode"] == "200" and detail[good.id]["logLocation"]
    assert detail[bad.id]["status"] == "Failed" and detail[bad.id]["resultCode"] == "-1" and isinstance(detail[bad.id].get("extendedResultCode", "0"), str)
    with pytest.raises(HttpResponseError) as refusal:
        bench.management.start_log_collection("too-many", {"deviceList": [{"deviceId": f"device-{number}"} for number in range(101)]})
    assert refusal.value.status_code == 400
    node = bench.node("deviceupdate_logs.mjs", device=good.id)
    assert node["put"] == {"check": "put", "status": 201, "code": "200", "hasLocation": True, "listed": True, "detail": "Succeeded"}, node


@pytest.mark.check(43)
@pytest.mark.parametrize("token", ["wrong", "gwt_" + "A" * 43, " "], ids=["a word", "looks like one", "none"])
def test_a_request_without_a_good_token_is_an_authentication_error(bench, token):
    with pytest.raises(ClientAuthenticationError) as refusal:
        list(client_for(bench.scene, token).device_update.list_updates())
    assert refusal.value.status_code == 401 and refusal.value.error.code


@pytest.mark.check(43)
def test_an_expired_token_is_an_authentication_error(bench):
    client = client_for(bench.scene, make_token(bench, name="short", role="reader", lifetimeInSeconds=1))
    wait_until("it expires", lambda: refusal_of(lambda: list(client.device_update.list_providers())) == 401, 10, 0.2)
    with pytest.raises(ClientAuthenticationError):
        list(client.device_update.list_providers())


def refusal_of(call):
    """The status by which a call was refused; 0 when it was answered."""
    try:
        call()
        return 0
    except HttpResponseError as refusal:
        return refusal.status_code


@pytest.mark.check(43)
@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_what_its_row_says_and_nothing_else(bench, role):
    client = client_for(bench.scene, make_token(bench, name=f"as-{role}", role=role))
    updates, management = client.device_update, client.device_management
    body = deployment_body("no-such-group", "d", "robust", "1.0")
    calls = {  # (family, permission): a call, and how it ends for who may
        (0, "r"): (lambda: list(updates.list_providers()), 0),
        (0, "w"): (lambda: updates.begin_import_update([]), 400),
        (0, "d"): (lambda: updates.begin_delete_update("Conformance", "nothing", "1.0"), 404),
        (1, "r"): (lambda: list(management.list_groups()), 0),
        (1, "w"): (lambda: management.create_or_update_deployment("no-such-group", "d", body), 404),
        (1, "d"): (lambda: management.delete_deployment("no-such-group", "d"), 404),
    }
    seen = {what: refusal_of(call) for what, (call, _) in calls.items()}
    assert seen == {(family, letter): end if letter in ROLES[role][family] else 403 for (family, letter), (_, end) in calls.items()}


@pytest.mark.check(44)
def test_a_client_that_asks_too_often_is_slowed_down_and_succeeds(binaries, tmp_path):
    scene = Scene(tmp_path, binaries)
    scene.service.init()
    config = scene.service.data / "godwit.toml"
    config.write_text(config.read_text().replace("reads = 60000", "reads = 60"))
    scene.service.start()
    try:
        tokens = {name: scene.service.cli("token", "create", "--name", name, "--role", "reader").stdout.strip() for name in ("python", "node")}
        client, statuses = client_for(scene, tokens["python"]), []

        def note(answer):
            statuses.extend([*(tried.http_response.status_code for tried in answer.context.get("history", [])), answer.http_response.status_code])

        began = time.monotonic()
        for _ in range(62):  # more than a minute's 60
            list(client.device_update.list_providers(raw_response_hook=note))
        assert statuses.count(429) >= 1 and statuses.count(200) == 62 and time.monotonic() - began >= 1, "it waited as Retry-After said and came again"
        seen = run_node(scene, "deviceupdate_throttled.mjs", token=tokens["node"])["throttled"]
        assert seen["ends"] == [200] and 429 in seen["seen"] and seen["seconds"] >= 1, seen
    finally:
        scene.end()


@pytest.mark.check(45)
def test_an_error_body_is_read_with_code_message_and_inner_code(bench, node):
    with pytest.raises(ResourceNotFoundError) as missing:
        bench.updates.get_update("Conformance", "nothing", "1.0")
    error = missing.value.error
    assert error.code == "NotFound" and "Conformance/nothing/1.0" in error.message and code_of(missing.value)[1]
    with pytest.raises(HttpResponseError) as wrong:
        bench.management.create_or_update_deployment("$default", "d", {"deploymentId": "other"})
    assert wrong.value.status_code == 400 and "deploymentId" in wrong.value.error.message
    seen = node["error"]
    assert seen["status"] == 404 and seen["code"] == "NotFound" and "Conformance/nothing/1.0" in seen["text"] and seen["inner"] and seen["title"] == "Not Found" and seen["traceId"], node


@pytest.mark.check(46)
def test_paths_in_lower_case_answer_the_same(node):
    assert node["lower-case"]["different"] == [] and node["lower-case"]["compared"] >= 8, node


@pytest.mark.check(47)
def test_a_missing_or_unknown_api_version_is_refused(node):
    versions = node["versions"]["statuses"]
    assert len(versions) >= 4 and {status for status, _ in versions.values()} == {400}, node
    assert all("2022-10-01" in text for _, text in versions.values()), "the refusal names what is served"


@pytest.mark.check(48)
def test_many_devices_are_listed_through_paging_in_bounded_time(bench):
    ids = [f"fleet-{number:05}" for number in range(FLEET)]
    group = "conformance-fleet"
    began = time.monotonic()
    register(bench.scene, ids, dict.fromkeys(ids, group))
    announce(bench.scene, ids, {"manufacturer": "Contoso", "model": "fleet"})
    made = time.monotonic()
    pages = []
    listed = [d["deviceId"] for d in bench.management.list_devices(filter=f"groupId eq '{group}'", raw_response_hook=lambda answer: pages.append(answer))]
    took = time.monotonic() - made
    print(f"{FLEET} devices: made in {made - began:.1f} s, listed in {took:.2f} s over {len(pages)} pages")
    assert len(listed) == len(set(listed)) == FLEET and set(listed) == set(ids) and len(pages) <= FLEET // 100 + 1
    assert took < 1 + FLEET / 200, "each device within 5 ms, and the last page as fast as the first"
    assert bench.management.get_group(group)["deviceCount"] == FLEET
