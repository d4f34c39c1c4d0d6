"""The layer is well, and each kind of mistake in it is found."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import lint_recipes  # noqa: E402
from stack import binaries_folder  # noqa: E402

LAYER = lint_recipes.ROOT / "images" / "yocto" / "meta-godwit"
AGENT = "recipes-godwit/godwit-agent/godwit-agent_0.1.0.bb"
BOARD = "recipes-godwit/godwit-board/godwit-board_1.0.bb"
HEADERS = "recipes-godwit/godwit-headers/godwit-headers_1.0.bb"
BOOT = "recipes-bsp/godwit-boot/godwit-boot-uboot_1.0.bb"
FILES = "recipes-godwit/godwit-board/files/"
KAS = "../../raspberrypi/godwit-raspberrypi4.yml"


def test_the_layer_and_the_build_files_of_boards_have_nothing_to_mend():
    assert lint_recipes.lint(LAYER, lint_recipes.ROOT / "images" / "raspberrypi") == []


@pytest.mark.parametrize("loader", ["uboot", "grub"])
def test_godwit_slots_takes_the_slots_toml_of_a_board(tmp_path, loader):
    """Filled in as the recipe does it, with the layer's own defaults; that this machine has no such partitions is all that is wrong with it."""
    values = dict(re.findall(r'^(GODWIT_\w+) \?\?= "(.*)"', (LAYER / "conf" / "layer.conf").read_text(), re.M)) | {"GODWIT_LOADER": loader}
    text = (LAYER / FILES / "slots.toml.in").read_text()
    for word, name in re.findall(r"s,@@(\w+)@@,\$\{(\w+)\},", (LAYER / BOARD).read_text()):
        text = text.replace(f"@@{word}@@", values[name])
    (tmp_path / "slots.toml").write_text(text)
    done = subprocess.run([binaries_folder("debug") / "godwit-slots", "status", "--config", tmp_path / "slots.toml"], capture_output=True, text=True)
    assert done.stderr == "godwit-slots: there is no partition PARTLABEL=side-a (/dev/disk/by-partlabel/side-a)\n", done.stderr


@pytest.mark.parametrize("file, old, new, said", [
    ("conf/layer.conf", 'COMPAT_godwit = "scarthgap"', 'COMPAT_godwit = "dunfell"', "does not name scarthgap"),
    ("conf/layer.conf", "BBFILE_PRIORITY_godwit", "BBFILE_PRIORITY_other", "BBFILE_PRIORITY_godwit is missing"),
    ("conf/layer.conf", '"core openembedded-layer"', '"core qt-layer"', "qt-layer"),
    ("conf/layer.conf", "GODWIT_USER_ID ??=", "GODWIT_USER ??=", "GODWIT_USER_ID} is set nowhere"),
    (AGENT, 'SUMMARY = "', 'TITLE = "', "SUMMARY is missing"),
    (AGENT, "LICENSE;md5=3", "LICENSE;md5=4", "the md5 of LICENSE"),
    (AGENT, "-DGODWIT_STRICT=OFF", "-DGODWIT_STRIKT=OFF", "GODWIT_STRIKT"),
    (AGENT, 'COMPILE = "device"', 'COMPILE = "devices"', "target devices"),
    (AGENT, "--component agent", "--component agents", "component agents"),
    (AGENT, "step-image step-script", "step-script", "GODWIT_EXTENSIONS lacks step-image"),
    (AGENT, "godwit-installer.socket godwit-slots-guard.service; do", "godwit-slots-guard.service; do", "enables godwit-installer.socket"),
    (AGENT, "godwit-slots-guard.service; do", "godwit-slots-gard.service; do", "the unit godwit-slots-gard.service"),
    (AGENT, "libarchive", "libarchives", "names libarchives"),
    (AGENT, "inherit externalsrc cmake", "inherit externalsrc ccmake", "inherits ccmake"),
    (AGENT, "RDEPENDS:${PN} +=", "RDEPENDS_${PN} +=", "before 2021"),
    (BOARD, "file://watchdog.conf", "file://watchdogs.conf", "the source watchdogs.conf is not there"),
    (BOARD, "file://watchdog.conf", "", "files/watchdog.conf belongs to no SRC_URI"),
    (BOARD, "s,@@SLOT_B@@,${GODWIT_SLOT_B},", "", "@@SLOT_B@@ is not filled in"),
    (BOARD, "${GODWIT_SLOT_B}", "${GODWIT_SLOTB}", "GODWIT_SLOTB} is set nowhere"),
    (HEADERS, "SRC_URI[toml.sha256sum]", "SRC_URI[toml.md5sum]", "SRC_URI[toml.sha256sum] is missing"),
    (BOOT, "do_deploy() {", "do_deploys() {", "there is no do_deploy"),
    (BOOT, "then bbfatal", "bbfatal", "do_compile"),
    (BOOT, "89aea4e17d99a7cacdbeed46a0096b10", "89aea4e17d99a7cacdbeed46a0096b11", "Apache-2.0"),
    (FILES + "godwit-register-side", 'sync "$stamp.new"', "sync $1", "SC2086"),
    (FILES + "var-lib-godwit.mount", "Where=/var/lib/godwit", "Where=/var/lib/other", "var-lib-godwit.mount"),
    ("wic/godwit-grub.cfg", "start_side\n#", "start_side {\n#", "godwit-grub.cfg"),
    ("wic/godwit-uboot.wks.in", "--part-name side-b --align 4096 --fixed-size ${GODWIT_SIDE_MB}M", "--part-name side-b --align 4096 --fixed-size 64M", "not both"),
    ("wic/godwit-uboot.wks.in", "rawcopy", "rawcopi", "rawcopi"),
    ("wic/godwit-grub.wks.in", 'configfile="godwit-grub.cfg"', 'configfile="grub.cfg"', "grub.cfg is not there"),
    ("wic/godwit-uboot-msdos.wks.in", "--ptable msdos", "--ptable bsd", "--ptable"),
    (KAS, "branch: scarthgap", "branch: master", "follows neither"),
    (KAS, "target: godwit-image-minimal", "target: godwit-image", "is no image"),
    (KAS, 'GODWIT_PART_B = "5"', 'GODWIT_PART_B = "4"', "B is partition 5"),
    (KAS, "GODWIT_SLOT_A =", "GODWIT_SLOTA =", "GODWIT_SLOTA"),
])
def test_a_mistake_is_found(tmp_path, file, old, new, said):
    layer = tmp_path / "yocto" / "meta-godwit"
    shutil.copytree(LAYER, layer)
    shutil.copytree(lint_recipes.ROOT / "images" / "raspberrypi", tmp_path / "raspberrypi")
    path = (layer / file).resolve()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    findings = lint_recipes.lint(layer, tmp_path / "raspberrypi")
    assert any(said in finding for finding in findings), findings
