// How ids, updates and states are written into columns, shared by fleet and rollout tables. "" is no update and no
// class, -1 no state. A value that cannot be read back means a damaged database.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/model/ids.hpp"
#include "core/model/outcome.hpp"
#include "core/model/update_id.hpp"
#include "server/store/sqlite/statement.hpp"

namespace godwit::store::sqlite {

[[nodiscard]] inline tl::unexpected<Error> damaged(std::string_view what, const Error& error) {
  return fail(Code::database_failed, "stored " + std::string(what) + " cannot be read: " + error.message);
}

template <class IdType>
[[nodiscard]] Result<IdType> stored_id(std::string_view text, std::string_view what) {
  auto id = IdType::parse(text, what);
  if (!id) return damaged(what, id.error());
  return *std::move(id);
}

template <class IdType>
[[nodiscard]] Result<std::optional<IdType>> stored_id_or_nothing(std::string_view text, std::string_view what) {
  if (text.empty()) return std::optional<IdType>{};
  GODWIT_TRY(auto id, stored_id<IdType>(text, what));
  return std::optional<IdType>{std::move(id)};
}

[[nodiscard]] Result<UpdateId> stored_update(std::string_view text);
[[nodiscard]] Result<std::optional<UpdateId>> stored_update_or_nothing(std::string_view text);
[[nodiscard]] inline std::string column(const std::optional<UpdateId>& update) {
  return update ? update->str() : std::string{};
}
[[nodiscard]] inline std::string column(const std::optional<DeviceClassId>& id) {
  return id ? id->str() : std::string{};
}
[[nodiscard]] inline std::int64_t column(DeviceState state) { return static_cast<std::int64_t>(state); }
[[nodiscard]] inline std::int64_t column(const std::optional<DeviceState>& state) {
  return state ? column(*state) : -1;
}
/// Half-open ranges of identity texts, in order, that hold what a list wants after `after`: all, or a device and its
/// modules ("dev", then "dev/..."), or one module. No id has a character below '!' or above '~'.
struct TextRange {
  std::string from;
  std::string to;
};
[[nodiscard]] std::vector<TextRange> identity_ranges(const std::optional<IdentityId>& wanted, const std::string& after);

[[nodiscard]] Result<DeviceState> stored_state(std::int64_t number);
[[nodiscard]] Result<std::optional<DeviceState>> stored_state_or_nothing(std::int64_t number);

}  // namespace godwit::store::sqlite
