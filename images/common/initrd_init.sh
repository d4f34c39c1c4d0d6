#!/bin/busybox sh
# PID 1 of the initial ramdisk: modules, the watchdog, the side that the boot loader chose. Whatever fails here ends in a kernel panic,
# and panic= on the command line makes that a restart: the boot loader counts the attempt.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for word in $(/bin/busybox cat /proc/cmdline); do
  case $word in
    root=*) root=${word#root=} ;;
    ramoops.mem_address=*) kept=${word#ramoops.} ;;  # memory that boot loader and kernel leave alone
  esac
done
for module in /modules/*.ko; do
  case $module in
    *softdog*) /bin/busybox insmod "$module" soft_margin=40 ;;
    *ramoops*) /bin/busybox insmod "$module" "$kept" mem_size=0x100000 record_size=0x20000 ;;
    *) /bin/busybox insmod "$module" ;;
  esac
done
# Armed from here on: closed without the letter V it goes on counting, and only godwit-slots guard feeds it.
[ -c /dev/watchdog ] && echo >/dev/watchdog
tries=0
while [ ! -b "$root" ] && [ $tries -lt 50 ]; do
  /bin/busybox sleep 0.1
  tries=$((tries + 1))
done
/bin/busybox mount -o ro "$root" /root || { echo "initrd: cannot mount $root"; exit 1; }
/bin/busybox umount /proc
exec /bin/busybox switch_root /root /sbin/init
