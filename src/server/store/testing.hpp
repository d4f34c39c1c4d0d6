// For tests: a folder that goes away, and a store in it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "core/base/bytes.hpp"
#include "core/base/file.hpp"
#include "core/trust/test_sealer.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::store {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(Path(testing::TempDir()) / ("godwit-" + hex_encode(random_bytes(8)))) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { static_cast<void>(remove_tree(path_)); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const Path& path() const { return path_; }

 private:
  Path path_;
};

/// A real SQLite store under a temporary folder, with a clock that stands still.
struct TestStore {
  TestStore() : store(open_sqlite_store(folder.path() / "test.sqlite", trust::test_sealer(), clock, log).value()) {}
  TemporaryFolder folder;
  FakeClock clock;
  NullLog log;
  std::unique_ptr<Store> store;
};

}  // namespace godwit::store
