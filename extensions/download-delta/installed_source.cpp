#include "installed_source.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <system_error>

#include "device/slots/contents.hpp"
#include "device/slots/host_disk.hpp"

namespace godwit::download_delta {
namespace {

/// The running side and what it holds; nothing: that is not known.
Result<std::optional<InstalledBytes>> running_side(const InstalledPlaces& places) {
  GODWIT_TRY(const auto config, slots::load_slots_config(places.slots_file));
  GODWIT_TRY(const auto found, slots::find_places(config, places.host));
  slots::HostDisk disk;
  GODWIT_TRY(const auto contents, slots::load_contents(disk, found.contents));
  const auto& held = contents.of(found.running);
  if (!held) return std::optional<InstalledBytes>{};
  const Path& partition = found.of(found.running);
  if (::access(partition.c_str(), R_OK) != 0)
    return fail(Code::forbidden, fmt::format("{} cannot be read by the agent's user", partition.string()));
  return std::optional<InstalledBytes>{{.sha256 = held->image.sha256, .path = partition}};
}

Result<InstalledBytes> installed_file(const Path& file) {
  std::error_code problem;
  const auto size = std::filesystem::file_size(file, problem);
  if (problem) return fail(Code::not_found, fmt::format("{}: {}", file.string(), problem.message()));
  if (size > kInstalledFileMax)
    return fail(Code::too_large,
                fmt::format("{} has {} bytes; at most {} are hashed", file.string(), size, kInstalledFileMax));
  GODWIT_TRY(const Bytes digest, sha256_of_file(file));
  return InstalledBytes{.sha256 = digest, .path = file};
}

}  // namespace

void InstalledSource::look() {
  has_looked_ = true;
  if (!places_.slots_file.empty()) {
    if (auto side = running_side(places_); !side)
      warn_("the running side is no source for deltas: " + side.error().message);
    else
      side_ = *std::move(side);
  }
  if (!places_.file.empty()) {
    if (auto file = installed_file(places_.file); !file)
      warn_("the installed file is no source for deltas: " + file.error().message);
    else
      file_ = *std::move(file);
  }
}

std::optional<Path> InstalledSource::find(std::string_view sha256) {
  if (!has_looked_) look();
  if (side_ && side_->sha256 == sha256) return side_->path;
  if (file_ && file_->sha256 == sha256) return file_->path;
  return std::nullopt;
}

}  // namespace godwit::download_delta
