// A downloader whose internet is a map. Continues a partial file as the real one does.
#pragma once

#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "device/agent/payloads.hpp"

namespace godwit::agent {

class FakeDownloader final : public ContentDownloader {
 public:
  struct Trick {
    ByteCount bytes = 0;  // come before the try ends
    FetchAnswer answer{.extended_code = 0x40301007, .details = "the connection broke", .is_retryable = true};
  };
  std::map<std::string, std::string> files;  // URL -> content
  std::deque<Trick> tricks;                  // for the next tries, then all goes well
  std::function<void()> on_fetch;
  bool knows_no_ranges = false;
  int tries = 0;
  std::vector<std::string> urls;  // of each try
  ByteCount bytes_sent = 0;

  [[nodiscard]] FetchAnswer fetch(const FetchRequest& request, const std::stop_token& stop,
                                  const Progress& progress) override {
    ++tries;
    urls.push_back(request.url);
    if (on_fetch) on_fetch();
    if (stop.stop_requested()) return {.result_code = result::cancelled, .details = "cancelled"};
    const auto found = files.find(request.url);
    if (found == files.end()) return {.extended_code = 0x40301016, .details = "HTTP 404", .is_retryable = false};
    std::string all = found->second;
    if (!request.ranges.empty()) {
      if (knows_no_ranges) return {.extended_code = 0x40000001, .details = "no download_ranges()"};
      all.clear();
      for (const FileRange& range : request.ranges)
        all += found->second.substr(static_cast<std::size_t>(range.offset), static_cast<std::size_t>(range.length));
    }
    std::string rest = all.substr(std::min<std::size_t>(request.resume_offset, all.size()));
    const bool breaks = !tricks.empty();
    Trick trick;
    if (breaks) {
      trick = tricks.front();
      tricks.pop_front();
      rest.resize(std::min<std::size_t>(rest.size(), trick.bytes));
    }
    std::ofstream(request.target, request.resume_offset > 0 ? std::ios::app : std::ios::trunc) << rest;
    bytes_sent += rest.size();
    progress(request.resume_offset + rest.size());
    if (breaks) return trick.answer;
    return {.result_code = result::download_ok};
  }
};

/// Pauses that only move a fake clock.
class FakePauses final : public Pauses {
 public:
  explicit FakePauses(FakeClock& clock) : clock_(clock) {}
  [[nodiscard]] bool wait(Duration duration, const std::stop_token& stop) override {
    clock_.advance(duration);
    waited.push_back(duration);
    return !stop.stop_requested();
  }
  std::vector<Duration> waited;

 private:
  FakeClock& clock_;
};

}  // namespace godwit::agent
