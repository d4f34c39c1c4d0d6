"""The power goes in the middle of steps that leave the system in its place: packages, containers, files, SWUpdate without sides. A Debian in a virtual
machine (images/workshop.py) with the project's package, its units, systemd, dpkg and podman, updated by the real service. A cut is the end of the emulator:
what the device had not flushed is gone. Afterwards the same deployment comes to its end, and the system is whole. One device goes from row to row.
All with --vm.
"""
import json
import os
import random
import re
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "images"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import workshop  # noqa: E402
from handlers import FAILS_IN_INSTALL, code  # noqa: E402
from reference import HOSTS  # noqa: E402
from scene import SANITIZER_ENV  # noqa: E402
from stack import Service  # noqa: E402
from workshop_device import WorkshopDevice  # noqa: E402
from workshop_places import DEB, MOTORS, SCRIPT, TOOL, Grove, Harbour, Press, Shelf, Toaster, say  # noqa: E402

pytestmark = pytest.mark.vm
END = ("update.ended", "workflow.closed")


@pytest.fixture(scope="module")
def device(binaries, tmp_path_factory):
    if why := workshop.missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("workshop")
    service = Service(folder, binaries, env=SANITIZER_ENV)
    service.init(hosts=HOSTS)
    service.start()
    made = WorkshopDevice(service, "workshop-1", folder / "workshop-1")
    try:
        made.set_up()
        made.power_on()
        made.wait_known()
        yield made
    finally:
        made.end()
        service.stop()


@pytest.fixture(autouse=True)
def powered(device):
    """A row that failed may have left it without."""
    if not device.machine.running():
        device.power_on()
    return device


def rows(table: dict) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("moment", [pytest.param(name, id=name.replace(" ", "-")) for name in table])


# ---- packages ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shelf(device, tmp_path_factory):
    made = Shelf(device, tmp_path_factory.mktemp("shelf"))
    made.version, _ = made.build()
    device.ends(device.send(made.step(made.version)), "Succeeded")
    device.put(f"/etc/{TOOL}.conf", "edited here\n")
    made.is_whole(made.version)
    yield made
    made.repository.stop()


# What the maintainer scripts do, what is held back by the repository, what the console says just before the cut, seconds more.
APT_CUTS = {
    "while apt downloads": ({}, "new", (), 0),
    "while the earlier version is kept": ({}, "old", (), 0),
    "before dpkg unpacks": ({"preinst": say("preinst", 5)}, "", ("now: preinst",), 1),
    "while dpkg unpacks": ({"preinst": say("preinst")}, "", ("now: preinst",), 0.5),
    "late while dpkg unpacks": ({"preinst": say("preinst")}, "", ("now: preinst",), 1.5),
    "while dpkg configures": ({"postinst": say("postinst", 5)}, "", ("now: postinst",), 1),
    "after install": ({}, "", ("verb=install result=600",), 0),
    "in apply": ({}, "", ("verb=apply",), 0),
    "after apply": ({}, "", ("verb=apply result=700",), 0),
    "after the end": ({}, "", END, 0.1),
}


@rows(APT_CUTS)
def test_packages_are_whole_after_a_power_cut(device, shelf, moment):
    scripts, held, words, after = APT_CUTS[moment]
    before = shelf.version
    version, _ = shelf.build(**scripts)
    if held:
        reached = shelf.repository.hold(f"{TOOL}_{version if held == 'new' else before}_")
    deployment = device.send(shelf.step(version))
    if held:
        assert reached.wait(120), "\n".join(device.machine.lines[-40:])
    device.cut(*words, after=after)
    shelf.repository.hold("")
    device.power_on()
    device.ends(deployment, "Succeeded")
    shelf.version = version
    shelf.is_whole(version)


def test_packages_as_files_are_whole_after_a_power_cut(device, shelf):
    version, deb = shelf.build(postinst=say("postinst", 5))
    device.goes_through((DEB, {"installedCriteria": version}, {deb.name: deb.read_bytes()}), "now: postinst", after=1)
    shelf.version = version
    shelf.is_whole(version)


APT_RESTORES = {
    "before dpkg unpacks the earlier version": ({"preinst": f'case "$2" in ?*) {say("preinst of the earlier", 5)};; esac'}, "now: preinst of the earlier", 1),
    "while dpkg unpacks the earlier version": ({"preinst": f'case "$2" in ?*) {say("preinst of the earlier")};; esac'}, "now: preinst of the earlier", 0.7),
    "while dpkg configures the earlier version": ({"postinst": f'case "$2" in ?*) {say("postinst of the earlier", 5)};; esac'}, "now: postinst of the earlier", 1),
}


@rows(APT_RESTORES)
def test_the_earlier_packages_come_back_in_spite_of_a_power_cut(device, shelf, moment):
    scripts, words, after = APT_RESTORES[moment]
    earlier, _ = shelf.build(**scripts)
    device.ends(device.send(shelf.step(earlier)), "Succeeded")
    shelf.version = earlier
    version, _ = shelf.build(postinst="exit 4")
    state = device.goes_through(shelf.step(version), "verb=restore", words, after=after, end="Failed")
    assert code(state)[1].startswith("302010"), json.dumps(state)
    shelf.is_whole(earlier)


# ---- containers -------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def harbour(device, tmp_path_factory):
    made = Harbour(device, tmp_path_factory.mktemp("harbour"))
    made.version, archive = made.build()
    device.ends(device.send(made.step(made.version, archive)), "Succeeded")
    made.is_whole(made.version)
    return made


HEALTH = ["/bin/sh", "-c", say("health", 3)]
CONTAINER_CUTS = {
    "while the agent downloads": (("event=offered",), 2),
    "in backup": (("verb=backup",), 0),
    "as podman begins to load": (("podman: begins load",), 0.3),
    "while podman loads": (("podman: begins load",), 1.2),
    "late while podman loads": (("podman: begins load",), 2.2),
    "after load": (("podman: ended load",), 0),
    "while podman creates": (("podman: begins create",), 0.3),
    "after create": (("podman: ended create",), 0),
    "after install": (("verb=install result=600",), 0),
    "while podman creates it in apply": (("verb=apply", "podman: begins create"), 0.3),
    "after it was created in apply": (("verb=apply", "podman: ended create"), 0),
    "while the former one stops": (("podman: begins stop",), 0.2),
    "in the first rename": (("podman: begins rename",), 0.2),
    "between the renames": (("podman: ended rename",), 0),
    "after the renames": (("podman: ended rename", "podman: ended rename"), 0),
    "while podman starts it": (("podman: begins start",), 0.5),
    "after the start": (("podman: ended start",), 0),
    "while the health is asked": (("now: health",), 1),
    "while its name is noted": (("verb=apply", "podman: begins tag"), 0.2),
    "while the former one is removed": (("verb=apply", "podman: begins tag", "podman: begins rm"), 0.2),
    "after apply": (("verb=apply result=700",), 0),
    "after the end": (END, 0.1),
}


@rows(CONTAINER_CUTS)
def test_a_container_is_whole_after_a_power_cut(device, harbour, moment):
    words, after = CONTAINER_CUTS[moment]
    version, archive = harbour.build()
    device.goes_through(harbour.step(version, archive, deviceHealthCommand=HEALTH), *words, after=after)
    harbour.version = version
    harbour.is_whole(version)


CONTAINER_RESTORES = {
    "while the new one is removed": (("podman: begins rm",), 0.2),
    "while the former one gets its name": (("podman: begins rename",), 0.2),
    "while the former one starts": (("podman: begins start",), 0.5),
    "after restore": (("verb=restore result=1100",), 0),
}


@rows(CONTAINER_RESTORES)
def test_the_former_container_comes_back_in_spite_of_a_power_cut(device, harbour, moment):
    words, after = CONTAINER_RESTORES[moment]
    version, archive = harbour.build()
    state = device.goes_through(harbour.step(version, archive, deviceHealthCommand=["/bin/false"], healthTimeoutSeconds=1), "verb=restore", *words, after=after, end="Failed")
    assert code(state)[1] == "35000008", json.dumps(state)
    harbour.is_whole(harbour.version)


@pytest.mark.parametrize("after", [0.6, 1.2, 1.8, 2.4])
def test_what_a_cut_load_left_does_not_hurt_another_update_of_the_same_base(device, harbour, after):
    base = 1000 + int(after * 10)
    version, archive = harbour.build(base)
    device.send(harbour.step(version, archive))
    device.cut("podman: begins load", after=after)
    version, archive = harbour.build(base)
    deployment = device.send(harbour.step(version, archive))
    device.power_on()
    device.ends(deployment, "Succeeded")
    harbour.version = version
    harbour.is_whole(version)
    assert device.sh("ls -A /var/lib/godwit-container/.loads") == ""
    layers = json.loads(device.sh("cat /var/lib/containers/storage/overlay-layers/layers.json"))
    used = device.sh("for image in $(podman images --all --quiet --no-trunc); do podman image inspect --format '{{range .RootFS.Layers}}{{.}} {{end}}' $image; done").split()
    assert {one["diff-digest"] for one in layers if one.get("diff-digest")} == set(used)


def test_a_container_has_the_devices_that_its_step_names(device, harbour):
    version, archive = harbour.build()
    asks = {"healthCommand": ["/app", "check", "/dev/hwrng"], "healthTimeoutSeconds": 8}
    device.ends(device.send(harbour.step(version, archive, devices=["/dev/hwrng"], **asks)), "Succeeded")
    harbour.version = version
    harbour.is_whole(version)
    version, archive = harbour.build()
    state = device.ends(device.send(harbour.step(version, archive, **asks)), "Failed")
    assert code(state)[1] == "35000008" and "/dev/hwrng is missing" in json.dumps(state), json.dumps(state)
    harbour.is_whole(harbour.version)


def test_a_container_has_the_limits_that_its_step_names(device, harbour):
    version, archive = harbour.build()
    limits = {"memoryLimitBytes": 64 << 20, "processLimit": 33}
    device.ends(device.send(harbour.step(version, archive, **limits)), "Succeeded")
    harbour.version = version
    harbour.is_whole(version)
    former = device.sh("podman container inspect --format '{{.Id}}' web")
    group = device.sh("cat /proc/$(podman container inspect --format '{{.State.Pid}}' web)/cgroup").removeprefix("0::")
    while group != "/" and device.sh(f"cat /sys/fs/cgroup{group}/pids.max", check=False) != "33":  # crun may keep the container in a group below
        group = str(Path(group).parent)
    assert group != "/", "no group above the container's process has the limit"
    assert device.sh(f"cat /sys/fs/cgroup{group}/memory.max /sys/fs/cgroup{group}/pids.max").split() == [str(64 << 20), "33"]

    version, archive = harbour.build()
    state = device.ends(device.send(harbour.step(version, archive, **limits, arguments=["eat", "128"], healthTimeoutSeconds=8)), "Failed")
    assert code(state)[1] == "35000008", json.dumps(state)
    assert "oom-kill" in device.sh("dmesg") and device.sh("podman container inspect --format '{{.Id}}' web") == former
    harbour.is_whole(harbour.version)


# ---- files ------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def grove(device):
    made = Grove(device)
    made.version, step = made.next_step()
    device.ends(device.send(step), "Succeeded")
    made.is_whole(made.version)
    return made


ALOUD = {"restartCommand": ["/bin/sh", "-c", say("restart", 2)], "healthCommand": ["/bin/sh", "-c", say("health", 2)]}
FILES_CUTS = {
    "in download": (("verb=download",), 0.1),
    "as it unpacks": (("verb=install",), 0.2),
    "while it unpacks": (("verb=install",), 0.6),
    "after install": (("verb=install result=600",), 0),
    "in apply": (("verb=apply",), 0),
    "while the service restarts": (("now: restart",), 0.5),
    "while the health is asked": (("now: health",), 0.5),
    "after apply": (("verb=apply result=700",), 0),
    "after the end": (END, 0.1),
}


@rows(FILES_CUTS)
def test_a_tree_is_whole_after_a_power_cut(device, grove, moment):
    words, after = FILES_CUTS[moment]
    version, step = grove.next_step(**ALOUD)
    device.goes_through(step, *words, after=after)
    grove.version = version
    grove.is_whole(version)


@rows({"in restore": 0, "while the service restarts": 0})
def test_the_earlier_tree_comes_back_in_spite_of_a_power_cut(device, grove, moment):
    _, step = grove.next_step(**{**ALOUD, "healthCommand": ["/bin/false"], "healthTimeoutSeconds": 1})
    state = device.goes_through(step, "verb=restore", *(("now: restart",) if moment != "in restore" else ()), after=0 if moment == "in restore" else 0.5, end="Failed")
    assert code(state)[1] == "34000007", json.dumps(state)
    grove.is_whole(grove.version)


# ---- SWUpdate without sides ----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def press(device, tmp_path_factory):
    made = Press(device, tmp_path_factory.mktemp("press"))
    made.version, content, step = made.step()
    device.ends(device.send(step), "Succeeded")
    made.is_whole(made.version, content)
    return made


SWU_CUTS = {
    "before SWUpdate writes": (("now: preinst",), 1),
    "while SWUpdate writes": (("now: preinst",), 2.4),
    "after SWUpdate wrote": (("now: postinst",), 1),
    "after install": (("verb=install result=600",), 0),
    "in the switch": (("now: apply",), 0.5),
    "after apply": (("verb=apply result=700",), 0),
    "after the end": (END, 0.1),
}


@rows(SWU_CUTS)
def test_what_swupdate_writes_is_whole_after_a_power_cut(device, press, moment):
    words, after = SWU_CUTS[moment]
    version, content, step = press.step()
    device.goes_through(step, *words, after=after)
    press.version = version
    press.is_whole(version, content)


@rows({"while it reverts": 0})
def test_a_switch_that_failed_is_reverted_in_spite_of_a_power_cut(device, press, moment):
    press.configure(fails=True)
    _, _, step = press.step()
    state = device.goes_through(step, "now: revert", after=0.5, end="Failed")
    assert code(state)[1] == "30100007", json.dumps(state)
    press.is_whole(press.version, None)
    press.configure()


# ---- scripts, which know nothing of disks --------------------------------------------------------------------------------

WRITER = """#!/bin/sh
while [ $# -gt 0 ]; do case "$1" in --action) action=$2;; --result-file) result=$2;; --installed-criteria) criteria=$2;; esac; shift; done
answer() { echo "{\\"resultCode\\":$1,\\"extendedResultCode\\":0}" >"$result"; exit 0; }
mkdir -p /opt/notes && cd /opt/notes || exit 1
case "$action" in
  is-installed) [ "$(readlink current)" = "$criteria" ] && answer 900; answer 901;;
  download) echo 'now: download' >/dev/console; sleep 2; answer 500;;
  install) head -c 8000000 /dev/urandom >"$criteria"; echo 'now: install' >/dev/console; sleep 2; sha256sum "$criteria" >"$criteria.sum"; answer 600;;
  apply) echo 'now: apply' >/dev/console; sleep 2; ln -sfn "$criteria" current; answer 700;;
esac
answer 0
"""
SCRIPT_CUTS = {
    "in download": (("now: download",), 1),
    "in install": (("now: install",), 1),
    "after install": (("verb=install result=600",), 0),
    "in apply": (("now: apply",), 1),
    "after apply": (("verb=apply result=700",), 0),
    "after the end": (END, 0.1),
}


@rows(SCRIPT_CUTS)
def test_what_a_script_wrote_is_there_after_a_power_cut(device, moment):
    words, after = SCRIPT_CUTS[moment]
    version = moment.replace(" ", "-")
    device.goes_through((SCRIPT, {"scriptFileName": "run.sh", "apiVersion": "1.1", "installedCriteria": version}, {"run.sh": WRITER.encode()}), *words, after=after)
    assert device.sh("cd /opt/notes && readlink current && sha256sum -c $(readlink current).sum").split() == [version, f"{version}:", "OK"]


# ---- the parts of the device -----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def toaster(device):
    made = Toaster(device)
    made.version, step = made.next_step()
    device.ends(device.send(step, parts="motors"), "Succeeded")
    made.is_whole(made.version)
    return made


PARTS_CUTS = {
    "as the first part is written": (("now: install /run/parts/m-1",), 0.5),
    "after the first part was written": (("now: install ended /run/parts/m-1",), 0.5),
    "as the first part changes": (("now: apply /run/parts/m-1",), 0.5),
    "after the first part changed": (("now: apply ended /run/parts/m-1",), 0.5),
    "between two parts": (("now: apply ended /run/parts/m-1", "verb=apply result=700"), 0),
    "as the second part is written": (("now: install /run/parts/m-2",), 0.5),
    "after the second part changed": (("now: apply ended /run/parts/m-2",), 0.5),
    "after the last part changed": (("now: apply ended /run/parts/m-3",), 0.5),
    "after the end": (END, 0.1),
}


@rows(PARTS_CUTS)
def test_the_parts_of_a_device_are_whole_after_a_power_cut(device, toaster, moment):
    words, after = PARTS_CUTS[moment]
    version, step = toaster.next_step()
    seen = len(device.machine.lines)
    device.goes_through(step, *words, after=after, parts="motors")
    toaster.version = version
    toaster.is_whole(version)
    told = [line for line in device.machine.lines[seen:] if "now: install /run/parts/" in line]
    for number, part in enumerate(MOTORS):  # what was done before the cut is not done again
        cut_there = f"/run/parts/{part}" in words[-1] and "install" in words[-1]
        assert len([line for line in told if part in line]) == (2 if cut_there else 1), "\n".join(told)
    twin = device.service.json("hub", "device-twin", "show", "-d", device.id)
    details = twin["properties"]["reported"]["deviceUpdate"]["agent"]["lastInstallResult"]["stepResults"]["step_0"]["resultDetails"]
    assert details == "; ".join(f"the {part} ({part}): done" for part in MOTORS)


# ---- several steps ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def depot(device, tmp_path_factory):
    made = Harbour(device, tmp_path_factory.mktemp("depot"), "depot", 8098)
    made.version, archive = made.build()
    device.ends(device.send(made.step(made.version, archive)), "Succeeded")
    made.is_whole(made.version)
    return made


FIRST_DONE = ("verb=apply result=700",)
TWO_CUTS = {
    "between the two": (FIRST_DONE, 0),
    "while podman loads the second": ((*FIRST_DONE, "podman: begins load"), 1.2),
    "between the renames of the second": ((*FIRST_DONE, "podman: ended rename"), 0),
    "while podman starts the second": ((*FIRST_DONE, "podman: begins start"), 0.5),
    "after the second": ((*FIRST_DONE, *FIRST_DONE), 0),
}


def goes_forth(device, places, cut):
    """One update with a step for each of the places, whose power goes with `cut`."""
    made = [place.next_step() for place in places]
    deployment = device.send(*(step for _, step in made))
    cut()
    device.power_on()
    device.ends(deployment, "Succeeded")
    for place, (version, _) in zip(places, made):
        place.version = version
        place.is_whole(version)


@rows(TWO_CUTS)
def test_two_containers_of_one_update_are_whole_after_a_power_cut(device, harbour, depot, moment):
    words, after = TWO_CUTS[moment]
    goes_forth(device, (harbour, depot), lambda: device.cut(*words, after=after))


ALL_CUTS = {
    "in the restore of the files": (("handler=godwit/files:1 verb=restore",), 0),
    "in the restore of the packages": (("handler=microsoft/apt:1 verb=restore",), 0.7),
    "between two restores": (("step=1 verb=restore result=1100",), 0),
    "in the restore of the container": (("handler=godwit/container:1 verb=restore", "podman: begins start"), 0.3),
    "after the restores": (("step=0 verb=restore result=1100",), 0),
}


@rows(ALL_CUTS)
def test_what_the_steps_before_did_comes_back_in_spite_of_a_power_cut(device, shelf, harbour, grove, moment):
    words, after = ALL_CUTS[moment]
    places = (harbour, shelf, grove)
    steps = [place.next_step(restoreScope="update")[1] for place in places]
    fails = (SCRIPT, {"scriptFileName": "fail.sh", "apiVersion": "1.1", "installedCriteria": "x", "restoreScope": "update"}, {"fail.sh": FAILS_IN_INSTALL})
    deployment = device.send(*steps, fails)
    device.cut(*words, after=after)
    device.power_on()
    device.ends(deployment, "Failed")
    for place in places:
        place.is_whole(place.version)


# ---- at random ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("names", "longest"), [(["shelf"], 16), (["harbour"], 30), (["harbour", "shelf", "grove"], 50)], ids=["packages", "container", "all"])
def test_random_power_cuts_leave_a_whole_system(device, names, longest, request):
    """GODWIT_VM_CUTS cuts (here 6); GODWIT_VM_SEED chooses the moments."""
    cuts, seed = int(os.environ.get("GODWIT_VM_CUTS", "6")), int(os.environ.get("GODWIT_VM_SEED", "7"))
    dice = random.Random(f"{names} {seed}")
    moments = [dice.uniform(0.5, longest) for _ in range(cuts)]
    print(f"seed {seed}: " + " ".join(f"{after:.1f}" for after in moments))
    places = [request.getfixturevalue(name) for name in names]

    def cut(number, after):
        time.sleep(after)
        print(f"cut {number}: after {after:.1f} s; last words: {re.sub(r'.*: ', '', device.machine.lines[-1])[:120]}")
        device.cut_now()

    for number, after in enumerate(moments):
        goes_forth(device, places, lambda number=number, after=after: cut(number, after))
