#include "device/agent/maker.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "core/model/text.hpp"

namespace godwit::agent {
namespace {

/// "microsoft/delta:1" -> "microsoft_delta_1".
std::string folder_name(std::string handler) {
  std::replace_if(
      handler.begin(), handler.end(), [](char c) { return !is_ascii_alphanumeric(c) && c != '.' && c != '-'; }, '_');
  return handler;
}

template <class File>
json::Object entry_of(const File& file) {
  return {{"fileName", file.name},
          {"sizeInBytes", file.size},
          {"hashes", json::Object{{"sha256", base64_encode(file.sha256)}}}};
}

/// Only what the file itself names is fetched.
std::vector<std::string> wishes(const json::Object& answer, const PlannedFile& file) {
  std::vector<std::string> ids;
  const auto* list = json::find(answer, "related");
  if (list == nullptr || !list->is_array()) return ids;
  for (const json::Value& value : list->get_array()) {
    if (!value.is_string()) continue;
    const std::string id{std::string_view(value.get_string())};
    const bool is_known = std::ranges::any_of(file.related, [&id](const RelatedFile& one) { return one.id == id; });
    if (is_known && std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

}  // namespace

json::Object manifest_entry(const PlannedFile& file) {
  json::Object entry = entry_of(file);
  json::Object related;
  for (const RelatedFile& one : file.related) {
    json::Object description = entry_of(one);
    description["properties"] = one.properties;
    related[one.id] = std::move(description);
  }
  entry["relatedFiles"] = std::move(related);
  entry["downloadHandler"] = json::Object{{"id", file.download_handler}};
  return entry;
}

MakeAnswer ExtensionMaker::call(std::string_view verb, const MakeRequest& request, const std::stop_token& stop) {
  const auto registry = extension::Registry::load(extensions_file_);
  if (!registry) return {.extended_code = erc::make_failed, .details = registry.error().message};
  const auto registration = registry->find(extension::Type::download_handler, request.file.download_handler);
  if (!registration) return {.extended_code = erc::make_handler_missing, .details = registration.error().message};
  const Path cache = cache_folder_ / folder_name(request.file.download_handler);
  if (const auto made = make_folders(cache); !made)
    return {.extended_code = erc::make_failed, .details = made.error().message};
  json::Object what{{"verb", verb},
                    {"file", manifest_entry(request.file)},
                    {"target", request.target.string()},
                    {"work_dir", request.work_folder.string()},
                    {"cache_dir", cache.string()},
                    {"update_id", request.update.to_json()}};
  if (!request.ranges.empty()) {
    what["ranges_path"] = request.ranges_file.string();
    what["ranges"] = ranges_to_json(request.ranges);
  }
  extension::Callbacks callbacks;
  callbacks.on_log = [this, &request](LogLevel level, std::string_view line) {
    log_.write(level, "download_handler.says", {{"handler", request.file.download_handler}, {"line", line}});
  };
  const auto outcome = extension::run_extension(*registration, what, limits_, stop, callbacks);
  if (!outcome) return {.extended_code = erc::make_failed, .details = outcome.error().message};
  MakeAnswer answer{.is_willing = verb == "completed" ? outcome->ok() : outcome->result_code == result::handler_made_it,
                    .related = wishes(outcome->answer, request.file),
                    .extended_code = outcome->extended_code,
                    .details = outcome->details};
  if (!answer.is_willing && verb == "make" && outcome->result_code == result::full_download_needed)
    answer.lacks = ranges_from_answer(outcome->answer, request.file.size);
  if (!answer.is_willing && answer.extended_code == 0) answer.extended_code = erc::make_failed;
  return answer;
}

MakeAnswer ExtensionMaker::choose(const MakeRequest& request, const std::stop_token& stop) {
  return call("choose", request, stop);
}

MakeAnswer ExtensionMaker::make(const MakeRequest& request, const std::stop_token& stop) {
  return call("make", request, stop);
}

void ExtensionMaker::completed(const MakeRequest& request, const std::stop_token& stop) {
  const MakeAnswer answer = call("completed", request, stop);
  if (!answer.is_willing)
    log_.warning("download_handler.not_completed", {{"handler", request.file.download_handler},
                                                    {"file", request.file.name},
                                                    {"code", extended_code_hex(answer.extended_code)},
                                                    {"reason", answer.details}});
}

}  // namespace godwit::agent
