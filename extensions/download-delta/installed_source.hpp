// What runs on the device as a source: the running side of a device with two (src/device/slots), or an installed file.
// It costs no room, and a device fresh from the factory has it too. One thread; blocking.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/file.hpp"
#include "device/slots/layout.hpp"

namespace godwit::download_delta {

inline constexpr ByteCount kInstalledFileMax = ByteCount{8} << 30U;  // a larger one is not hashed for this

struct InstalledPlaces {
  Path slots_file{};  // slots.toml of godwit/image:1; empty: the device has no sides
  Path file{};        // an installed file; empty: none
  slots::Host host{};
};

struct InstalledBytes {
  Bytes sha256{};  // what they hash to, or did when the side was written
  Path path{};
};

class InstalledSource {
 public:
  using Warn = std::function<void(std::string_view line)>;
  InstalledSource(InstalledPlaces places, Warn warn) : places_(std::move(places)), warn_(std::move(warn)) {}

  /// The partition of the running side if contents.json knows that it holds the image with this hash, else the
  /// installed file if its own hash is this. The side's bytes are not hashed: a side that changed since it was written
  /// gives damaged groups, which are fetched. What cannot be read is warned of, once, and is no source.
  [[nodiscard]] std::optional<Path> find(std::string_view sha256);

 private:
  void look();

  InstalledPlaces places_;
  Warn warn_;
  bool has_looked_ = false;
  std::optional<InstalledBytes> side_{};
  std::optional<InstalledBytes> file_{};
};

}  // namespace godwit::download_delta
