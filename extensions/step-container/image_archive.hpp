// What an image archive holds, told from its index before podman sees it: one image, its id, its platform. Reads an OCI
// archive (oci-layout, index.json) or a docker archive (manifest.json), plain or packed by gzip. Blocking, one thread;
// keeps at most 16 MiB of it in memory.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::step_container {

struct ImageInfo {
  std::string id{};  // podman's: the SHA-256 of the image's configuration, 64 hexadecimal digits
  std::string os{};
  std::string architecture{};         // as Go names it: "amd64", "arm64"
  std::vector<std::string> layers{};  // the SHA-256 of each layer's tar, 64 hexadecimal digits, from the lowest on
};
inline constexpr std::size_t kLayerLimit = 500;  // podman's overlay can bear about as many
[[nodiscard]] bool is_image_id(std::string_view text);

/// A part of the archive by its name. Errors: not_found.
using PartReader = std::function<Result<std::string>(const std::string& name)>;

/// Of several platforms in an OCI index the one of `architecture` is taken.
/// Errors: bad_packet (no image archive, damaged, several images), those of `read`.
[[nodiscard]] Result<ImageInfo> image_in(const PartReader& read, std::string_view architecture);

/// Reads through the file once. Errors: as image_in(), io_failed, cancelled.
[[nodiscard]] Result<ImageInfo> read_image(const Path& archive, std::string_view architecture,
                                           const std::function<bool()>& is_cancelled);
[[nodiscard]] Result<ImageInfo> read_image_in_memory(std::string_view archive, std::string_view architecture);

/// Go's name of the machine this runs on, or the kernel's own where Go has none.
[[nodiscard]] std::string own_architecture();

/// Can an image for `image` run here? Also a 32-bit one of the same family.
[[nodiscard]] bool runs_on(std::string_view image, std::string_view machine);

}  // namespace godwit::step_container
