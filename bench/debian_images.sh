#!/bin/bash
# Two images of a Debian 12 root file system for bench delta: A as released, B with the updates of today. As root.
#   debian_images.sh FOLDER
# The archive keeps only present versions, so later runs measure later packages; FOLDER/packages-*.txt say which.
set -euo pipefail
mkdir -p "${1:?FOLDER}"
cd "$1"
# The mirrors that this machine uses.
configured() { grep -hoE "https?://[^ ]*/$1/?( |\$)" /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1 | tr -d ' ' || true; }
mirror=${MIRROR:-$(configured debian)}
security=${SECURITY_MIRROR:-$(configured debian-security)}
[[ -n $mirror && -n $security ]] || { echo "debian_images.sh: name the archives in MIRROR and SECURITY_MIRROR" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
export SOURCE_DATE_EPOCH=1780000000 LC_ALL=C
packages=systemd,systemd-sysv,udev,dbus,openssh-server,openssl,ca-certificates,curl,python3,sudo,iproute2,iputils-ping,bluez,mosquitto,nginx-light
packages+=,rsyslog,cron,vim-tiny,procps,kmod,gnupg,sqlite3,modemmanager,network-manager,tcpdump,nftables,rsync,git,linux-image-cloud-amd64
clean='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/tmp/* "$1"/etc/ssh/ssh_host_* "$1"/boot/initrd.img-*; : > "$1"/etc/machine-id'

# image NAME UUID SOURCES...: a file system of its own each, as image build systems make them.
image() {
  local name=$1 uuid=$2
  shift 2
  rm -rf "root-$name"
  mmdebstrap --variant=minbase --mode=root --architectures=amd64 --include="$packages" --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="$clean" bookworm "root-$name" "$@"
  chroot "root-$name" dpkg-query -W -f '${Package} ${Version}\n' | sort > "packages-$name.txt"
  find "root-$name" -xdev -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -F -t ext4 -b 4096 -m 0 -O ^has_journal,^metadata_csum,^orphan_file -U "$uuid" \
    -E "hash_seed=$uuid,lazy_itable_init=0" -d "root-$name" "$name.part" 640M
  mv "$name.part" "$name.ext4"
  rm -rf "root-$name"
}
image A 6b1b3a52-0001-4d4d-8888-000000000001 "deb [signed-by=$keyring] $mirror bookworm main"
image B 6b1b3a52-0001-4d4d-8888-000000000002 "deb [signed-by=$keyring] $mirror bookworm main" \
  "deb [signed-by=$keyring] $mirror bookworm-updates main" "deb [signed-by=$keyring] $security bookworm-security main"
