// Where the files of the update that runs lie, as the service has said last: its links expire and are renewed while a
// download goes on. Written by the deciding thread, read by the worker before each try; any thread may call it.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace godwit::agent {

class Links {
 public:
  using Urls = std::map<std::string, std::string>;  // file id -> URL
  Links() = default;
  explicit Links(Urls urls) : urls_(std::move(urls)) {}

  void renew(Urls urls) {
    const std::scoped_lock lock(mutex_);
    urls_ = std::move(urls);
  }
  /// "": the service gave none.
  [[nodiscard]] std::string url_of(const std::string& file_id) const {
    const std::scoped_lock lock(mutex_);
    const auto url = urls_.find(file_id);
    return url == urls_.end() ? std::string{} : url->second;
  }

 private:
  mutable std::mutex mutex_;
  Urls urls_;
};

}  // namespace godwit::agent
