// What a script says about its end: the result file {"resultCode":600,"extendedResultCode":0,"resultDetails":""} and
// the exit status, turned into the outcome of the step. Pure; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "godwit/author.hpp"
#include "script_call.hpp"
#include "support/child_process.hpp"

namespace godwit::step_script {

using author::Outcome;
using ScriptEnd = author::ChildEnd;

inline constexpr std::size_t kResultFileLimit = 64 * 1024;

struct ResultFile {
  std::int32_t result_code = 0;
  std::uint32_t extended_code = 0;  // a negative number is read as its 32 bits
  std::string details{};
};
/// Errors: bad_json, invalid_argument (a member is missing or out of range), too_large.
[[nodiscard]] Result<ResultFile> parse_result_file(std::string_view text);

/// `file`: what was read from the result file; an Error if there was none, or a bad one.
[[nodiscard]] Outcome conclude(Action action, const ScriptEnd& end, const Result<ResultFile>& file);

}  // namespace godwit::step_script
