"""microsoft/delta:1 on a real device: the delta instead of the file, and from the file only what a damaged source cannot give.

What crossed the network is what the service counts in godwit_payload_sent_bytes_total.
"""
import json
import random
import shutil

import pytest

from delta_device import make_device, write_update
from scene import sha256_base64
from stack import wait_until

MIB = 1024 * 1024


@pytest.fixture
def device(scene):
    return make_device(scene)


@pytest.fixture(scope="module")
def images():
    """Six MiB that nothing shrinks; in the second, something new in the groups 1 and 4."""
    old = random.Random(11).randbytes(6 * MIB)
    new = bytearray(old)
    new[MIB + 5000:MIB + 5100] = b"n" * 100
    new[4 * MIB + 70_000:4 * MIB + 70_004] = b"edit"
    return old, bytes(new)


def run_update(scene, device, version: str, image: bytes, old: bytes | None = None, spoil=None) -> dict:
    """Imports, deploys and waits; gives how many bytes the service sent for it, and how large the delta was. `spoil` changes the delta's bytes."""
    folder = scene.folder / "updates" / f"{device.id}-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    words = write_update(device, version, image, folder)
    size = 0
    if old is not None:
        (folder / "old.bin").write_bytes(old)
        made = json.loads(scene.service.cli("delta", "make", folder / "old.bin", folder / "image.bin", folder / "image.delta", "--level", "3", "-o", "json").stdout)
        if spoil:
            (folder / "image.delta").write_bytes(spoil((folder / "image.delta").read_bytes()))
        size = (folder / "image.delta").stat().st_size
        words += ["--related-file", f"path={folder / 'image.delta'}", "properties=" + json.dumps({"microsoft.sourceFileHash": made["sourceSha256"], "microsoft.sourceFileHashAlgorithm": "sha256"})]
    scene.service.cli(*words)
    scene.import_update(next(folder.glob("*.importmanifest.json")))
    before = scene.sent_bytes()
    state = scene.wait_state(device, scene.deploy(device, version), "Succeeded")
    return {"sent": scene.sent_bytes() - before, "delta": size, "state": state}


def kept_source(device, content: bytes):
    """Where the payload of the last update is kept; that happens after the success is told."""
    folder = device.folder / "agent" / "cache" / "microsoft_delta_1" / "Tests"
    return wait_until("the payload is kept", lambda: next((one for one in folder.glob("sha256-*") if one.read_bytes() == content), None), 20)


def test_a_device_fetches_the_delta_and_of_the_file_only_what_its_damaged_source_cannot_give(scene, device, images):
    old, new = images
    overhead = 64 * 1024  # script, root keys
    whole = run_update(scene, device, "1.0.0", old)
    assert len(old) <= whole["sent"] < len(old) + overhead
    kept = kept_source(device, old)

    rotten = bytearray(old)
    rotten[2 * MIB + 12_345] ^= 1
    kept.chmod(0o644)
    kept.unlink()
    kept.write_bytes(rotten)
    mended = run_update(scene, device, "1.1.0", new, old)
    assert mended["delta"] < MIB // 8
    assert mended["delta"] + MIB <= mended["sent"] < mended["delta"] + MIB + overhead, "the delta and one group"
    log = device.agent.log.read_text()
    assert "download.pieces" in log and "download.made" in log and "download.whole" in log, "the first update had no source"
    assert (device.root / "installed").read_text().strip() == "1.1.0"

    kept_source(device, new)
    # The mended payload is the next source: whole again, nothing of the file is needed.
    again = run_update(scene, device, "1.2.0", new + b"one more line\n", new)
    assert again["sent"] < again["delta"] + overhead, again


def test_an_import_makes_the_delta_by_itself_from_what_devices_have(scene, device, images):
    old, new = images
    run_update(scene, device, "1.0.0", old)
    kept_source(device, old)
    wait_until("the service knows what is installed", lambda: (device.known() or {}).get("installedUpdate"), 30)
    update = run_update(scene, device, "1.1.0", new)
    assert update["sent"] < 64 * 1024, "the script and a small delta, not six MiB"
    base = f"/deviceUpdate/default/updates/providers/Tests/names/{device.model}/versions/1.1.0/files"
    files = json.loads(scene.rest("GET", f"{base}?api-version=2022-10-01")[2])["value"]
    shown = [json.loads(scene.rest("GET", f"{base}/{one}?api-version=2022-10-01")[2]) for one in files]
    [image] = [one for one in shown if one["fileName"] == "image.bin"]
    [related] = image["relatedFiles"]
    assert related["sizeInBytes"] < 64 * 1024 and related["properties"]["microsoft.sourceFileHash"] == sha256_base64(old)


@pytest.mark.parametrize("damage", ["a byte of its data", "its header", "its end is missing", "it makes another file"])
def test_a_damaged_delta_costs_the_full_file_and_is_told(scene, device, images, damage):
    """The damage was there when the update was made, so the signed hash is that of the damaged delta."""
    old, new = images
    run_update(scene, device, "1.0.0", old)
    kept_source(device, old)

    def spoil(delta: bytes) -> bytes:
        spoiled = bytearray(delta)
        if damage == "a byte of its data":
            spoiled[len(spoiled) * 2 // 3] ^= 1
        elif damage == "its header":
            spoiled[0] ^= 1
        elif damage == "its end is missing":
            del spoiled[len(spoiled) // 2:]
        else:
            folder = device.root / "other"
            folder.mkdir()
            (folder / "old").write_bytes(old)
            (folder / "other").write_bytes(old[:2 * MIB] + b"another file" + old[2 * MIB:])
            scene.service.cli("delta", "make", folder / "old", folder / "other", folder / "delta", "--level", "3")
            return (folder / "delta").read_bytes()
        return bytes(spoiled)

    fallen_back = run_update(scene, device, "1.1.0", new, old, spoil)
    assert fallen_back["sent"] >= len(new), "the full file was fetched"
    assert (device.root / "installed").read_text().strip() == "1.1.0"
    [note] = fallen_back["state"]["godwit"]["notes"]
    assert note["extendedResultCode"] == "90000101" and "whole file was fetched" in json.dumps(note), note
    [said] = [line for line in device.agent.log.read_text().splitlines() if "download.whole" in line and "code=90000101" in line]
    assert "delta" in said and "reason=" in said, said
