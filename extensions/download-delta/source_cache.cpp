#include "source_cache.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace godwit::download_delta {
namespace {

constexpr std::size_t kShaSize = 32;

std::string escaped(std::string_view base64) {
  std::string out;
  for (const char c : base64) {
    if (c == '+')
      out += "_2B";
    else if (c == '/')
      out += "_2F";
    else if (c == '=')
      out += "_3D";
    else
      out += c;
  }
  return out;
}

struct Kept {
  Path path{};
  ByteCount size = 0;
  std::filesystem::file_time_type time{};
};

/// Plain files only: what an administrator linked is not ours to remove. Newest first.
std::vector<Kept> kept_files(const Path& folder) {
  std::vector<Kept> found;
  std::error_code problem;
  for (std::filesystem::recursive_directory_iterator at(folder, problem), end; !problem && at != end;
       at.increment(problem)) {
    std::error_code own;
    if (!std::filesystem::is_regular_file(at->symlink_status(own)) || own) continue;
    Kept kept{.path = at->path(), .size = at->file_size(own)};
    if (own) continue;
    kept.time = at->last_write_time(own);
    if (!own) found.push_back(std::move(kept));
  }
  std::ranges::sort(found, std::ranges::greater{}, &Kept::time);
  return found;
}

Result<void> copy_whole(const Path& from, const Path& to) {
  GODWIT_TRY(const UniqueFd in, open_file(from, O_RDONLY | O_NOFOLLOW));
  GODWIT_TRY(const UniqueFd out, open_file(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  Bytes chunk(256 * 1024, '\0');
  while (true) {
    const ssize_t got = ::read(in.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected<Error>{error_from_errno("read " + from.string(), errno)};
    if (got == 0) return sync_fd(out.get());
    GODWIT_TRY_VOID(write_all(out.get(), std::string_view(chunk).substr(0, static_cast<std::size_t>(got))));
  }
}

}  // namespace

Result<Path> SourceCache::place_of(std::string_view provider, std::string_view sha256) const {
  if (!is_plain_file_name(provider)) return fail(Code::invalid_argument, "the provider is no plain name");
  if (sha256.size() != kShaSize) return fail(Code::invalid_argument, "the hash is no SHA-256");
  return folder_ / provider / ("sha256-" + escaped(base64_encode(sha256)));
}

std::optional<Path> SourceCache::find(std::string_view provider, std::string_view sha256) const {
  auto place = place_of(provider, sha256);
  if (!place || ::access(place->c_str(), R_OK) != 0) return std::nullopt;
  return *std::move(place);
}

void SourceCache::make_room(ByteCount size, const Path& spared) const {
  std::size_t files = 1;
  ByteCount bytes = size;
  for (const Kept& kept : kept_files(folder_)) {
    if (kept.path == spared) continue;
    std::error_code problem;
    const auto space = std::filesystem::space(folder_, problem);
    const bool is_tight =
        !problem && space.available < size + static_cast<ByteCount>(space.capacity) / 100 * limits_.free_percent;
    if (files + 1 <= limits_.files && bytes + kept.size <= limits_.bytes && !is_tight) {
      ++files;
      bytes += kept.size;
      continue;
    }
    std::filesystem::remove(kept.path, problem);
  }
}

Result<void> SourceCache::keep(std::string_view provider, std::string_view sha256, const Path& payload) const {
  GODWIT_TRY(const Path place, place_of(provider, sha256));
  std::error_code problem;
  const ByteCount size = std::filesystem::file_size(payload, problem);
  if (problem) return fail(Code::not_found, fmt::format("{}: {}", payload.string(), problem.message()));
  if (size > limits_.bytes)
    return fail(Code::too_large, fmt::format("the file has {} bytes, the cache holds {}", size, limits_.bytes));
  GODWIT_TRY_VOID(make_folders(place.parent_path()));
  if (std::filesystem::is_symlink(place, problem)) return {};
  make_room(size, place);
  Path temporary = place;
  temporary += ".part";
  std::filesystem::remove(temporary, problem);
  if (::link(payload.c_str(), temporary.c_str()) != 0) {
    const auto space = std::filesystem::space(folder_, problem);
    if (!problem && space.available < size)
      return fail(Code::disk_full, fmt::format("a copy needs {} bytes, {} are free", size, space.available));
    if (auto copied = copy_whole(payload, temporary); !copied) {
      std::filesystem::remove(temporary, problem);
      return copied;
    }
  }
  std::filesystem::rename(temporary, place, problem);
  if (problem) return fail(Code::io_failed, fmt::format("rename to {}: {}", place.string(), problem.message()));
  std::filesystem::last_write_time(place, std::filesystem::file_time_type::clock::now(), problem);
  return sync_folder(place.parent_path());
}

}  // namespace godwit::download_delta
