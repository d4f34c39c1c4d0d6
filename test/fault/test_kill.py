"""kill -9 at every state of the agent's table, of the installer at every verb, and of the service at seeded random times:
the deployment still ends right, nothing is installed twice that must not be, nothing acknowledged is lost."""
import hashlib
import json
import os
import random
import threading
import time

import pytest

from connecting import wait_log
from gate import Gate
from stack import wait_until

SEED = int(os.environ.get("GODWIT_SEED", "20261122"))
PAYLOAD = bytes(range(256)) * 4096 * 8  # 8 MiB: long enough to be caught downloading


def journal_state(device):
    """The state that the agent has on disk, or None."""
    for path in (device.folder / "agent").glob("journal*.json"):
        try:
            return json.loads(path.read_text()).get("state")
        except (ValueError, FileNotFoundError):
            return None
    return None


@pytest.mark.parametrize("action", ["is-installed", "download", "install", "apply"])
@pytest.mark.parametrize("victim", ["agent", "installer", "both"])
def test_kill_while_a_script_runs(scene, action, victim):
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", arguments=f"--wait-in {action}"))
    deployment = scene.deploy(device, "1.0.0")
    wait_until("the script waits", (device.root / "waiting").exists, 60)
    if victim in ("agent", "both"):
        device.agent.kill()
    if victim in ("installer", "both"):
        device.installer.kill()
    (device.root / "go").touch()
    if victim in ("installer", "both"):
        device.installer.start()
    if victim in ("agent", "both"):
        device.agent.start()
    state = scene.wait_state(device, deployment, "Succeeded", timeout=120)
    history = scene.history(device)
    assert history[-1] == "applied 1.0.0", history
    if victim == "agent":
        # The installer lives on, finishes the act and remembers it: exactly once.
        assert history == ["installed 1.0.0", "applied 1.0.0"], history
    else:
        # An act cut in the middle is repeated; one that had ended is not.
        assert history.count("installed 1.0.0") <= (2 if action == "install" else 1), history
    assert state["godwit"]["resultCode"] == 700


@pytest.mark.parametrize("victim", ["agent", "installer", "both"])
def test_a_cancel_that_finds_a_half_done_step_has_it_restored(scene, victim):
    """Installed and not applied when something was killed: whoever comes up again has to know. A script cannot be restored, and the report says so."""
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", arguments="--wait-in apply"))
    deployment = scene.deploy(device, "1.0.0")
    wait_until("the script waits", (device.root / "waiting").exists, 60)
    if victim != "installer":
        device.agent.kill()
    if victim != "agent":
        device.installer.kill()
    scene.service.cli("device", "deployment", "cancel", "--group-id", device.group, "--deployment-id", deployment)
    time.sleep(1)
    if victim != "agent":
        device.installer.start()
    if victim != "installer":
        device.agent.start()
    scene.wait_state(device, deployment, "Canceled", timeout=120)
    wait_until("the device says what it left", lambda: "its handler cannot restore what it changed" in json.dumps(scene.state(device, deployment)), 60)
    assert scene.history(device) == ["installed 1.0.0"]


AGENT_STATES = ["verifying", "downloading", "checking", "backing_up", "installing", "applying"]


@pytest.mark.parametrize("wanted", AGENT_STATES)
def test_kill_of_the_agent_at_each_state_of_its_table(scene, wanted):
    # The agent is stopped (SIGSTOP has no handler) as soon as its journal says `wanted`, then killed: a cut right after the
    # record of that state. A state that passes too quickly to be seen is cut by killing at the first later one; the test says so.
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", payload=PAYLOAD))
    seen, done = [], threading.Event()

    def watch():
        last = None
        while not done.is_set():
            state = journal_state(device)
            if state != last and state is not None:
                seen.append(state)
                last = state
                if state in AGENT_STATES[AGENT_STATES.index(wanted):]:
                    device.agent.kill()
                    done.set()
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    deployment = scene.deploy(device, "1.0.0")
    watcher.join(60)
    done.set()
    assert seen, "the agent's journal was never seen"
    print(f"wanted {wanted}, cut at {seen[-1]}")
    device.agent.start()
    scene.wait_state(device, deployment, "Succeeded", timeout=120)
    assert scene.history(device) == ["installed 1.0.0", "applied 1.0.0"]


def test_kill_of_the_service_at_random_times(scene):
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    device = scene.device()
    acknowledged = {}
    for number in range(1, 5):
        version = f"1.{number}.0"
        scene.import_update(scene.make_update(device, version, payload=PAYLOAD[:1024 * 1024] + bytes([number])))
        deployment = scene.deploy(device, version)
        for _ in range(2):
            time.sleep(rng.uniform(0.0, 1.2))
            marker = f"m{number}-{rng.randrange(10**9)}"
            done = scene.service.cli("hub", "device-twin", "update", "-d", device.id, "--tags", json.dumps({"marker": {marker: True}}), check=False)
            if done.returncode == 0:
                acknowledged[marker] = True
            scene.service.kill()
            scene.service.start()
        scene.wait_state(device, deployment, "Succeeded", timeout=120)
        assert scene.history(device)[-2:] == [f"installed {version}", f"applied {version}"]
    assert len(scene.history(device)) == 8, scene.history(device)
    tags = scene.service.json("hub", "device-twin", "show", "-d", device.id)["tags"]
    assert set(acknowledged) <= set(tags["marker"]), "an acknowledged write is lost"
    assert len(scene.service.json("update", "list")) >= 4


def test_kill_of_the_service_during_an_import_leaves_nothing_half(scene):
    rng = random.Random(SEED + 1)
    device = scene.device(start=False)
    for number in range(4):
        version = f"2.{number}.0"
        manifest = scene.make_update(device, version, payload=rng.randbytes(6 * 1024 * 1024))
        killer = threading.Timer(rng.uniform(0.05, 0.5), scene.service.kill)
        killer.start()
        scene.service.cli("update", "import", "--manifest", manifest, check=False)
        killer.join()
        scene.service.start()
        again = scene.service.cli("update", "import", "--manifest", manifest, check=False)
        assert again.returncode == 0 or "UpdateAlreadyExists" in again.stderr, again.stderr

        def there():
            return any(u["updateId"]["version"] == version for u in scene.service.json("update", "list"))

        wait_until(f"update {version} is there", there, 30)
    folder = scene.service.data / "blobs"
    for blob in [p for p in folder.rglob("*") if p.is_file()]:
        # Whatever lies there is whole and under its own digest: nothing temporary, nothing half.
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name, blob


def test_a_full_disk_at_download_fails_with_its_code(scene, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("a small file system needs root")
    import subprocess
    device = scene.device(start=False)
    downloads = device.folder / "agent"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", downloads], check=True)
    try:
        device.register_extensions()
        device.start()
        scene.wait_listed(device)
        scene.import_update(scene.make_update(device, "1.0.0", payload=PAYLOAD))
        deployment = scene.deploy(device, "1.0.0")
        state = scene.wait_state(device, deployment, "Failed", timeout=120)
        assert state["godwit"]["extendedResultCode"] == "0000001C", state
        assert "space" in state["godwit"]["resultDetails"]
        assert device.agent.running()
    finally:
        device.stop()
        subprocess.run(["umount", "-l", downloads], check=True)


def begin_through(scene, gate: Gate, size: int, deployment: str):
    """A device that begins to download `size` bytes by links that lead through the gate, and the links that it should have had."""
    device = scene.device()
    scene.import_update(scene.make_update(device, "1.0.0", payload=PAYLOAD[:size]))
    device.agent.stop()
    scene.deploy(device, "1.0.0", deployment)
    wait_until("the offer is written", lambda: "deviceUpdate" in scene.service.json("hub", "device-twin", "show", "-d", device.id)["properties"]["desired"], 30)
    urls = scene.service.json("hub", "device-twin", "show", "-d", device.id)["properties"]["desired"]["deviceUpdate"]["service"]["fileUrls"]
    set_urls(scene, device, {k: u.replace(f":{scene.service.ports['api']}/", f":{gate.port}/") for k, u in urls.items()})
    device.agent.start()
    return device, urls


def set_urls(scene, device, urls: dict) -> None:
    scene.service.cli("hub", "device-twin", "update", "-d", device.id, "--desired", json.dumps({"deviceUpdate": {"service": {"fileUrls": urls}}}))


def test_a_download_cut_by_the_network_is_resumed(scene):
    # A TCP gate between device and payload server closes each connection after 1 MiB; faults: 23, 24.
    gate = Gate(scene.service.ports["api"], limit=1024 * 1024, counts_answers=True)
    try:
        device, _ = begin_through(scene, gate, 4 * 1024 * 1024, "cut")
        scene.wait_state(device, "cut", "Succeeded", timeout=180)
        assert gate.cuts >= 3, "the gate never cut"
        assert scene.history(device) == ["installed 1.0.0", "applied 1.0.0"]
    finally:
        gate.close()


def test_links_that_are_renewed_in_the_middle_of_a_download_are_used_at_once(scene):
    # What the first links lead to goes away for good, long before the agent would give up.
    gate = Gate(scene.service.ports["api"], limit=1024 * 1024, counts_answers=True)
    try:
        device, urls = begin_through(scene, gate, 8 * 1024 * 1024, "renewed")
        wait_until("a part of the download came", lambda: gate.cuts >= 2, 60)
        gate.close()
        wait_log(device, "download.again", gate.cuts + 2)  # in vain
        set_urls(scene, device, urls)
        scene.wait_state(device, "renewed", "Succeeded", timeout=90)
        assert scene.history(device) == ["installed 1.0.0", "applied 1.0.0"]
    finally:
        gate.close()
