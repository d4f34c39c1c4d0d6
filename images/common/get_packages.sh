#!/bin/bash
# get_packages.sh ARCH FOLDER: Debian's cloud kernel and busybox for ARCH (arm64, amd64), extracted into FOLDER and not installed. Does
# nothing when the folder is whole.
set -euo pipefail
source "$(dirname "$0")/own_apt.sh"
arch=${1:?architecture} folder=$(realpath -m "${2:?folder}")
[[ -f $folder/.whole ]] && exit 0
own_apt "$arch" "$folder"
kernel=$(apt-cache "${apt[@]}" depends "linux-image-cloud-$arch" | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
[[ -n $kernel ]] || { echo "get_packages: apt knows no linux-image-cloud-$arch" >&2; exit 1; }
(cd "$folder/apt/archives" && apt-get "${apt[@]}" download "$kernel" busybox-static)
for package in "$folder"/apt/archives/*.deb; do dpkg-deb --extract "$package" "$folder"; done
rm -rf "$folder/apt"
version=$(basename "$folder"/lib/modules/*)
depmod --basedir "$folder" "$version"
echo "$version" >"$folder/.whole"
