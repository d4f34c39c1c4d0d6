"""The generated pages are those that ./dev docs would write now."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import generate_docs  # noqa: E402

BIN = pathlib.Path(os.environ.get("GODWIT_BIN", generate_docs.ROOT / "build/debug/bin"))


def test_generated_pages_are_current():
    program = generate_docs.ROOT / "tools/dev/generate_docs.py"
    done = subprocess.run([sys.executable, str(program), "--check", "--bin", str(BIN)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_code_of_the_header_is_in_the_page():
    page = generate_docs.error_codes()
    for name in generate_docs.ERROR_CODES:
        assert f"`{name}`" in page
    assert "`disk_full`" in generate_docs.result_codes() and "`30500205`" in generate_docs.result_codes()


def test_administrators_may_do_everything_and_readers_only_read():
    rows = {line.split("|")[1].strip(): line for line in generate_docs.roles().splitlines()[2:]}
    assert rows["`administrator`"].count("yes") == 12
    assert rows["`reader`"].count("yes") == 4


def test_routes_are_read_with_the_names_their_file_gives_and_not_from_tests():
    code = '#define ROOT "/a/{x}"\n#define DEEP ROOT "/b"\nconstexpr Permission kRead = Permission::updates_read;\n{get, ROOT, kRead, f},\n{delete_, DEEP "/{y}:z",\n kRead, f},'
    assert list(generate_docs.routes_of(code)) == [("GET", "/a/{x}", "updates/read"), ("DELETE", "/a/{x}/b/{y}:z", "updates/read")]
    assert list(generate_docs.routes_of('{Method::post, "/c", Permission::none, f}')) == [("POST", "/c", "none")]
    assert list(generate_docs.routes_of('{Method::get, "/d", is_open ? Permission::none : Permission::hub_read, f}')) == [("GET", "/d", "none or hub/read")]
    page = generate_docs.routes()
    assert "| GET | `/deviceUpdate/{instanceId}/management/groups/{groupId}/bestUpdates` | management/read |" in page
    assert "/private`" not in page


def test_subcommands_are_read_from_a_help_page():
    text = "Usage: x\n\nOptions:\n  -h,--help  Print\n\nSubcommands:\n  list    List\n  show    Show\n                          more words\n"
    assert generate_docs.subcommands(text) == ["list", "show"]
