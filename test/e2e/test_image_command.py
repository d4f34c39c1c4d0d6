"""godwit image pack, judged by zstd and by a reader of the index that is not ours."""
import hashlib
import json
import random
import struct
import subprocess

import pytest


@pytest.fixture
def pack(binaries, tmp_path):
    def run(*words):
        return subprocess.run([binaries / "godwit", "image", "pack", *map(str, words)], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    return run


@pytest.fixture
def image(tmp_path):
    content = (b"much of the same " * 40_000 + random.Random(3).randbytes(300_000))[:900_001]
    (tmp_path / "root.img").write_bytes(content)
    return content


def test_the_stored_file_is_a_zstd_file_and_the_index_says_where_each_chunk_lies(pack, image, tmp_path):
    done = pack("root.img", "--folder", "new/folder", "--chunk-size", 64, "--level", 5, "-o", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    stored, index = (tmp_path / told[key] for key in ("imageFile", "indexFile"))
    assert subprocess.run(["zstd", "-d", "-c", stored], capture_output=True, check=True).stdout == image
    raw = index.read_bytes()
    magic, version, _, chunk_size, image_size, stored_size, image_sha256, count = struct.unpack("<8sHHIQQ32sI", raw[:68])
    assert (magic, version, chunk_size, image_size, count) == (b"GWCHUNK\n", 1, 65536, len(image), 14)
    assert image_sha256 == hashlib.sha256(image).digest() and stored_size == stored.stat().st_size == told["sizeInBytes"]
    assert len(raw) == 96 + 76 * count == told["indexSizeInBytes"]
    frames = stored.read_bytes()
    for number in range(count):
        offset, size, stored_sha256, sha256 = struct.unpack("<QI32s32s", raw[96 + 76 * number:172 + 76 * number])
        frame = frames[offset:offset + size]
        assert hashlib.sha256(frame).digest() == stored_sha256
        content = subprocess.run(["zstd", "-d", "-c"], input=frame, capture_output=True, check=True).stdout
        assert content == image[number * 65536:(number + 1) * 65536] and hashlib.sha256(content).digest() == sha256
    assert told["handlerProperties"] == {"imageFile": "root.img.zst", "compression": "zstd", "imageSize": str(len(image)), "imageSha256": image_sha256.hex(),
                                         "streamedFile": "root.img.zst", "indexFile": "root.img.zst.index"}


def test_a_person_reads_what_to_do_next(pack, image):
    done = pack("root.img", "--level", 1)
    assert done.returncode == 0 and "--step handler=godwit/image:1 properties='{" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("words, told", [
    (("root.img", "--chunk-size", 5), "power of two"),
    (("root.img", "--chunk-size", 2048), "--chunk-size"),
    (("root.img", "--level", 30), "--level"),
    (("gone.img",), "gone.img"),
    (("empty.img",), "empty"),
    ((".",), "regular file"),
    ((), "image"),
])
def test_what_cannot_be_is_refused_and_leaves_no_file(pack, image, tmp_path, words, told):
    (tmp_path / "empty.img").touch()
    done = pack(*words)
    assert done.returncode != 0 and told in done.stderr, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty.img", "root.img"]
