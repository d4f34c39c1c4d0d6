// Which extensions this half of the device may load: one file, extensions.json, written durably. A registration names a
// library by path, size and SHA-256; a library that changed afterwards is refused until it is registered again.
// Values and plain blocking calls; a Registry belongs to one thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit::extension {

/// Values as in godwit/common.h.
enum class Type : std::uint32_t {
  step_handler = 1,
  manifest_handler = 2,
  content_downloader = 3,
  download_handler = 4,
  component_enumerator = 5
};
[[nodiscard]] std::string_view type_name(Type type);           // "step-handler", "manifest-handler", ...
[[nodiscard]] Result<Type> parse_type(std::string_view name);  // Errors: invalid_argument with all names
[[nodiscard]] std::string_view entry_symbol(Type type);        // "godwit_step_handler_entry", ...

struct Registration {
  Type type = Type::step_handler;
  std::string id;      // "microsoft/script:1": `<name>/<name>` with an optional ":<number>", 3..64 characters
  Path path;           // absolute
  std::string sha256;  // 64 lower-case hex digits
  ByteCount size = 0;
  bool network = false;                          // step and manifest handlers only: leave the network in their process
  std::string contract;                          // "1.0": what the library answered when it was registered
  std::map<std::string, std::string> options{};  // what the extension is told in every call
  friend bool operator==(const Registration&, const Registration&) = default;
};

/// "" if `id` obeys the rule above, else a sentence fragment.
[[nodiscard]] std::string check_extension_id(std::string_view id);

/// "" if these are at most 16 options with names of 1 to 64 of A-Z a-z 0-9 _ . - and values of at most 1024 bytes of
/// UTF-8 without control characters, else a sentence.
[[nodiscard]] std::string check_options(const std::map<std::string, std::string>& options);

/// Looks at an opened library: a regular file of 1 byte to 64 MiB, owned by root or by this process's user, not
/// writable by group or others. Errors: refused with what to do.
[[nodiscard]] Result<void> check_library(int fd, const Path& path);
/// The same question for every folder above it (a sticky folder such as /tmp is accepted). Errors: refused.
[[nodiscard]] Result<void> check_folders_above(const Path& path);

/// The document of extensions.json. At most 1 MiB, 100 entries. Errors: bad_json, unsupported (a newer version),
/// invalid_argument.
[[nodiscard]] Result<std::vector<Registration>> parse_registrations(std::string_view text);
[[nodiscard]] std::string print_registrations(const std::vector<Registration>& registrations);

class Registry {
 public:
  /// A file that is not there is an empty registry. Errors: as parse_registrations; refused if others may write the
  /// file.
  [[nodiscard]] static Result<Registry> load(const Path& file);

  [[nodiscard]] const std::vector<Registration>& list() const { return entries_; }
  /// Exact id. For manifest handlers "<id>:<n>" falls back to "<id>". Errors: extension_missing with the remedy.
  [[nodiscard]] Result<Registration> find(Type type, std::string_view id) const;
  /// The content downloader for URLs that begin with `scheme` and ':', in lower case: the first by id whose option
  /// `schemes` ("file", "http,https") holds it; one without that option takes http and https. Errors:
  /// extension_missing.
  [[nodiscard]] Result<Registration> find_downloader(std::string_view scheme) const;
  /// The one component enumerator; the first by id if there are more. Errors: extension_missing.
  [[nodiscard]] Result<Registration> find_only(Type type) const;

  /// Checks the library, hashes it, asks it for its contract in a worker process, and writes the file (mode 0644). An
  /// entry with the same type and id is replaced. Errors: invalid_argument, not_found, refused, extension_contract,
  /// extension_crashed, io_failed.
  [[nodiscard]] Result<Registration> add(Type type, std::string_view id, const Path& library, bool network,
                                         std::map<std::string, std::string> options = {});
  /// Errors: not_found.
  [[nodiscard]] Result<void> remove(Type type, std::string_view id);

 private:
  [[nodiscard]] Result<void> save() const;
  Path file_;
  std::vector<Registration> entries_;
};

}  // namespace godwit::extension
