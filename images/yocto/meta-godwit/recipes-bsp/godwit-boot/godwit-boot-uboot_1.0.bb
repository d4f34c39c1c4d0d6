SUMMARY = "U-Boot's half of two sides: the boot script, and the state that it begins with"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

# The name under which meta-raspberrypi wants a boot.scr.
PROVIDES = "u-boot-default-script"
DEPENDS = "u-boot-tools-native"

SRC_URI = "file://boot.cmd.in"

S = "${WORKDIR}"

inherit deploy nopackages

PACKAGE_ARCH = "${MACHINE_ARCH}"

# What a board may have otherwise. The device tree is a file in /boot of the side; empty takes the one that U-Boot got.
GODWIT_KERNEL ??= "${KERNEL_IMAGETYPE}"
GODWIT_BOOT_COMMAND ??= "${@'bootz' if d.getVar('KERNEL_IMAGETYPE') == 'zImage' else 'booti'}"
GODWIT_DEVICETREE ??= ""
GODWIT_BOOTARGS ??= ""
GODWIT_ARGS_OF_FIRMWARE ??= "0"
GODWIT_MKIMAGE_ARCH ??= "${UBOOT_ARCH}"

do_configure[noexec] = "1"

do_compile() {
    sed -e 's,@@STATE_PARTITION@@,${GODWIT_PART_STATE},' -e 's,@@A_PARTITION@@,${GODWIT_PART_A},' -e 's,@@B_PARTITION@@,${GODWIT_PART_B},' \
        -e 's,@@KERNEL@@,${GODWIT_KERNEL},' -e 's,@@BOOT@@,${GODWIT_BOOT_COMMAND},' -e 's,@@DEVICETREE@@,${GODWIT_DEVICETREE},g' \
        -e 's,@@BOOTARGS@@,${GODWIT_BOOTARGS},' -e 's,@@ARGS_OF_FIRMWARE@@,${GODWIT_ARGS_OF_FIRMWARE},' ${S}/boot.cmd.in > ${B}/boot.cmd
    if sed 1,3d ${B}/boot.cmd | grep -q '@@'; then bbfatal "boot.cmd has a word that nothing fills in"; fi
    mkimage -A ${GODWIT_MKIMAGE_ARCH} -T script -C none -d ${B}/boot.cmd ${B}/boot.scr
    # Two copies of 512 bytes, side A good: as godwit-slots writes them.
    echo 'good=A' | mkenvimage -s 512 -p 0 -o ${B}/copy -
    cat ${B}/copy ${B}/copy > ${B}/godwit-state.bin
}

do_deploy() {
    install -m 0644 ${B}/boot.scr ${B}/godwit-state.bin ${DEPLOYDIR}/
}
addtask deploy after do_compile before do_build
