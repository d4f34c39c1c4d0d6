#!/bin/bash
# get_packages.sh ARCH FOLDER: Debian's cloud kernel and busybox for ARCH (arm64, amd64), extracted into FOLDER and not installed: an
# apt of its own, so that lists and architectures of this machine stay as they are. Does nothing when the folder is whole.
set -euo pipefail
arch=${1:?architecture} folder=$(realpath -m "${2:?folder}")
[[ -f $folder/.whole ]] && exit 0
rm -rf "$folder" && mkdir -p "$folder"/apt/{lists/partial,archives/partial,debs}
: >"$folder/apt/status"
apt=(-qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$folder/apt" -o "Dir::State::status=$folder/apt/status"
  -o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update
kernel=$(apt-cache "${apt[@]}" depends "linux-image-cloud-$arch" | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
[[ -n $kernel ]] || { echo "get_packages: apt knows no linux-image-cloud-$arch" >&2; exit 1; }
(cd "$folder/apt/debs" && apt-get "${apt[@]}" download "$kernel" busybox-static)
for package in "$folder"/apt/debs/*.deb; do dpkg-deb --extract "$package" "$folder"; done
rm -rf "$folder/apt"
version=$(basename "$folder"/lib/modules/*)
depmod --basedir "$folder" "$version"
echo "$version" >"$folder/.whole"
