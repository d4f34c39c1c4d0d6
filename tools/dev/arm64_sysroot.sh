#!/bin/bash
# Puts Debian's arm64 libraries that the device side links with into a folder, without touching this system's packages:
# an apt of its own, whose lists and downloads lie there as well. Does nothing when the folder is whole.
set -euo pipefail
root=${1:?folder}
packages=(libc6-dev libstdc++-12-dev libarchive-dev libssl-dev libcurl4-openssl-dev libfmt-dev libsqlite3-dev libzstd-dev zlib1g-dev)
recipe=$(sha256sum <"$0")
[[ -f $root/.whole ]] && [[ $(<"$root/.whole") == "$recipe" ]] && exit 0
root=$(realpath -m "$root")
rm -rf "$root"
mkdir -p "$root"/apt/{lists/partial,archives/partial,etc/preferences.d,etc/apt.conf.d}
: >"$root/apt/status"
apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$root/apt" -o "Dir::State::status=$root/apt/status"
  -o "Dir::State::lists=$root/apt/lists" -o "Dir::Cache=$root/apt" -o "Dir::Cache::archives=$root/apt/archives" -o APT::Install-Recommends=false
  -o APT::Sandbox::User=root)
"${apt[@]}" update
"${apt[@]}" --download-only --yes install "${packages[@]}"
# dpkg-shlibdeps asks a database of dpkg whose library it is and what to depend on: $root/dpkg is one, of this folder.
mkdir -p "$root/dpkg/info" "$root/dpkg/updates"
echo 1 >"$root/dpkg/info/format"
for package in "$root"/apt/archives/*.deb; do
  dpkg-deb --extract "$package" "$root"
  name=$(dpkg-deb --show --showformat='${Package}' "$package")
  [[ $(dpkg-deb --field "$package" Multi-Arch) != same ]] || name+=:arm64
  dpkg-deb --field "$package" | sed '/^Package:/a Status: install ok installed' >>"$root/dpkg/status"
  echo >>"$root/dpkg/status"
  dpkg-deb --fsys-tarfile "$package" | tar -t | sed -n "s#^\./\(.*[^/]\)\$#$root/\1#p" >"$root/dpkg/info/$name.list"
  control=$(mktemp -d)
  dpkg-deb --control "$package" "$control"
  for fact in shlibs symbols; do [[ ! -f $control/$fact ]] || cp "$control/$fact" "$root/dpkg/info/$name.$fact"; done
  rm -r "$control"
done
# Links to absolute places lead out of the folder: make them relative.
find "$root" -path "$root/apt" -prune -o -type l -lname '/*' -print | while read -r link; do
  ln -sfr "$root$(readlink "$link")" "$link"
done
rm -rf "$root/apt"
# Headers that are the same for every machine come from this one.
for headers in boost tl CLI toml++; do ln -sfn "/usr/include/$headers" "$root/usr/include/$headers"; done
echo "$recipe" >"$root/.whole"
