// Install results as JSON: how they are stored, how Device Update's API shows them (extended codes as signed 32-bit
// numbers), and how Godwit's own routes show them (hex and sentences). Pure functions; safe from any thread.
#pragma once

#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "core/base/json.hpp"
#include "core/model/outcome.hpp"

namespace godwit::service {

/// The text that is stored; read_result() reads it back to an equal value. "" reads as nothing.
[[nodiscard]] std::string store_result(const InstallResult& result);
[[nodiscard]] Result<std::optional<InstallResult>> read_result(const std::string& stored);

/// The root extended code, 0 if there is none.
[[nodiscard]] ExtendedCode root_code(const InstallResult& result);
/// Index of the step that failed: the first without a success code. nullopt: none did, or there are no steps.
[[nodiscard]] std::optional<std::size_t> failed_step(const InstallResult& result);

/// InstallResult of the API: resultCode, extendedResultCode, resultDetails?, stepResults?.
[[nodiscard]] json::Object api_result(const InstallResult& result);
/// resultCode, resultText, extendedResultCodes [{code, text}], resultDetails, failedStep?, stepResults with the same
/// members.
[[nodiscard]] json::Object explained_result(const InstallResult& result);

/// 2026-11-22T10:15:00.1230000+00:00, as the management family of the API writes time.
[[nodiscard]] std::string management_time(WallTime time);

}  // namespace godwit::service
