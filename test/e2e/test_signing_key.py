"""The signing key is replaced: devices refuse what the old one signs and take what the new one signs, also what was imported or offered before. faults: 10"""
import shutil
import subprocess


def signing_key(scene, *words):
    done = subprocess.run([scene.service.binaries / "godwitd", "signing-key", *words, "--data", scene.service.data], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def replace(scene) -> str:
    keys = [word for number in (1, 2) for word in ("--key", scene.service.data / "keys" / f"root-{number}.pem")]
    return signing_key(scene, "replace", *keys)


def restart(scene) -> None:
    scene.service.pin_ports()
    scene.service.stop()
    scene.service.start()


def copy_key(origin, target) -> None:
    target.mkdir(exist_ok=True)
    for name in ("signing.pem", "signing.sjwk"):
        shutil.copy(origin / name, target / name)


def test_a_replaced_key_signs_nothing_more_and_its_updates_stay_deployable(scene, tmp_path):
    keys = scene.service.data / "keys"
    device, absent = scene.device(), scene.device()
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        scene.import_update(scene.make_update(device, version))
    scene.import_update(scene.make_update(absent, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    absent.stop()
    waiting = scene.deploy(absent, "1.0.0")  # its goal is written now, and signed by the old key
    copy_key(keys, tmp_path / "stolen")

    before = signing_key(scene, "show")
    assert "take what it signs" in before, before
    told = replace(scene)
    assert "take what it signs" in told and told.splitlines()[0] != before.splitlines()[0], told
    restart(scene)
    assert "catalog.signed_anew manifests=8" in scene.service.process.log.read_text()  # of four updates, for either generation of agents
    absent.start()
    scene.wait_state(absent, waiting, "Succeeded")
    scene.wait_state(device, scene.deploy(device, "2.0.0"), "Succeeded")
    assert scene.history(device) == ["installed 1.0.0", "applied 1.0.0", "installed 2.0.0", "applied 2.0.0"], "what was done is not done again"

    # Whoever stole the old key offers an update with it.
    stolen, new = tmp_path / "stolen", tmp_path / "new"
    copy_key(keys, new)
    copy_key(stolen, keys)
    restart(scene)
    assert "refuse what it signs: the signing key is disabled" in signing_key(scene, "show")
    assert "signing_key.refused" in scene.service.process.log.read_text()
    deployment = scene.deploy(device, "3.0.0")
    state = scene.wait_state(device, deployment, "Failed")
    assert state["godwit"]["extendedResultCode"] == "A0000005", state
    assert scene.history(device)[-1] == "applied 2.0.0"

    copy_key(new, keys)
    restart(scene)
    scene.service.cli("device", "deployment", "retry", "--group-id", device.group, "--deployment-id", deployment)
    scene.wait_state(device, deployment, "Succeeded")
    assert scene.history(device)[-1] == "applied 3.0.0"


def test_a_replacement_without_every_root_key_changes_nothing(scene):
    before = signing_key(scene, "show")
    done = subprocess.run([scene.service.binaries / "godwitd", "signing-key", "replace", "--data", scene.service.data, "--key", scene.service.data / "keys" / "root-1.pem"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "the private key of root-2-" in done.stderr, done.stderr
    assert signing_key(scene, "show") == before
