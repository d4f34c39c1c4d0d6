// update list|show|delete|file list|file show|calculate-hash
#include <fmt/format.h>

#include "core/base/text.hpp"
#include "tools/cli/app.hpp"
#include "tools/cli/operations.hpp"
#include "tools/cli/update_flags.hpp"

namespace godwit::cli {
namespace {

struct ListFlags {
  std::string search{}, filter{}, provider{}, name{};
  bool by_provider = false;
};

Result<int> list_strings(Context& context, const std::string& path, const std::string& title) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto values, client->get_all(client->device_update(path)));
  Table table({title});
  for (const auto& value : values)
    if (value.is_string()) table.add({std::string(value.as_string())});
  context.show(values, table);
  return exit_code::ok;
}

Result<int> list_updates(Context& context, const ListFlags& flags) {
  if (flags.by_provider) return list_strings(context, "/updates/providers", "PROVIDER");
  if (!flags.provider.empty() && flags.name.empty())
    return list_strings(context, "/updates/providers/" + percent_encode(flags.provider) + "/names", "NAME");
  if (!flags.name.empty())
    return list_strings(
        context,
        "/updates/providers/" + percent_encode(flags.provider) + "/names/" + percent_encode(flags.name) + "/versions",
        "VERSION");
  GODWIT_TRY(auto* client, context.client());
  Query query;
  if (!flags.search.empty()) query.emplace_back("search", flags.search);
  if (!flags.filter.empty()) query.emplace_back("filter", flags.filter);
  GODWIT_TRY(const auto values, client->get_all(client->device_update("/updates"), query));
  Table table({"PROVIDER", "NAME", "VERSION", "DEPLOYABLE", "IMPORTED", "DESCRIPTION"});
  for (const auto& update : values) {
    std::string words = text_at(update, "friendlyName");
    if (words.empty()) words = text_at(update, "description");
    table.add({text_at(update, "updateId.provider"), text_at(update, "updateId.name"),
               text_at(update, "updateId.version"), text_at(update, "isDeployable") == "false" ? "no" : "yes",
               text_at(update, "importedDateTime").substr(0, 19), words});
  }
  context.show(values, table);
  return exit_code::ok;
}

Result<int> show_update(Context& context, const UpdateFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto update, client->get(client->device_update(flags.path())));
  Table table({"FIELD", "VALUE"});
  for (const auto* field :
       {"updateId.provider", "updateId.name", "updateId.version", "friendlyName", "description", "manifestVersion",
        "isDeployable", "scanResult", "createdDateTime", "importedDateTime", "etag"})
    if (const auto value = text_at(update, field); !value.empty()) table.add({field, value});
  if (const auto compatibility = text_at(update, "compatibility"); !compatibility.empty())
    table.add({"compatibility", compatibility});
  if (const auto* instructions = update.as_object().if_contains("instructions");
      instructions != nullptr && instructions->is_object())
    if (const auto* steps = instructions->as_object().if_contains("steps"); steps != nullptr && steps->is_array()) {
      int index = 0;
      for (const auto& step : steps->as_array()) {
        const auto handler = text_at(step, "handler");
        table.add({fmt::format("step {}", index++),
                   handler.empty() ? "update " + text_at(step, "updateId") : handler + " " + text_at(step, "files")});
      }
    }
  context.show(update, table);
  return exit_code::ok;
}

Result<int> delete_update(Context& context, const UpdateFlags& flags) {
  GODWIT_TRY_VOID(context.confirm(
      fmt::format("Delete update {}/{} {} and its files for ever?", flags.provider, flags.name, flags.version)));
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const auto started, client->send("DELETE", client->device_update(flags.path())));
  GODWIT_TRY(const auto operation, wait_for_operation(*client, started));
  if (context.wants_json())
    context.show_json(operation);
  else
    fmt::print("deleted {}/{} {}\n", flags.provider, flags.name, flags.version);
  return exit_code::ok;
}

Result<int> list_files(Context& context, const UpdateFlags& flags, const std::string& file_id) {
  GODWIT_TRY(auto* client, context.client());
  json::Array files;
  if (!file_id.empty()) {
    GODWIT_TRY(auto file, client->get(client->device_update(flags.path() + "/files/" + percent_encode(file_id))));
    files.push_back(std::move(file));
  } else {
    GODWIT_TRY(const auto ids, client->get_all(client->device_update(flags.path() + "/files")));
    for (const auto& id : ids) {
      if (!id.is_string()) continue;
      GODWIT_TRY(auto file,
                 client->get(client->device_update(flags.path() + "/files/" + percent_encode(id.as_string().c_str()))));
      files.push_back(std::move(file));
    }
  }
  Table table({"FILE ID", "NAME", "SIZE", "SCAN", "SHA-256"});
  for (const auto& file : files)
    table.add({text_at(file, "fileId"), text_at(file, "fileName"),
               readable_size(static_cast<ByteCount>(number_at(file, "sizeInBytes"))), text_at(file, "scanResult"),
               text_at(file, "hashes.sha256")});
  context.show(files, table);
  return exit_code::ok;
}

Result<int> calculate_hashes(Context& context, const std::vector<std::string>& paths) {
  json::Array all;
  Table table({"FILE", "SIZE", "SHA-256 (BASE64)"});
  for (const auto& path : paths) {
    GODWIT_TRY(const auto digest, sha256_of_file(path));
    const auto size = std::filesystem::file_size(path);
    const auto hash = base64_encode(digest);
    table.add({path, readable_size(size), hash});
    all.push_back(json::Object{{"file", path}, {"sizeInBytes", size}, {"hashes", json::Object{{"sha256", hash}}}});
  }
  context.show(all, table);
  return exit_code::ok;
}

}  // namespace

void UpdateFlags::add_to(CLI::App& command) {
  command.add_option("--update-provider,--up", provider, "Provider of the update")->required();
  command.add_option("--update-name,--un", name, "Name of the update")->required();
  command.add_option("--update-version,--uv", version, "Version of the update")->required();
}

std::string UpdateFlags::path() const {
  return "/updates/providers/" + percent_encode(provider) + "/names/" + percent_encode(name) + "/versions/" +
         percent_encode(version);
}

void add_update_commands(CLI::App& root, Context& context) {
  auto* update = root.add_subcommand("update", "Updates: make a manifest, import, look, delete");
  update->require_subcommand(1);
  add_init_command(*update, context);
  add_import_command(*update, context);
  add_storage_commands(*update, context);

  auto* list = update->add_subcommand("list", "List updates, or providers, names, versions");
  auto list_flags = std::make_shared<ListFlags>();
  list->add_option("--search", list_flags->search, "Text in provider, name, version or description");
  list->add_option("--filter", list_flags->filter, "isDeployable eq true");
  list->add_flag("--by-provider", list_flags->by_provider, "List providers");
  list->add_option("--update-provider,--up", list_flags->provider, "List the names of this provider");
  list->add_option("--update-name,--un", list_flags->name, "List the versions of this name")
      ->needs("--update-provider");
  list->callback(
      [&context, list_flags] { context.action = [list_flags](Context& c) { return list_updates(c, *list_flags); }; });

  auto* show = update->add_subcommand("show", "Show one update");
  auto show_flags = std::make_shared<UpdateFlags>();
  show_flags->add_to(*show);
  show->callback(
      [&context, show_flags] { context.action = [show_flags](Context& c) { return show_update(c, *show_flags); }; });

  auto* remove = update->add_subcommand("delete", "Delete one update");
  auto remove_flags = std::make_shared<UpdateFlags>();
  remove_flags->add_to(*remove);
  remove->callback([&context, remove_flags] {
    context.action = [remove_flags](Context& c) { return delete_update(c, *remove_flags); };
  });

  auto* file = update->add_subcommand("file", "Files of an update");
  file->require_subcommand(1);
  for (const bool one : {false, true}) {
    auto* command = file->add_subcommand(one ? "show" : "list", one ? "Show one file" : "List the files of an update");
    auto flags = std::make_shared<UpdateFlags>();
    auto id = std::make_shared<std::string>();
    flags->add_to(*command);
    if (one) command->add_option("--update-file-id", *id, "File id")->required();
    command->callback(
        [&context, flags, id] { context.action = [flags, id](Context& c) { return list_files(c, *flags, *id); }; });
  }

  auto* hash = update->add_subcommand("calculate-hash", "Print size and SHA-256 of files as manifests write them");
  auto paths = std::make_shared<std::vector<std::string>>();
  hash->add_option("--file-path", *paths, "File; may be repeated")->required();
  hash->callback([&context, paths] { context.action = [paths](Context& c) { return calculate_hashes(c, *paths); }; });
}

}  // namespace godwit::cli
