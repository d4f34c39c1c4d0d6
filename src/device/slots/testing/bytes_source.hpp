// An image that is here in memory. For tests; one thread.
#pragma once

#include <memory>
#include <utility>

#include "device/slots/image_source.hpp"

namespace godwit::slots::testing {

class BytesSource final : public ImageSource {
 public:
  explicit BytesSource(Bytes bytes) : bytes_(std::move(bytes)) {}
  Result<std::size_t> read(std::span<char> buffer) override {
    const std::size_t got = bytes_.copy(buffer.data(), buffer.size(), at_);
    at_ += got;
    return got;
  }

 private:
  Bytes bytes_;
  std::size_t at_ = 0;
};

inline OpenSource source_of(const Bytes& bytes) {
  return [bytes]() -> Result<std::unique_ptr<ImageSource>> { return std::make_unique<BytesSource>(bytes); };
}

}  // namespace godwit::slots::testing
