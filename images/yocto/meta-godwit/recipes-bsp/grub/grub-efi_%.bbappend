# What grub.cfg of wic/godwit-grub.cfg calls; without them GRUB would stop at the first unknown word.
GODWIT_GRUB_MODULES = "loadenv test echo sleep reboot regexp probe part_gpt fat ext2 linux normal configfile"
GRUB_BUILDIN:append = " ${@d.getVar('GODWIT_GRUB_MODULES') if d.getVar('GODWIT_LOADER') == 'grub' else ''}"
