#!/bin/bash
# get_programs.sh ARCH FOLDER PACKAGE...: these packages of Debian and what they depend on for ARCH, extracted into FOLDER and not installed:
# an apt of its own, as in get_packages.sh. Does nothing when the folder holds them.
set -euo pipefail
arch=${1:?architecture} folder=$(realpath -m "${2:?folder}")
shift 2
[[ -f $folder/.whole ]] && [[ $(<"$folder/.whole") == "$*" ]] && exit 0
rm -rf "$folder" && mkdir -p "$folder"/apt/{lists/partial,archives/partial,etc/preferences.d,etc/apt.conf.d}
: >"$folder/apt/status"
apt=(apt-get -qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$folder/apt" -o "Dir::State::status=$folder/apt/status"
  -o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt" -o "Dir::Cache::archives=$folder/apt/archives" -o APT::Install-Recommends=false
  -o APT::Sandbox::User=root)
"${apt[@]}" update
"${apt[@]}" --download-only --yes install "$@"
for package in "$folder"/apt/archives/*.deb; do dpkg-deb --extract "$package" "$folder"; done
rm -rf "$folder/apt"
echo "$*" >"$folder/.whole"
