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
  std::vector<std::string> calls{};  // "choose f1", "make f1", "completed f1"

  [[nodiscard]] MakeAnswer choose(const MakeRequest& request, const std::stop_token&) override {
    calls.push_back("choose " + request.file.id);
    if (wishes.empty()) return {.extended_code = 0x90800008, .details = "no source"};
    return {.is_willing = true, .related = wishes};
  }
  [[nodiscard]] MakeAnswer make(const MakeRequest& request, const std::stop_token&) override {
    calls.push_back("make " + request.file.id);
    if (!makes) return {.extended_code = erc::make_failed, .details = "it broke"};
    std::ofstream out(request.target, std::ios::binary);
    for (const auto& id : wishes) out << read_file(request.work_folder / id, 10'000'000).value_or("");
    out << spoil;
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
