SUMMARY = "What makes a board one with two sides: slots.toml, the data partition's folders, this side's extensions"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://slots.toml.in \
           file://godwit-data-folders \
           file://godwit-register-side \
           file://godwit-data-folders.service \
           file://godwit-register-side.service \
           file://etc-godwit.mount \
           file://var-lib-godwit.mount \
           file://watchdog.conf"

S = "${WORKDIR}"

inherit systemd

# It is about the machine: another one has other partitions.
PACKAGE_ARCH = "${MACHINE_ARCH}"

do_configure[noexec] = "1"

do_compile() {
    sed -e 's,@@SLOT_A@@,${GODWIT_SLOT_A},' -e 's,@@SLOT_B@@,${GODWIT_SLOT_B},' \
        -e 's,@@LOADER@@,${GODWIT_LOADER},' -e 's,@@STATE_DEVICE@@,${GODWIT_STATE_DEVICE},' ${S}/slots.toml.in > ${B}/slots.toml
    if grep -q '@@' ${B}/slots.toml; then bbfatal "slots.toml has a word that nothing fills in"; fi
}

do_install() {
    install -d ${D}${datadir}/godwit ${D}${libexecdir}/godwit ${D}${systemd_system_unitdir} ${D}${nonarch_libdir}/systemd/system.conf.d ${D}/data
    install -m 0644 ${B}/slots.toml ${D}${datadir}/godwit/
    install -m 0755 ${S}/godwit-data-folders ${S}/godwit-register-side ${D}${libexecdir}/godwit/
    for unit in godwit-data-folders.service godwit-register-side.service etc-godwit.mount var-lib-godwit.mount; do
        install -m 0644 ${S}/$unit ${D}${systemd_system_unitdir}/
    done
    install -m 0644 ${S}/watchdog.conf ${D}${nonarch_libdir}/systemd/system.conf.d/godwit-watchdog.conf
}

SYSTEMD_SERVICE:${PN} = "godwit-data-folders.service godwit-register-side.service etc-godwit.mount var-lib-godwit.mount"
FILES:${PN} += "/data ${datadir}/godwit ${libexecdir}/godwit ${nonarch_libdir}/systemd/system.conf.d"
RDEPENDS:${PN} = "godwit-agent godwit-step-image"
