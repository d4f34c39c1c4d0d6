// Whatever a schema accepts, it prints so that it accepts it again with the same values.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/config.hpp"

namespace {

struct Settings {
  std::string text = "x";
  std::int64_t number = 1;
  bool flag = false;
  std::chrono::milliseconds wait{1000};
  godwit::config::ByteSize size{1024};
  std::vector<std::string> list;
  godwit::Path path = "/x";

  godwit::config::Schema schema() {
    godwit::config::Schema schema;
    schema.add({.name = "text", .target = &text, .help = "A."});
    schema.add({.name = "a.number", .target = &number, .help = "B."});
    schema.add({.name = "a.flag", .target = &flag, .help = "C."});
    schema.add({.name = "a.wait", .target = &wait, .help = "D."});
    schema.add({.name = "a.b.size", .target = &size, .help = "E."});
    schema.add({.name = "a.b.list", .target = &list, .help = "F."});
    schema.add({.name = "path", .target = &path, .help = "G."});
    return schema;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Settings first;
  if (!first.schema().load_text(text, "fuzz")) return 0;
  Settings second;
  const auto printed = first.schema().print();
  GODWIT_CHECK(second.schema().load_text(printed, "again").has_value());
  GODWIT_CHECK(second.schema().print() == printed);
  return 0;
}
