#!/bin/sh
# Step script of an update for one part: speaks to the part's socket. Arguments of the update:
#   --socket --component-prop-val socket --wait 60
# --wait N: an off-line part is waited for so many seconds; without it, it is a failure at once.
set -u
action='' result='' criteria='' work='' socket='' wait=0
while [ $# -gt 0 ]; do
  case "$1" in
    --action) action=$2; shift 2 ;;
    --work-folder) work=$2; shift 2 ;;
    --result-file) result=$2; shift 2 ;;
    --installed-criteria) criteria=$2; shift 2 ;;
    --socket) socket=$2; shift 2 ;;
    --wait) wait=$2; shift 2 ;;
    *) shift ;;
  esac
done
answer() { printf '{"resultCode":%s,"extendedResultCode":%s,"resultDetails":"%s"}\n' "$1" "$2" "$3" > "$result"; exit 0; }
ask() {
  /usr/bin/python3 - "$socket" "$wait" "$@" <<'PYTHON'
import socket, sys, time
name, patience, words = sys.argv[1], time.monotonic() + float(sys.argv[2]), sys.argv[3:]
while True:
    part = socket.socket(socket.AF_UNIX)
    part.settimeout(10)
    try:
        part.connect(name)
        part.sendall((" ".join(words) + "\n").encode())
        print(part.makefile().readline().strip())
        sys.exit(0)
    except OSError as problem:
        if time.monotonic() >= patience:
            print(f"error the part at {name} is off-line: {problem.strerror or problem}")
            sys.exit(0)
        time.sleep(0.5)
PYTHON
}
act() {
  said=$(ask "$@")
  [ "$said" = ok ] || answer 0 805306881 "$said"
}
case "$action" in
  is-installed) if [ "$(ask version)" = "$criteria" ]; then answer 900 0 ''; else answer 901 0 ''; fi ;;
  download) answer 500 0 '' ;;
  install) act install "$work/firmware.bin" "$criteria"; answer 600 0 '' ;;
  apply) act apply "$criteria"; answer 700 0 '' ;;
  *) answer 1 0 '' ;;
esac
