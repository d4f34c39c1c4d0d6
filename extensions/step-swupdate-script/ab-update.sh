#!/bin/sh
# ab-update.sh: an A/B update by SWUpdate for microsoft/swupdate:2, on the two sides of /etc/godwit/slots.toml. Put it into the update
# beside the .swu image, whose sw-description has one mode for each side.
#
# From the manifest's `arguments` or the device's swupdate-handler-config.json:
#   --public-key-file FILE     needed: what images are signed with (swupdate -k)
#   --select-a S --select-b S  the selection that writes side A, and B (swupdate -e); default stable,copy-a and stable,copy-b
#   --hardware BOARD:REVISION  swupdate -H; default: /etc/hwrevision
#   --version-file FILE        holds the version of the side that runs; default /etc/adu-version; compared with installedCriteria
#   --image-size N --image-sha256 HEX  what the side must hold afterwards; without them it is read back and recorded as it is
#   --slots PROGRAM            default /usr/bin/godwit-slots
set -u
action='' key='' swu='' result='' work='.' criteria='' hardware='' size='' sha256=''
select_a=stable,copy-a select_b=stable,copy-b version_file=/etc/adu-version slots=/usr/bin/godwit-slots
while [ $# -gt 0 ]; do
  word=$1
  shift
  case $word in
    --action) action=${1-} ;;
    --public-key-file) key=${1-} ;;
    --swu-file) swu=${1-} ;;
    --result-file) result=${1-} ;;
    --work-folder) work=${1-} ;;
    --installed-criteria) criteria=${1-} ;;
    --select-a) select_a=${1-} ;;
    --select-b) select_b=${1-} ;;
    --hardware) hardware=${1-} ;;
    --version-file) version_file=${1-} ;;
    --image-size) size=${1-} ;;
    --image-sha256) sha256=${1-} ;;
    --slots) slots=${1-} ;;
    --action-*) action=${word#--action-} && continue ;; # apiVersion 1.0
    *) continue ;;                                     # not ours
  esac
  [ $# -eq 0 ] || shift
done

# answer CODE EXTENDED [WORDS]
answer() {
  printf '{"resultCode":%d,"extendedResultCode":%d,"resultDetails":"%s"}\n' "$1" "$2" \
    "$(printf %s "${3-}" | tr '\n\t' '  ' | sed 's/[^[:print:]]//g; s/["\\]//g' | cut -c1-700)" >"$result"
  exit 0
}
no() { answer 0 "$1" "$2"; }

NOT_IN_PLACE=$((0x20000103)) NOT_TRUSTED=$((0x30100004)) DAMAGED=$((0x30100006)) SWITCH=$((0x30100007)) FAILED=$((0x30101001))

[ -n "$result" ] || { echo "ab-update: no --result-file" >&2; exit 2; }
version=$(cat "$version_file" 2>/dev/null)
is_confirmed() { "$slots" status --json | grep -q '"confirmed":true'; }

install() {
  [ -n "$key" ] || no "$NOT_TRUSTED" "no --public-key-file: images are installed only when they are signed"
  # A restart may have come before the last answer was written down: then this update runs already, on trial.
  if [ "$version" = "$criteria" ] && ! is_confirmed; then answer 600 0; fi
  other=$("$slots" begin 2>"$work/words") || no "$SWITCH" "$(cat "$work/words")"
  case $other in
    A\ *) select=$select_a ;;
    B\ *) select=$select_b ;;
    *) no "$SWITCH" "$slots begin printed $other" ;;
  esac
  echo "swupdate writes side $other ($select)"
  # -M -m: the slots keep the boot loader's state, not SWUpdate.
  set -- -M -m -k "$key" -e "$select" -i "$swu"
  [ -z "$hardware" ] || set -- -H "$hardware" "$@"
  mkdir -p "$work/tmp"
  TMPDIR=$work/tmp swupdate "$@" >"$work/swupdate.log" 2>&1
  ended=$?
  cat "$work/swupdate.log"
  errors=$(sed -n 's/.*\[ERROR\][^]]*[]:] *//p' "$work/swupdate.log" | tail -n 6)
  # 2022.12 may end with 1 after it has said success: its word counts, as long as it named no error.
  if [ $ended -ne 0 ] && { [ $ended -ne 1 ] || [ -n "$errors" ] || ! grep -q 'SWUPDATE successful' "$work/swupdate.log"; }; then
    case $errors in
      *ignature* | *uthentication* | *ertificate*) no "$NOT_TRUSTED" "swupdate ended with $ended: $errors" ;;
      *hash* | *HASH* | *hecksum* | *orrupted* | *cpio* | *CPIO*) no "$DAMAGED" "swupdate ended with $ended: $errors" ;;
      *) no "$FAILED" "swupdate ended with $ended: $errors" ;;
    esac
  fi
  set -- try
  [ -z "$sha256" ] || set -- "$@" --size "$size" --sha256 "$sha256"
  words=$("$slots" "$@" 2>&1) || no "$SWITCH" "$words"
  answer 605 0 "$words"
}

apply() {
  if [ "$version" != "$criteria" ] && ! is_confirmed; then
    no "$NOT_IN_PLACE" "$version_file says '$version', not '$criteria' as installedCriteria wants it"
  fi
  if words=$("$slots" confirm 2>&1); then
    [ "$version" = "$criteria" ] && answer 700 0
    no "$NOT_IN_PLACE" "version '$version' runs, not '$criteria'"
  fi
  # Before it each no of the health check, which the device log has.
  no "$NOT_IN_PLACE" "$(printf '%s\n' "$words" | tail -n 1)"
}

restore() {
  words=$("$slots" restore 2>&1)
  case $? in
    0) answer 800 0 ;;
    3) answer 805 0 "$words" ;; # the other side comes back with a restart
    *) no "$SWITCH" "$words" ;;
  esac
}

case $action in
  is-installed)
    if [ "$version" = "$criteria" ] && is_confirmed; then answer 900 0; fi
    answer 901 0 "version '$version' runs"
    ;;
  download) answer 500 0 ;;
  install) install ;;
  apply) apply ;;
  cancel) restore ;;
  *) no "$FAILED" "unknown action '$action'" ;;
esac
