// The three flags that name an update. One thread.
#pragma once

#include <CLI/App.hpp>
#include <string>

namespace godwit::cli {

struct UpdateFlags {
  std::string provider{}, name{}, version{};
  void add_to(CLI::App& command);
  [[nodiscard]] std::string path() const;  // "/updates/providers/P/names/N/versions/V"
};

}  // namespace godwit::cli
