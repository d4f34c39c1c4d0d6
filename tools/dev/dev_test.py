"""The door itself: a wrong word is refused before anything is built, help builds nothing."""
import subprocess
from pathlib import Path

import pytest

DEV = Path(__file__).resolve().parents[2] / "dev"


def dev(*words):
    # A build would take minutes: this limit is what shows that there was none.
    return subprocess.run([DEV, *words], capture_output=True, text=True, timeout=20, check=False)


def test_alone_it_lists_its_verbs():
    done = dev()
    assert done.returncode == 0
    for verb in ("setup", "build", "test", "demo", "tidy", "fmt", "bench", "fuzz", "docs"):
        assert f"\n  {verb} " in done.stdout


@pytest.mark.parametrize("verb", ["setup", "build", "test", "demo", "tidy", "fmt", "bench", "fuzz", "docs"])
def test_every_verb_explains_itself(verb):
    done = dev(verb, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"./dev {verb}: ")


@pytest.mark.parametrize("words, told", [
    (("tset",), 'the nearest is "test"'),
    (("test", "hub"), "test takes --vm"),
    (("fmt", "src"), "fmt takes no further words"),
    (("setup", "all"), "setup takes build, test, bench, package, arm64 or image"),
    (("build", "relase"), "there are: release debug tsan bench fuzz"),
    (("demo", "--kepe"), "demo takes --image, --keep or --stop"),
    (("fuzz", "mqt"), "no fuzz target"),
    (("fuzz", "mqtt", "long"), "not a number of seconds"),
])
def test_a_wrong_word_is_refused_with_what_there_is(words, told):
    done = dev(*words)
    assert done.returncode != 0
    assert told in done.stderr
