"""Queries and scheduled jobs with the unmodified azure-iothub clients (Node)."""
import pytest

from test_hub_messages import SdkDevice, steps


@pytest.fixture(scope="module")
def fleet(node, scene):
    """Six devices, three of them in the group "north"."""
    ids = [f"query-{i}" for i in range(6)]
    steps(node, scene.service, {"do": "add", "devices": ids})
    for name in ids[:3]:
        scene.service.cli("device", "tag", "--set", "ADUGroup=north", "-d", name)
    return ids


def test_a_query_comes_in_pages_and_ends(node, scene, fleet):
    [answer] = steps(node, scene.service, {"do": "query", "text": "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'query-')", "size": 2})
    pages = answer["result"]["pages"]
    assert [len(page) for page in pages if page] == [2, 2, 2], pages
    assert [name for page in pages for name in page] == fleet, pages


def test_conditions_projections_and_counts(node, scene, fleet):
    north, named, counted, grouped, broken = steps(
        node, scene.service,
        {"do": "query", "text": "SELECT * FROM devices WHERE tags.ADUGroup = 'north' AND NOT deviceId IN ['query-1']"},
        {"do": "query", "raw": True, "text": "SELECT deviceId, tags.ADUGroup AS g FROM devices WHERE IS_DEFINED(tags.ADUGroup) AND deviceId = 'query-0'"},
        {"do": "query", "raw": True, "text": "SELECT COUNT() AS n FROM devices WHERE STARTSWITH(deviceId, 'query-')"},
        {"do": "query", "raw": True, "text": "SELECT tags.ADUGroup, COUNT() AS n FROM devices WHERE tags.ADUGroup = 'north' GROUP BY tags.ADUGroup"},
        {"do": "query", "text": "SELECT * FROM devices WHERE tags.ADUGroup = "})
    assert north["result"]["pages"][0] == ["query-0", "query-2"], north
    assert named["result"]["pages"][0] == [{"deviceId": "query-0", "g": "north"}], named
    assert counted["result"]["pages"][0] == [{"n": 6}], counted
    assert grouped["result"]["pages"][0] == [{"ADUGroup": "north", "n": 3}], grouped
    assert broken["status"] == 400 and "position" in str(broken["body"]), broken


def test_the_command_line_asks_in_the_same_language(scene, fleet):
    text = "SELECT * FROM devices WHERE tags.ADUGroup = 'north'"
    rows = scene.service.json("hub", "query", "-q", text)
    assert [row["deviceId"] for row in rows] == fleet[:3], rows
    assert [row["deviceId"] for row in scene.service.json("hub", "query", "-q", text, "--top", "2")] == fleet[:2]
    assert fleet[0] in scene.service.cli("hub", "query", "-q", text).stdout
    broken = scene.service.cli("hub", "query", "-q", "SELECT FROM devices", check=False)
    assert broken.returncode == 2 and "position" in broken.stderr, broken
    listed = [row["deviceId"] for row in scene.service.json("hub", "device-identity", "list")]
    assert set(fleet) <= set(listed), listed


def test_a_scheduled_job_changes_the_twins_of_a_condition(node, scene, fleet):
    begun, ended, listed, lines = steps(
        node, scene.service,
        {"do": "twinJob", "job": "job-tags", "where": "tags.ADUGroup = 'north'", "patch": {"tags": {"wave": 7}}},
        {"do": "waitJob", "job": "job-tags"},
        {"do": "listJobs", "type": "scheduleUpdateTwin", "status": "completed"},
        {"do": "query", "raw": True, "text": "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'job-tags'"})
    assert begun["result"]["jobId"] == "job-tags", begun
    assert ended["result"]["status"] == "completed", ended
    assert ended["result"]["deviceJobStatistics"]["succeededCount"] == 3, ended
    assert "job-tags" in listed["result"]["jobs"], listed
    assert [line["deviceId"] for line in lines["result"]["pages"][0]] == fleet[:3], lines
    waves = [scene.service.json("hub", "device-twin", "show", "-d", name)["tags"].get("wave") for name in fleet]
    assert waves == [7, 7, 7, None, None, None]


def test_a_method_job_calls_each_device_once_and_a_later_job_can_be_cancelled(node, scene):
    device = SdkDevice(node, scene.service, scene.folder, "job-device")
    try:
        begun, ended, later, cancelled = steps(
            node, scene.service,
            {"do": "methodJob", "job": "job-call", "where": "deviceId = 'job-device'", "params": {"methodName": "echo", "payload": 5, "responseTimeoutInSeconds": 20}},
            {"do": "waitJob", "job": "job-call"},
            {"do": "laterJob", "job": "job-later", "where": "*", "patch": {"tags": {"x": 1}}},
            {"do": "cancelJob", "job": "job-later"})
        assert begun["result"]["jobId"] == "job-call" and ended["result"]["status"] == "completed", (begun, ended)
        assert ended["result"]["deviceJobStatistics"]["succeededCount"] == 1, ended
        assert [event["payload"] for event in device.wait_events("method", 1)] == [5]
        assert later["result"]["status"] in ("enqueued", "scheduled", "queued"), later
        assert cancelled["result"]["status"] == "cancelled", cancelled
    finally:
        device.stop()
