// A thin C++ face over the C contracts, for authors of extensions: text to and from the C structs, outcomes, log lines,
// the guard at the border, and the table of a step handler. Header only, C++17; includes nothing but the contracts.
// What it makes is the same C library: nothing of C++ crosses the border.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>

#include "godwit/common.h"
#include "godwit/step_handler.h"

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

// ---- step handlers --------------------------------------------------------------------------------------------------

/// 30000104 "refused": an act that threw, and whatever has no code of its own.
inline constexpr std::uint32_t kRefused = 0x30000104;

/// How an act ended: see the codes in step_handler.h.
struct Outcome {
  std::int32_t result_code = 0;
  std::uint32_t extended_code = 0;  // of a failure: facility 3, a component and a number of your own
  std::string details{};            // of a failure: what happened, where, what to do
};

/// The step's file of this name; null: the manifest does not list it.
inline const godwit_file* file_named(const godwit_step& step, std::string_view name) {
  for (std::size_t i = 0; i < step.file_count; ++i)
    if (view(step.files[i]->name) == name) return step.files[i];
  return nullptr;
}

/// The act of the table that runs `Outcome kAct(const Host&, const godwit_step&)` and fills the outcome. What it throws
/// is a failure with `kThrown`.
template <Outcome (*kAct)(const Host&, const godwit_step&), std::uint32_t kThrown = kRefused>
void step_act(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
  guarded(outcome, kThrown, [&] {
    const Outcome ended = kAct(Host(host), *step);
    say(outcome, ended.result_code, ended.extended_code, ended.details);
  });
}

}  // namespace godwit::author

/// Makes the library's two exported functions from a `static` or `constexpr` table of acts; once in a library, outside
/// of any namespace.
#define GODWIT_STEP_HANDLER(table)                                                     \
  extern "C" const godwit_step_handler* godwit_step_handler_entry(std::uint32_t abi) { \
    return abi == GODWIT_ABI ? &(table) : nullptr;                                     \
  }                                                                                    \
  extern "C" std::int32_t GetContractInfo(godwit_contract_info* info) {                \
    return godwit::author::describe(info, GODWIT_TYPE_STEP_HANDLER);                   \
  }
