"""Fixtures of the tests that run real binaries: one service for each module, devices on demand, logs on failure."""
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
sys.path.insert(0, str(ROOT / "test" / "support"))
sys.path.insert(0, str(ROOT / "test" / "package"))

from stack import Service, binaries_folder  # noqa: E402
from scene import SANITIZER_ENV, Scene  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--vm", action="store_true", help="run the long table of the virtual machine as well")


def pytest_configure(config):
    config.addinivalue_line("markers", "vm: runs in the virtual machine for minutes; with --vm only")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--vm"):
        for item in items:
            if item.get_closest_marker("vm"):
                item.add_marker(pytest.mark.skip(reason="with --vm only"))


@pytest.fixture(scope="session")
def binaries():
    return binaries_folder("debug")


@pytest.fixture(scope="module")
def scene(binaries, tmp_path_factory):
    """A running service and a maker of devices and updates; everything it started is ended with the module."""
    made = Scene(tmp_path_factory.mktemp("scene"), binaries)
    made.start()
    yield made
    made.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    fixtures = getattr(item, "funcargs", {})
    scene_used = fixtures.get("scene") or getattr(fixtures.get("bench"), "scene", None)
    if report.failed and scene_used is not None:
        for process in scene_used.processes():
            report.sections.append((f"log of {process.name} ({process.log})", process.tail(40)))
