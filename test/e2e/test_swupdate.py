"""microsoft/swupdate:1 and :2 with Debian's swupdate and images signed here, in a device with an /etc of its own."""
import json

import pytest

from apt_world import AptWorld
from handlers import code, make_update, register_handler, run_update
from stack import wait_until
from swu import SwuMaker

IMAGE, SCRIPT = "microsoft/swupdate:1", "microsoft/swupdate:2"


@pytest.fixture(scope="module")
def maker(tmp_path_factory):
    return SwuMaker(tmp_path_factory.mktemp("swu"))


@pytest.fixture
def world(scene, maker):
    device = scene.device(start=False)
    register_handler(device, IMAGE, "step-swupdate")
    register_handler(device, SCRIPT, "step-swupdate-script")
    made = AptWorld(device)
    made.run("mkdir", "-p", "/etc/godwit")
    made.write("/etc/godwit/operator.pem", maker.key("operator").read_text())
    made.write("/etc/hwrevision", "board 1.0\n")
    configure(made)
    device.start()
    scene.wait_listed(device)
    yield made
    made.stop()


def configure(world, **members):
    root = world.device.root
    world.write("/etc/godwit/swupdate.json", json.dumps({
        "publicKeyFile": "/etc/godwit/operator.pem", "hardwareRevision": "board:1.0", "versionFile": f"{root}/version", "rebootAfterApply": False,
        "applyCommand": ["/bin/sh", "-c", f"cp {root}/new {root}/version"], "revertCommand": ["/bin/sh", "-c", f"echo old > {root}/version"], **members}))


def update(scene, world, version, image, end="Succeeded"):
    return run_update(scene, world.device, version, IMAGE, {"image.swu": image}, {"installedCriteria": version}, end=end)


def test_a_signed_image_is_installed_applied_and_skipped_once_in_place(scene, world, maker):
    root = world.device.root
    image = maker.image({f"{root}/new": b"1.0.0\n"})
    assert code(update(scene, world, "1.0.0", image))[0] == 700
    assert (root / "version").read_text() == "1.0.0\n"
    log = world.device.installer.log.read_text()
    # An image so small may be in place before the progress interface is connected.
    assert "SWUPDATE successful" in log or "installing file0" in log, "what swupdate says reaches the log"
    run_update(scene, world.device, "1.1.0", IMAGE, {"image.swu": image}, {"installedCriteria": "1.0.0"})
    assert world.device.installer.log.read_text().count("verb=install") == log.count("verb=install")


def test_an_image_by_another_key_is_refused(scene, world, maker):
    state = update(scene, world, "1.0.0", maker.image({f"{world.device.root}/new": b"x"}, key="stranger"), end="Failed")
    assert code(state) == (0, "30100004"), state
    assert not (world.device.root / "new").exists()


def test_an_image_for_other_hardware_is_refused(scene, world, maker):
    state = update(scene, world, "1.0.0", maker.image({f"{world.device.root}/new": b"x"}, hardware="2.0"), end="Failed")
    assert code(state) == (0, "30100005"), state
    assert not (world.device.root / "new").exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "text"])
def test_a_damaged_image_is_refused(scene, world, maker, damage):
    content = bytes(range(256)) * 400
    image = maker.image({f"{world.device.root}/new": content})
    at = image.index(content)
    bad = {"cut": image[:at + 5000], "changed": image[:at] + b"X" + image[at + 1:], "text": b"this is no image" * 100}[damage]
    state = update(scene, world, "1.0.0", bad, end="Failed")
    result, extended = code(state)
    assert result == 0 and extended in ("30100006", "30101001"), state
    assert not (world.device.root / "new").exists() or (world.device.root / "new").read_bytes() != content


def test_without_a_public_key_nothing_is_installed(scene, world, maker):
    world.write("/etc/godwit/swupdate.json", "{}")
    state = update(scene, world, "1.0.0", maker.image({f"{world.device.root}/new": b"x"}), end="Failed")
    assert code(state) == (0, "30100003"), state
    assert "publicKeyFile" in state["godwit"]["resultDetails"]


def test_a_switch_that_fails_is_reverted(scene, world, maker):
    root = world.device.root
    configure(world, applyCommand=["/bin/sh", "-c", f"echo half > {root}/version; echo the environment is locked >&2; exit 3"])
    state = update(scene, world, "1.0.0", maker.image({f"{root}/new": b"1.0.0\n"}), end="Failed")
    assert code(state) == (0, "30100007"), state
    assert "the environment is locked" in state["godwit"]["resultDetails"]
    assert (root / "version").read_text() == "old\n"


AB = """#!/bin/sh
# What a script of microsoft/swupdate:2 does: the real swupdate, with the device's key, on the image that came along.
key='' swu='' result='' action='' criteria='' root=''
while [ $# -gt 0 ]; do case "$1" in
  --action) action=$2; shift;; --public-key-file) key=$2; shift;; --swu-file) swu=$2; shift;; --result-file) result=$2; shift;;
  --installed-criteria) criteria=$2; shift;; --root) root=$2; shift;; --work-folder) work=$2; shift;; esac; shift; done
answer() { echo "{\\"resultCode\\":$1,\\"extendedResultCode\\":$2}" > "$result"; exit 0; }
case "$action" in
  is-installed) [ "$(cat "$root/version" 2>/dev/null)" = "$criteria" ] && answer 900 0; answer 901 0;;
  download) answer 500 0;;
  install)
    # swupdate 2022.12 may end with 1 after it has said success: its word counts.
    TMPDIR=$(mktemp -d) swupdate -k "$key" -H board:1.0 -M -m -i "$swu" > "$work/swupdate.log" 2>&1
    ended=$?
    cat "$work/swupdate.log"
    grep -q "SWUPDATE successful" "$work/swupdate.log" && [ $ended -le 1 ] && answer 600 0
    answer 0 17;;
  apply) [ -e "$root/refuse" ] && answer 0 18; cp "$root/new" "$root/version"; answer 700 0;;
  cancel) echo cancelled >> "$root/cancelled"; answer 800 0;;
esac
"""


def by_script(scene, world, maker, version, end="Succeeded"):
    root = world.device.root
    world.write("/etc/godwit/swupdate-handler-config.json", json.dumps({"--public-key-file": "/etc/godwit/operator.pem"}))
    files = {"ab.sh": AB.encode(), "image.swu": maker.image({f"{root}/new": version.encode()})}
    properties = {"scriptFileName": "ab.sh", "swuFileName": "image.swu", "apiVersion": "1.1", "installedCriteria": version, "arguments": f"--root {root}"}
    return run_update(scene, world.device, version, SCRIPT, files, properties, end=end)


def test_a_script_installs_the_image_with_the_devices_own_arguments(scene, world, maker):
    by_script(scene, world, maker, "1.0.0")
    assert (world.device.root / "version").read_text() == "1.0.0"


def test_a_failing_script_is_asked_to_cancel(scene, world, maker):
    (world.device.root / "refuse").touch()
    state = by_script(scene, world, maker, "1.0.0", end="Failed")
    assert code(state) == (0, "00000012"), state
    assert (world.device.root / "cancelled").read_text() == "cancelled\n"


def test_a_cancel_while_swupdate_runs_leaves_the_earlier_version(scene, world, maker):
    root = world.device.root
    (root / "version").write_text("before\n")
    configure(world, selectCommand=["/bin/sh", "-c", f"touch {root}/running; while [ ! -e {root}/go ]; do sleep 0.1; done; echo no,no"])
    scene.import_update(make_update(scene, world.device, "1.0.0", IMAGE, {"image.swu": maker.image({f"{root}/new": b"1.0.0"})}, {"installedCriteria": "1.0.0"}))
    deployment = scene.deploy(world.device, "1.0.0")
    wait_until("install runs", (root / "running").exists, 60)
    scene.service.cli("device", "deployment", "cancel", "--group-id", world.device.group, "--deployment-id", deployment)
    (root / "go").touch()
    scene.wait_state(world.device, deployment, "Canceled")
    assert (root / "version").read_text() == "before\n"


def test_the_installer_is_killed_in_the_middle_of_swupdate(scene, world, maker):
    root = world.device.root
    script = f"#!/bin/sh\n[ $1 = preinst ] || exit 0\necho begun >> {root}/begun; touch {root}/running; while [ ! -e {root}/go ]; do sleep 0.1; done\n"
    image = maker.image({f"{root}/new": b"1.0.0\n"}, script=script)
    scene.import_update(make_update(scene, world.device, "1.0.0", IMAGE, {"image.swu": image}, {"installedCriteria": "1.0.0"}))
    deployment = scene.deploy(world.device, "1.0.0")
    wait_until("swupdate runs the image's script", (root / "running").exists, 60)
    world.device.installer.kill()
    assert not (root / "new").exists()
    world.device.start_installer()
    wait_until("swupdate begins again", lambda: len((root / "begun").read_text().split()) == 2, 60)
    (root / "go").touch()
    scene.wait_state(world.device, deployment, "Succeeded")
    assert (root / "version").read_text() == "1.0.0\n"
