# Sourced: own_apt ARCH FOLDER empties FOLDER and fills the array `apt` with an apt of its own in FOLDER/apt, so that lists and architectures
# of this machine stay as they are; its lists are fetched.
own_apt() {
  local arch=$1 folder=$2
  rm -rf "$folder" && mkdir -p "$folder"/apt/{lists/partial,archives/partial}
  : >"$folder/apt/status"
  apt=(-qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$folder/apt" -o "Dir::State::status=$folder/apt/status"
    -o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt" -o "Dir::Cache::archives=$folder/apt/archives" -o APT::Install-Recommends=false
    -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update
}
