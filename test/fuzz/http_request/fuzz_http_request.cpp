// Bytes of a stranger on the HTTPS port: parser, target, ranges. Whatever comes, the parser ends in a request, a
// refusal or a wish for more; the same bytes in two cuts give the same requests.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "server/api/http_parser.hpp"
#include "server/api/range.hpp"
#include "server/api/target.hpp"

namespace {

using namespace godwit;

std::vector<std::string> requests_in(std::string_view bytes, std::size_t step) {
  std::vector<std::string> seen;
  api::HttpParser parser;
  std::string input;
  std::string body;
  bool had_head = false;
  for (;;) {
    const auto used = parser.feed(input);
    if (!used) {
      seen.push_back("refused");
      return seen;
    }
    if (*used > input.size()) std::abort();
    input.erase(0, *used);
    if (parser.has_head() && !had_head) {
      had_head = true;
      parser.take_body(4096, [&body](std::string_view piece) { body.append(piece); });
    }
    if (body.size() > 4096) std::abort();
    if (parser.is_done()) {
      seen.push_back(parser.head().target + "\n" + body);
      body.clear();
      had_head = false;
      parser.reset();
      continue;
    }
    if (*used > 0) continue;
    if (bytes.empty()) return seen;
    input.append(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = requests_in(bytes, size + 1);
  const auto cut = requests_in(bytes, 3);
  // A refusal may come earlier or later in another cut, the accepted requests before it may not differ.
  for (std::size_t i = 0; i < whole.size() && i < cut.size(); ++i)
    if (whole[i] != cut[i] && whole[i] != "refused" && cut[i] != "refused") std::abort();
  const auto target = api::parse_target(bytes.substr(0, bytes.find('\n')));
  if (target)
    for (const auto& [name, value] : target->query)
      if (name.find('\n') != std::string::npos || value.find('\0') != std::string::npos) std::abort();
  const api::Selection selection = api::select_bytes(api::Conditions{.range = std::string(bytes)}, 1000, "\"a\"");
  if (selection.first + selection.count > 1000) std::abort();
  return 0;
}
