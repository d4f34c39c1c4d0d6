// What the hub promised: for each acknowledged reported patch one line "device sequence version". A later run compares
// the file with the twins, so that a loss shows even when the hub was killed in between. One thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/file.hpp"

namespace godwit::fleet {

/// One acknowledged patch.
struct Promise {
  std::uint64_t sequence = 0;  // the number the device put into its patch
  std::uint64_t version = 0;   // of the reported section, as the hub answered
};

class LedgerWriter {
 public:
  /// Appends. Errors: io_failed, not_found.
  [[nodiscard]] static Result<LedgerWriter> open(const Path& file);
  void note(std::string_view device, const Promise& promise);
  /// Errors: io_failed, disk_full; earlier failed writes show here too.
  [[nodiscard]] Result<void> flush();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  LedgerWriter(std::FILE* file, Path path) : file_(file), path_(std::move(path)) {}
  std::unique_ptr<std::FILE, Close> file_;
  Path path_;
};

/// The last promise to each device.
using Ledger = std::map<std::string, Promise, std::less<>>;

/// Errors: invalid_argument naming the line, also when a sequence or a version of a device does not rise.
[[nodiscard]] Result<Ledger> parse_ledger(std::string_view text);
[[nodiscard]] Result<Ledger> read_ledger(const Path& file);

/// What a twin shows; nullopt: it has no such patch.
struct Seen {
  std::optional<std::uint64_t> sequence{};
  std::uint64_t version = 0;
};
/// "" when the twin keeps the promise, else one sentence. A twin may be ahead: a patch can be durable and its
/// acknowledgement lost.
[[nodiscard]] std::string broken_promise(const Promise& promise, const Seen& seen);

}  // namespace godwit::fleet
