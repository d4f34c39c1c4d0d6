// Bytes of a stranger that asks for a WebSocket, and of one that has it. The first line of the input is an offer
// (fields divided by '|'), the rest are frames. Whatever comes, the stream is the same however it is cut, an end has a
// reason, and an answer to an offer cannot hold more lines than ours.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/websocket/websocket.hpp"

namespace {

using namespace godwit::websocket;

struct Heard {
  std::string stream{};
  std::string reply{};
  std::string end{};
  bool operator==(const Heard&) const = default;
};

Heard hear(std::string_view wire, std::size_t step, Side side) {
  Framing framing({.frame_bytes = 4096, .message_bytes = 6000}, side);
  Heard heard;
  while (!wire.empty()) {
    std::string piece(wire.substr(0, step));
    wire.remove_prefix(piece.size());
    const auto unwrapped = framing.unwrap(piece);
    if (unwrapped.bytes > piece.size() || unwrapped.reply.size() > piece.size() * 3 + 131) std::abort();
    heard.stream.append(piece, 0, unwrapped.bytes);
    // A client's pong comes under a mask by chance: what it says is counted, not compared.
    heard.reply += side == Side::server ? unwrapped.reply : std::string(unwrapped.reply.size(), 'p');
  }
  heard.end = framing.end_reason();
  if (framing.is_over() && framing.last_frame().size() > 8) std::abort();
  return heard;
}

std::string_view next_field(std::string_view& line) {
  const std::size_t bar = std::min(line.find('|'), line.size());
  const std::string_view field = line.substr(0, bar);
  line.remove_prefix(std::min(bar + 1, line.size()));
  return field;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string_view line = input.substr(0, input.find('\n'));
  const std::string_view frames = line.size() < input.size() ? input.substr(line.size() + 1) : std::string_view{};
  Offer offer;
  offer.connection = next_field(line);
  offer.upgrade = next_field(line);
  offer.version = next_field(line);
  offer.key = next_field(line);
  offer.protocols = next_field(line);
  if (const auto answer = accept(offer, "mqtt")) {
    if (std::count(answer->begin(), answer->end(), '\n') != 6 || !answer->ends_with("\r\n\r\n")) std::abort();
  } else if ((answer.error().status != 400 && answer.error().status != 426) || answer.error().message.empty()) {
    std::abort();
  }
  for (const Side side : {Side::server, Side::client}) {
    const Heard whole = hear(frames, frames.size() + 1, side);
    if (whole != hear(frames, 1, side) || whole != hear(frames, 7, side)) std::abort();
  }
  return 0;
}
