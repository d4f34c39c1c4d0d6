#!/bin/sh
# One step of an update: puts toast.txt in place. Called for each verb; the answer is a small result file.
set -u
target=/opt/kitchen
while [ $# -gt 0 ]; do
  case $1 in
    --action) verb=$2 ;;
    --work-folder) folder=$2 ;;
    --result-file) result=$2 ;;
    --installed-criteria) wanted=$2 ;;
  esac
  shift
done
answer() { printf '{"resultCode":%d,"extendedResultCode":0,"resultDetails":"%s"}' "$1" "$2" >"$result"; }
case $verb in
  is-installed) if [ "$(cat $target/version 2>/dev/null)" = "$wanted" ]; then answer 900 ""; else answer 901 ""; fi ;;
  download) answer 500 "" ;;
  install)
    if mkdir -p $target && cp "$folder/toast.txt" $target/toast.new; then answer 600 ""; else answer 0 "cannot write to $target"; fi ;;
  apply)
    if mv -f $target/toast.new $target/toast.txt && echo "$wanted" >$target/version; then answer 700 ""; else answer 0 "cannot switch in $target"; fi ;;
esac
