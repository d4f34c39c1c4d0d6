// Why an effect did not get what it wanted, in the words of a report. Values; safe from any thread.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "core/model/outcome.hpp"

namespace godwit::agent {

struct Trouble {
  std::int32_t result_code = result::failure;
  ExtendedCode extended_code = 0;
  std::string details;
};

template <class T>
class [[nodiscard]] Attempt : public tl::expected<T, Trouble> {
 public:
  using tl::expected<T, Trouble>::expected;
};

[[nodiscard]] inline tl::unexpected<Trouble> trouble(ExtendedCode code, std::string details) {
  return tl::unexpected<Trouble>{Trouble{result::failure, code, std::move(details)}};
}
[[nodiscard]] inline tl::unexpected<Trouble> stopped() {
  return tl::unexpected<Trouble>{Trouble{result::cancelled, 0, "stopped"}};
}

}  // namespace godwit::agent
