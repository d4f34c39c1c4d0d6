"""The tutorial's own commands, as they stand on its page, in a network and a /tmp of their own. Needs root."""
import os
import re
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "first-update.md"
# The one command of the page that shall fail: it waits for the deployment that the reader broke.
SHALL_FAIL = ["godwit device deployment show --group-id kitchen --deployment-id toast-2 --wait"]


def commands() -> str:
    """All blocks but the build, which made the programs under test."""
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(blocks) >= 8 and "./dev build" in blocks[0], "the page has changed its form: adapt this test"
    return "mkdir /tmp/first && cd /tmp/first\n" + "".join(blocks[1:])


@pytest.mark.skipif(os.geteuid() != 0, reason="the page is worked through as root")
def test_every_command_of_the_first_update_does_what_the_page_says(binaries, tmp_path):
    failed = tmp_path / "failed"
    failed.touch()
    script = tmp_path / "page.sh"
    end = commands().rindex("kill %1")
    page = commands()
    script.write_text(f"""set -uE
mount -t tmpfs tmpfs /tmp || exit 9
ip link set lo up || exit 9
export PATH={binaries}:$PATH LIB={binaries.parent}/lib
trap 'echo "$BASH_COMMAND" >&9' ERR
{page[:end]}
echo "the device has: $(cat /tmp/first/kitchen/toast.txt), version $(cat /tmp/first/kitchen/version)"
{page[end:]}
""")
    with open(failed, "w") as out:
        done = subprocess.run(["unshare", "--net", "--mount", "bash", "-c", f"exec 9>&{out.fileno()}; . {script}"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=240, pass_fds=[out.fileno()], check=False)
    told = f"{done.stdout}\n{done.stderr}"
    assert [line.strip() for line in failed.read_text().splitlines()] == SHALL_FAIL, told
    assert "the device has: toast is brown, version 1.1" in done.stdout, told
    assert "cannot write to /tmp/first/kitchen" in done.stdout, "the failure is told with the script's own sentence: " + told
