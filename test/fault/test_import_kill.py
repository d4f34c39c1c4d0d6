"""Uploads and imports that are cut: by the network, by the end of the client, by kill -9 of the service at seeded random moments."""
import base64
import hashlib
import json
import os
import random
import ssl
import time
import urllib.request

import pytest

from gate import Gate
from imports import Web, blob_path, make_update, set_config, start_import
from scene import SANITIZER_ENV
from stack import Service, wait_until

SEED = int(os.environ.get("GODWIT_SEED", "20261125"))
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def service(binaries, tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("import-kill"), binaries, env=SANITIZER_ENV)
    made.init()
    set_config(made, import__allow_private_addresses="true")
    made.start()
    yield made
    made.stop()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def partial_bytes(service):
    return sum(p.stat().st_size for p in (service.data / "blobs" / "partial").iterdir())


def through(gate):
    return {"GODWIT_URL": f"https://localhost:{gate.port}"}


def test_an_upload_goes_on_after_each_cut_of_the_connection(service):
    payload = random.Random(SEED).randbytes(24 * MIB)
    manifest = make_update(service, service.folder / "cut", "Cut", "1.0", {"app.bin": payload})
    gate = Gate(service.ports["api"], limit=5 * MIB)
    try:
        done = start_import(service, "--manifest", manifest, env=through(gate))
        out, err = done.communicate(timeout=180)
    finally:
        gate.close()
    assert done.returncode == 0, err
    assert gate.cuts >= 4, "the gate never cut"
    assert digest(blob_path(service, payload)) == hashlib.sha256(payload).hexdigest()
    # What was on its way at a cut is lost: some buffers of sockets, not the bytes before.
    assert gate.sent < len(payload) + gate.cuts * 3 * MIB, f"{gate.sent} bytes for a payload of {len(payload)}"
    assert "goes on at" in err


def test_an_upload_goes_on_after_the_service_was_killed(service):
    rng = random.Random(SEED + 1)
    payload = rng.randbytes(96 * MIB)
    manifest = make_update(service, service.folder / "killed", "Killed", "1.0", {"app.bin": payload})
    gate = Gate(service.ports["api"])
    kept = []
    try:
        client = start_import(service, "--manifest", manifest, env=through(gate))
        for share in (0.2, 0.6):
            wait_until("a part of it is here", lambda: partial_bytes(service) > len(payload) * share or client.poll() is not None, 60, 0.005)
            service.kill()
            kept.append(partial_bytes(service))
            service.start()
        out, err = client.communicate(timeout=180)
    finally:
        gate.close()
    assert client.returncode == 0, err
    assert kept[0] > 0.15 * len(payload) and kept[1] > kept[0], kept
    assert digest(blob_path(service, payload)) == hashlib.sha256(payload).hexdigest()
    assert gate.sent < 1.3 * len(payload), f"{gate.sent} bytes for a payload of {len(payload)}, kept were {kept}"


def test_an_upload_goes_on_after_the_client_was_killed(service):
    payload = random.Random(SEED + 2).randbytes(96 * MIB)
    manifest = make_update(service, service.folder / "client", "Client", "1.0", {"app.bin": payload})
    gate = Gate(service.ports["api"])
    try:
        client = start_import(service, "--manifest", manifest, env=through(gate))
        wait_until("half of it is here", lambda: partial_bytes(service) > len(payload) // 2, 60, 0.005)
        client.kill()
        client.communicate()
        again = start_import(service, "--manifest", manifest, env=through(gate))
        out, err = again.communicate(timeout=180)
    finally:
        gate.close()
    assert again.returncode == 0, err
    assert digest(blob_path(service, payload)) == hashlib.sha256(payload).hexdigest()
    assert gate.sent < 1.2 * len(payload), f"{gate.sent} bytes for a payload of {len(payload)}"


def test_kill_at_random_moments_leaves_nothing_half_and_ends_what_was_acknowledged(service):
    rng = random.Random(SEED + 3)
    print(f"seed {SEED}")
    web = Web(rate=12 * MIB)
    acknowledged = []
    for number in range(8):
        files = {"app.bin": rng.randbytes(rng.randrange(1, 5) * MIB), "more.bin": rng.randbytes(MIB)}
        manifest = make_update(service, service.folder / f"random-{number}", "Random", f"1.{number}", files)
        by_url = number % 2 == 0
        words = web.publish(f"random-{number}", manifest) if by_url else ["--manifest", manifest]
        client = start_import(service, *words, "--no-wait", "-o", "json")
        time.sleep(rng.uniform(0.1, 1.0))
        service.kill()
        service.start()
        out, _ = client.communicate(timeout=120)
        if client.returncode == 0:
            acknowledged.append(out.split("operations/")[1].split("?")[0])
    print(f"{len(acknowledged)} of 8 were acknowledged")
    assert acknowledged, "no import was acknowledged: the moments are too early"

    def ended(operation):
        request = urllib.request.Request(f"{service.url}/deviceUpdate/default/updates/operations/{operation}?api-version=2022-10-01",
                                         headers={"Authorization": "Bearer " + service.token_file.read_text().strip()})
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=str(service.ca))) as answer:
            found = json.loads(answer.read())
        return found if found["status"] in ("Succeeded", "Failed") else None

    for operation in acknowledged:
        end = wait_until(f"import {operation} ends", lambda: ended(operation), 60)
        assert end["status"] == "Succeeded" or end["error"]["code"], end
    web.end()
    service.stop()
    service.start()
    blobs = service.data / "blobs"
    assert list((blobs / "tmp").iterdir()) == []
    for blob in [p for p in blobs.rglob("*") if p.is_file() and p.parent.name not in ("partial",)]:
        assert digest(blob) == blob.name, f"{blob} is not what its name says"
    for update in service.json("update", "list"):
        if update["updateId"]["name"] != "Random":
            continue
        words = ["--update-provider", "Tests", "--update-name", "Random", "--update-version", update["updateId"]["version"]]
        for file in service.json("update", "file", "list", *words):
            name = base64.b64decode(file["hashes"]["sha256"]).hex()
            assert (blobs / name[:2] / name).exists(), f"{file['fileName']} of a listed update is missing"
