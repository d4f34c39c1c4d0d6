#include "tools/cli/operations.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace godwit::cli {
namespace {

constexpr auto kLongestWait = std::chrono::hours(2);
constexpr int kLongestPauseSeconds = 10;

}  // namespace

Result<json::Value> wait_for_operation(Client& client, const Response& started) {
  std::string location = started.header("operation-location");
  if (location.empty())
    return fail(Code::bad_json, "the service accepted the request without telling where to follow it");
  if (location.starts_with(client.connection().url)) location.erase(0, client.connection().url.size());
  if (!location.starts_with('/'))
    return fail(Code::bad_json, "the Operation-Location leads to another host: " + location);
  const auto begun = std::chrono::steady_clock::now();
  auto pause = std::chrono::milliseconds(100);  // short work is seen at once, long work polled gently
  for (;;) {
    GODWIT_TRY(const auto response, client.send("GET", location));
    GODWIT_TRY(const auto operation, json::parse_object(response.body));
    const auto status = json::text_or_nothing(operation, "status").value_or("");
    if (status == "Succeeded") return json::Value(operation);
    if (status == "Failed") {
      Response as_error{.status = 400, .headers = {}, .body = response.body};
      return tl::unexpected<Error>{error_from_response(as_error, "the operation failed")};
    }
    if (std::chrono::steady_clock::now() - begun > kLongestWait)
      return fail(Code::timed_out, "the operation has not ended after two hours: " + location);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(kLongestPauseSeconds * 1000));
  }
}

}  // namespace godwit::cli
