#!/bin/sh
# Brings kitchen.conf to the schema of the running release, keeping what the owner changed. Script handler, api 1.1.
set -u
action='' result='' criteria='' root=''
while [ $# -gt 0 ]; do
  case "$1" in
    --action) action=$2; shift 2 ;;
    --result-file) result=$2; shift 2 ;;
    --installed-criteria) criteria=$2; shift 2 ;;
    --root) root=$2; shift 2 ;;
    *) shift ;;
  esac
done
answer() { printf '{"resultCode":%s,"extendedResultCode":%s,"resultDetails":"%s"}\n' "$1" "$2" "$3" > "$result"; exit 0; }

conf="$root/kitchen.conf"
case "$action" in
  is-installed) if grep -qx "schema = $criteria" "$conf" 2>/dev/null; then answer 900 0 ''; else answer 901 0 ''; fi ;;
  download) answer 500 0 '' ;;
  install)
    { echo "schema = $criteria"; grep -v '^schema = ' "$conf" 2>/dev/null || echo 'language = en'; } > "$conf.new" && mv "$conf.new" "$conf" || answer 0 838860816 "cannot write $conf"
    answer 600 0 '' ;;
  apply) answer 700 0 '' ;;
  *) answer 0 838860807 "unknown action $action" ;;
esac
