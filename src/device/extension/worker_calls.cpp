#include "device/extension/worker_calls.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "godwit/component_enumerator.h"
#include "godwit/content_downloader.h"
#include "godwit/download_handler.h"
#include "godwit/manifest_handler.h"
#include "godwit/step_handler.h"

namespace godwit::extension {
namespace {

/// Keeps the bytes that the C structs of one call point to.
class Texts {
 public:
  godwit_text keep(std::string text) {
    const std::string& kept = texts_.emplace_back(std::move(text));
    return {kept.data(), kept.size()};
  }
  Result<godwit_text> member(const json::Object& call, std::string_view key) {
    GODWIT_TRY(std::string text, json::text(call, key, "call"));
    return keep(std::move(text));
  }
  godwit_text member_or_absent(const json::Object& call, std::string_view key) {
    auto text = json::text_or_nothing(call, key);
    return text ? keep(*std::move(text)) : godwit_text{nullptr, 0};
  }
  godwit_text json_or_absent(const json::Object& call, std::string_view key) {
    const json::Object* object = json::object_or_null(call, key);
    return object != nullptr ? keep(json::print(*object)) : godwit_text{nullptr, 0};
  }
  godwit_text json_or_empty(const json::Object& call, std::string_view key) {
    const json::Object* object = json::object_or_null(call, key);
    return keep(object != nullptr ? json::print(*object) : "{}");
  }

 private:
  std::list<std::string> texts_;  // a list: what was given out stays where it is
};

/// The table of type T if it has the member that ends at byte `end`.
template <class T>
Result<const T*> table_of(void* entry) {
  using Entry = const T* (*)(std::uint32_t);
  const T* table = reinterpret_cast<Entry>(entry)(GODWIT_ABI);
  if (table == nullptr)
    return fail(Code::extension_contract, fmt::format("the extension does not speak ABI {}", GODWIT_ABI));
  if (table->size < sizeof(std::uint32_t) || table->size > 4096)
    return fail(Code::extension_contract, fmt::format("the extension's table says it has {} bytes", table->size));
  return table;
}

/// A member of a table, or nullptr if the table was built before the member existed.
#define GODWIT_TABLE_MEMBER(table, type, member) \
  ((table)->size >= offsetof(type, member) + sizeof((table)->member) ? (table)->member : nullptr)

Result<void> guarded(const std::function<void()>& act) {
  try {
    act();
    return {};
  } catch (const std::exception& problem) {
    return fail(Code::extension_crashed, fmt::format("an exception left the extension: {}", problem.what()));
  } catch (...) {
    return fail(Code::extension_crashed, "an exception of unknown type left the extension");
  }
}

/// "ranges":[{"offset","length"}]; absent: none.
Result<std::vector<godwit_range>> ranges_in(const json::Object& call) {
  std::vector<godwit_range> ranges;
  const auto* found = json::find(call, "ranges");
  if (found == nullptr) return ranges;
  if (!found->is_array() || found->get_array().size() > GODWIT_RANGES_MAX)
    return fail(Code::invalid_argument, "call: ranges: not a list, or too long");
  for (const json::Value& value : found->get_array()) {
    if (!value.is_object()) return fail(Code::invalid_argument, "call: ranges: not an object");
    GODWIT_TRY(const std::int64_t offset, json::integer(value.get_object(), "offset", "call: ranges"));
    GODWIT_TRY(const std::int64_t length, json::integer(value.get_object(), "length", "call: ranges"));
    if (offset < 0 || length <= 0) return fail(Code::invalid_argument, "call: ranges: a number is out of range");
    ranges.push_back({.offset = static_cast<std::uint64_t>(offset), .length = static_cast<std::uint64_t>(length)});
  }
  return ranges;
}

/// A file with the ranges that it points to.
struct CallFile {
  godwit_file file{};
  std::vector<godwit_range> pieces{};
};

Result<void> read_file(CallFile& into, const json::Value& value, Texts& texts) {
  if (!value.is_object()) return fail(Code::invalid_argument, "call: files: not an object");
  const json::Object& object = value.get_object();
  godwit_file& file = into.file;
  file.size = sizeof file;
  GODWIT_TRY(file.id, texts.member(object, "id"));
  GODWIT_TRY(file.name, texts.member(object, "name"));
  GODWIT_TRY(file.path, texts.member(object, "path"));
  GODWIT_TRY(const std::int64_t size, json::integer(object, "size", "call: files"));
  file.byte_count = static_cast<std::uint64_t>(size);
  file.pieces_path = texts.member_or_absent(object, "pieces_path");
  GODWIT_TRY(into.pieces, ranges_in(object));
  file.pieces = into.pieces.data();
  file.piece_count = into.pieces.size();
  file.sha256 = texts.member_or_absent(object, "sha256");
  return {};
}

/// What a missing act of a step handler answers; 0: the handler must have it.
struct StepVerb {
  godwit_step_act act;
  std::int32_t when_missing;
};

Result<StepVerb> step_verb(const godwit_step_handler* table, std::string_view verb) {
  const auto is_installed = GODWIT_TABLE_MEMBER(table, godwit_step_handler, is_installed);
  const auto download = GODWIT_TABLE_MEMBER(table, godwit_step_handler, download);
  const auto backup = GODWIT_TABLE_MEMBER(table, godwit_step_handler, backup);
  const auto install = GODWIT_TABLE_MEMBER(table, godwit_step_handler, install);
  const auto apply = GODWIT_TABLE_MEMBER(table, godwit_step_handler, apply);
  const auto restore = GODWIT_TABLE_MEMBER(table, godwit_step_handler, restore);
  if (install == nullptr && apply == nullptr)
    return fail(Code::extension_contract, "the extension has neither install nor apply");
  if (verb == "is_installed") return StepVerb{is_installed, 901};
  if (verb == "download") return StepVerb{download, 500};
  if (verb == "backup") return StepVerb{backup, 1001};
  if (verb == "install") return StepVerb{install, 600};
  if (verb == "apply") return StepVerb{apply, 700};
  if (verb == "restore") return StepVerb{restore, 1101};
  return fail(Code::extension_contract, fmt::format("'{}' is not an act of a step handler", verb));
}

Result<void> call_step(void* entry, std::string_view verb, const json::Object& call, const godwit_host& host,
                       godwit_outcome& outcome) {
  Texts texts;
  godwit_step step{};
  step.size = sizeof step;
  GODWIT_TRY(step.handler_id, texts.member(call, "handler_id"));
  step.handler_properties_json = texts.json_or_empty(call, "handler_properties");
  step.installed_criteria = texts.member_or_absent(call, "installed_criteria");
  step.component_json = texts.json_or_absent(call, "component");
  GODWIT_TRY(step.work_dir, texts.member(call, "work_dir"));
  GODWIT_TRY(step.workflow_id, texts.member(call, "workflow_id"));
  step.update_id_json = texts.json_or_empty(call, "update_id");
  GODWIT_TRY(const std::int64_t attempt, json::integer(call, "attempt", "call"));
  GODWIT_TRY(const std::int64_t index, json::integer(call, "step", "call"));
  step.attempt = static_cast<std::uint32_t>(attempt);
  step.step_index = static_cast<std::uint32_t>(index);
  GODWIT_TRY(const json::Array* array, json::array(call, "files", "call"));
  std::list<CallFile> files;
  std::vector<const godwit_file*> pointers;
  for (const json::Value& value : *array) {
    GODWIT_TRY_VOID(read_file(files.emplace_back(), value, texts));
    pointers.push_back(&files.back().file);
  }
  step.files = pointers.data();
  step.file_count = pointers.size();

  GODWIT_TRY(const godwit_step_handler* table, table_of<godwit_step_handler>(entry));
  GODWIT_TRY(const StepVerb chosen, step_verb(table, verb));
  if (chosen.act == nullptr) {
    outcome.result_code = chosen.when_missing;
    return {};
  }
  return guarded([&] { chosen.act(&host, &step, &outcome); });
}

Result<void> call_plan(void* entry, std::string_view verb, const json::Object& call, const godwit_host& host,
                       godwit_outcome& outcome) {
  if (verb != "plan")
    return fail(Code::extension_contract, fmt::format("'{}' is not a call of a manifest handler", verb));
  Texts texts;
  godwit_plan_request request{};
  request.size = sizeof request;
  GODWIT_TRY(request.manifest_json, texts.member(call, "manifest"));
  request.components_json = texts.json_or_absent(call, "components");
  request.children_json = texts.json_or_absent(call, "children");
  GODWIT_TRY(const godwit_manifest_handler* table, table_of<godwit_manifest_handler>(entry));
  const auto plan = GODWIT_TABLE_MEMBER(table, godwit_manifest_handler, plan);
  if (plan == nullptr) return fail(Code::extension_contract, "the extension has no plan()");
  return guarded([&] { plan(&host, &request, &outcome); });
}

Result<void> call_upload(void* entry, const json::Object& call, const godwit_host& host, godwit_outcome& outcome) {
  Texts texts;
  godwit_upload what{};
  what.size = sizeof what;
  GODWIT_TRY(what.url, texts.member(call, "url"));
  GODWIT_TRY(what.source_path, texts.member(call, "source"));
  what.headers_json = texts.json_or_empty(call, "headers");
  what.options_json = texts.json_or_empty(call, "options");
  GODWIT_TRY(const godwit_content_downloader* table, table_of<godwit_content_downloader>(entry));
  const auto upload = GODWIT_TABLE_MEMBER(table, godwit_content_downloader, upload);
  if (upload == nullptr)
    return fail(Code::extension_contract, "the content downloader has no upload(); it was built for an older contract");
  return guarded([&] { upload(&host, &what, &outcome); });
}

Result<void> call_download_ranges(void* entry, const json::Object& call, const godwit_host& host,
                                  godwit_outcome& outcome) {
  Texts texts;
  godwit_ranges what{};
  what.size = sizeof what;
  GODWIT_TRY(what.url, texts.member(call, "url"));
  GODWIT_TRY(what.target_path, texts.member(call, "target"));
  GODWIT_TRY(const auto ranges, ranges_in(call));
  what.ranges = ranges.data();
  what.range_count = ranges.size();
  GODWIT_TRY(const std::int64_t size, json::integer(call, "file_size", "call"));
  what.file_size = static_cast<std::uint64_t>(size);
  what.resume_offset = static_cast<std::uint64_t>(json::integer_or_nothing(call, "resume_offset").value_or(0));
  what.options_json = texts.json_or_empty(call, "options");
  GODWIT_TRY(const godwit_content_downloader* table, table_of<godwit_content_downloader>(entry));
  const auto download_ranges = GODWIT_TABLE_MEMBER(table, godwit_content_downloader, download_ranges);
  if (download_ranges == nullptr)
    return fail(Code::extension_contract,
                "the content downloader has no download_ranges(); it was built for an older contract");
  return guarded([&] { download_ranges(&host, &what, &outcome); });
}

Result<void> call_download(void* entry, std::string_view verb, const json::Object& call, const godwit_host& host,
                           godwit_outcome& outcome) {
  if (verb == "upload") return call_upload(entry, call, host, outcome);
  if (verb == "download_ranges") return call_download_ranges(entry, call, host, outcome);
  if (verb != "download")
    return fail(Code::extension_contract, fmt::format("'{}' is not a call of a content downloader", verb));
  Texts texts;
  godwit_download what{};
  what.size = sizeof what;
  GODWIT_TRY(what.url, texts.member(call, "url"));
  GODWIT_TRY(what.target_path, texts.member(call, "target"));
  const auto expected = json::integer_or_nothing(call, "expected_size");
  what.expected_size = expected ? static_cast<std::uint64_t>(*expected) : GODWIT_SIZE_UNKNOWN;
  what.resume_offset = static_cast<std::uint64_t>(json::integer_or_nothing(call, "resume_offset").value_or(0));
  what.options_json = texts.json_or_empty(call, "options");
  GODWIT_TRY(const godwit_content_downloader* table, table_of<godwit_content_downloader>(entry));
  const auto download = GODWIT_TABLE_MEMBER(table, godwit_content_downloader, download);
  if (download == nullptr) return fail(Code::extension_contract, "the extension has no download()");
  return guarded([&] { download(&host, &what, &outcome); });
}

Result<void> call_make(void* entry, std::string_view verb, const json::Object& call, const godwit_host& host,
                       godwit_outcome& outcome) {
  Texts texts;
  godwit_make what{};
  what.size = sizeof what;
  what.file_json = texts.json_or_empty(call, "file");
  GODWIT_TRY(what.target_path, texts.member(call, "target"));
  GODWIT_TRY(what.work_dir, texts.member(call, "work_dir"));
  GODWIT_TRY(what.cache_dir, texts.member(call, "cache_dir"));
  what.update_id_json = texts.json_or_empty(call, "update_id");
  what.ranges_path = texts.member_or_absent(call, "ranges_path");
  GODWIT_TRY(const auto ranges, ranges_in(call));
  what.ranges = ranges.data();
  what.range_count = ranges.size();
  GODWIT_TRY(const godwit_download_handler* table, table_of<godwit_download_handler>(entry));
  const auto choose = GODWIT_TABLE_MEMBER(table, godwit_download_handler, choose);
  const auto make = GODWIT_TABLE_MEMBER(table, godwit_download_handler, make);
  const auto completed = GODWIT_TABLE_MEMBER(table, godwit_download_handler, completed);
  if (choose == nullptr || make == nullptr)
    return fail(Code::extension_contract, "the extension lacks choose() or make()");
  if (verb == "choose") return guarded([&] { choose(&host, &what, &outcome); });
  if (verb == "make") return guarded([&] { make(&host, &what, &outcome); });
  if (verb != "completed")
    return fail(Code::extension_contract, fmt::format("'{}' is not a call of a download handler", verb));
  if (completed != nullptr) return guarded([&] { completed(&host, &what, &outcome); });
  outcome.result_code = 1;
  return {};
}

Result<void> call_components(void* entry, std::string_view verb, const json::Object& call, const godwit_host& host,
                             godwit_outcome& outcome) {
  Texts texts;
  const godwit_text selector = texts.json_or_empty(call, "selector");
  GODWIT_TRY(const godwit_component_enumerator* table, table_of<godwit_component_enumerator>(entry));
  const auto list = GODWIT_TABLE_MEMBER(table, godwit_component_enumerator, list);
  const auto select = GODWIT_TABLE_MEMBER(table, godwit_component_enumerator, select);
  if (list == nullptr || select == nullptr)
    return fail(Code::extension_contract, "the extension lacks list() or select()");
  if (verb == "list") return guarded([&] { list(&host, &outcome); });
  if (verb == "select") return guarded([&] { select(&host, selector, &outcome); });
  return fail(Code::extension_contract, fmt::format("'{}' is not a call of a component enumerator", verb));
}

}  // namespace

Result<void> run_call(Type type, void* entry, const json::Object& call, const godwit_host& host,
                      godwit_outcome& outcome) {
  GODWIT_TRY(const std::string verb, json::text(call, "verb", "call"));
  switch (type) {
    case Type::step_handler: return call_step(entry, verb, call, host, outcome);
    case Type::manifest_handler: return call_plan(entry, verb, call, host, outcome);
    case Type::content_downloader: return call_download(entry, verb, call, host, outcome);
    case Type::download_handler: return call_make(entry, verb, call, host, outcome);
    case Type::component_enumerator: return call_components(entry, verb, call, host, outcome);
  }
  return fail(Code::internal, "a type without a call");
}

}  // namespace godwit::extension
