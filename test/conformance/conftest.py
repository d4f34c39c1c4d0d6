"""What the tests by service-api checks share: one service that may fetch from loopback, the genuine Python client, devices, the npm clients."""
import fcntl
import itertools
import shutil
import subprocess

import pytest

from operators import NODE, Shelf, client_for, import_item, import_quickly, manifest_of, run_node
from hub_device import HubDevice, wait_listed
from scene import Scene


def pytest_configure(config):
    config.addinivalue_line("markers", "check(number): the check of docs/reference/compatibility.md that this test proves")


class Bench:
    """A service, its client, and makers of updates and devices with names of their own."""

    def __init__(self, scene: Scene, shelf: Shelf):
        self.scene, self.shelf = scene, shelf
        self.client = client_for(scene)
        self.updates, self.management = self.client.device_update, self.client.device_management
        self.devices: list[HubDevice] = []
        self._numbers = itertools.count(1)

    def name(self, stem: str) -> str:
        return f"{stem}-{next(self._numbers)}"

    def device(self, model: str, group: str | None, **more) -> HubDevice:
        made = HubDevice(self.scene, self.name("hub-device"), model=model, group=group, **more)
        self.devices.append(made)
        wait_listed(self.client, made)
        return made

    def update(self, name: str, *versions: str, **more) -> None:
        """Updates of one name that are imported before the test begins; `more` goes into the manifest."""
        for version in versions:
            import_quickly(self.scene, import_item(self.shelf, manifest_of(name, version, **more)))

    def class_of(self, device: HubDevice) -> str:
        return self.management.get_device(device.id)["deviceClassId"]

    def node(self, script: str, **wish) -> dict:
        return run_node(self.scene, script, **wish)


@pytest.fixture(scope="session")
def npm_clients():
    """The clients of the lock file; put in place again when it has changed since."""
    installed, wanted = NODE / "node_modules" / ".package-lock.json", NODE / "package-lock.json"
    with open(wanted) as lock:  # several workers of pytest come here at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=NODE, check=True, timeout=600)


@pytest.fixture(scope="session")
def node(npm_clients):
    """The program that runs the scripts beside the clients."""
    return shutil.which("node")


@pytest.fixture(scope="session")
def bench(binaries, tmp_path_factory, npm_clients):
    scene = Scene(tmp_path_factory.mktemp("bench"), binaries)
    scene.service.init()
    config = scene.service.data / "godwit.toml"
    config.write_text(config.read_text().replace("allow_private_addresses = false", "allow_private_addresses = true"))
    scene.service.start()
    shelf = Shelf()
    made = Bench(scene, shelf)
    yield made
    for device in made.devices:
        device.close()
    shelf.close()
    scene.end()

