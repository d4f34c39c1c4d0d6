"""The Debian packages for arm64, looked at and run by QEMU's user mode. Made by `./dev package arm64`; without them these tests are left out."""
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES, SYSROOT = ROOT / "build" / "packages", ROOT / "build" / "arm64-sysroot"
VERSION = re.search(r"^project\(godwit VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)[1]
PROGRAMS = {"godwitd": ["godwitd"], "godwit": ["godwit"], "godwit-fleet": ["godwit-fleet"], "godwit-agent": ["godwit-agent", "godwit-installer", "godwit-slots"]}

pytestmark = pytest.mark.skipif(not all((PACKAGES / f"{name}_{VERSION}_arm64.deb").exists() for name in PROGRAMS), reason="no packages for arm64; make them with ./dev package arm64")


def field(package: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "--field", package, name], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """All of them in one tree, as on a device."""
    tree = tmp_path_factory.mktemp("arm64")
    for package in [*(PACKAGES / f"{name}_{VERSION}_arm64.deb" for name in PROGRAMS), PACKAGES / f"godwit-extension-dev_{VERSION}_all.deb"]:
        subprocess.run(["dpkg-deb", "--extract", package, tree], check=True)
    return tree


def run(tree: Path, program: str, *words) -> str:
    done = subprocess.run(["qemu-aarch64-static", "-L", SYSROOT, tree / "usr" / "bin" / program, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", [program for programs in PROGRAMS.values() for program in programs])
def test_each_program_is_for_arm64_and_names_its_version(unpacked, program):
    kind = subprocess.run(["file", "-b", unpacked / "usr" / "bin" / program], capture_output=True, text=True, check=True).stdout
    assert "ARM aarch64" in kind, kind
    assert VERSION in run(unpacked, program, "--version")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_package_asks_for_the_libraries_of_its_own_architecture(name):
    package = PACKAGES / f"{name}_{VERSION}_arm64.deb"
    assert field(package, "Architecture") == "arm64"
    needs = field(package, "Depends")
    assert "libc6 (>=" in needs and "libstdc++6 (>=" in needs and "libssl3 (>=" in needs, needs


def test_what_comes_out_of_the_programs_is_there_though_they_cannot_run_here(unpacked):
    share = unpacked / "usr" / "share"
    pages = {path.name for path in (share / "man").rglob("*.gz")}
    assert {"godwit.1.gz", "godwit-fleet.1.gz", "godwitd.8.gz", "godwit-agent.8.gz", "godwit-installer.8.gz", "godwit-slots.8.gz"} <= pages
    assert "complete" in (share / "bash-completion" / "completions" / "godwit").read_text()
    assert (share / "godwit" / "console" / "index.html").exists() and (unpacked / "usr" / "include" / "godwit").is_dir()


def test_the_command_line_makes_an_update(unpacked, tmp_path):
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    run(unpacked, "godwit", "update", "init", "v5", "--update-provider", "Contoso", "--update-name", "Toaster", "--update-version", "1.0", "--folder", tmp_path,
        "--compat", "manufacturer=Contoso", "model=Toaster", "--step", "handler=microsoft/script:1", 'properties={"scriptFileName":"run.sh","installedCriteria":"1.0"}',
        "--file", f"path={tmp_path / 'run.sh'}")
    assert [path.name for path in tmp_path.glob("*.importmanifest.json")]


def test_the_service_makes_its_data_folder(unpacked, tmp_path):
    run(unpacked, "godwitd", "init", "--data", tmp_path / "data", "--host", "localhost", "--no-start")
    assert (tmp_path / "data" / "rootkeypackage.json").exists() and (tmp_path / "data" / "admin.token").exists()
