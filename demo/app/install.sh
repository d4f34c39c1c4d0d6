#!/bin/sh
# Installs a release of "kitchen" beside the old one and switches to it with one rename. Script handler, api 1.1.
# Every action may be repeated: after a power cut the same call comes again.
set -u
action='' work='' result='' criteria='' root=''
while [ $# -gt 0 ]; do
  case "$1" in
    --action) action=$2; shift 2 ;;
    --work-folder) work=$2; shift 2 ;;
    --result-file) result=$2; shift 2 ;;
    --installed-criteria) criteria=$2; shift 2 ;;
    --root) root=$2; shift 2 ;;
    *) shift ;;
  esac
done

answer() { # code, extended code, words
  printf '{"resultCode":%s,"extendedResultCode":%s,"resultDetails":"%s"}\n' "$1" "$2" "$3" > "$result"
  exit 0
}

release="$root/releases/$criteria"
case "$action" in
  is-installed)
    if [ "$(cat "$root/current/VERSION" 2>/dev/null)" = "$criteria" ]; then answer 900 0 ''; else answer 901 0 ''; fi ;;
  download)
    answer 500 0 '' ;;
  install)
    rm -rf "$release.new" "$release" && mkdir -p "$release.new" || answer 0 838860801 "cannot make $release.new"
    tar -xf "$work/kitchen-$criteria.tar" -C "$release.new" || answer 0 838860802 'the archive cannot be unpacked'
    (cd "$release.new" && sha256sum --quiet -c SHA256SUMS) || answer 0 838860803 'a file of the release is damaged'
    complaint=$("$release.new/bin/kitchen" --self-test 2>&1) || answer 0 838860804 "self-test of kitchen $criteria failed: $complaint"
    sync && mv "$release.new" "$release" || answer 0 838860805 "cannot rename $release.new"
    echo "installed $criteria" >> "$root/history.log"
    answer 600 0 '' ;;
  apply)
    ln -sfn "releases/$criteria" "$root/current.new" && mv -T "$root/current.new" "$root/current" || answer 0 838860806 'cannot switch to the new release'
    echo "switched to $criteria" >> "$root/history.log"
    answer 700 0 '' ;;
  cancel) answer 800 0 '' ;;
  *) answer 0 838860807 "unknown action $action" ;;
esac
