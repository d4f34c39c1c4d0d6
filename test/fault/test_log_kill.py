"""The service dies again and again while logs come in: what it acknowledged is there, whole, and nothing else is."""
import hashlib
import json
import os
import random
import ssl
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit, urlunsplit

SEED = int(os.environ.get("GODWIT_SEED", "20261126"))
ROUNDS = 6
SENDERS = 4


def blob_url(container: str, name: str) -> str:
    parts = urlsplit(container)
    return urlunsplit(parts._replace(path=f"{parts.path}/{name}"))


def test_kill_of_the_service_while_logs_come_in_loses_nothing_acknowledged(scene):
    service = scene.service
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    service.cli("hub", "device-identity", "create", "-d", "sender")
    service.cli("device", "log", "collect", "--log-collection-id", "storm", "--agent-id", "sender")
    url = service.json("hub", "device-twin", "show", "-d", "sender")["properties"]["desired"]["diagnosticInformation"]["service"]["storageSasUrl"]
    context = ssl.create_default_context(cafile=str(service.ca))
    acknowledged: dict[str, str] = {}
    sent: set[str] = set()
    lock, stop = threading.Lock(), threading.Event()

    def send(number: int, numbers: random.Random) -> None:
        count = 0
        while not stop.is_set() and len(sent) < 200:
            count += 1
            name, body = f"sender/storm/agent/{number}-{count}.log", numbers.randbytes(numbers.randrange(1, 60_000))
            request = urllib.request.Request(blob_url(url, name), data=body, method="PUT", headers={"x-ms-blob-type": "BlockBlob"})
            with lock:
                sent.add(name)
            try:
                with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                    assert answer.status == 201
                time.sleep(0.02)
                with lock:
                    acknowledged[name] = hashlib.sha256(body).hexdigest()
            except (urllib.error.URLError, ConnectionError, TimeoutError, ssl.SSLError):
                time.sleep(0.05)  # it is dead at this moment

    senders = [threading.Thread(target=send, args=(i, random.Random(SEED + i))) for i in range(SENDERS)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.05, 0.4))
            service.kill()
            service.start()
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    service.kill()
    service.start()

    listed = {f["name"]: f for f in list_files(service)}
    assert acknowledged, f"seed {SEED}: nothing came through"
    for name, digest in acknowledged.items():
        assert name in listed, f"seed {SEED}: {name} was acknowledged and is not there"
        assert listed[name]["sha256"] == digest, f"seed {SEED}: {name} has other bytes"
    assert set(listed) <= sent
    files = [p for p in (service.data / "device-logs").rglob("*") if p.is_file()]
    assert sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in files) == sorted(f["sha256"] for f in listed.values()), f"seed {SEED}: files and records differ"
    assert service.json("device", "log", "show", "--log-collection-id", "storm")["status"] == "Running", "nobody has reported an end"
    print(f"{len(acknowledged)} acknowledged of {len(sent)} sent, {len(listed)} kept")


def list_files(service) -> list:
    context = ssl.create_default_context(cafile=str(service.ca))
    token, path, found = service.token_file.read_text().strip(), "/godwit/v1/default/logCollections/storm/files", []
    while path:
        request = urllib.request.Request(path if path.startswith("https") else service.url + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            page = json.loads(answer.read())
        found += page["value"]
        path = page.get("nextLink")
    return found
