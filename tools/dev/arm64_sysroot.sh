#!/bin/bash
# Puts Debian's arm64 libraries that the device side links with into a folder, without touching this system's packages:
# an apt of its own, whose lists and downloads lie there as well. Does nothing when the folder is whole.
set -euo pipefail
root=${1:?folder}
packages=(libc6-dev libstdc++-12-dev libarchive-dev libssl-dev libcurl4-openssl-dev libfmt-dev libsqlite3-dev libzstd-dev zlib1g-dev)
[[ -f $root/.whole ]] && [[ $(<"$root/.whole") == "${packages[*]}" ]] && exit 0
mkdir -p "$root"/apt/{lists/partial,archives/partial,etc/preferences.d,etc/apt.conf.d}
: >"$root/apt/status"
apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$root/apt" -o "Dir::State::status=$root/apt/status"
  -o "Dir::State::lists=$root/apt/lists" -o "Dir::Cache=$root/apt" -o "Dir::Cache::archives=$root/apt/archives" -o APT::Install-Recommends=false
  -o APT::Sandbox::User=root)
"${apt[@]}" update
"${apt[@]}" --download-only --yes install "${packages[@]}"
for package in "$root"/apt/archives/*.deb; do dpkg-deb --extract "$package" "$root"; done
# Links to absolute places lead out of the folder: make them relative.
find "$root" -path "$root/apt" -prune -o -type l -lname '/*' -print | while read -r link; do
  ln -sfr "$root$(readlink "$link")" "$link"
done
rm -rf "$root/apt"
# Headers that are the same for every machine come from this one.
for headers in boost tl CLI toml++; do ln -sfn "/usr/include/$headers" "$root/usr/include/$headers"; done
echo "${packages[*]}" >"$root/.whole"
