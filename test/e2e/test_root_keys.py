"""A root key package with an end: a device from which renewals are kept notices, says so to its operator and to the service, and goes on when one comes. faults: 3, 20"""
import json
import subprocess


def renew(scene, *words):
    keys = [word for number in (1, 2) for word in ("--key", scene.service.data / "keys" / f"root-{number}.pem")]
    return subprocess.run([scene.service.binaries / "godwitd", "root-keys", "renew", "--data", scene.service.data, *keys, *words], capture_output=True, text=True, timeout=60)


def ask(scene, device, *words) -> dict:
    done = subprocess.run([scene.service.binaries / "godwit-agent", *words, "--config", device.folder / "agent.toml", "-o", "json"], capture_output=True, text=True)
    return json.loads(done.stdout)


def restart(scene):
    scene.service.pin_ports()
    scene.service.stop()
    scene.service.start()


def end_the_package(scene):
    """As if a year had gone by since the root keys signed it: its time is written as they would have, then, and signed with them by openssl."""
    path = scene.service.data / "rootkeypackage.json"
    package = json.loads(path.read_text())
    content = package["protected"]
    content["published"] -= 365 * 24 * 3600
    content["expires"] = content["published"] + 24 * 3600
    order = ["isTest", "version", "published", "expires", "disabledRootKeys", "disabledSigningKeys", "rootKeys"]
    content = {name: content[name] for name in order}
    text = scene.folder / "protected.json"
    text.write_text(json.dumps(content, separators=(",", ":")))
    for number, signature in enumerate(package["signatures"], 1):
        key = scene.service.data / "keys" / f"root-{number}.pem"
        raw = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key, text], capture_output=True, check=True).stdout
        signature["sig"] = base64url(raw)
    package["protected"] = content
    path.write_text(json.dumps(package, separators=(",", ":")))


def base64url(data: bytes) -> str:
    import base64
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_package_that_was_not_renewed_stops_updates_and_says_so_everywhere(scene):
    device = scene.device()
    for version in ("1.0.0", "2.0.0"):
        scene.import_update(scene.make_update(device, version))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    assert ask(scene, device, "status")["rootKeys"] is None

    renewed = renew(scene, "--days", "1")
    assert renewed.returncode == 0 and "Version:    2" in renewed.stdout, renewed.stderr
    end_the_package(scene)
    restart(scene)
    deployment = scene.deploy(device, "2.0.0")
    state = scene.wait_state(device, deployment, "Failed")
    assert state["godwit"]["extendedResultCode"] == "80500102", state
    assert "version 2 ended on" in state["godwit"]["resultDetails"], state
    assert "has ended" in scene.service.cli("explain", "80500102").stdout
    # On the device, also when nothing is under way; and at the service.
    status = ask(scene, device, "status")
    assert "version 2 ended on" in status["rootKeys"] and "Updates are refused" in status["why"], status
    check = {one["name"]: one for one in ask(scene, device, "health")["checks"]}["root keys"]
    assert check["verdict"] == "bad", check
    assert "root_keys.ended" in scene.service.process.log.read_text()
    doctor = json.loads(scene.service.cli("doctor", "--data", scene.service.data, "-o", "json", check=False).stdout)
    assert {one["name"]: one["verdict"] for one in doctor["checks"]}["root keys"] == "bad", doctor

    assert renew(scene, "--days", "30").returncode == 0
    restart(scene)
    scene.service.cli("device", "deployment", "retry", "--group-id", device.group, "--deployment-id", deployment)
    scene.wait_state(device, deployment, "Succeeded")
    assert ask(scene, device, "status")["rootKeys"] is None
    assert scene.history(device)[-1] == "applied 2.0.0"


def test_a_renewal_without_every_root_key_is_refused_in_words(scene):
    done = subprocess.run([scene.service.binaries / "godwitd", "root-keys", "renew", "--data", scene.service.data, "--key", scene.service.data / "keys" / "root-1.pem"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "the private key of root-2-" in done.stderr and "--key" in done.stderr, done.stderr
