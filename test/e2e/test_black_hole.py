"""A way to the service on which large packets vanish without a word (an MTU black hole): real ones, between two network namespaces. faults: 30"""
import os

import pytest

from connecting import rewrite, wait_log, wait_online
from namespaces import Namespace, ip
from scene import Scene
from stack import wait_until

PAYLOAD = os.urandom(1 << 20) * 3
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are made by root")


class Way(Namespace):
    """The device's end takes packets of `mtu` bytes only and does not say so: the other side goes on sending large ones, and nobody tells it."""

    def __init__(self):
        super().__init__(hosts="10.211.7.1 updates.test\n")

    def __enter__(self):
        super().__enter__()
        ip("link", "set", self.host, "gso_max_segs", 1)  # each packet as it would be on a wire
        self._promise_full_packets()
        return self

    def _promise_full_packets(self) -> None:
        """As one behind a tunnel does that it does not know of."""
        ip("-n", self.name, "route", "replace", "10.211.7.0/24", "dev", self.device, "src", "10.211.7.2", "advmss", 1460)

    def swallow(self, is_narrow: bool) -> None:
        ip("-n", self.name, "link", "set", self.device, "mtu", 600 if is_narrow else 1500)
        self._promise_full_packets()


@pytest.fixture(scope="module")
def scene(binaries, tmp_path_factory):
    """A service that devices know under another name: libcurl takes "localhost" for this machine, whatever a hosts file says."""
    made = Scene(tmp_path_factory.mktemp("black-hole"), binaries)
    made.start(hosts=("updates.test", "localhost", "127.0.0.1"))
    yield made
    made.end()


def test_a_way_that_swallows_large_packets_is_told_and_used_again_once_it_is_whole(scene):
    with Way() as way:
        device = scene.device(start=False, runner=way.runner, agent_config='\n[connection]\ntransport = "mqtt"\n')
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
