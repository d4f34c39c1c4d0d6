"""Downloads from configured places before the service's URL: a medium, a cache that misbehaves, and what the report tells of them."""
import hashlib
import http.server
import socket
import threading

import pytest

from stack import wait_until

PAYLOAD = bytes(range(256)) * 4096 * 3  # 3 MiB


class Cache:
    """A site's cache by hash. `manner`: good, wrong (other bytes of the same size), cut, slow (never ends), busy (503), page (HTML with status 200)."""

    def __init__(self, manner: str, store: dict, address: str = "127.0.0.1"):
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                content = store.get(self.path.rsplit("/", 1)[-1])
                if content is None or manner == "busy":
                    self.send_response(404 if content is None else 503)
                    self.send_header("Retry-After", "600")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                body = {"wrong": b"x" * len(content), "page": b"<html>please log in</html>"}.get(manner, content)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body[:len(body) // 3] if manner in ("cut", "slow") else body)
                    if manner == "slow":
                        outer.end.wait(60)
                except OSError:
                    pass

            def log_message(self, *words):
                pass

        self.end = threading.Event()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.server = type("Server", (http.server.ThreadingHTTPServer,), {"address_family": family})((address, 0), Handler)
        self.url = f"http://{f'[{address}]' if ':' in address else address}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.end.set()
        self.server.shutdown()
        self.server.server_close()


def store_of(manifest) -> dict:
    files = [p for p in manifest.parent.iterdir() if p != manifest]
    return {hashlib.sha256(p.read_bytes()).hexdigest(): p.read_bytes() for p in files}


def make_device(scene, *sources, time_limit="8h"):
    quoted = ", ".join(f'"{one}"' for one in sources)
    return scene.device(start=False, agent_config=f'\n[download]\nallow_http = true\nsources = [{quoted}]\nsource_patience = "3s"\ntime_limit = "{time_limit}"\n')


def register_local(device, folder):
    device.register_extension("agent", "content-downloader", "godwit/local:1", device.binaries.parent / "lib" / "godwit-downloader-local.so",
                              "--option", "schemes=file", "--option", f"folders={folder}")


def soft_codes(state) -> list:
    return [note["extendedResultCode"] for note in state["godwit"].get("notes", [])]


def start(scene, device):
    device.start()
    scene.wait_listed(device)


def test_a_medium_gives_the_files_and_the_service_sends_none(scene, tmp_path):
    device = make_device(scene, f"file://{tmp_path}/medium/{{sha256}}")
    manifest = scene.make_update(device, "1.0.0", payload=PAYLOAD)
    (tmp_path / "medium").mkdir()
    for name, content in store_of(manifest).items():
        (tmp_path / "medium" / name).write_bytes(content)
    register_local(device, tmp_path / "medium")
    start(scene, device)
    scene.import_update(manifest)
    state = scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    assert soft_codes(state) == [], state
    log = (device.folder / "agent.log").read_text()
    assert log.count("download.from_source") == len(store_of(manifest)) and "download.next_source" not in log


@pytest.mark.parametrize("manner, told", [("wrong", "40000104"), ("cut", "40000103"), ("busy", "40000103"), ("page", "40000103")])
def test_a_cache_that_misbehaves_is_followed_by_the_next_source(scene, tmp_path, manner, told):  # faults: 23, 25, 28, 29, 33
    manifest_of = {}
    bad, good = Cache(manner, manifest_of), Cache("good", manifest_of)
    try:
        device = make_device(scene, f"{bad.url}/{{sha256}}", f"{good.url}/{{sha256}}")
        start(scene, device)
        manifest = scene.make_update(device, "1.0.0", payload=PAYLOAD)
        manifest_of.update(store_of(manifest))
        scene.import_update(manifest)
        state = scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
        assert soft_codes(state) == [told], state
        assert bad.asked and {path[1:] for path in good.asked} == set(manifest_of)
        assert "download.next_source" in (device.folder / "agent.log").read_text()
    finally:
        bad.close()
        good.close()


def test_no_medium_no_cache_and_a_link_lead_to_the_service(scene, tmp_path):
    device = make_device(scene, f"file://{tmp_path}/medium/{{sha256}}", "http://127.0.0.1:1/{sha256}")
    manifest = scene.make_update(device, "1.0.0", payload=PAYLOAD)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "medium").mkdir()
    for name, content in store_of(manifest).items():
        (tmp_path / "elsewhere" / name).write_bytes(content)
        (tmp_path / "medium" / name).symlink_to(tmp_path / "elsewhere" / name)
    register_local(device, tmp_path / "medium")
    start(scene, device)
    scene.import_update(manifest)
    state = scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    assert soft_codes(state) == ["40000103"], state
    assert "is a link or no folder" in (device.folder / "agent.log").read_text()


def test_a_name_that_nobody_knows_and_a_cache_with_ipv6_only(scene):  # faults: 30
    store = {}
    cache = Cache("good", store, "::1")
    try:
        device = make_device(scene, "http://no-such-name.invalid/{sha256}", f"{cache.url}/{{sha256}}")
        start(scene, device)
        manifest = scene.make_update(device, "1.0.0", payload=PAYLOAD)
        store.update(store_of(manifest))
        scene.import_update(manifest)
        state = scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
        assert soft_codes(state) == ["40000103"] and {path[1:] for path in cache.asked} == set(store), state
    finally:
        cache.close()


def test_a_cancel_ends_a_source_that_says_nothing(scene, tmp_path):
    store = {}
    slow = Cache("slow", store)
    try:
        device = make_device(scene, f"{slow.url}/{{sha256}}")
        start(scene, device)
        manifest = scene.make_update(device, "1.0.0", payload=PAYLOAD)
        store.update(store_of(manifest))
        scene.import_update(manifest)
        deployment = scene.deploy(device, "1.0.0")
        wait_until("the source is asked", lambda: slow.asked, 60)
        scene.service.cli("device", "deployment", "cancel", "--group-id", device.group, "--deployment-id", deployment)
        scene.wait_state(device, deployment, "Canceled", timeout=30)
        assert scene.history(device) == []
    finally:
        slow.close()
