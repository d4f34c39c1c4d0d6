#!/bin/bash
# Puts the genuine Device Update client for Python (azure-iot-deviceupdate, api-version 2022-10-01) and its runtime into
# build/tools/python-azure, for PYTHONPATH in the conformance tests. It comes from Debian's package python3-azure, which
# installed whole takes 540 MB; the two folders we need are 4 MB.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

readonly TARGET=$PWD/build/tools/python-azure
[[ -f $TARGET/complete ]] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
if [[ $(apt-cache policy python3-azure | grep -c 'Candidate: [0-9]') == 0 ]]; then
  if [[ $(id -u) == 0 ]]; then apt-get update -qq; else sudo apt-get update -qq; fi
fi
(cd "$work" && apt-get download -qq python3-azure 2>"$work/log") || { cat "$work/log" >&2; echo "azure_client: python3-azure could not be downloaded" >&2; exit 1; }
dpkg-deb --fsys-tarfile "$work"/python3-azure_*.deb | tar -x -C "$work" --wildcards \
  './usr/lib/python3/dist-packages/azure/__init__.py' \
  './usr/lib/python3/dist-packages/azure/core/*' \
  './usr/lib/python3/dist-packages/azure/iot/deviceupdate/*'
rm -rf "$TARGET"
mkdir -p "$TARGET"
mv "$work/usr/lib/python3/dist-packages/azure" "$TARGET/azure"
touch "$TARGET/complete"
