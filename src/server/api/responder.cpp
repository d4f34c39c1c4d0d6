#include "server/api/responder.hpp"

namespace godwit::api {

PendingReply::~PendingReply() {
  static_cast<void>(settle(fail(Code::internal, "the request was dropped without an answer")));
}

bool PendingReply::settle(Result<Reply> reply) {
  if (is_settled_.exchange(true)) return false;
  deliver_(std::move(reply));
  return true;
}

}  // namespace godwit::api
