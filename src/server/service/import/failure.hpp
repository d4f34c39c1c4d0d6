// Why an import failed, in the words of the API: an outer and an inner code and a sentence. A value; safe from any
// thread.
#pragma once

#include <string>

#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit::service {

struct ImportFailure {
  Code code = Code::internal;  // how a synchronous answer maps to HTTP
  std::string outer{};         // "CannotProcessImportManifest"
  std::string inner{};         // "CannotParse"; may be empty
  std::string message{};
};

/// Like Result<T>, with the API's codes.
template <class T>
using Imported = tl::expected<T, ImportFailure>;

[[nodiscard]] inline tl::unexpected<ImportFailure> import_failure(Code code, std::string outer, std::string inner,
                                                                  std::string message) {
  return tl::unexpected<ImportFailure>{
      ImportFailure{.code = code, .outer = std::move(outer), .inner = std::move(inner), .message = std::move(message)}};
}
/// A failure of our own machine, not of what was imported.
[[nodiscard]] inline tl::unexpected<ImportFailure> internal_failure(Error error) {
  return import_failure(error.code, "InternalError", "", std::move(error.message));
}

/// {"code","message","innererror"?} as operations and error bodies carry it.
[[nodiscard]] inline json::Object to_json(const ImportFailure& failure) {
  json::Object object{{"code", failure.outer}, {"message", failure.message}};
  if (!failure.inner.empty())
    object["innererror"] = json::Object{{"code", failure.inner}, {"message", failure.message}};
  return object;
}

}  // namespace godwit::service
