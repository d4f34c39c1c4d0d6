// update storage show|check: the payload store of the service.
#include <fmt/format.h>

#include "core/base/text.hpp"
#include "tools/cli/app.hpp"

namespace godwit::cli {
namespace {

std::string size_at(const json::Value& value, std::string_view path) {
  return readable_size(static_cast<ByteCount>(number_at(value, path)));
}

Result<int> show_storage(Context& context) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto store, client->get(client->godwit("/blobs")));
  Table table({"WHAT", "VALUE"});
  table.add({"payloads", fmt::format("{}, {}", number_at(store, "blobCount"), size_at(store, "sizeInBytes"))});
  table.add({"uploads begun",
             fmt::format("{}, {} reserved", number_at(store, "uploadCount"), size_at(store, "reservedBytes"))});
  const std::string finished = text_at(store, "check.finishedDateTime");
  table.add({"last whole check", finished.empty() ? "none yet" : finished});
  table.add({"checked since start",
             fmt::format("{}, {}", number_at(store, "check.checkedBlobCount"), size_at(store, "check.checkedBytes"))});
  const auto* damaged = store.is_object() ? store.as_object().if_contains("quarantined") : nullptr;
  if (damaged != nullptr && damaged->is_array())
    for (const auto& one : damaged->as_array())
      table.add(
          {"DAMAGED", fmt::format("{} ({}){}", text_at(one, "sha256"), size_at(one, "sizeInBytes"),
                                  text_at(one, "isNeeded") == "true" ? "; an update needs it: upload it again" : "")});
  context.show(store, table);
  return exit_code::ok;
}

Result<int> check_storage(Context& context) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY_VOID(client->send("POST", client->godwit("/blobs:check")));
  if (!context.wants_json()) fmt::print("a round of checking begins; godwit update storage show tells what it finds\n");
  return exit_code::ok;
}

}  // namespace

void add_storage_commands(CLI::App& update, Context& context) {
  auto* storage = update.add_subcommand("storage", "Payloads that the service keeps");
  storage->require_subcommand(1);
  storage->add_subcommand("show", "How much is there, and what the check of it found")->callback([&context] {
    context.action = show_storage;
  });
  storage->add_subcommand("check", "Read all payloads again now to find damage of the disk")->callback([&context] {
    context.action = check_storage;
  });
}

}  // namespace godwit::cli
