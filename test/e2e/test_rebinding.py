"""A name that leads to another host from one question to the next (DNS rebinding), and redirects to another host: real look-ups, between two network namespaces. faults: 27, 30"""
import contextlib
import http.server
import os
import socket
import ssl
import threading

import pytest

from certificates import Authority
from connecting import rewrite
from namespaces import Namespace, Resolver
from scene import Scene
from test_sources import soft_codes, store_of

PAYLOAD = os.urandom(1 << 20) * 3
OTHER = "10.211.7.3"  # a host that nobody meant
USUAL = {"host", "user-agent", "accept", "accept-encoding", "range", "if-range"}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are made by root")


@pytest.fixture(scope="module")
def scene(binaries, tmp_path_factory):
    """A service that devices know under another name: libcurl takes "localhost" for this machine, whatever a name server says."""
    made = Scene(tmp_path_factory.mktemp("rebinding"), binaries)
    made.start(hosts=("updates.test", "localhost", "127.0.0.1"))
    yield made
    made.end()


@pytest.fixture
def site():
    """The device's network: its names are what the resolver says now."""
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(Namespace(hosts="127.0.0.1 localhost\n", resolver=f"nameserver {Namespace.ADDRESS}\n"))
        made.resolver = Resolver(Namespace.ADDRESS, {"updates.test": Namespace.ADDRESS})
        stack.callback(made.resolver.close)
        yield made


class Host:
    """A web server that notes what it is told. `answer(handler)` sends what it likes."""

    def __init__(self, answer, listener: socket.socket, tls: ssl.SSLContext | None = None):
        self.heard: list[dict] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self):
                outer.heard.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
                with contextlib.suppress(OSError):
                    answer(self)

            def log_message(self, *words):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # handshakes that break off are what the test wants

        self.port = listener.getsockname()[1]
        self.server = Server(listener.getsockname(), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False) if tls else listener
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def near() -> socket.socket:
    return socket.create_server((Namespace.ADDRESS, 0))


def send(handler, status: int, body: bytes, size: int | None = None, **headers) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body) if size is None else size))
    handler.end_headers()
    handler.wfile.write(body)


def make_device(scene, site, *sources: str):
    quoted = ", ".join(f'"{one}"' for one in sources)
    device = scene.device(start=False, runner=site.runner, agent_config=f'\n[download]\nallow_http = true\nsources = [{quoted}]\nsource_patience = "3s"\n')
    rewrite(device, 'host = "localhost"', 'host = "updates.test"')
    device.start()
    scene.wait_listed(device)
    return device


def test_a_name_that_leads_elsewhere_in_mid_download_brings_no_foreign_byte(scene, site):
    """The cache breaks off, and from then on its name is that of another host, which goes on with bytes of its own as if it were the cache."""
    store = {}

    def cut(handler):
        content = store[handler.path.strip("/")]
        site.resolver.names["cache.test"] = OTHER
        send(handler, 200, content[:len(content) // 2], len(content), ETag='"1"')

    def go_on_with_lies(handler):
        size = len(store[handler.path.strip("/")])
        first = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        head = {"ETag": '"1"', **({"Content_Range": f"bytes {first}-{size - 1}/{size}"} if first else {})}
        send(handler, 206 if first else 200, b"#!/bin/sh\ntouch /tmp/owned\n".ljust(size, b"#")[first:], **head)

    with contextlib.ExitStack() as stack:
        cache = Host(cut, near())
        stack.callback(cache.close)
        other = Host(go_on_with_lies, site.listen(OTHER, cache.port))
        stack.callback(other.close)
        site.resolver.names["cache.test"] = Namespace.ADDRESS
        device = make_device(scene, site, f"http://cache.test:{cache.port}/{{sha256}}")
        manifest = scene.make_update(device, "1.0.0", payload=PAYLOAD)
        store.update(store_of(manifest))
        scene.import_update(manifest)
        state = scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
        assert cache.heard and other.heard and any("range" in one for one in other.heard), (cache.heard, other.heard)
        assert "40000104" in soft_codes(state), state  # another file than was signed; the service's own followed
        assert scene.history(device) == ["installed 1.0.0", "applied 1.0.0"]
        for one in cache.heard + other.heard:
            assert set(one) - {"path"} <= USUAL, one


def test_a_redirect_to_another_host_takes_nothing_along(scene, site):
    """What the first host knows (a signed link, a cookie that it sets) stays with it, and what the other sends is believed by its hash."""
    store = {}

    def redirect(handler):
        send(handler, 302, b"", Location=f"http://other.test:{other.port}{handler.path.split('?')[0]}", Set_Cookie="session=1; Domain=test", WWW_Authenticate='Basic realm="x"')

    def give(handler):
        send(handler, 200, store[handler.path.strip("/")])

    with contextlib.ExitStack() as stack:
        other = Host(give, site.listen(OTHER))
        stack.callback(other.close)
        cache = Host(redirect, near())
        stack.callback(cache.close)
        site.resolver.names.update({"cache.test": Namespace.ADDRESS, "other.test": OTHER})
        device = make_device(scene, site, f"http://cache.test:{cache.port}/{{sha256}}?sig=kitchen-secret")
        (device.folder / ".netrc").write_text("default login device password kitchen-secret\n")
        manifest = scene.make_update(device, "1.0.0", payload=PAYLOAD)
        store.update(store_of(manifest))
        scene.import_update(manifest)
        state = scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
        assert soft_codes(state) == [], state
        assert {one["path"] for one in other.heard} == {f"/{digest}" for digest in store}, other.heard
        for one in cache.heard + other.heard:
            assert set(one) - {"path"} <= USUAL, one
        assert "kitchen-secret" not in repr(other.heard) and "kitchen-secret" in repr(cache.heard)


def test_the_services_name_at_another_host_is_told_nothing(scene, site, tmp_path):
    """The other host has a certificate for the name, from an authority that the device does not know."""
    device = make_device(scene, site)
    scene.import_update(scene.make_update(device, "1.0.0", payload=PAYLOAD))
    leaf = Authority(tmp_path, "Elsewhere").issue("updates.test")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(leaf.chain, leaf.key)
    other = Host(lambda handler: send(handler, 200, b"{}"), site.listen(OTHER, scene.service.ports["api"]), tls)
    try:
        site.resolver.names["updates.test"] = OTHER
        deployment = scene.deploy(device, "1.0.0")
        state = scene.wait_state(device, deployment, "Failed")
        assert "certificate" in state["godwit"]["resultDetails"], state
        assert other.heard == []
        site.resolver.names["updates.test"] = Namespace.ADDRESS
        scene.service.cli("device", "deployment", "retry", "--group-id", device.group, "--deployment-id", deployment)
        scene.wait_state(device, deployment, "Succeeded")
        assert other.heard == [] and scene.history(device) == ["installed 1.0.0", "applied 1.0.0"]
    finally:
        other.close()
