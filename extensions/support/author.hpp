// A thin C++ face for the authors of our own extensions: text to and from the C structs, outcomes, log lines.
// Header only; includes nothing but the public contracts, so that it may be copied by anybody.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>

#include "godwit/common.h"

namespace godwit::author {

inline std::string_view view(godwit_text text) {
  return text.data == nullptr ? std::string_view{} : std::string_view{text.data, text.size};
}
inline std::string str(godwit_text text) { return std::string{view(text)}; }
inline godwit_text text(std::string_view text) { return {text.data(), text.size()}; }

/// What an act ends with; `details` is cut at a UTF-8 border to fit the contract.
inline void say(godwit_outcome* outcome, std::int32_t result_code, std::uint32_t extended_code,
                std::string_view details) {
  outcome->result_code = result_code;
  outcome->extended_code = extended_code;
  std::size_t size = std::min<std::size_t>(details.size(), GODWIT_DETAILS_SIZE - 1);
  while (size > 0 && size < details.size() && (static_cast<unsigned char>(details[size]) & 0xC0U) == 0x80U) --size;
  if (size > 0) std::memcpy(outcome->details, details.data(), size);
  outcome->details[size] = '\0';
}

/// The host during one call.
class Host {
 public:
  explicit Host(const godwit_host* host) : host_(host) {}
  void debug(std::string_view line) const { host_->log(host_->context, GODWIT_LOG_DEBUG, text(line)); }
  void info(std::string_view line) const { host_->log(host_->context, GODWIT_LOG_INFO, text(line)); }
  void warning(std::string_view line) const { host_->log(host_->context, GODWIT_LOG_WARNING, text(line)); }
  void progress(std::uint64_t done, std::uint64_t total) const { host_->progress(host_->context, done, total); }
  void answer(std::string_view json) const { host_->answer(host_->context, text(json)); }
  /// What was said of this extension at its registration; "{}" from a host that does not know options.
  [[nodiscard]] std::string_view options_json() const {
    const bool has_options = host_->size >= offsetof(godwit_host, options_json) + sizeof(godwit_text);
    return has_options && host_->options_json.size > 0 ? view(host_->options_json) : std::string_view("{}");
  }
  [[nodiscard]] bool is_cancelled() const { return host_->cancelled(host_->context) != 0; }

 private:
  const godwit_host* host_;
};

/// The one place where a throw may end: the border.
template <class Act>
void guarded(godwit_outcome* outcome, std::uint32_t extended_code, Act act) noexcept {
  try {
    act();
  } catch (const std::exception& problem) {
    say(outcome, 0, extended_code, problem.what());
  } catch (...) {
    say(outcome, 0, extended_code, "an exception of unknown type");
  }
}

/// Fills GetContractInfo() for a type.
inline std::int32_t describe(godwit_contract_info* info, std::uint32_t type) {
  if (info == nullptr || info->size < sizeof(godwit_contract_info)) return 1;
  info->type = type;
  info->major = GODWIT_ABI;
  info->minor = GODWIT_ABI_MINOR;
  return 0;
}

}  // namespace godwit::author
