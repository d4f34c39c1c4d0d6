// A folder of its own for one test, gone afterwards.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace godwit {

class TempFolder {
 public:
  TempFolder() : TempFolder(std::filesystem::temp_directory_path()) {}
  explicit TempFolder(const Path& parent) {
    std::string name = (parent / "godwit-XXXXXX").string();
    GODWIT_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const Path& path() const { return path_; }

 private:
  Path path_;
};

}  // namespace godwit
