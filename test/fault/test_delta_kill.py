"""The service is killed while an import makes a delta by itself: the import ends right after the restart, and nothing of the tries is left."""
import hashlib
import json
import os
import random
import re
import ssl
import time
import urllib.request
from pathlib import Path

import pytest

from delta_device import make_device, write_update
from imports import start_import
from scene import sha256_base64
from stack import wait_until

SEED = int(os.environ.get("GODWIT_SEED", "20261126"))
MIB = 1024 * 1024


@pytest.fixture
def device(scene):
    return make_device(scene)


def manifest(scene, device, version: str, image: bytes) -> Path:
    folder = scene.folder / "updates" / version
    scene.service.cli(*write_update(device, version, image, folder))
    return next(folder.glob("*.importmanifest.json"))


def makes_a_delta(service) -> bool:
    """Deltas are made on a thread of the lowest priority, the only one that the service has."""
    tasks = Path(f"/proc/{service.process.child.pid}/task")
    try:
        return any(one.joinpath("stat").read_text().rsplit(")", 1)[1].split()[16] == "19" for one in tasks.iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return False


def deltas_made(service) -> int:
    return len(re.findall(r"import\.delta\b", service.process.log.read_text()))


def ended(service, operation: str):
    request = urllib.request.Request(f"{service.url}/deviceUpdate/default/updates/operations/{operation}?api-version=2022-10-01",
                                     headers={"Authorization": "Bearer " + service.token_file.read_text().strip()})
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=str(service.ca))) as answer:
        found = json.loads(answer.read())
    return found if found["status"] in ("Succeeded", "Failed") else None


def test_a_kill_while_an_import_makes_its_delta_costs_time_and_nothing_else(scene, device):
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    old = rng.randbytes(48 * MIB)
    new = bytearray(old)
    for _ in range(40):
        at = rng.randrange(len(new) - 64)
        new[at:at + 64] = rng.randbytes(64)
    service = scene.service
    scene.import_update(manifest(scene, device, "1.0.0", old))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    kept = device.folder / "agent" / "cache" / "microsoft_delta_1" / "Tests"
    wait_until("the payload is kept", lambda: any(one.stat().st_size == len(old) for one in kept.glob("sha256-*")), 60)
    wait_until("the service knows what is installed", lambda: (device.known() or {}).get("installedUpdate"), 30)

    client = start_import(service, "--manifest", manifest(scene, device, "1.1.0", bytes(new)), "--no-wait", "-o", "json")
    out, err = client.communicate(timeout=120)
    assert client.returncode == 0, err
    operation = out.split("operations/")[1].split("?")[0]
    for delay in (0.0, 0.3):
        wait_until("the delta is being made", lambda: makes_a_delta(service), 60, 0.005)
        time.sleep(delay)
        assert makes_a_delta(service), "it was made too fast to be killed"
        service.kill()
        assert deltas_made(service) == 0, "the kill came too late"
        service.start()
    end = wait_until("the import ends", lambda: ended(service, operation), 120)
    assert end["status"] == "Succeeded", end
    assert deltas_made(service) == 1, "one delta, from the last try"

    base = f"/deviceUpdate/default/updates/providers/Tests/names/{device.model}/versions/1.1.0/files"
    files = json.loads(scene.rest("GET", f"{base}?api-version=2022-10-01")[2])["value"]
    shown = [json.loads(scene.rest("GET", f"{base}/{one}?api-version=2022-10-01")[2]) for one in files]
    [image] = [one for one in shown if one["fileName"] == "image.bin"]
    [related] = image["relatedFiles"]
    assert related["properties"]["microsoft.sourceFileHash"] == sha256_base64(old) and related["sizeInBytes"] < MIB

    # Nothing is left over: no half blob, no file of a try, no blob that no listed update names.
    blobs = service.data / "blobs"
    assert list((blobs / "tmp").iterdir()) == [] and list((blobs / "partial").iterdir()) == []
    for blob in [p for p in blobs.rglob("*") if p.is_file()]:
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name, f"{blob} is not what its name says"
    small = [p for p in blobs.rglob("*") if p.is_file() and p.stat().st_size == related["sizeInBytes"]]
    assert len(small) == 1, small

    state = scene.wait_state(device, scene.deploy(device, "1.1.0"), "Succeeded")
    assert state and "download.made" in device.agent.log.read_text(), device.agent.tail(30)
