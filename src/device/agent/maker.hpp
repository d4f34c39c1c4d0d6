// Payloads that need not be fetched whole: the registered download handlers, asked what they need and told to make a
// file from it, and shown what was installed so that it can be a source later. Blocking; belongs to the worker thread.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "core/base/file.hpp"
#include "core/base/log.hpp"
#include "core/model/update_id.hpp"
#include "device/agent/record.hpp"
#include "device/extension/process.hpp"
#include "device/extension/ranges.hpp"

namespace godwit::agent {

using extension::FileRange;
using extension::ranges_from_answer;
using extension::ranges_to_json;

struct MakeRequest {
  const PlannedFile& file;
  Path target;
  Path work_folder;  // there; fetched related files lie in it under their ids
  UpdateId update{};
  Path ranges_file{};               // make: what an earlier answer lacked lies there, one piece after the other
  std::vector<FileRange> ranges{};  // which pieces these are
};
struct MakeAnswer {
  bool is_willing = false;             // choose: it can; make: the target is there, not yet checked
  std::vector<std::string> related{};  // choose: ids of the file's related files, the first is wished for most
  std::vector<FileRange> lacks{};      // make, unwilling: with these pieces of the full file it could
  ExtendedCode extended_code = 0;      // why not
  std::string details{};
};

/// A port, so that tests need no extension.
class PayloadMaker {
 public:
  virtual ~PayloadMaker() = default;
  [[nodiscard]] virtual MakeAnswer choose(const MakeRequest& request, const std::stop_token& stop) = 0;
  [[nodiscard]] virtual MakeAnswer make(const MakeRequest& request, const std::stop_token& stop) = 0;
  /// The update with the file at `target` is installed.
  virtual void completed(const MakeRequest& request, const std::stop_token& stop) = 0;
};

class ExtensionMaker final : public PayloadMaker {
 public:
  /// `cache_folder`: each handler has a folder of its own in it.
  ExtensionMaker(Path extensions_file, Path cache_folder, extension::Limits limits, Log& log)
      : extensions_file_(std::move(extensions_file)),
        cache_folder_(std::move(cache_folder)),
        limits_(limits),
        log_(log) {}
  [[nodiscard]] MakeAnswer choose(const MakeRequest& request, const std::stop_token& stop) override;
  [[nodiscard]] MakeAnswer make(const MakeRequest& request, const std::stop_token& stop) override;
  void completed(const MakeRequest& request, const std::stop_token& stop) override;

 private:
  [[nodiscard]] MakeAnswer call(std::string_view verb, const MakeRequest& request, const std::stop_token& stop);

  Path extensions_file_;
  Path cache_folder_;
  extension::Limits limits_;
  Log& log_;
};

/// The file's entry as the manifest has it, for download_handler.h.
[[nodiscard]] json::Object manifest_entry(const PlannedFile& file);

}  // namespace godwit::agent
