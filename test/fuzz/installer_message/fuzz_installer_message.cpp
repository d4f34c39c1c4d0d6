// Bytes from the agent's side of the socket: frames, requests and replies. Whatever is accepted reads back the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/extension/frames.hpp"
#include "device/installer/messages.hpp"

namespace {

void try_request(const godwit::json::Object& message) {
  const auto request = godwit::installer::parse_request(message);
  if (!request) return;
  const auto printed = godwit::installer::to_json(*request);
  const auto again = godwit::installer::parse_request(printed);
  GODWIT_CHECK(again.has_value());
  GODWIT_CHECK(godwit::installer::to_json(*again) == printed);
}

void try_reply(const godwit::json::Object& message) {
  const auto reply = godwit::installer::parse_reply(message);
  if (!reply) return;
  const auto printed = godwit::installer::to_json(*reply);
  const auto again = godwit::installer::parse_reply(printed);
  GODWIT_CHECK(again.has_value());
  GODWIT_CHECK(godwit::installer::to_json(*again) == printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto object = godwit::json::parse_object(
          bytes, {.bytes = 1 << 16, .depth = 40})) {  // without a frame, so that the fuzzer gets in
    try_request(*object);
    try_reply(*object);
  }
  godwit::extension::FrameSplitter splitter(1 << 16);
  for (std::size_t at = 0; at < size; at += 7) {
    splitter.feed(bytes.substr(at, 7));
    const auto message = splitter.next();
    if (!message) return 0;
    if (*message) try_request(**message);
  }
  return 0;
}
