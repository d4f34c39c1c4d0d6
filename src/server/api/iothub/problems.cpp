#include "server/api/iothub/problems.hpp"

#include "core/base/bytes.hpp"

namespace godwit::api::iothub {

Reply refuse(const Problem& problem, const std::string& message, WallTime now) {
  const std::string tracking = random_guid();
  Reply reply = Reply::json(json::Object{{"Message", "ErrorCode:" + std::string(problem.word) + ";" + message},
                                         {"ExceptionMessage", "Tracking ID:" + tracking},
                                         {"errorCode", problem.number},
                                         {"trackingId", tracking},
                                         {"message", message},
                                         {"timestampUtc", format_time(now)}},
                            problem.status);
  reply.headers.emplace_back("iothub-errorcode", std::string(problem.word));
  if (problem.status == 429 || problem.status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

}  // namespace godwit::api::iothub
