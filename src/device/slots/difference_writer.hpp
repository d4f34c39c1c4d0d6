// What every way onto a partition has in common: only blocks that differ are written, and never more than a window of
// them stays unsynced. Blocking; one thread.
#pragma once

#include <algorithm>
#include <string_view>

#include "device/slots/disk.hpp"
#include "device/slots/image_writer.hpp"

namespace godwit::slots {

inline tl::unexpected<Error> cancelled() { return fail(Code::cancelled, "cancelled while the image was written"); }

/// Puts what differs into the file, neighbours in one write, and syncs before a window is exceeded.
class DifferenceWriter {
 public:
  DifferenceWriter(DiskFile& target, const WriterOptions& options) : target_(target), options_(options) {}

  Result<void> put(ByteCount offset, std::string_view wanted, std::string_view present) {
    const ByteCount before = written_;
    for (std::size_t at = 0; at < wanted.size();) {
      std::size_t end = at;
      while (end < wanted.size() && !is_equal(wanted, present, end))
        end = std::min(end + options_.grain, wanted.size());
      if (end == at) {
        at = std::min(at + options_.grain, wanted.size());
        continue;
      }
      GODWIT_TRY_VOID(write(offset + at, wanted.substr(at, end - at)));
      at = end;
    }
    if (written_ == before) return {};
    return target_.begin_writing(offset, wanted.size());
  }

  Result<void> sync() {
    if (unsynced_ == 0) return {};
    unsynced_ = 0;
    return target_.sync();
  }

  [[nodiscard]] ByteCount written() const { return written_; }

 private:
  bool is_equal(std::string_view wanted, std::string_view present, std::size_t at) const {
    return at < present.size() && wanted.substr(at, options_.grain) == present.substr(at, options_.grain);
  }

  Result<void> write(ByteCount offset, std::string_view bytes) {
    if (unsynced_ + bytes.size() > options_.window) GODWIT_TRY_VOID(sync());
    // While this block was read and compared the medium took the one before: a cut loses one block, not a window.
    GODWIT_TRY_VOID(target_.await_writing());
    GODWIT_TRY_VOID(target_.write_at(offset, bytes));
    unsynced_ += bytes.size();
    written_ += bytes.size();
    return {};
  }

  DiskFile& target_;
  const WriterOptions& options_;
  ByteCount unsynced_ = 0;
  ByteCount written_ = 0;
};

}  // namespace godwit::slots
