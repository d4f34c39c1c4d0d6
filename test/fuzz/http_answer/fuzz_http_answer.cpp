// Goal: no head that a proxy, a portal or a WebSocket server gives may crash the agent, and what is read obeys the
// rules of its parts: names, values and the status are what they claim to be, and only an answer to our own key is a
// WebSocket.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/text.hpp"
#include "core/websocket/websocket.hpp"
#include "device/agent/http_answer.hpp"
#include "device/agent/http_date.hpp"
#include "device/agent/proxy.hpp"

namespace {

// The pair of RFC 6455 section 1.3, so that a corpus can hold the right answer.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

bool has_line_end(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) != text.npos; }

void check(const godwit::agent::HttpAnswer& answer) {
  using namespace godwit;
  GODWIT_CHECK(answer.status >= 100 && answer.status <= 599);
  GODWIT_CHECK(!has_line_end(answer.reason));
  GODWIT_CHECK(answer.fields.size() <= 100);
  for (const auto& [name, value] : answer.fields) {
    GODWIT_CHECK(!name.empty() && name == lower_case(name) && name.find(':') == name.npos && !has_line_end(name));
    GODWIT_CHECK(!has_line_end(value) && answer.field(name) == value);
  }
  if (const auto date = agent::parse_http_date(answer.field("date"))) {
    const std::string again = format_time(*date);  // 2044-11-06T08:49:37.000Z
    GODWIT_CHECK(again.substr(0, 4) == answer.field("date").substr(12, 4));
    GODWIT_CHECK(again.substr(11, 8) == answer.field("date").substr(17, 8));
  }
  const auto made = websocket::check_answer({.status = answer.status,
                                             .connection = answer.field("connection"),
                                             .upgrade = answer.field("upgrade"),
                                             .accept = answer.field("sec-websocket-accept"),
                                             .protocol = answer.field("sec-websocket-protocol"),
                                             .extensions = answer.field("sec-websocket-extensions")},
                                            "mqtt", kKey);
  GODWIT_CHECK(!made || (answer.status == 101 && answer.field("sec-websocket-accept") == kAccept));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  const std::string_view head(reinterpret_cast<const char*>(data), size);
  const auto answer = agent::parse_http_answer(head);
  if (answer) check(*answer);
  const auto way = agent::check_connect_answer(head);
  GODWIT_CHECK(!way || (answer && answer->status / 100 == 2));
  GODWIT_CHECK(way || !has_line_end(way.error().message));
  return 0;
}
