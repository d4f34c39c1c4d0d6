// The handlerProperties of godwit/image:1, checked. Values; safe from any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/model/update_id.hpp"
#include "device/slots/image_source.hpp"
#include "device/slots/image_writer.hpp"

namespace godwit::step_image {

struct ImageProperties {
  std::string image_file;
  slots::Compression compression = slots::Compression::none;
  slots::Image image;               // size and hash of the unpacked image, and its dm-verity root
  std::string block_hashes_file{};  // empty: none
  std::size_t block_size = 1024 * 1024;
  std::string index_file{};                // not empty: the image file is streamed in pieces, which this file describes
  std::optional<Version> version_floor{};  // once the image is confirmed, older updates are refused
  std::map<std::string, std::string> pairs{};  // of each pair that comes along: which of the step's files it is
};

/// How a file of a pair is packed, by the end of its name: .zst, .gz, or not.
[[nodiscard]] slots::Compression compression_of(std::string_view file_name);

/// Errors: bad_manifest naming the property and what it must be.
[[nodiscard]] Result<ImageProperties> parse_properties(std::string_view handler_properties_json);

}  // namespace godwit::step_image
