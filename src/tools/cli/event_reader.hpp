// Reads server-sent events out of a stream of bytes. Bounded; one thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace godwit::cli {

struct ServerEvent {
  std::string id{};  // of this event, or the last one that had one
  std::string name = "message";
  std::string data{};
};

class EventReader {
 public:
  using OnEvent = std::function<void(const ServerEvent& event)>;
  explicit EventReader(OnEvent on_event) : on_event_(std::move(on_event)) {}

  /// Errors: too_large for an event that does not end.
  [[nodiscard]] Result<void> feed(std::string_view bytes);

 private:
  void take_line(std::string_view line);

  OnEvent on_event_;
  std::string line_;
  ServerEvent event_;
  bool has_data_ = false;
};

}  // namespace godwit::cli
