SUMMARY = "Over-the-air update agent of a device"
DESCRIPTION = "The agent, which has the network and no privileges, the installer, which has privileges and no network, and the \
extensions that carry out steps. godwit-slots looks after a device with two sides."
HOMEPAGE = "https://godwit.example/"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

DEPENDS = "boost cli11 curl fmt godwit-headers libarchive openssl sqlite3 zlib zstd"

inherit externalsrc cmake systemd useradd

EXTERNALSRC = "${GODWIT_SOURCE}"
EXTERNALSRC_BUILD = "${WORKDIR}/build"

# The compilers of these series are newer than the one that judges our warnings.
EXTRA_OECMAKE = "-DCMAKE_BUILD_TYPE=Release -DGODWIT_TESTS=OFF -DGODWIT_BENCH=OFF -DGODWIT_STRICT=OFF -DGODWIT_CCACHE=OFF"
OECMAKE_TARGET_COMPILE = "device"

do_install() {
    DESTDIR=${D} cmake --install ${B} --component agent
    install -d ${D}${systemd_system_unitdir} ${D}${sysconfdir}/godwit ${D}${localstatedir}/lib/godwit
    for unit in godwit-agent.service godwit-installer.service godwit-installer.socket godwit-slots-guard.service; do
        install -m 0644 ${S}/packaging/systemd/$unit ${D}${systemd_system_unitdir}/
    done
}

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system --gid ${GODWIT_USER_ID} godwit-agent"
USERADD_PARAM:${PN} = "--system --uid ${GODWIT_USER_ID} --gid godwit-agent --home-dir /var/lib/godwit/agent --no-create-home --shell /sbin/nologin godwit-agent"

SYSTEMD_PACKAGES = "${PN}"
SYSTEMD_SERVICE:${PN} = "godwit-agent.service godwit-installer.socket godwit-slots-guard.service"

# A package for each extension, so that an image has what it needs and no more. register-extensions takes what is there.
GODWIT_EXTENSIONS = "manifest-steps step-apt step-container step-files step-image step-script step-simulator step-swupdate step-swupdate-script \
                     downloader-curl downloader-local download-delta components-example"
PACKAGES =+ "${@' '.join('godwit-' + name for name in d.getVar('GODWIT_EXTENSIONS').split())}"
python __anonymous() {
    for name in d.getVar('GODWIT_EXTENSIONS').split():
        d.setVar('FILES:godwit-' + name, d.getVar('libdir') + '/godwit/godwit-' + name + '.so')
        d.setVar('SUMMARY:godwit-' + name, 'Extension ' + name + ' of the Godwit agent')
}
FILES:${PN} += "${systemd_system_unitdir} ${datadir}/godwit ${libexecdir}/godwit"

# Without these two no update can be planned or fetched.
RDEPENDS:${PN} += "godwit-manifest-steps godwit-downloader-curl util-linux-runuser ca-certificates"
RRECOMMENDS:${PN} += "godwit-step-script godwit-step-files godwit-step-image godwit-download-delta"
RDEPENDS:godwit-step-swupdate += "swupdate"
RDEPENDS:godwit-step-swupdate-script += "swupdate"
