#!/bin/bash
# get_programs.sh ARCH FOLDER PACKAGE...: these packages of Debian and what they depend on for ARCH, extracted into FOLDER and not installed.
# Does nothing when the folder holds them.
set -euo pipefail
source "$(dirname "$0")/own_apt.sh"
arch=${1:?architecture} folder=$(realpath -m "${2:?folder}")
shift 2
[[ -f $folder/.whole ]] && [[ $(<"$folder/.whole") == "$*" ]] && exit 0
own_apt "$arch" "$folder"
apt-get "${apt[@]}" --download-only --yes install "$@"
for package in "$folder"/apt/archives/*.deb; do dpkg-deb --extract "$package" "$folder"; done
rm -rf "$folder/apt"
echo "$*" >"$folder/.whole"
