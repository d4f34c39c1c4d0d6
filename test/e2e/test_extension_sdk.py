"""The two examples of extensions, built outside of this tree against the installed headers, registered, and used in updates."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stack import StackError

ROOT = Path(__file__).resolve().parents[2]


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def sdk(tmp_path_factory, binaries):
    """The installed headers, and an environment in which pkg-config finds them and nothing else of ours."""
    prefix = tmp_path_factory.mktemp("sdk")
    run("cmake", "--install", binaries.parent, "--component", "extension-dev", "--prefix", prefix)
    assert sorted(f.name for f in prefix.rglob("*") if f.is_file()) == [
        "author.hpp", "common.h", "component_enumerator.h", "content_downloader.h", "download_handler.h", "godwit-extension.pc", "manifest_handler.h", "step_handler.h"]
    return {**os.environ, "PKG_CONFIG_PATH": str(prefix / "share" / "pkgconfig")}


def build(example, tmp_path, env):
    folder = tmp_path / example
    shutil.copytree(ROOT / "examples" / example, folder)
    run("make", cwd=folder, env=env)
    (library,) = folder.glob("*.so")
    library.chmod(0o644)
    return library


def deploy(scene, device, version, handler, payload, name="payload.bin", end="Succeeded", properties='{"installedCriteria":"%s"}'):
    folder = scene.folder / "updates" / f"{device.id}-{version}"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(payload)
    scene.service.cli("update", "init", "v5", "--update-provider", "Tests", "--update-name", device.model, "--update-version", version, "--folder", folder,
                      "--compat", "manufacturer=Contoso", f"model={device.model}",
                      "--step", f"handler={handler}", "properties=" + properties % version, "--file", f"path={folder / name}")
    scene.import_update(next(folder.glob("*.importmanifest.json")))
    return scene.wait_state(device, scene.deploy(device, version), end)


def test_the_example_in_c_installs_restores_and_is_not_run_when_in_place(scene, sdk, tmp_path):
    device = scene.device()
    target = device.folder / "etc"
    target.mkdir()
    library = build("step-handler-c", tmp_path, sdk)
    device.register_extension("installer", "step-handler", "contoso/file:1", library, "--option", f"folder={target}")
    deploy(scene, device, "1.0", "contoso/file:1", b"bread = brown", "toaster.conf")
    assert (target / "toaster.conf").read_bytes() == b"bread = brown"
    assert sorted(f.name for f in target.iterdir()) == ["toaster.conf", "toaster.conf.version"]
    # apply fails: the name of the version file is taken by a folder; what was there comes back
    (target / "toaster.conf.version").unlink()
    (target / "toaster.conf.version.part").mkdir()
    state = deploy(scene, device, "1.1", "contoso/file:1", b"bread = black", "toaster.conf", end="Failed")
    assert state["godwit"]["extendedResultCode"] == "33300003", state
    assert "step 1 (contoso/file:1) apply: " in state["godwit"]["resultDetails"] and "cannot be written" in state["godwit"]["resultDetails"]
    assert (target / "toaster.conf").read_bytes() == b"bread = brown"


def test_the_example_in_cpp_writes_blocks_and_is_cancelled_within_one(scene, sdk, tmp_path):
    device = scene.device()
    node, version = device.folder / "flash", device.folder / "flash.version"
    node.write_bytes(b"old" * 100_000)
    library = build("step-handler-cpp", tmp_path, sdk)
    device.register_extension("installer", "step-handler", "contoso/flash:1", library, "--option", f"device={node}", "--option", f"version_file={version}")
    firmware = os.urandom(1_000_000)
    deploy(scene, device, "1.0", "contoso/flash:1", firmware)
    assert node.read_bytes() == firmware and version.read_text() == "1.0"
    exported = run("nm", "-D", "--defined-only", library)
    assert "GetContractInfo" in exported and "godwit_step_handler_entry" in exported
    node.chmod(0o444)
    if os.geteuid() == 0:
        node.unlink()
        node.mkdir()  # root may write anything but a folder
    state = deploy(scene, device, "1.1", "contoso/flash:1", firmware, end="Failed")
    assert state["godwit"]["extendedResultCode"] == "33400002", state
    assert re.search(r"(open|read|write) .*flash: ", state["godwit"]["resultDetails"]), state


def test_a_library_without_its_option_says_what_to_do(scene, sdk, tmp_path):
    device = scene.device()
    device.register_extension("installer", "step-handler", "contoso/file:1", build("step-handler-c", tmp_path, sdk))
    state = deploy(scene, device, "1.0", "contoso/file:1", b"x", end="Failed")
    assert "register this extension with --option folder=" in state["godwit"]["resultDetails"], state


@pytest.mark.parametrize("option, words", [("folder", "is not written like name=value"), ("a b=c", "the option name 'a b' is not"), ("a=" + "x" * 1025, "at most 1024 bytes")])
def test_options_that_are_wrong_are_refused(scene, sdk, tmp_path, option, words):
    device = scene.device(start=False)
    with pytest.raises(StackError, match=re.escape(words)):
        device.register_extension("installer", "step-handler", "contoso/file:1", build("step-handler-c", tmp_path, sdk), "--option", option)
