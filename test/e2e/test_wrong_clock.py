"""A device whose clock stands at 1970, jumps or runs ahead: libfaketime lies to the real agent about the time of day, and to it alone. Its timers stay true."""
import os
import signal
import time

import pytest

from connecting import wait_connected, wait_log, wait_online
from scene import SANITIZER_ENV
from stack import wait_until

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@pytest.fixture
def clocked(scene):
    """Makes a device, not started, and a function that sets its agent's clock."""
    def make(hub_config: str = "", agent_config: str = ""):
        device = scene.device(start=False, agent_config=agent_config)
        config = device.folder / "agent.toml"
        config.write_text(config.read_text().replace("[hub]\n", f"[hub]\n{hub_config}\n"))
        clock = device.folder / "clock"
        device.agent.env = {**device.agent.env, "LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
                            "ASAN_OPTIONS": SANITIZER_ENV["ASAN_OPTIONS"] + ":verify_asan_link_order=0"}

        def set_clock(text: str):
            (device.folder / "clock.new").write_text(text + "\n")
            os.rename(device.folder / "clock.new", clock)

        return device, set_clock

    return make


def test_a_device_whose_clock_stands_at_1970_is_updated(scene, clocked):
    # faults: 19
    device, set_clock = clocked()
    set_clock("@1970-01-01 00:00:10")
    device.start()
    scene.wait_listed(device)
    assert "1970-01-01" in device.agent.log.read_text().splitlines()[0], "the agent must believe what it is told here"
    scene.import_update(scene.make_update(device, "1.0.0"))
    scene.wait_state(device, scene.deploy(device, "1.0.0"), "Succeeded")
    assert "clock.behind" in device.agent.log.read_text()


def test_a_clock_that_jumps_back_while_an_update_runs_changes_nothing(scene, clocked):
    # faults: 19, 39. The token is renewed all the time; the step waits in the middle of it.
    device, set_clock = clocked('token_lifetime = "10s"')
    set_clock("+0")
    device.start()
    scene.wait_listed(device)
    scene.import_update(scene.make_update(device, "1.0.0", arguments="--wait-in install"))
    deployment = scene.deploy(device, "1.0.0")
    wait_until("the step waits", lambda: (device.root / "waiting").exists(), 30)
    set_clock("@1970-01-01 00:00:10")
    wait_online(device, 4)
    (device.root / "go").touch()
    scene.wait_state(device, deployment, "Succeeded")
    assert scene.history(device) == ["installed 1.0.0", "applied 1.0.0"], "each act once"
    assert "refuses this device" not in device.agent.log.read_text()


def test_a_clock_some_hours_behind_is_found_out_by_asking_the_server(scene, clocked):
    # faults: 19. Above the floor, so that only the hub's refusal shows it.
    device, set_clock = clocked(agent_config=f"\n[connection]\ntransport = \"mqtt\"\nwebsocket_port = {scene.service.ports['api']}\n")
    set_clock("+0")
    device.start()
    wait_online(device)
    device.agent.stop()
    (device.folder / "agent" / "time.json").write_text('{"version":1,"notBefore":"2020-01-01T00:00:00Z"}')
    set_clock("-6h")
    device.agent.start()
    wait_online(device, 2)
    text = device.agent.log.read_text()
    assert "clock.behind" in text or "clock.off" in text, text
    wait_connected(scene, device.id)


def test_a_clock_decades_ahead_is_told_and_forgotten_once_it_is_set(scene, clocked):
    # faults: 19, 31. Nothing says that the certificate has not expired, so the device waits, and says why.
    device, set_clock = clocked()
    set_clock("+40y")
    device.start()
    wait_log(device, "certificate has expired")
    assert "the clock" in device.agent.log.read_text()
    set_clock("+0")
    wait_online(device)
    device.agent.stop()
    device.agent.start()
    wait_online(device, 2)
    assert "clock.behind" not in device.agent.log.read_text(), "the wrong time left no trace"


def test_a_device_that_slept_comes_back_by_itself(scene, clocked):
    # faults: 20. The process stands still for longer than hub and token wait for it.
    device, set_clock = clocked('token_lifetime = "10s"\nkeep_alive = "5s"')
    set_clock("+0")
    device.start()
    wait_online(device)
    os.kill(device.agent.child.pid, signal.SIGSTOP)
    wait_until("the hub has given it up", lambda: scene.service.json("hub", "device-twin", "show", "-d", device.id)["connectionState"] == "Disconnected", 60)
    time.sleep(5)
    seen = device.agent.log.read_text().count(" link.online ")
    os.kill(device.agent.child.pid, signal.SIGCONT)
    wait_online(device, seen + 1)
    wait_connected(scene, device.id)
