// Finds the test extensions, and gives tests a folder of their own that is gone afterwards.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "core/base/bytes.hpp"
#include "core/base/file.hpp"
#include "device/extension/registry.hpp"

namespace godwit::extension::testing {

/// lib/ of the build that this test program belongs to.
inline Path library_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "lib";
}
inline Path test_library(const std::string& name) { return library_folder() / "test" / (name + ".so"); }

inline Registration registration_of(const Path& library, Type type, const std::string& id, bool network = true) {
  const auto hash = sha256_of_file(library);
  GODWIT_CHECK(hash.has_value());
  return {.type = type,
          .id = id,
          .path = library,
          .sha256 = hex_encode(*hash),
          .size = std::filesystem::file_size(library),
          .network = network,
          .contract = "1.0"};
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = ::testing::TempDir() + "/godwit-XXXXXX";
    GODWIT_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = std::filesystem::canonical(name);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { (void)remove_tree(path_); }
  [[nodiscard]] const Path& path() const { return path_; }
  friend Path operator/(const TemporaryFolder& folder, const Path& name) { return folder.path_ / name; }

 private:
  Path path_;
};

}  // namespace godwit::extension::testing
