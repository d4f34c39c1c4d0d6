# An image with two sides: `inherit godwit-image` in the recipe of an image. Makes IMAGE.wic, the whole disk for the factory, and IMAGE.ext4.zst, one
# side, which is the payload of an update with godwit/image:1. Both hold the same root file system.

IMAGE_FSTYPES += "ext4 ext4.zst wic wic.bmap"
IMAGE_TYPEDEP:wic = "ext4"
# A side has the size of its partition: what is written over it is compared with that.
IMAGE_ROOTFS_SIZE = "${@int(d.getVar('GODWIT_SIDE_MB')) * 1024}"
IMAGE_ROOTFS_MAXSIZE = "${IMAGE_ROOTFS_SIZE}"
IMAGE_ROOTFS_EXTRA_SPACE = "0"
IMAGE_OVERHEAD_FACTOR = "1"

# Nothing of a side changes while it runs: else its hash would say little, and a delta against it would not fit.
IMAGE_FEATURES += "read-only-rootfs"

# Kernel and device trees are files of the side, so that one write updates them together.
IMAGE_INSTALL:append = " godwit-agent godwit-board kernel-image kernel-devicetree"

WKS_FILE ?= "${@'godwit-grub.wks.in' if d.getVar('GODWIT_LOADER') == 'grub' else 'godwit-uboot.wks.in'}"
GODWIT_BOOT_RECIPE = "${@'godwit-boot-grub' if d.getVar('GODWIT_LOADER') == 'grub' else 'godwit-boot-uboot'}"
WKS_FILE_DEPENDS:append = " ${GODWIT_BOOT_RECIPE}"
do_image_wic[depends] += "${GODWIT_BOOT_RECIPE}:do_deploy"
IMAGE_BOOT_FILES:append = "${@' boot.scr' if d.getVar('GODWIT_LOADER') == 'uboot' else ''}"
IMAGE_EFI_BOOT_FILES:append = "${@' grubenv;EFI/BOOT/grubenv' if d.getVar('GODWIT_LOADER') == 'grub' else ''}"

godwit_mounts() {
    echo 'LABEL=data /data ext4 noatime,x-systemd.growfs 0 2' >> ${IMAGE_ROOTFS}${sysconfdir}/fstab
    install -d ${IMAGE_ROOTFS}/data
    if [ "${GODWIT_LOADER}" = grub ]; then
        echo 'LABEL=boot /boot/efi vfat umask=0077 0 2' >> ${IMAGE_ROOTFS}${sysconfdir}/fstab
        install -d ${IMAGE_ROOTFS}/boot/efi
    fi
}
ROOTFS_POSTPROCESS_COMMAND += "godwit_mounts"

python () {
    if d.getVar('GODWIT_LOADER') not in ('uboot', 'grub'):
        bb.fatal('GODWIT_LOADER is uboot or grub, not "%s"' % d.getVar('GODWIT_LOADER'))
    if 'systemd' not in (d.getVar('DISTRO_FEATURES') or '').split():
        bb.fatal('godwit-image needs systemd: add INIT_MANAGER = "systemd" to the configuration')
}
