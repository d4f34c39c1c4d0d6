"""A device whose private key never leaves its hardware: a PKCS#11 token (softhsm2) and a TPM 2.0 (swtpm), both really running."""
import os
import subprocess

import pytest

from certificates import Authority, Leaf, openssl
from connecting import by_thumbprint, free_port, register_anew, rewrite, wait_connected, wait_log, wait_online
from stack import Process, wait_until

MODULE = "/usr/lib/softhsm/libsofthsm2.so"


def run(*words, **env):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60, env={**os.environ, **env})
    assert done.returncode == 0, f"{words}: {done.stderr}{done.stdout}"
    return done.stdout


def certify(folder, public_key, name):
    """A certificate for a key that only hardware knows."""
    authority = Authority(folder, "Plant CA")
    made = folder / f"{name}.pem"
    openssl("x509", "-new", "-force_pubkey", public_key, "-subj", f"/CN={name}", "-CA", authority.certificate, "-CAkey", authority.key, "-days", "5", "-out", made)
    return Leaf(certificate=made, key=folder / "none", chain=made)


@pytest.fixture
def hardened(scene, tmp_path):
    """Makes a device that is registered by the certificate of `public_key`, whose private key is at `uri`."""
    def make(public_key, uri, env):
        device = scene.device(start=False)
        leaf = certify(tmp_path, public_key, device.id)
        register_anew(scene, device, by_thumbprint(leaf))
        (device.folder / "device.pem").write_bytes(leaf.chain.read_bytes())
        (device.folder / "device.key").unlink()
        rewrite(device, 'key_file = "device.key"', f'certificate_file = "device.pem"\ncertificate_key = "{uri}"')
        device.agent.env = {**device.agent.env, **env}
        return device

    return make


@pytest.fixture
def token(tmp_path):
    """A token of softhsm2 with a key made inside it: (public key, environment)."""
    folder = tmp_path / "hsm"
    (folder / "tokens").mkdir(parents=True)
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    env = {"SOFTHSM2_CONF": str(folder / "softhsm2.conf")}
    run("softhsm2-util", "--init-token", "--free", "--label", "godwit", "--so-pin", "1234", "--pin", "5678", **env)
    tool = ("pkcs11-tool", "--module", MODULE, "--token-label", "godwit")
    run(*tool, "--login", "--pin", "5678", "--keypairgen", "--key-type", "EC:prime256v1", "--label", "device", "--id", "01", **env)
    run(*tool, "--login", "--pin", "5678", "--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "02", **env)
    for label, name in (("device", "pub"), ("rsa", "rsa")):
        run(*tool, "--read-object", "--type", "pubkey", "--label", label, "-o", folder / f"{name}.der", **env)
        openssl("pkey", "-pubin", "-inform", "DER", "-in", folder / f"{name}.der", "-pubout", "-out", folder / f"{name}.pem")
    (folder / "pin").write_text("5678")
    (folder / "wrong").write_text("0000")
    return folder, env


def start_tpm(folder):
    """A swtpm that answers: its process, and where it is. It takes two ports in a row, and somebody may have the second one: then it ends at once."""
    for _ in range(10):
        port = free_port()
        process = Process("swtpm", ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}/state", "--server", f"type=tcp,port={port}",
                                    "--ctrl", f"type=tcp,port={port + 1}", "--flags", "not-need-init,startup-clear"], folder / "swtpm.log")
        process.start()
        where = f"swtpm:host=127.0.0.1,port={port}"
        ask = {**os.environ, "TPM2TOOLS_TCTI": where}
        wait_until("the TPM answers or ends", lambda process=process, ask=ask: not process.running() or
                   subprocess.run(["tpm2_getcap", "properties-fixed"], capture_output=True, env=ask).returncode == 0, 60)
        if process.running():
            return process, where
    raise AssertionError(process.tail())


@pytest.fixture
def tpm(tmp_path):
    """A TPM of swtpm with a persistent key: (public key, environment, process)."""
    folder = tmp_path / "tpm"
    (folder / "state").mkdir(parents=True)
    process, where = start_tpm(folder)
    tools = {"TPM2TOOLS_TCTI": where}
    primary, public, private, key = (folder / name for name in ("primary.ctx", "key.pub", "key.priv", "key.ctx"))
    try:
        run("tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", primary, **tools)
        run("tpm2_create", "-Q", "-C", primary, "-G", "ecc256:ecdsa", "-u", public, "-r", private, **tools)
        run("tpm2_flushcontext", "-t", **tools)
        run("tpm2_load", "-Q", "-C", primary, "-u", public, "-r", private, "-c", key, **tools)
        run("tpm2_flushcontext", "-t", **tools)
        run("tpm2_evictcontrol", "-Q", "-C", "o", "-c", key, "0x81000001", **tools)
        run("tpm2_flushcontext", "-t", **tools)
        run("tpm2_readpublic", "-Q", "-c", "0x81000001", "-f", "pem", "-o", folder / "pub.pem", **tools)
        yield folder / "pub.pem", {"TPM2OPENSSL_TCTI": where}, process
    finally:
        process.stop()


def be_updated(scene, device):
    scene.wait_listed(device)
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")


def test_a_key_in_a_token_speaks_for_a_device_that_is_updated(scene, hardened, token, tmp_path):
    folder, env = token
    device = hardened(folder / "pub.pem", f"pkcs11:token=godwit;object=device;type=private?module-path={MODULE}&pin-source=file:{folder}/pin", env)
    device.start()
    be_updated(scene, device)
    health = subprocess.run([scene.service.binaries / "godwit-agent", "health", "--config", device.folder / "agent.toml"], capture_output=True, text=True, env={**os.environ, **device.agent.env})
    assert "in hardware" in health.stdout, health.stdout + health.stderr
    # A renewal: another certificate for the key that never moves.
    renewed = certify(tmp_path, folder / "pub.pem", device.id)
    status, _, body = scene.rest("PUT", f"/devices/{device.id}?api-version=2021-04-12", {"deviceId": device.id, "authentication": by_thumbprint(renewed)}, {"If-Match": "*"})
    assert status == 200, body
    (device.folder / "new.pem").write_bytes(renewed.chain.read_bytes())
    (device.folder / "new.pem").rename(device.folder / "device.pem")
    wait_online(device, 2)


def only_by_websocket(scene, device):
    """The port of MQTT is blocked: nobody listens where the agent looks for it."""
    rewrite(device, f"port = {scene.service.ports['hub']}\ndevice_id", f"port = {free_port()}\ndevice_id")
    with open(device.folder / "agent.toml", "a") as config:
        config.write(f"\n[connection]\nwebsocket_port = {scene.service.ports['api']}\n")


def test_a_key_in_a_token_speaks_through_a_websocket(scene, hardened, token):
    folder, env = token
    device = hardened(folder / "pub.pem", f"pkcs11:token=godwit;object=device;type=private?module-path={MODULE}&pin-source=file:{folder}/pin", env)
    only_by_websocket(scene, device)
    device.start()
    be_updated(scene, device)
    assert "works=websocket" in device.agent.log.read_text()


def goes_away_and_comes_back(device, process):
    """The TPM: without it the agent says what it waits for."""
    device.agent.stop()
    process.stop()
    device.agent.start()
    wait_log(device, "the device's private key handle:0x81000001")
    process.start()
    wait_online(device, 2)


def test_a_key_in_a_tpm_speaks_through_a_websocket(scene, hardened, tpm):
    public_key, env, process = tpm
    device = hardened(public_key, "handle:0x81000001", env)
    only_by_websocket(scene, device)
    device.start()
    be_updated(scene, device)
    assert "works=websocket" in device.agent.log.read_text()
    health = subprocess.run([scene.service.binaries / "godwit-agent", "health", "--config", device.folder / "agent.toml"], capture_output=True, text=True, env={**os.environ, **device.agent.env})
    assert "in hardware" in health.stdout and "answers by websocket" in health.stdout, "beside a running agent: " + health.stdout + health.stderr
    goes_away_and_comes_back(device, process)


def test_an_rsa_key_in_a_token_connects(scene, hardened, token):
    folder, env = token
    device = hardened(folder / "rsa.pem", f"pkcs11:token=godwit;object=rsa;type=private?module-path={MODULE}&pin-source=file:{folder}/pin", env)
    device.start()
    wait_online(device)


def test_a_wrong_pin_a_missing_key_and_a_missing_module_are_told_without_the_pin(scene, hardened, token):
    folder, env = token
    good = f"pkcs11:token=godwit;object=device;type=private?module-path={MODULE}"
    device = hardened(folder / "pub.pem", f"{good}&pin-value=0000", env)
    device.start()
    wait_log(device, "the token does not give it")
    assert "pin-value=***" in device.agent.log.read_text() and "0000" not in device.agent.log.read_text()
    for old, new in ((f"{good}&pin-value=0000", f"pkcs11:token=godwit;object=other?module-path={MODULE}&pin-source=file:{folder}/pin"),
                     (f"object=other?module-path={MODULE}", "object=other?module-path=/nowhere/module.so")):
        device.agent.stop()
        device.agent.log.unlink()
        rewrite(device, old, new)
        device.agent.start()
        wait_log(device, "the device's private key pkcs11:token=godwit;object=other")
    assert "link.online" not in device.agent.log.read_text()


def test_a_key_in_a_token_that_belongs_to_another_certificate_is_told(scene, hardened, token, tmp_path):
    folder, env = token
    device = hardened(folder / "pub.pem", f"pkcs11:token=godwit;object=device;type=private?module-path={MODULE}&pin-source=file:{folder}/pin", env)
    (device.folder / "device.pem").write_bytes(Authority(tmp_path, "Other").issue(device.id).chain.read_bytes())
    device.start()
    wait_log(device, "does not fit the first certificate")


def test_a_key_in_a_tpm_speaks_for_a_device_that_is_updated(scene, hardened, tpm):
    public_key, env, process = tpm
    device = hardened(public_key, "handle:0x81000001", env)
    device.start()
    be_updated(scene, device)
    health = subprocess.run([scene.service.binaries / "godwit-agent", "health", "--config", device.folder / "agent.toml"], capture_output=True, text=True, env={**os.environ, **device.agent.env})
    assert "in hardware" in health.stdout and "its certificate is good" in health.stdout, "beside a running agent: " + health.stdout + health.stderr
    goes_away_and_comes_back(device, process)


@pytest.mark.parametrize("way", ["mqtt", "websocket"])
def test_a_key_in_a_tpm_finds_its_hub_through_provisioning(scene, hardened, tpm, way):
    public_key, env, _ = tpm
    device = hardened(public_key, "handle:0x81000001", env)
    scene.service.cli("hub", "device-identity", "delete", "-d", device.id, "-y")
    scene.service.cli("dps", "enrollment", "create", "--eid", device.id, "--certificate-path", device.folder / "device.pem")
    ports = scene.service.ports
    rewrite(device, f'host = "localhost"\nport = {ports["hub"]}\ndevice_id = "{device.id}"\n', "")
    with open(device.folder / "agent.toml", "a") as config:
        config.write(f"""
[provisioning]
id_scope = "{scene.service.json("dps", "show")['idScope']}"
host = "localhost"
port = {ports['hub']}
registration_id = "{device.id}"

[connection]
transport = "{way}"
websocket_port = {ports['api']}
""")
    device.start()
    wait_online(device)
    wait_log(device, "link.provisioned")
    wait_connected(scene, device.id)


def test_a_key_of_the_tpm_that_is_no_ec_key_is_told(scene, hardened, tpm):
    public_key, env, _ = tpm
    tools, folder = {"TPM2TOOLS_TCTI": env["TPM2OPENSSL_TCTI"]}, public_key.parent
    run("tpm2_create", "-Q", "-C", folder / "primary.ctx", "-G", "rsa2048", "-c", folder / "rsa.ctx", **tools)
    run("tpm2_flushcontext", "-t", **tools)
    run("tpm2_evictcontrol", "-Q", "-C", "o", "-c", folder / "rsa.ctx", "0x81000002", **tools)
    run("tpm2_flushcontext", "-t", **tools)
    device = hardened(public_key, "handle:0x81000002", env)
    device.start()
    wait_log(device, "none on an elliptic curve")


def test_a_handle_without_a_key_is_told(scene, hardened, tpm):
    public_key, env, _ = tpm
    device = hardened(public_key, "handle:0x81000099", env)
    device.start()
    wait_log(device, "the device's private key handle:0x81000099")
    assert "link.online" not in device.agent.log.read_text()
