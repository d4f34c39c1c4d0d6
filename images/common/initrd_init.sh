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
side=$(/bin/busybox sed -n 's/.*godwit\.side=\([AB]\).*/\1/p' /proc/cmdline)
echo "initrd: side=$side on $root"
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
# A side with a tree of hashes: its root comes from the boot loader's state, where the agent that verified the image put it. A block that
# is not what was installed is a panic, and so a used attempt.
verity=$(/bin/busybox sed -n 's/.*godwit\.verity=\([0-9]*:[0-9a-f]*\).*/\1/p' /proc/cmdline)
if [ -n "$verity" ]; then
  DM_DISABLE_UDEV=1 /usr/bin/veritysetup open --panic-on-corruption --hash-offset="${verity%%:*}" "$root" side "$root" "${verity#*:}" ||
    { echo "initrd: $root is not opened with its root hash"; exit 1; }
  echo "initrd: $root has to match its root hash ${verity#*:}"
  root=/dev/mapper/side
fi
/bin/busybox mount -o ro "$root" /root || { echo "initrd: cannot mount $root"; exit 1; }
/bin/busybox umount /proc
exec /bin/busybox switch_root /root /sbin/init
