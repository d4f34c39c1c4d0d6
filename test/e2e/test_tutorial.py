"""The tutorials' own commands, as they stand on their pages, in a network and a /tmp of their own. Needs root."""
import os
import re
import subprocess
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs" / "tutorial"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the pages are worked through as root")


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)


def first_update(before: str) -> str:
    """What the first tutorial does, from the service to the heading `before`. Without the build, which made the programs under test."""
    text = (PAGES / "first-update.md").read_text()
    found = blocks(text[:text.index(f"## {before}")])
    assert "./dev build" in found[0], "the page has changed its form: adapt this test"
    return "mkdir /tmp/first && cd /tmp/first\n" + "".join(found[1:])


def work_through(binaries, folder: Path, commands: str, end: str) -> tuple[list[str], str]:
    """Runs the commands, and `end` after them whatever they did: the commands that failed, and what all said."""
    failed = folder / "failed"
    script = folder / "page.sh"
    script.write_text(f"""set -uE
mount -t tmpfs tmpfs /tmp || exit 9
ip link set lo up || exit 9
export PATH={binaries}:$PATH LIB={binaries.parent}/lib
trap 'echo "$BASH_COMMAND" >&9' ERR
{commands}
{end}
""")
    with open(failed, "w") as out:
        done = subprocess.run(["unshare", "--net", "--mount", "bash", "-c", f"exec 9>&{out.fileno()}; . {script}"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=240, pass_fds=[out.fileno()], check=False)
    return [line.strip() for line in failed.read_text().splitlines()], f"{done.stdout}\n{done.stderr}"


def test_every_command_of_the_first_update_does_what_the_page_says(binaries, tmp_path):
    commands = first_update("End") + 'echo "the device has: $(cat /tmp/first/kitchen/toast.txt), version $(cat /tmp/first/kitchen/version)"'
    text = (PAGES / "first-update.md").read_text()
    failed, told = work_through(binaries, tmp_path, commands, blocks(text)[-1])
    # The one command of the page that shall fail: it waits for the deployment that the reader broke.
    assert failed == ["godwit device deployment show --group-id kitchen --deployment-id toast-2 --wait"], told
    assert "the device has: toast is brown, version 1.1" in told, told
    assert "cannot write to /tmp/first/kitchen" in told, "the failure is told with the script's own sentence: " + told


def test_every_command_of_the_page_about_parts_does_what_it_says(binaries, tmp_path):
    *page, end = blocks((PAGES / "update-the-parts-of-a-device.md").read_text())
    failed, told = work_through(binaries, tmp_path, first_update("4. An update") + "".join(page), end)
    assert failed == ["godwit device deployment show --group-id kitchen --deployment-id motors-3 --wait"], told
    assert [line for line in told.splitlines() if line.startswith("parts/m-")] == [f"parts/{part}/version:{version}" for version in ("2.0", "3.0") for part in ("m-1", "m-2")], told
    assert "left (m-1): done; right (m-2): done" in told, told
    assert "step 1.1 (microsoft/script:1) for right (m-2) install: error the coil is warm" in told, told
