#!/bin/sh
# Writes one line to /etc/toaster.conf. Every act may come twice: writing the same line again changes nothing.
set -eu
work=. result=/dev/null criteria=
while [ $# -gt 0 ]; do
  case "$1" in
    --action) action="$2"; shift ;;
    --work-folder) work="$2"; shift ;;
    --result-file) result="$2"; shift ;;
    --installed-criteria) criteria="$2"; shift ;;
  esac
  shift
done

file=/etc/toaster.conf
case "$action" in
  is-installed) if grep -qsx "version=$criteria" "$file"; then code=900; else code=901; fi ;;
  download) code=500 ;;
  install) printf 'version=%s\n' "$criteria" > "$work/new"; code=600 ;;
  apply) cp "$work/new" "$file.tmp"; mv "$file.tmp" "$file"; code=700 ;;
  *) exit 64 ;;
esac
printf '{"resultCode":%d,"extendedResultCode":0,"resultDetails":""}\n' "$code" > "$result"
