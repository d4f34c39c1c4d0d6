"""A way to the service on which large packets vanish without a word (an MTU black hole): real ones, between two network namespaces. faults: 30"""
import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from connecting import rewrite, wait_log, wait_online
from scene import Scene
from stack import wait_until

PAYLOAD = os.urandom(1 << 20) * 3
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are made by root")


def ip(*words) -> None:
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(map(str, words))}: {done.stderr}"


class Way:
    """The device's end takes packets of `mtu` bytes only and does not say so: the other side goes on sending large ones, and nobody tells it."""

    def __init__(self):
        self.name = f"godwit-{os.getpid()}"
        self.host, self.device = f"gw{os.getpid() % 100000}h", f"gw{os.getpid() % 100000}d"

    def __enter__(self):
        ip("netns", "add", self.name)
        ip("link", "add", self.host, "type", "veth", "peer", "name", self.device, "netns", self.name)
        ip("link", "set", self.host, "gso_max_segs", 1, "up")  # each packet as it would be on a wire
        ip("addr", "add", "10.211.7.1/24", "dev", self.host)
        ip("-n", self.name, "addr", "add", "10.211.7.2/24", "dev", self.device)
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "set", self.device, "up")
        # The device promises to take full packets, as one behind a tunnel does that it does not know of.
        ip("-n", self.name, "route", "replace", "10.211.7.0/24", "dev", self.device, "src", "10.211.7.2", "advmss", 1460)
        self.hosts = Path("/etc/netns") / self.name
        self.hosts.mkdir(parents=True)
        (self.hosts / "hosts").write_text("10.211.7.1 updates.test\n")
        return self

    def swallow(self, is_narrow: bool) -> None:
        ip("-n", self.name, "link", "set", self.device, "mtu", 600 if is_narrow else 1500)
        ip("-n", self.name, "route", "replace", "10.211.7.0/24", "dev", self.device, "src", "10.211.7.2", "advmss", 1460)

    def __exit__(self, *_):
        with contextlib.suppress(AssertionError):
            ip("netns", "del", self.name)
        with contextlib.suppress(AssertionError):
            ip("link", "del", self.host)  # gone with its other end, as a rule
        (self.hosts / "hosts").unlink()
        self.hosts.rmdir()


@pytest.fixture(scope="module")
def scene(binaries, tmp_path_factory):
    """A service that devices know under another name: libcurl takes "localhost" for this machine, whatever a hosts file says."""
    made = Scene(tmp_path_factory.mktemp("black-hole"), binaries)
    made.service.init(hosts=("updates.test", "localhost", "127.0.0.1"))
    made.service.start()
    yield made
    made.end()


def test_a_way_that_swallows_large_packets_is_told_and_used_again_once_it_is_whole(scene):
    with Way() as way:
        device = scene.device(start=False, runner=["ip", "netns", "exec", way.name], agent_config='\n[connection]\ntransport = "mqtt"\n')
        rewrite(device, 'host = "localhost"', 'host = "updates.test"')
        rewrite(device, "[hub]\n", '[hub]\nconnect_timeout = "5s"\nkeep_alive = "5s"\n')
        way.swallow(True)
        device.start()
        # The server's certificate does not fit: TCP stands, TLS never ends.
        wait_log(device, "no answer in time", 2)
        assert "link.online" not in device.agent.log.read_text()
        way.swallow(False)
        wait_online(device)
        scene.wait_listed(device)

        scene.import_update(scene.make_update(device, "1.0.0", payload=PAYLOAD))
        text = device.agent.log.read_text()
        before = text.count("link.broken") + text.count("download.again")
        way.swallow(True)
        deployment = scene.deploy(device, "1.0.0")

        def has_noticed():
            text = device.agent.log.read_text()
            return text.count("link.broken") + text.count("download.again") > before

        wait_until("the device notices that nothing large arrives", has_noticed, 120)
        assert scene.history(device) == []
        way.swallow(False)
        scene.wait_state(device, deployment, "Succeeded", timeout=150)
        assert scene.history(device) == ["installed 1.0.0", "applied 1.0.0"]
        wait_until("it is connected", lambda: scene.service.json("hub", "device-twin", "show", "-d", device.id)["connectionState"] == "Connected", 15)
