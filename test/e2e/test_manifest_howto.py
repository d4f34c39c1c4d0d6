"""docs/howto/write-an-import-manifest.md: every command runs as it stands, names every step handler of the reference, and the service takes the manifests."""
import json
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "howto" / "write-an-import-manifest.md"


def test_every_command_of_the_page_makes_a_manifest_that_the_service_takes(scene, tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "install.sh").write_text("#!/bin/sh\n")
    for name, size in (("app.bin", 300_000), ("old.bin", 290_000), ("image.swu", 5_000), ("tools_1.0_all.deb", 4_000), ("web.tar", 10_240), ("root.img", 1 << 20)):
        (tmp_path / name).write_bytes(bytes((i * 7 + i // 251) & 0xFF for i in range(size)))
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(blocks) == 12
    made: list[Path] = []
    for block in blocks:
        env = {**os.environ, **scene.service.env(), "PATH": f"{scene.service.binaries}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, block + done.stdout + done.stderr
        new = [tmp_path / line.removeprefix("wrote ") for line in done.stdout.splitlines() if line.startswith("wrote ") and line.endswith(".importmanifest.json")]
        assert new, done.stdout
        made += new
    manifests = [json.loads(path.read_text()) for path in made]
    used = {step["handler"] for m in manifests for step in m["instructions"]["steps"] if "handler" in step}
    table = (ROOT / "docs" / "reference" / "handlers.md").read_text()
    listed = {one for row in re.findall(r"^\| ([^|]*) \| step-handler \|", table, re.M) for one in re.findall(r"`([^`]+)`", row)}
    assert used == listed, "a handler is without a command, or a command without a handler"
    for path in made:
        scene.import_update(path)
    shown = {tuple(u["updateId"][k] for k in ("provider", "name", "version")) for u in scene.service.json("update", "list")}
    assert {tuple(m["updateId"][k] for k in ("provider", "name", "version")) for m in manifests} <= shown
