// Reading many twins in the order of their ids: what to read, from where to where, and what a visitor gets. Documents
// come as the text that is stored, so that a reader parses only what it looks at. Values; one transaction, one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit::store {

struct DeviceIdentity;
struct DeviceSession;

/// A text in the tags, by the names that lead to it: "location.region".
struct TagText {
  std::string name;
  std::string value;
};

struct TwinScan {
  // Which ones. All conditions hold together.
  bool is_modules = false;       // twins of modules instead of those of devices
  std::string after{};           // ids ("device" or "device/module") above this one only; "" = from the start
  std::string least{};           // no id below it
  std::string greatest{};        // no id above it; "" = no bound
  std::optional<TagText> tag{};  // through an index: texts of at most 256 characters, at most three names deep
  std::optional<bool> is_connected{};
  std::optional<bool> is_enabled{};
  // What of them. The id is always there.
  bool with_head = false;  // identity (without its keys), session and version
  bool with_tags = false;
  bool with_desired = false;
  bool with_desired_metadata = false;
  bool with_reported = false;
  bool with_reported_metadata = false;
  bool with_section_versions = false;
};

/// One twin. What was not asked for is empty. Texts are valid during the visit only.
struct TwinRow {
  const DeviceIdentity& identity;
  const DeviceSession& session;
  std::uint64_t version = 0;
  std::string_view tags{};
  std::string_view desired{};
  std::string_view desired_metadata{};
  std::uint64_t desired_version = 0;
  std::string_view reported{};
  std::string_view reported_metadata{};
  std::uint64_t reported_version = 0;
};

/// False ends the scan.
using TwinVisitor = std::function<Result<bool>(const TwinRow&)>;

}  // namespace godwit::store
