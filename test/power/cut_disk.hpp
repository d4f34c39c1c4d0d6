// A disk that forgets. While it records, every call of this process that changes a file below its folder is done for
// real and noted; then the folder can be laid out as a power cut would have left it at any moment. What a disk may
// forget: everything that was not fsynced, contents and names by themselves, and half of a write at the border of a
// sector.
//
// The calls are caught because the test program defines open(), write(), rename(), ... itself; so one program has one
// disk, and one thread at a time writes to it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/file.hpp"

namespace godwit::power {

/// How much of what was not fsynced the cut leaves.
enum class Left : std::uint8_t {
  everything,    // a kill: nothing is lost
  nothing,       // names and contents as they were at the last fsync of each
  names,         // names are there, contents are not: files of length zero
  contents,      // contents are there, names are not
  torn,          // names are there, the last contents end in the middle, at the border of a sector
  torn_unnamed,  // the same, and names are not
};
inline constexpr Left kAllLeft[] = {Left::everything, Left::nothing, Left::names,
                                    Left::contents,   Left::torn,    Left::torn_unnamed};
[[nodiscard]] const char* left_name(Left left);

class CutDisk {
 public:
  /// Records from now on what happens below `folder`; what is in it now counts as durable.
  explicit CutDisk(Path folder);
  ~CutDisk();
  CutDisk(const CutDisk&) = delete;
  CutDisk& operator=(const CutDisk&) = delete;

  /// Ends the recording.
  void stop();
  /// How many calls were noted: a cut may come before each, and after the last.
  [[nodiscard]] std::size_t calls() const;
  /// How many of the calls noted so far are fsyncs, and in words what call `index` was.
  [[nodiscard]] std::vector<std::size_t> fsyncs() const;
  [[nodiscard]] std::string describe(std::size_t index) const;
  /// Makes `target` what is left when the power goes before call `cut`. `without`: an fsync that is taken as not done;
  /// SIZE_MAX: none.
  void lay_out(const Path& target, std::size_t cut, Left left, std::size_t without = SIZE_MAX) const;
};

}  // namespace godwit::power
