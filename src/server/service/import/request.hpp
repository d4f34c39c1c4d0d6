// What an import asks for, as the API sends it and as an operation keeps it: one text form for both.
// Values; safe from any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit::service {

/// The manifest's text itself; its files are in the blobs already.
struct DirectItem {
  std::string manifest{};
  std::string friendly_name{};
  friend bool operator==(const DirectItem&, const DirectItem&) = default;
};
/// Where manifest and files are to be fetched.
struct UrlItem {
  std::string url{};
  ByteCount size = 0;
  Bytes sha256{};
  std::string friendly_name{};
  std::map<std::string, std::string> files{};  // file name -> URL
  friend bool operator==(const UrlItem&, const UrlItem&) = default;
};
using ImportItem = std::variant<DirectItem, UrlItem>;

inline constexpr std::size_t kImportItemsLimit = 11;
inline constexpr std::size_t kRequestLimit = 8 * 1024 * 1024;

/// Reads an array of 1..11 items. `importManifest` is an object {url, sizeInBytes, hashes} or the manifest's text.
/// Errors: invalid_argument ("[1].importManifest.url ..."), bad_json, too_large.
[[nodiscard]] Result<std::vector<ImportItem>> parse_import_request(std::string_view body);
/// The text that parse_import_request() reads back.
[[nodiscard]] std::string print_import_request(const std::vector<ImportItem>& items);

[[nodiscard]] const std::string& friendly_name_of(const ImportItem& item);

}  // namespace godwit::service
