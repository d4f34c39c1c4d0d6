// Any bytes as an archive: whatever comes out has a plain path, no link that leads out, and no more bytes than allowed.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

#include "core/base/bytes.hpp"
#include "tree_archive.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  using namespace godwit::step_files;
  constexpr TreeLimits kLimits{.bytes = 1 << 20, .entries = 1000};
  std::set<std::string> paths;
  ByteCount promised = 0;
  ByteCount written = 0;
  const TreeSink sink{.begin = [&](const Entry& entry) -> Result<void> {
                        GODWIT_CHECK(written == promised);
                        GODWIT_CHECK(paths.insert(entry.path).second && paths.size() <= kLimits.entries + 1);
                        const std::string framed = "/" + entry.path + "/";
                        GODWIT_CHECK(framed.find("/../") == framed.npos && framed.find("/./") == framed.npos);
                        GODWIT_CHECK(entry.path.empty() || framed.find("//") == framed.npos);
                        GODWIT_CHECK(is_valid_utf8(entry.path) && entry.mode <= 0777U);
                        if (entry.kind == Kind::link) GODWIT_CHECK(stays_inside(entry.path, entry.link_target));
                        promised += entry.byte_count;
                        return {};
                      },
                      .bytes = [&](std::string_view bytes) -> Result<void> {
                        written += bytes.size();
                        GODWIT_CHECK(written <= promised && written <= kLimits.bytes);
                        return {};
                      }};
  const auto read = read_tree_in_memory({reinterpret_cast<const char*>(data), size}, kLimits, sink);
  if (read) GODWIT_CHECK(*read == written);
  GODWIT_CHECK(read || !read.error().message.empty());
  return 0;
}
