"""A device that knows nothing but the URL that godwitd init wrote: `godwit-agent enrol` with real binaries, and what it asks the service."""
import http.server
import json
import os
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from certificates import openssl


@pytest.fixture
def url(scene):
    """As on a service whose port was known when it was made."""
    text = (scene.service.data / "enrolment.url").read_text().strip()
    return f"{scene.service.url}#{text.split('#')[1]}"


def enrol(scene, folder, address, *words, typed=None):
    agent = scene.service.binaries / "godwit-agent"
    return subprocess.run([agent, "enrol", address, "--manufacturer", "Contoso", "--model", "Toaster", "--folder", folder, "--no-start", *words],
                          input=typed, capture_output=True, text=True, timeout=60, env={**os.environ, **(scene.service.env_extra or {})})


def test_what_anybody_may_ask_holds_nothing_secret(scene):
    tls = ssl.create_default_context(cafile=str(scene.service.ca))
    with urllib.request.urlopen(f"{scene.service.url}/enrolment", context=tls, timeout=30) as answer:
        told = json.load(answer)
    data = scene.service.data
    assert told == {"ca": (data / "tls" / "ca.pem").read_text(), "trustAnchors": (data / "trust-anchors.json").read_text(),
                    "idScope": scene.service.json("dps", "show")["idScope"], "hubPort": scene.service.ports["hub"]}
    assert "PRIVATE" not in json.dumps(told)
    for file in [*data.glob("secrets/*"), data / "admin.token", data / "enrolment.url"]:
        assert file.read_text().strip() not in json.dumps(told)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(f"{scene.service.url}/enrolment", b"{}"), context=tls, timeout=30)
    assert refused.value.code == 405


def test_the_key_of_the_group_stays_off_the_device(scene, url, tmp_path):
    done = enrol(scene, tmp_path / "etc", "-", "--id", "sn-1", typed=url + "\n")
    assert done.returncode == 0, done.stderr
    own = scene.service.cli("dps", "enrollment-group", "compute-device-key", "--eid", "devices", "--rid", "sn-1").stdout.strip()
    assert (tmp_path / "etc" / "device.key").read_text().strip() == own
    assert (tmp_path / "etc" / "device.key").stat().st_mode & 0o777 == 0o600
    group = scene.service.json("dps", "enrollment-group", "show", "--eid", "devices", "--show-keys")["attestation"]["symmetricKey"]["primaryKey"]
    key = url.split("-")[-1]
    for file in (tmp_path / "etc").iterdir():
        assert key not in file.read_text() and group not in file.read_text(), file


def test_a_refused_enrolment_leaves_an_earlier_one_whole(scene, url, tmp_path):
    folder = tmp_path / "etc"
    assert enrol(scene, folder, url, "--id", "sn-1").returncode == 0
    before = {file.name: file.read_text() for file in folder.iterdir()}
    place, words = url.split("#")
    for address, name, said in ((url, "sn 2", "registration_id"), (f"{place}#{'0' * 64}-{words.split('-')[1]}", "sn-2", "certificate"),
                                (f"{place}#{words[:-1]}", "sn-2", "hex digits"), ("https://localhost:1#" + words, "sn-2", "localhost:1")):
        done = enrol(scene, folder, address, "--id", name, "--again")
        assert done.returncode == 1 and said in done.stderr, (address, done.stderr)
        assert words.split("-")[1][:-1] not in done.stderr + done.stdout
        assert {file.name: file.read_text() for file in folder.iterdir()} == before
    assert "--again" in enrol(scene, folder, url).stderr
    assert enrol(scene, folder, url, "--id", "sn-2", "--again").returncode == 0


@pytest.fixture
def impostor(scene, tmp_path):
    """Serves as localhost with a certificate by an authority of its own that has the true one's name, and shows the true one beside it: that one
    is no secret. Gives its port."""
    name = "/" + openssl("x509", "-in", scene.service.ca, "-noout", "-subject", "-nameopt", "sep_multiline,utf8").split("\n")[1].strip()
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    ca, ca_key, leaf, key, chain = (tmp_path / name for name in ("ca.pem", "ca-key.pem", "leaf.pem", "leaf-key.pem", "chain.pem"))
    openssl("req", "-x509", *made, "-subj", name, "-keyout", ca_key, "-out", ca)
    openssl("req", "-x509", *made, "-subj", "/CN=localhost", "-keyout", key, "-out", leaf, "-CA", ca, "-CAkey", ca_key,
            "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE")
    chain.write_text(leaf.read_text() + scene.service.ca.read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    asked = []
    server.RequestHandlerClass.do_GET = lambda handler: asked.append(handler.path)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    assert asked == []


def test_who_shows_the_authority_without_being_below_it_is_not_believed(scene, url, impostor, tmp_path):
    done = enrol(scene, tmp_path / "etc", f"https://localhost:{impostor}#{url.split('#')[1]}", "--id", "sn-1")
    assert done.returncode == 1 and "certificate" in done.stderr, done.stderr
    assert not (tmp_path / "etc").exists()


def test_a_certificate_for_another_name_is_not_believed(scene, url, tmp_path):
    done = enrol(scene, tmp_path / "etc", url.replace("localhost", "127.0.0.2"), "--id", "sn-1")
    assert done.returncode == 1 and "certificate" in done.stderr and "127.0.0.2" in done.stderr, done.stderr
