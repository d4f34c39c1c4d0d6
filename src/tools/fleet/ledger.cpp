#include "tools/fleet/ledger.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>

namespace godwit::fleet {
namespace {

constexpr ByteCount kFileLimit = ByteCount{1} << 30;

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Result<LedgerWriter> LedgerWriter::open(const Path& file) {
  std::FILE* opened = std::fopen(file.c_str(), "ae");
  if (opened == nullptr) return tl::unexpected<Error>{error_from_errno("open ledger " + file.string(), errno)};
  return LedgerWriter(opened, file);
}

void LedgerWriter::note(std::string_view device, const Promise& promise) {
  const std::string line = fmt::format("{} {} {}\n", device, promise.sequence, promise.version);
  std::fwrite(line.data(), 1, line.size(), file_.get());  // a failure stays in ferror() until flush()
}

Result<void> LedgerWriter::flush() {
  if (std::fflush(file_.get()) != 0 || std::ferror(file_.get()) != 0)
    return tl::unexpected<Error>{error_from_errno("write ledger " + path_.string(), errno)};
  return {};
}

Result<Ledger> parse_ledger(std::string_view text) {
  Ledger ledger;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++number;
    const auto first = line.find(' ');
    const auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    if (second == std::string_view::npos)
      return fail(Code::invalid_argument, fmt::format("ledger line {} is not: device sequence version", number));
    const auto sequence = read_number(line.substr(first + 1, second - first - 1));
    const auto version = read_number(line.substr(second + 1));
    if (!sequence || !version)
      return fail(Code::invalid_argument, fmt::format("ledger line {} has something else than numbers", number));
    const std::string_view device = line.substr(0, first);
    auto [entry, is_new] = ledger.try_emplace(std::string(device));
    if (!is_new && (*sequence <= entry->second.sequence || *version <= entry->second.version))
      return fail(Code::invalid_argument,
                  fmt::format("ledger line {}: device {} went from sequence {} version {} to sequence {} version {}",
                              number, device, entry->second.sequence, entry->second.version, *sequence, *version));
    entry->second = Promise{.sequence = *sequence, .version = *version};
  }
  return ledger;
}

Result<Ledger> read_ledger(const Path& file) {
  GODWIT_TRY(const std::string text, read_file(file, kFileLimit));
  auto ledger = parse_ledger(text);
  if (!ledger) return with_context(file.string(), ledger.error());
  return ledger;
}

std::string broken_promise(const Promise& promise, const Seen& seen) {
  if (!seen.sequence) return fmt::format("patch {} was acknowledged, the twin has none", promise.sequence);
  if (*seen.sequence < promise.sequence)
    return fmt::format("patch {} was acknowledged, the twin shows {}", promise.sequence, *seen.sequence);
  if (seen.version < promise.version)
    return fmt::format("version {} was acknowledged, the twin is at {}", promise.version, seen.version);
  return {};
}

}  // namespace godwit::fleet
