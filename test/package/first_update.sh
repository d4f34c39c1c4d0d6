#!/bin/bash
# From installed packages to the first updated device, with a stopwatch. Run as root on a machine that has godwitd, godwit and
# godwit-agent and no data yet; it plays service, operator and device at once. Ends with 0 when the update is on the device.
set -euo pipefail
begun=$(date +%s.%N) commands=0
passed() { awk -v begun="$begun" -v now="$(date +%s.%N)" 'BEGIN { print now - begun }'; }
run() {
  commands=$((commands + 1))
  printf '\n[%5.1f s] $ %s\n' "$(passed)" "$*"
  "$@"
}
run godwitd init --host localhost
run godwit login
run godwit-agent enrol "$(cat /var/lib/godwitd/enrolment.url)" --manufacturer Contoso --model Toaster
run godwit deploy /usr/share/doc/godwit/examples/first-update/contoso.toaster.1.0.importmanifest.json
[[ $(cat /opt/kitchen/toast.txt) == "toast is brown" ]]
printf '\nfirst update on the device after %.1f s, with %d commands\n' "$(passed)" "$commands"
