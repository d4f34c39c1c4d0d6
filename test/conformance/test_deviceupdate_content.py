"""Updates and imports as the genuine Python client (and, where marked, npm's @azure-rest/core-client) sees them: checks 1 to 17."""
import base64
import time

import pytest

from operators import code_of, deployment_body, import_item, manifest_of, sha256_base64

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError  # noqa: E402  (operators puts it on the path)


@pytest.fixture(scope="module")
def node(bench):
    """The same checks by the npm runtime, once."""
    item = import_item(bench.shelf, manifest_of("node-update", "1.0.0"))
    broken = import_item(bench.shelf, manifest_of("node-broken", "1.0.0"), claim_hash_of=b"something else")
    return bench.node("deviceupdate_content.mjs", item=item, broken=broken)


def refused_import(bench, *items) -> tuple:
    with pytest.raises(HttpResponseError) as refusal:
        bench.updates.begin_import_update(list(items)).result(60)
    return code_of(refusal.value)


@pytest.mark.check(1)
def test_an_import_answers_202_and_the_poller_returns_the_update(bench, node):
    answers = []
    poller = bench.updates.begin_import_update([import_item(bench.shelf, manifest_of("imported", "1.0.0"), friendly_name="First of its name")],
                                               raw_response_hook=lambda answer: answers.append(answer.http_response))
    update = poller.result(60)
    assert answers[0].status_code == 202 and answers[0].headers["Operation-Location"] and not answers[0].text()
    assert update["updateId"] == {"provider": "Conformance", "name": "imported", "version": "1.0.0"} and update["friendlyName"] == "First of its name"
    assert node["import"]["version"] == "1.0.0" and node["import"]["firstStatus"] == 202, node


@pytest.mark.check(2)
def test_operation_location_and_next_link_are_followed_as_they_are(bench, node):
    links = []
    bench.update("paged", *[f"1.{number}" for number in range(105)], files={"run.sh": b"the same in all"})
    versions = {u["updateId"]["version"] for u in bench.updates.list_updates(search="paged", raw_response_hook=lambda answer: links.append(answer.http_request.url))}
    assert len(versions) == 105 and len(links) == 2
    assert node["operation-location"]["status"] == "Succeeded", node


@pytest.mark.check(3)
def test_the_client_waits_as_long_as_retry_after_says(bench):
    began = time.monotonic()
    bench.updates.begin_import_update([import_item(bench.shelf, manifest_of("quick", "1.0.0"))]).result(60)
    assert time.monotonic() - began < 10, "without Retry-After the client sleeps 30 s between polls"


@pytest.mark.check(4)
def test_a_parent_and_two_children_come_in_one_request(bench):
    children = [manifest_of(f"child-{letter}", "1.0", isDeployable=False) for letter in "ab"]
    parent = manifest_of("parent", "1.0", children=[child["updateId"] for child in children])
    made = bench.updates.begin_import_update([import_item(bench.shelf, one) for one in (parent, *children)]).result(60)
    assert made["updateId"]["name"] == "parent" and [step["type"] for step in made["instructions"]["steps"]] == ["reference", "reference"]
    for letter in "ab":
        child = bench.updates.get_update("Conformance", f"child-{letter}", "1.0")
        assert child["referencedBy"] == [parent["updateId"]] and child["isDeployable"] is False


@pytest.mark.check(5)
def test_a_wrong_hash_of_the_manifest_fails_the_import_with_its_code(bench, node):
    item = import_item(bench.shelf, manifest_of("wrong-hash", "1.0.0"), claim_hash_of=b"something else")
    assert refused_import(bench, item)[0] == "CannotProcessImportManifest"
    assert "CannotDownload. the manifest at" in node["broken"]["message"], node  # the runtime tells the innermost code and the sentence


@pytest.mark.check(6)
@pytest.mark.parametrize("payload", [b"other bytes", None], ids=["wrong hash", "404"])
def test_a_payload_that_does_not_match_or_is_not_there_fails_the_import(bench, payload):
    item = import_item(bench.shelf, manifest_of("payload", "1.0.0", {"image.bin": b"right bytes"}), payloads={"image.bin": payload})
    assert refused_import(bench, item)[0] == "CannotProcessUpdateFile"
    with pytest.raises(ResourceNotFoundError):
        bench.updates.get_update("Conformance", "payload", "1.0.0")


@pytest.mark.check(7)
def test_the_same_identity_twice_is_refused(bench):
    bench.update("twice", "1.0.0")
    assert refused_import(bench, import_item(bench.shelf, manifest_of("twice", "1.0.0")))[0] == "UpdateAlreadyExists"


@pytest.mark.check(8)
@pytest.mark.parametrize("manifest, inner", [(manifest_of("old", "1.0.0", manifest_version="3.0"), "UnsupportedVersion"),
                                             (manifest_of("rules", "1.0.0", compat=[]) | {"compatibility": []}, "CannotParse"),
                                             (manifest_of("rules", "1.0.0", colour="red"), "CannotParse")], ids=["version 3.0", "no compatibility", "unknown member"])
def test_a_manifest_of_another_version_or_against_the_rules_is_refused(bench, manifest, inner):
    assert refused_import(bench, import_item(bench.shelf, manifest)) == ("CannotProcessImportManifest", inner)


@pytest.mark.check(9)
def test_a_compatibility_set_belongs_to_one_provider_and_name(bench):
    bench.update("owner", "1.0.0")
    outer, inner = refused_import(bench, import_item(bench.shelf, manifest_of("thief", "1.0.0", model="owner")))
    assert outer == "UpdateLimitExceeded" and inner in ("UpdateProviderCompatibility", "UpdateNameCompatibility", "UpdateVersionCompatibility")


@pytest.mark.check(10)
def test_an_update_shows_all_its_fields_and_its_etag(bench, node):
    bench.update("whole", "1.2.3", description="What it is")
    headers = {}
    update = bench.updates.get_update("Conformance", "whole", "1.2.3", raw_response_hook=lambda answer: headers.update(answer.http_response.headers))
    assert update["description"] == "What it is" and update["isDeployable"] is True and update["manifestVersion"] == "5.0"
    assert update["compatibility"] == [{"manufacturer": "Contoso", "model": "whole"}] and update["scanResult"] in ("NotScanned", "Success")
    step = update["instructions"]["steps"][0]
    assert step["type"] == "inline" and step["handler"] == "microsoft/script:1" and step["files"] == ["run.sh"] and step["handlerProperties"]["installedCriteria"] == "1.2.3"
    assert update["createdDateTime"].startswith("2026-01-02T03:04:05") and update["importedDateTime"].endswith("Z")
    assert update["etag"].startswith('"') and update["etag"].endswith('"') and headers["ETag"] == update["etag"]
    assert node["etag"]["body"] == node["etag"]["header"] and node["etag"]["body"].startswith('"'), node


@pytest.mark.check(11)
def test_if_none_match_with_the_etag_in_hand_is_304(bench, node):
    bench.update("known", "1.0.0")
    etag = bench.updates.get_update("Conformance", "known", "1.0.0")["etag"]
    with pytest.raises(HttpResponseError) as unchanged:
        bench.updates.get_update("Conformance", "known", "1.0.0", if_none_match=etag)
    assert unchanged.value.status_code == 304
    assert bench.updates.get_update("Conformance", "known", "1.0.0", if_none_match='"another"')["etag"] == etag
    file_id = next(iter(bench.updates.list_files("Conformance", "known", "1.0.0")))
    with pytest.raises(HttpResponseError) as file_unchanged:
        bench.updates.get_file("Conformance", "known", "1.0.0", file_id, if_none_match=bench.updates.get_file("Conformance", "known", "1.0.0", file_id)["etag"])
    assert file_unchanged.value.status_code == 304
    assert node["not-modified"]["status"] == 304, node


@pytest.mark.check(12)
def test_updates_are_searched_and_filtered(bench):
    bench.update("Searched", "1.0.0", description="a Needle in it")
    bench.update("Searched", "2.0.0", isDeployable=False)

    def found(**more):
        return {u["updateId"]["version"] for u in bench.updates.list_updates(**more) if u["updateId"]["name"] == "Searched"}

    assert found(search="searched") == {"1.0.0", "2.0.0"} and found(search="NEEDLE") == {"1.0.0"} and found(search="haystack") == set()
    assert found(filter="isDeployable eq true") == {"1.0.0"} and found(filter="isDeployable eq false") == {"2.0.0"}
    for wrong in ("color eq 'red'", "isDeployable eq 'yes'", "isDeployable gt true", "isDeployable eq"):
        with pytest.raises(HttpResponseError) as refusal:
            found(filter=wrong)
        assert refusal.value.status_code == 400, wrong


@pytest.mark.check(13)
def test_providers_names_and_versions_are_listed(bench):
    bench.update("listed", "1.0", "1.10", "1.9")
    assert "Conformance" in list(bench.updates.list_providers()) and "listed" in list(bench.updates.list_names("Conformance"))
    assert sorted(bench.updates.list_versions("Conformance", "listed")) == ["1.0", "1.10", "1.9"]
    assert list(bench.updates.list_versions("Conformance", "listed", filter="isDeployable eq false")) == []
    with pytest.raises(ResourceNotFoundError):
        list(bench.updates.list_names("Nobody"))
    with pytest.raises(ResourceNotFoundError):
        list(bench.updates.list_versions("Conformance", "nothing"))


@pytest.mark.check(14)
def test_files_show_name_size_and_hash_and_a_delta_its_related_file(bench):
    image, delta = b"the whole image" * 100, b"only what differs"
    manifest = manifest_of("with-delta", "2.0", {"image.swu": image})
    manifest["files"][0] |= {"downloadHandler": {"id": "microsoft/delta:1"}, "relatedFiles": [
        {"filename": "image.delta", "sizeInBytes": len(delta), "hashes": {"sha256": sha256_base64(delta)},
         "properties": {"microsoft.sourceFileHashAlgorithm": "sha256", "microsoft.sourceFileHash": sha256_base64(b"the image before")}}]}
    item = import_item(bench.shelf, manifest, payloads={"image.delta": delta})
    bench.updates.begin_import_update([item]).result(60)
    ids = list(bench.updates.list_files("Conformance", "with-delta", "2.0"))
    assert len(ids) == 1
    file = bench.updates.get_file("Conformance", "with-delta", "2.0", ids[0])
    assert (file["fileId"], file["fileName"], file["sizeInBytes"], base64.b64decode(file["hashes"]["sha256"])) == \
        (ids[0], "image.swu", len(image), base64.b64decode(sha256_base64(image)))
    assert file["downloadHandler"] == {"id": "microsoft/delta:1"}
    related = file["relatedFiles"][0]
    assert (related["fileName"], related["sizeInBytes"], related["hashes"]["sha256"]) == ("image.delta", len(delta), sha256_base64(delta))
    assert related["properties"]["microsoft.sourceFileHash"] == sha256_base64(b"the image before")
    with pytest.raises(ResourceNotFoundError):
        bench.updates.get_file("Conformance", "with-delta", "2.0", "f0000000000000000")


@pytest.mark.check(15)
def test_a_deleted_update_is_gone_and_the_poller_ends_without_error(bench):
    bench.update("deleted", "1.0.0")
    assert bench.updates.begin_delete_update("Conformance", "deleted", "1.0.0").result(60) is None
    with pytest.raises(ResourceNotFoundError):
        bench.updates.get_update("Conformance", "deleted", "1.0.0")
    with pytest.raises(ResourceNotFoundError):
        bench.updates.begin_delete_update("Conformance", "deleted", "1.0.0").result(60)


@pytest.mark.check(16)
def test_an_update_that_is_referenced_or_deployed_is_not_deleted(bench):
    bench.update("kept-child", "1.0", isDeployable=False)
    bench.update("kept-parent", "1.0", children=[{"provider": "Conformance", "name": "kept-child", "version": "1.0"}])
    with pytest.raises(ResourceExistsError):
        bench.updates.begin_delete_update("Conformance", "kept-child", "1.0").result(60)
    bench.update("kept", "1.0")
    group = bench.name("kept-group")
    bench.device("kept", group, outcome="hold")
    bench.management.create_or_update_deployment(group, "keeps", deployment_body(group, "keeps", "kept", "1.0"))
    with pytest.raises(ResourceExistsError):
        bench.updates.begin_delete_update("Conformance", "kept", "1.0").result(60)
    assert bench.updates.get_update("Conformance", "kept", "1.0")["updateId"]["name"] == "kept"


@pytest.mark.check(17)
def test_operations_are_listed_filtered_and_limited_and_deletions_are_not_among_them(bench):
    bench.update("operated", "1.0.0", "2.0.0")
    ids = []
    bench.updates.begin_delete_update("Conformance", "operated", "2.0.0", raw_response_hook=lambda answer: ids.append(answer.http_response.headers.get("Operation-Location"))).result(60)
    deletion = ids[0].split("/operations/")[1].split("?")[0]
    operations = list(bench.updates.list_operation_statuses())
    assert deletion not in {one["operationId"] for one in operations} and bench.updates.get_operation_status(deletion)["status"] == "Succeeded"
    mine = [one for one in operations if one.get("update", {}).get("updateId", {}).get("name") == "operated"]
    assert len(mine) == 2 and all(one["status"] == "Succeeded" and one["resourceLocation"] for one in mine)
    assert list(bench.updates.list_operation_statuses(filter="status eq 'NotStarted' or status eq 'Running'")) == []
    assert len(list(bench.updates.list_operation_statuses(top=1))) == 1
    with pytest.raises(HttpResponseError) as refusal:
        list(bench.updates.list_operation_statuses(filter="status eq 'Failed'"))
    assert refusal.value.status_code == 400
