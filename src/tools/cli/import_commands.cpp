// update import: direct upload of a manifest and its files, or by URLs that the service fetches.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/base/text.hpp"
#include "core/manifest/import_manifest.hpp"
#include "tools/cli/app.hpp"
#include "tools/cli/manifest_builder.hpp"
#include "tools/cli/operations.hpp"
#include "tools/cli/progress.hpp"

namespace godwit::cli {
namespace {

struct ImportFlags {
  std::vector<std::string> manifests{};
  std::string files_folder{};
  std::string friendly_name{};
  std::string url{};
  std::uint64_t size = 0;
  std::string hashes{};
  std::vector<std::vector<std::string>> files{};
  bool no_wait = false;
};

constexpr int kTriesWithoutProgress = 8;  // with the waits between them about a minute
constexpr auto kLongestWait = std::chrono::seconds(10);

/// How much of the payload the service has from an upload that was begun.
Result<ByteCount> received_bytes(Client& client, const std::string& route, ByteCount size) {
  const auto answer = client.get(route + "/upload");
  if (!answer && answer.error().code == Code::not_found) return ByteCount{0};
  if (!answer) return tl::unexpected<Error>{answer.error()};
  const auto* upload = answer->if_object();
  if (upload == nullptr) return fail(Code::bad_json, route + "/upload: the answer is not an object");
  const auto announced = json::integer_or_nothing(*upload, "sizeInBytes").value_or(0);
  const auto received = json::integer_or_nothing(*upload, "receivedBytes").value_or(0);
  const bool is_ours =
      static_cast<ByteCount>(announced) == size && received >= 0 && static_cast<ByteCount>(received) < size;
  return is_ours ? static_cast<ByteCount>(received) : ByteCount{0};
}

bool may_be_repeated(Code code) {
  return code == Code::network_failed || code == Code::unavailable || code == Code::timed_out ||
         code == Code::conflict || code == Code::too_many;
}

/// Sends the payload, and continues after a cut of the connection or a restart of the service where it was.
Result<void> send_payload(Client& client, const std::string& route, const Path& path, ByteCount size,
                          const std::string& label, ProgressLine& progress) {
  ByteCount furthest = 0;
  auto wait = std::chrono::seconds(1);
  for (int tries = 0;; ++tries) {
    auto first = received_bytes(client, route, size);
    Error problem;
    if (first) {
      if (*first > furthest) {
        furthest = *first;
        tries = 0;
        wait = std::chrono::seconds(1);
      }
      if (*first > 0)
        progress.text(fmt::format("{} goes on at {} of {}", label, readable_size(*first), readable_size(size)));
      const auto sent = client.upload(route, path, *first, size,
                                      [&](ByteCount done, ByteCount total) { progress.bytes(label, done, total); });
      if (sent) return {};
      problem = sent.error();
    } else {
      problem = first.error();
    }
    if (!may_be_repeated(problem.code) || tries >= kTriesWithoutProgress) return tl::unexpected<Error>{problem};
    progress.text(fmt::format("{} was cut ({}); once more in {} s", label, problem.message, wait.count()));
    std::this_thread::sleep_for(wait);
    wait = std::min(wait * 2, std::chrono::seconds(kLongestWait));
  }
}

// Uploads one payload unless the service has it. The local file is measured first, so that a stale one is named here.
Result<void> upload_file(Client& client, const manifest::FileBase& file, const Path& folder, ProgressLine& progress) {
  const Path path = folder / file.file_name;
  auto digest = sha256_of_file(path);
  if (!digest) return with_context("payload of the manifest", digest.error());
  const ByteCount size = std::filesystem::file_size(path);
  if (size != file.size)
    return fail(Code::size_mismatch,
                fmt::format("{}: the file has {} bytes, the manifest says {}; make the manifest anew", path.string(),
                            size, file.size));
  if (*digest != file.sha256())
    return fail(Code::digest_mismatch,
                path.string() + ": the file's sha256 is not the manifest's; make the manifest anew");
  const std::string route = client.godwit("/blobs/" + hex_encode(*digest));
  if (auto there = client.send("HEAD", route); there) {
    progress.text("uploaded " + file.file_name + "  " + readable_size(size) + " (was there)");
    return {};
  } else if (there.error().code != Code::not_found) {
    return tl::unexpected<Error>{there.error()};
  }
  const std::string label = "uploading " + file.file_name;
  GODWIT_TRY_VOID(send_payload(client, route, path, size, label, progress));
  progress.bytes(label, size, size);
  progress.finish();
  return {};
}

Result<json::Object> upload_update(Client& client, const std::string& manifest_path, const ImportFlags& flags,
                                   ProgressLine& progress) {
  auto text = read_file(manifest_path, manifest::kImportManifestLimit);
  if (!text) return with_context("import manifest", text.error());
  auto parsed = manifest::parse_import_manifest(*text);
  if (!parsed) return with_context(manifest_path, parsed.error());
  const Path folder = flags.files_folder.empty() ? Path(manifest_path).parent_path() : Path(flags.files_folder);
  for (const auto& file : parsed->files) {
    GODWIT_TRY_VOID(upload_file(client, file, folder, progress));
    for (const auto& related : file.related_files) GODWIT_TRY_VOID(upload_file(client, related, folder, progress));
  }
  json::Object item{{"importManifest", *text}};
  if (!flags.friendly_name.empty()) item["friendlyName"] = flags.friendly_name;
  return item;
}

Result<json::Object> item_by_url(const ImportFlags& flags) {
  json::Array files;
  for (const auto& words : flags.files) {
    GODWIT_TRY(const auto pairs, read_pairs(words, {"filename", "url"}, "--file"));
    json::Object file;
    for (const auto& [key, value] : pairs) file[key] = value;
    if (!file.contains("filename") || !file.contains("url"))
      return fail(Code::invalid_argument, "--file needs filename=... url=...");
    files.push_back(std::move(file));
  }
  std::string sha = flags.hashes;
  if (sha.starts_with("sha256=")) sha.erase(0, 7);
  json::Object item{
      {"importManifest",
       json::Object{{"url", flags.url}, {"sizeInBytes", flags.size}, {"hashes", json::Object{{"sha256", sha}}}}},
      {"files", std::move(files)}};
  if (!flags.friendly_name.empty()) item["friendlyName"] = flags.friendly_name;
  return item;
}

Result<int> import_update(Context& context, const ImportFlags& flags) {
  if (flags.manifests.empty() == flags.url.empty())
    return fail(
        Code::invalid_argument,
        "give either --manifest FILE (direct upload) or --url URL --size N --hashes sha256=... (the service fetches)");
  GODWIT_TRY(auto* client, context.client());
  ProgressLine progress;
  json::Array items;
  if (flags.url.empty()) {
    for (const auto& path : flags.manifests) {
      GODWIT_TRY(auto item, upload_update(*client, path, flags, progress));
      items.push_back(std::move(item));
    }
  } else {
    if (flags.size == 0 || flags.hashes.empty())
      return fail(Code::invalid_argument,
                  "--url needs --size and --hashes of the manifest (godwit update calculate-hash prints both)");
    GODWIT_TRY(auto item, item_by_url(flags));
    items.push_back(std::move(item));
  }
  progress.finish();
  const std::string route =
      flags.url.empty() ? client->godwit("/updates:import") : client->device_update("/updates:import");
  GODWIT_TRY(const auto started, client->send("POST", route, {}, json::print(json::Value(items))));
  if (flags.no_wait) {
    if (context.wants_json())
      context.show_json(json::Object{{"operationLocation", started.header("operation-location")}});
    else
      fmt::print("the import goes on: {}\n", started.header("operation-location"));
    return exit_code::ok;
  }
  GODWIT_TRY(const auto operation, wait_for_operation(*client, started));
  if (context.wants_json())
    context.show_json(operation);
  else
    fmt::print("imported {}\n",
               operation.as_object().contains("update") ? update_name(operation.at("update")) : "the update");
  return exit_code::ok;
}

struct DeployFlags {
  ImportFlags import{};
  std::string group = "$default";
  int timeout_seconds = 3600;
};

/// Import unless the service has it, deploy, follow to the end.
Result<int> deploy(Context& context, const DeployFlags& flags) {
  GODWIT_TRY(auto* client, context.client());
  GODWIT_TRY(const std::string text, read_file(flags.import.manifests.back(), manifest::kImportManifestLimit));
  const auto parsed = manifest::parse_import_manifest(text);
  if (!parsed) return with_context(flags.import.manifests.back(), parsed.error());
  const UpdateId& id = parsed->update_id;
  const auto there =
      client->get(client->device_update("/updates/providers/" + percent_encode(id.provider) + "/names/" +
                                        percent_encode(id.name) + "/versions/" + percent_encode(id.version.str())));
  if (!there && there.error().code != Code::not_found) return tl::unexpected<Error>{there.error()};
  if (!there) {
    GODWIT_TRY(const int code, import_update(context, flags.import));
    if (code != exit_code::ok) return code;
  }
  return deploy_and_follow(context, {.provider = id.provider,
                                     .name = id.name,
                                     .version = id.version.str(),
                                     .group = flags.group,
                                     .timeout_seconds = flags.timeout_seconds});
}

}  // namespace

void add_deploy_command(CLI::App& root, Context& context) {
  auto* verb = root.add_subcommand("deploy", "Import an update unless it is there, deploy it to a group, follow it");
  auto flags = std::make_shared<DeployFlags>();
  verb->add_option("manifest", flags->import.manifests, "Import manifest; its files lie beside it")
      ->required()
      ->check(CLI::ExistingFile)
      ->expected(1);
  verb->add_option("--group-id,--gid", flags->group, "Group; without it devices that no group was given to")
      ->capture_default_str();
  verb->add_option("--timeout", flags->timeout_seconds, "Seconds to follow it")
      ->check(CLI::Range(1, 7 * 24 * 3600))
      ->capture_default_str();
  verb->callback([&context, flags] { context.action = [flags](Context& c) { return deploy(c, *flags); }; });
}

void add_import_command(CLI::App& update, Context& context) {
  auto* import =
      update.add_subcommand("import", "Import an update: upload manifest and files, or let the service fetch them");
  auto flags = std::make_shared<ImportFlags>();
  import
      ->add_option("--manifest,--manifest-path", flags->manifests,
                   "Import manifest; repeat it for a parent and its children")
      ->check(CLI::ExistingFile);
  import->add_option("--files-dir", flags->files_folder, "Folder of the payloads; default: that of the manifest")
      ->check(CLI::ExistingDirectory);
  import->add_option("--friendly-name", flags->friendly_name, "Name for people, at most 512 characters");
  import->add_option("--url", flags->url, "URL of the manifest, fetched by the service");
  import->add_option("--size", flags->size, "Size of the manifest in bytes (with --url)");
  import->add_option("--hashes", flags->hashes, "sha256=BASE64 of the manifest (with --url)");
  import->add_option_function<std::vector<std::string>>("--file", [flags](const std::vector<std::string>& words) { flags->files.push_back(words);
}, "filename=NAME url=URL (with --url); may be repeated")
      ->expected(1, -1)->trigger_on_parse();
import->add_flag("--no-wait", flags->no_wait, "Do not wait for the operation");
  import->callback([&context, flags] { context.action = [flags](Context& c) { return import_update(c, *flags);
  };  // namespace godwit::cli
  });
  }

  }  // namespace godwit::cli
