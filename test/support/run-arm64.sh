#!/bin/bash
# run-arm64.sh SYSROOT PROGRAM ARGS...: runs an arm64 program on this machine, in a mount namespace in which the arm64 libraries
# of SYSROOT lie beside our own. The kernel knows QEMU for such programs (test_arm64.py registers it), so what the program starts
# (itself as extension worker, scripts) runs as it would on a device. Needs root.
set -euo pipefail
sysroot=$1; shift
if [[ ${RUN_ARM64_INSIDE:-} != 1 ]]; then
  RUN_ARM64_INSIDE=1 exec unshare --mount --propagation private "$0" "$sysroot" "$@"
fi
unset RUN_ARM64_INSIDE
mount -t overlay overlay -o "lowerdir=$sysroot/lib:$sysroot/usr/lib:/usr/lib" /usr/lib
exec "$@"
