SUMMARY = "Headers that Godwit is built with and that no layer here has: tl::expected, toml++"
DESCRIPTION = "The two header-only libraries, as Debian 12 ships them: the versions that Godwit is tested with."
HOMEPAGE = "https://www.debian.org/"
LICENSE = "CC0-1.0 & MIT"
LIC_FILES_CHKSUM = "file://usr/share/doc/libexpected-dev/copyright;md5=6bf80f4c63527f64c0ebb81f7875de82 \
                    file://usr/share/doc/libtomlplusplus-dev/copyright;md5=95e5aee4c532ffb43a6add5ecd429ea1"

SRC_URI = "${DEBIAN_MIRROR}/main/t/tl-expected/libexpected-dev_1.0.0~dfsg-3_all.deb;name=expected \
           ${DEBIAN_MIRROR}/main/t/tomlplusplus/libtomlplusplus-dev_3.3.0+ds-1_amd64.deb;name=toml"
SRC_URI[expected.sha256sum] = "f6ff083e016e77fc51a359f6afd6947f496dbb55db47857e31de384177a7fbf1"
SRC_URI[toml.sha256sum] = "2779cce0001466dcf60eb6262ff68a888d49f9e30aee80c499d1d4f6f9f6e12e"

S = "${WORKDIR}"

inherit allarch

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d ${D}${includedir}/tl ${D}${includedir}/toml++
    install -m 0644 ${S}/usr/include/tl/expected.hpp ${D}${includedir}/tl/
    cp -R --no-dereference --preserve=mode ${S}/usr/include/toml++/. ${D}${includedir}/toml++/
}

# Nothing for a device: only what is built with it.
ALLOW_EMPTY:${PN} = "1"
