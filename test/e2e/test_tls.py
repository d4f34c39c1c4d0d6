"""TLS between device and hub, where it must not hold: a certificate that ends, a server that is weaker than it should be or another one. faults: 31"""
import contextlib
import json
import re
import subprocess

import pytest

from certificates import Authority, openssl
from connecting import connection_state, free_port, place, register_anew, rewrite, wait_log, wait_online
from stack import wait_until


def health_of(scene, device) -> dict:
    done = subprocess.run([scene.service.binaries / "godwit-agent", "health", "--config", device.folder / "agent.toml", "-o", "json"], capture_output=True, text=True)
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_a_certificate_that_ends_in_mid_session_is_told_and_its_renewal_comes_back(scene, tmp_path):
    """The hub ends the session, the agent says why and since when, and takes the renewed files without being told."""
    authority = Authority(tmp_path, "Short CA")
    scene.service.cli("hub", "certificate", "create", "--name", "short", "--path", authority.certificate)
    device = scene.device(start=False)
    register_anew(scene, device, {"type": "certificateAuthority"})
    (device.folder / "device.key").unlink()
    rewrite(device, 'key_file = "device.key"', 'certificate_file = "device.pem"\ncertificate_key_file = "device-key.pem"')
    place(device, authority.issue(device.id, seconds=20))
    device.start()
    wait_online(device)
    scene.wait_listed(device)
    wait_log(device, "link.broken")
    said = next(line for line in device.agent.log.read_text().splitlines() if "link.broken" in line)
    assert "closed by the other side" in said or "certificate expired" in said, said
    wait_until("the hub calls it disconnected", lambda: connection_state(scene, device) == "Disconnected", 15)
    wait_log(device, "its own certificate ended at")
    assert device.agent.log.read_text().count(" link.online ") == 1
    check = health_of(scene, device)["certificate"]
    assert check["verdict"] == "bad" and "it has ended" in check["words"], check
    place(device, authority.issue(device.id))
    wait_log(device, "link.certificate_renewed")
    wait_online(device, 2)
    assert health_of(scene, device)["certificate"]["verdict"] == "good"
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    scene.service.cli("hub", "certificate", "delete", "--name", "short", "-y")


def test_a_hub_whose_certificate_was_revoked_is_refused(scene, tmp_path):
    """Lists lie beside the authorities in hub.ca_file: who is named is refused, whatever the list's age; who is not comes in. faults: 16"""
    def listed(folder, *revoked, **when):
        folder.mkdir()
        keeper = Authority.of(folder, scene.service.ca, scene.service.data / "tls" / "ca-key.pem")
        for certificate in revoked:
            keeper.revoke_certificate(certificate)
        return keeper.revocation_list(**when).read_text()

    def judge(device, lists: str):
        own = device.folder / "ca-and-lists.pem"
        own.write_text(scene.service.ca.read_text() + lists)
        config = device.folder / "agent.toml"
        text = re.sub(r'^(ca_file = ).*$', lambda m: f'ca_file = "{own}"', config.read_text(), count=1, flags=re.M)
        config.write_text(text)
        return health_of(scene, device)["hub"]

    device = scene.device(start=False)
    hub = scene.service.data / "tls" / "server.pem"
    assert judge(device, listed(tmp_path / "empty"))["verdict"] == "good"
    assert judge(device, listed(tmp_path / "old", seconds=1))["verdict"] == "good", "an old list locks nobody out"
    for case in ({}, {"seconds": 1}):
        refused = judge(device, listed(tmp_path / f"named-{len(case)}", hub, **case))
        assert refused["verdict"] == "bad" and "certificate revoked" in refused["words"], refused
    assert judge(device, "")["verdict"] == "good"


@contextlib.contextmanager
def server(folder, key, *options):
    """A real server of OpenSSL at localhost with a certificate that the device trusts: (port, its log)."""
    certificate = folder / "server.pem"
    openssl("req", "-x509", "-newkey", key, *(["-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else []), "-nodes", "-days", "5", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "server-key.pem", "-out", certificate)
    port, log = free_port(), folder / "server.log"
    with open(log, "wb") as out:  # s_server ends when nobody could type any more: its input stays open
        child = subprocess.Popen(["openssl", "s_server", "-accept", str(port), "-cert", certificate, "-key", folder / "server-key.pem", *options], stdin=subprocess.PIPE, stdout=out, stderr=out)
    try:
        wait_until("openssl listens", lambda: "ACCEPT" in log.read_text() and child.poll() is None, 20)
        yield port, certificate, log
    finally:
        child.terminate()
        child.wait(15)


def greets(port, certificate, *options) -> bool:
    """Whether a client that is as weak as the server does come through: else a refusal would show nothing."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"localhost:{port}", "-CAfile", certificate, *options], input="Q\n", capture_output=True, text=True, timeout=30)
    return bool(re.search(r"Cipher is (?!\(NONE\))", done.stdout))


WEAK = {
    "TLS 1.0": ("rsa:2048", ["-tls1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1", "-cipher", "ALL:@SECLEVEL=0"], "TLS with localhost"),
    "TLS 1.1": ("rsa:2048", ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "TLS with localhost"),
    "no forward secrecy": ("rsa:2048", ["-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-SHA256"], ["-tls1_2"], "handshake failure"),
    "no authenticated cipher": ("rsa:2048", ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"], ["-tls1_2"], "handshake failure"),
    "no encryption": ("rsa:2048", ["-tls1_2", "-cipher", "NULL-SHA256:@SECLEVEL=0"], ["-tls1_2", "-cipher", "NULL-SHA256:@SECLEVEL=0"], "handshake failure"),
    "no certificate": ("rsa:2048", ["-tls1_2", "-cipher", "ADH-AES128-GCM-SHA256:@SECLEVEL=0"], ["-tls1_2", "-cipher", "ADH:@SECLEVEL=0"], "handshake failure"),
    "a short key": ("rsa:1024", ["-cipher", "ALL:@SECLEVEL=0"], ["-cipher", "ALL:@SECLEVEL=0"], "key too weak"),
}


@pytest.mark.parametrize("what", WEAK)
def test_a_server_that_is_weaker_than_it_should_be_is_refused(scene, tmp_path, what):
    key, options, as_weak, words = WEAK[what]
    with server(tmp_path, key, *options) as (port, certificate, log):
        assert greets(port, certificate, *as_weak), log.read_text(errors="replace")
        device = scene.device(start=False)
        (device.folder / "ca.pem").write_bytes(certificate.read_bytes())
        rewrite(device, f"port = {scene.service.ports['hub']}", f"port = {port}")
        with open(device.folder / "agent.toml", "a") as config:
            config.write('\n[connection]\ntransport = "mqtt"\n')
        device.start()
        wait_log(device, "link.broken")
        said = next(line for line in device.agent.log.read_text().splitlines() if "link.broken" in line)
        assert words in said, said
        # MQTT's CONNECT holds the token: it would show up among what the server prints.
        assert "SharedAccessSignature" not in log.read_text(errors="replace")
        assert " link.online " not in device.agent.log.read_text()
        device.agent.stop()


def test_a_strong_server_of_the_same_kind_hears_the_device(scene, tmp_path):
    """The other side of the test above: what it looks for does come through where nothing is weak."""
    with server(tmp_path, "ec", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256") as (port, certificate, log):
        device = scene.device(start=False)
        (device.folder / "ca.pem").write_bytes(certificate.read_bytes())
        rewrite(device, f"port = {scene.service.ports['hub']}", f"port = {port}")
        device.start()
        wait_until("the server sees the device's token", lambda: "SharedAccessSignature" in log.read_text(errors="replace"), 30)
        device.agent.stop()


@pytest.mark.parametrize("line, words", [('tls_name = "updates.example"', "hostname mismatch"), ('tls_name = "127.0.0.2"', "IP address mismatch")])
def test_a_hub_with_another_name_is_refused_with_what_to_check(scene, line, words):
    device = scene.device(start=False)
    rewrite(device, 'host = "localhost"', f'host = "localhost"\n{line}')
    device.start()
    wait_log(device, words)
    said = next(line for line in device.agent.log.read_text().splitlines() if words in line)
    assert "check hub.ca_file, hub.tls_name and the clock" in said, said
    assert " link.online " not in device.agent.log.read_text()
    device.agent.stop()
