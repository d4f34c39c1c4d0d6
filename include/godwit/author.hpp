// A thin C++ face over the C contracts, for authors of extensions: text to and from the C structs, outcomes, log lines,
// the guard at the border, and a step handler as a class. Header only, C++17; includes nothing but the contracts. What
// it makes is the same C library: nothing of C++ crosses the border.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>

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

// ---- a step handler as a class -------------------------------------------------------------------------------------

/// How an act ended: see the codes in step_handler.h.
struct Outcome {
  std::int32_t result_code = 0;
  std::uint32_t extended_code = 0;  // of a failure: facility 3, a component and a number of your own
  std::string details{};            // of a failure: what happened, where, what to do
};

/// One step; a view that is valid during the call.
class Step {
 public:
  explicit Step(const godwit_step& step) : step_(step) {}
  [[nodiscard]] std::string_view handler_id() const { return view(step_.handler_id); }
  [[nodiscard]] std::string_view properties_json() const { return view(step_.handler_properties_json); }
  [[nodiscard]] std::string_view installed_criteria() const { return view(step_.installed_criteria); }
  [[nodiscard]] std::string_view component_json() const { return view(step_.component_json); }
  [[nodiscard]] std::string work_dir() const { return str(step_.work_dir); }
  [[nodiscard]] std::size_t file_count() const { return step_.file_count; }
  /// `index` below file_count().
  [[nodiscard]] const godwit_file& file(std::size_t index) const { return *step_.files[index]; }
  [[nodiscard]] std::uint32_t attempt() const { return step_.attempt; }

 private:
  const godwit_step& step_;
};

/// The table of a class whose acts are static functions `Outcome act(const Host&, const Step&)` with the names of the
/// table's members; those that it does not have are left out. What an act throws is a failure with `kInternal`, an
/// extended code that the class names.
template <class Handler>
class StepTable {
  using Act = Outcome (*)(const Host&, const Step&);
  template <Act act>
  static void call(const godwit_host* host, const godwit_step* step, godwit_outcome* outcome) {
    guarded(outcome, Handler::kInternal, [&] {
      const Outcome ended = act(Host(host), Step(*step));
      say(outcome, ended.result_code, ended.extended_code, ended.details);
    });
  }
#define GODWIT_HAS_ACT(name)                                           \
  template <class H, class = void>                                     \
  struct Has_##name {                                                  \
    static constexpr godwit_step_act act = nullptr;                    \
  };                                                                   \
  template <class H>                                                   \
  struct Has_##name<H, std::void_t<decltype(&H::name)>> {              \
    static constexpr godwit_step_act act = &StepTable::call<&H::name>; \
  };
  GODWIT_HAS_ACT(is_installed)
  GODWIT_HAS_ACT(download)
  GODWIT_HAS_ACT(backup)
  GODWIT_HAS_ACT(install)
  GODWIT_HAS_ACT(apply)
  GODWIT_HAS_ACT(restore)
#undef GODWIT_HAS_ACT

 public:
  static const godwit_step_handler* get() {
    static constexpr godwit_step_handler table{sizeof(godwit_step_handler), Has_is_installed<Handler>::act,
                                               Has_download<Handler>::act,  Has_backup<Handler>::act,
                                               Has_install<Handler>::act,   Has_apply<Handler>::act,
                                               Has_restore<Handler>::act};
    return &table;
  }
};

}  // namespace godwit::author

/// Makes the library's two exported functions from such a class; once in a library, outside of any namespace.
#define GODWIT_STEP_HANDLER(Handler)                                                   \
  extern "C" const godwit_step_handler* godwit_step_handler_entry(std::uint32_t abi) { \
    return abi == GODWIT_ABI ? godwit::author::StepTable<Handler>::get() : nullptr;    \
  }                                                                                    \
  extern "C" std::int32_t GetContractInfo(godwit_contract_info* info) {                \
    return godwit::author::describe(info, GODWIT_TYPE_STEP_HANDLER);                   \
  }
