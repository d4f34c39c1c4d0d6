SUMMARY = "GRUB's half of two sides: the environment block that it begins with"
DESCRIPTION = "grub.cfg itself comes from the wks file's folder, since wic writes it; GRUB needs the modules of GODWIT_GRUB_MODULES in its image."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

S = "${WORKDIR}"

inherit deploy nopackages

PACKAGE_ARCH = "${MACHINE_ARCH}"

do_configure[noexec] = "1"

# As grub-editenv writes it: a head, the words, filled up to 1024 bytes.
python do_compile() {
    text = '# GRUB Environment Block\ngood=A\n'
    with open(d.getVar('B') + '/grubenv', 'w') as file:
        file.write(text + '#' * (1024 - len(text)))
}

do_deploy() {
    install -m 0644 ${B}/grubenv ${DEPLOYDIR}/
}
addtask deploy after do_compile before do_build
