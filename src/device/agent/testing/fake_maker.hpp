// A download handler that makes a file by joining what it chose; and a device with the parts that a test names.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "device/agent/components.hpp"
#include "device/agent/maker.hpp"

namespace godwit::agent {

class FakeMaker final : public PayloadMaker {
 public:
  std::vector<std::string> wishes;  // ids of related files; empty: unwilling
  std::string spoil;                // appended to what is made
  bool makes = true;
  std::vector<FileRange> lacks{};    // make asks for these, and puts what comes into its place
  bool is_never_satisfied = false;   // and asks again
  std::vector<std::string> calls{};  // "choose f1", "make f1", "completed f1"

  [[nodiscard]] MakeAnswer choose(const MakeRequest& request, const std::stop_token&) override {
    calls.push_back("choose " + request.file.id);
    if (wishes.empty()) return {.extended_code = 0x90800008, .details = "no source"};
    return {.is_willing = true, .related = wishes};
  }
  [[nodiscard]] MakeAnswer make(const MakeRequest& request, const std::stop_token&) override {
    calls.push_back("make " + request.file.id);
    if (!makes) return {.extended_code = erc::make_failed, .details = "it broke"};
    std::string all;
    for (const auto& id : wishes) all += read_file(request.work_folder / id, 10'000'000).value_or("");
    for (const FileRange& range : lacks)
      all.replace(static_cast<std::size_t>(range.offset), static_cast<std::size_t>(range.length),
                  std::string(static_cast<std::size_t>(range.length), '?'));
    if (!lacks.empty() && (request.ranges.empty() || is_never_satisfied))
      return {.lacks = lacks, .extended_code = erc::make_failed, .details = "the source is damaged"};
    const std::string pieces = request.ranges.empty() ? "" : read_file(request.ranges_file, 10'000'000).value_or("");
    std::size_t at = 0;
    for (const FileRange& range : request.ranges) {
      all.replace(static_cast<std::size_t>(range.offset), static_cast<std::size_t>(range.length), pieces, at,
                  static_cast<std::size_t>(range.length));
      at += static_cast<std::size_t>(range.length);
    }
    std::ofstream(request.target, std::ios::binary) << all << spoil;
    return {.is_willing = true};
  }
  void completed(const MakeRequest& request, const std::stop_token&) override {
    calls.push_back("completed " + request.file.id);
  }
};

class FakeComponents final : public Components {
 public:
  json::Object answer{};
  [[nodiscard]] Attempt<json::Object> ask(const Selectors&, const std::stop_token&) override { return answer; }
};

}  // namespace godwit::agent
