// Makes a delta between two files: for each group of the target, finds its kin in the source and encodes the group
// beside them. Takes memory freely (an index of up to 128 MiB and about 100 MiB for each encoder), but never in
// proportion to the files, which are read through the page cache.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "core/delta/format.hpp"

namespace godwit::delta {

inline constexpr int kLevelDefault = 19;
inline constexpr int kLevelMin = 1;
inline constexpr int kLevelMax = 22;

struct MakeOptions {
  int level = kLevelDefault;                 // of zstd, kLevelMin to kLevelMax
  std::uint32_t group_size = kGroupSizeMax;  // kGroupSizeMin to kGroupSizeMax
};

/// The parts from which a delta is put together. encode() may be called for different groups from several threads at
/// once, each with an Encoder of its own; everything else is for one thread.
class Maker {
 public:
  /// Keeps the state of zstd between groups; one for each thread.
  class Encoder {
   public:
    Encoder();
    ~Encoder();
    Encoder(const Encoder&) = delete;
    Encoder& operator=(const Encoder&) = delete;

   private:
    friend class Maker;
    void* context_;
  };

  /// Hashes both and indexes the source: some seconds for a gigabyte. Both must outlive the maker. Errors: too_large,
  /// invalid_argument (an option is out of range).
  [[nodiscard]] static Result<Maker> start(std::string_view source, std::string_view target,
                                           const MakeOptions& options = {});
  Maker(Maker&&) noexcept;
  Maker& operator=(Maker&&) = delete;
  ~Maker();

  [[nodiscard]] const Header& header() const;
  /// The record of a group with its frame: the delta is print_header(header()) and then every record in order.
  [[nodiscard]] Bytes encode(std::uint64_t group, Encoder& encoder) const;

 private:
  struct Parts;
  explicit Maker(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

using Append = std::function<Result<void>(std::string_view bytes)>;
/// The whole delta, on this thread. Errors: as Maker::start(), what `append` says.
[[nodiscard]] Result<Header> make(std::string_view source, std::string_view target, const Append& append,
                                  const MakeOptions& options = {});

}  // namespace godwit::delta
