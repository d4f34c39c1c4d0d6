#!/bin/bash
# Writes the man pages of all programs into a folder, from what their --help says: man_pages.sh BIN FOLDER
set -euo pipefail
bin=${1:?folder of the programs} out=${2:?folder to write}
page() {  # NAME SECTION WHAT HELP
  help2man --no-info --no-discard-stderr --section="$2" --name="$3" --help-option="$4" --output="$out/$1.$2" "$bin/$1"
}
page godwit 1 "operate a Godwit update service" --help-all
page godwit-fleet 1 "play many devices for the Godwit update service" --help
page godwitd 8 "the Godwit update service" --help
page godwit-agent 8 "the half of a Godwit device that has the network" --help
page godwit-installer 8 "the half of a Godwit device that has the privileges" --help
page godwit-slots 8 "the two sides of a device that is updated by image" --help
