"""The demo, as a newcomer runs it: to its end, left running, cut short."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scene import SANITIZER_ENV

RUN = Path(__file__).resolve().parents[2] / "demo" / "run.py"


def processes_of(folder: Path) -> list:
    """Command lines of processes that name something in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


@pytest.fixture
def demo(binaries, tmp_path):
    folder = tmp_path / "demo"

    def start(*words):
        return subprocess.Popen([sys.executable, RUN, "--folder", folder, *words], env={**os.environ, **SANITIZER_ENV, "GODWIT_BIN": str(binaries)},
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    yield folder, start
    start("--stop").wait(60)


def test_the_demo_goes_as_expected_and_is_kept_until_it_is_told_to_end(demo):
    folder, start = demo
    kept = start("--keep")
    told, _ = kept.communicate(timeout=240)
    assert kept.returncode == 0, told
    assert "All went as expected" in told and "--stop ends it" in told
    assert len(processes_of(folder)) >= 3
    ended = start("--stop")
    told, _ = ended.communicate(timeout=60)
    assert ended.returncode == 0 and "the demo was ended" in told
    assert processes_of(folder) == []


@pytest.mark.parametrize("how, code", [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_demo_that_is_cut_short_leaves_nothing_behind(demo, how, code):
    folder, start = demo
    running = start()
    told = ""
    for line in running.stdout:
        told += line
        if line.startswith("3. "):  # service, agent and installer run
            break
    assert len(processes_of(folder)) >= 3, told
    time.sleep(0.3)
    os.killpg(running.pid, how)
    told += running.communicate(timeout=60)[0]
    assert running.returncode == code, told
    assert "cut short" in told
    assert processes_of(folder) == []
    assert not folder.exists()


def test_two_demos_do_not_share_a_folder(demo):
    folder, start = demo
    first = start()
    for line in first.stdout:
        if line.startswith("1. "):
            break
    second = start()
    told, _ = second.communicate(timeout=60)
    assert second.returncode == 1 and "another demo is running" in told
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=60)
