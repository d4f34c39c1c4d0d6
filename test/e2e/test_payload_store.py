"""The payload store of a running service: damage of the disk is found, shown and never served, and heals; what nobody needs goes; quotas hold."""
import os

import pytest

from imports import blob_path, make_update, set_config
from scene import SANITIZER_ENV
from stack import Service, wait_until

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def service(binaries, tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("store"), binaries, env=SANITIZER_ENV)
    made.init()
    set_config(made, blobs__check_rate='"256MiB"', quota__versions_per_name="2", quota__storage='"24MiB"')
    made.start()
    yield made
    assert made.stop() == 0, made.process.tail()


def bring(service, name, version, content, check=True):
    manifest = make_update(service, service.folder / "updates" / f"{name}-{version}", name, version, {"app.bin": content})
    return service.cli("update", "import", "--manifest", manifest, check=check)


def test_damage_of_the_disk_is_found_shown_and_healed_by_a_new_import_of_the_file(service):
    content = os.urandom(4 * MIB)
    bring(service, "Rot", "1.0", content)
    wait_until("a round is over", lambda: "finishedDateTime" in service.json("update", "storage", "show")["check"], 30)
    with open(blob_path(service, content), "r+b") as blob:
        blob.seek(2 * MIB)
        blob.write(b"?")
    service.cli("update", "storage", "check")
    damaged = wait_until("the damage is found", lambda: service.json("update", "storage", "show")["quarantined"], 30)
    assert [d["sha256"] for d in damaged] == [blob_path(service, content).name] and damaged[0]["isNeeded"] is True
    assert "DAMAGED" in service.cli("update", "storage", "show").stdout
    assert "blobs.damaged" in service.process.log.read_text()
    bring(service, "Rot", "1.1", content)
    assert blob_path(service, content).read_bytes() == content
    assert service.json("update", "storage", "show")["quarantined"] == []


def test_quotas_are_told_with_their_codes(service):
    done = bring(service, "Rot", "1.2", b"small", check=False)
    assert done.returncode != 0 and "UpdateLimitExceeded" in done.stderr and "UpdateVersion" in done.stderr, done.stderr
    done = bring(service, "Large", "1.0", os.urandom(30 * MIB), check=False)
    assert done.returncode != 0 and "storage quota" in done.stderr, done.stderr


def test_a_deleted_update_gives_its_room_back(service):
    content = os.urandom(3 * MIB)
    bring(service, "Gone", "1.0", content)
    before = service.json("update", "storage", "show")["sizeInBytes"]
    service.cli("update", "delete", "--update-provider", "Tests", "--update-name", "Gone", "--update-version", "1.0", "-y")
    assert not blob_path(service, content).exists()
    assert service.json("update", "storage", "show")["sizeInBytes"] == before - len(content)
