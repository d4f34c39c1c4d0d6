"""godwit delta, the real program: make, show, apply; a damaged source is mended from the full file, and nothing else leaves a file behind."""
import json
import os
import random
import subprocess

import pytest

from scene import SANITIZER_ENV

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two versions of an image that no compressor shrinks: blocks moved, bytes replaced and inserted, a stretch of zeros."""
    folder = tmp_path_factory.mktemp("delta")
    dice = random.Random(7)
    old = dice.randbytes(3 * MIB)
    new = bytearray(old[MIB:] + old[:MIB])
    for at in range(100_000, len(new), 400_000):
        new[at:at + 4] = b"edit"
    new[700_000:700_000] = b"inserted" * 100
    new += bytes(2 * MIB)
    (folder / "old").write_bytes(old)
    (folder / "new").write_bytes(new)
    return folder


@pytest.fixture(scope="module")
def godwit(binaries):
    def run(*words, code=0):
        done = subprocess.run([binaries / "godwit", *map(str, words)], capture_output=True, text=True, env={**os.environ, **SANITIZER_ENV}, timeout=120)
        assert done.returncode == code, done.stderr
        return done
    return run


def test_a_delta_is_made_shown_and_applied(pair, godwit):
    made = json.loads(godwit("delta", "make", pair / "old", pair / "new", pair / "a.delta", "--level", 3, "--jobs", 3, "-o", "json").stdout)
    assert made["sizeInBytes"] == (pair / "a.delta").stat().st_size < 20_000
    shown = json.loads(godwit("delta", "show", pair / "a.delta", "--groups", "-o", "json").stdout)
    assert shown["target"]["sizeInBytes"] == (pair / "new").stat().st_size and shown["source"]["sha256"] == made["sourceSha256"]
    assert shown["kinds"]["zeros"]["groups"] >= 1 and len(shown["groups"]) == sum(kind["groups"] for kind in shown["kinds"].values())
    godwit("delta", "apply", pair / "old", pair / "a.delta", pair / "again")
    assert (pair / "again").read_bytes() == (pair / "new").read_bytes()
    one = godwit("delta", "make", pair / "old", pair / "new", pair / "b.delta", "--level", 3, "--jobs", 1).stdout
    assert (pair / "b.delta").read_bytes() == (pair / "a.delta").read_bytes(), "threads change nothing"
    assert "microsoft.sourceFileHash" in one


def test_a_damaged_source_is_mended_from_the_full_file_only(pair, godwit):
    godwit("delta", "make", pair / "old", pair / "new", pair / "c.delta", "--level", 3)
    rotten = bytearray((pair / "old").read_bytes())
    rotten[1_500_000] ^= 1
    (pair / "rotten").write_bytes(rotten)
    refused = godwit("delta", "apply", pair / "rotten", pair / "c.delta", pair / "mended", code=1)
    assert "--full" in refused.stderr and not list(pair.glob("mended*"))
    told = json.loads(godwit("delta", "apply", pair / "rotten", pair / "c.delta", pair / "mended", "--full", pair / "new", "-o", "json").stdout)
    assert 0 < told["bytesFromFullFile"] <= 2 * MIB
    assert (pair / "mended").read_bytes() == (pair / "new").read_bytes()
    wrong = godwit("delta", "apply", pair / "rotten", pair / "c.delta", pair / "wrong", "--full", pair / "old", code=1)
    assert "is not the file that the delta makes" in wrong.stderr and not list(pair.glob("wrong*"))


def test_what_is_no_delta_is_refused_in_words(pair, godwit):
    assert "no Godwit delta" in godwit("delta", "show", pair / "old", code=1).stderr
    cut = (pair / "a.delta").read_bytes()[:-1]
    (pair / "cut").write_bytes(cut)
    assert "in the middle" in godwit("delta", "apply", pair / "old", pair / "cut", pair / "no", code=1).stderr
    assert not list(pair.glob("no*.part"))
