// Uploads: socket -> chunk -> worker writes it -> next chunk. While a chunk is on its way to the disk nothing is read,
// so a slow disk stops the socket and memory stays at one chunk.
#include "server/api/connection.hpp"
#include "server/api/metrics.hpp"

namespace godwit::api {

void HttpConnection::begin_upload() {
  const Head& head = parser_.head();
  if (head.is_chunked || !head.content_length)
    return refuse(Error{Code::invalid_argument, "an upload needs a Content-Length header"}, 411);
  const bool is_log = match_.stream == Stream::log_upload;
  if (*head.content_length == 0 && !is_log)
    return refuse(Error{Code::invalid_argument, "an upload has at least one byte"});
  const ByteCount size = *head.content_length;
  work_without_deadline();
  const bool is_taken = rim_.workers.try_post([self = shared_from_this(), size, is_log] {
    const auto begin = is_log ? start_log_upload : start_upload;
    auto start = std::make_shared<Result<UploadStart>>(begin(self->request_, size, *self->tenant_.services));
    self->rim_.loop.post([self, start] {
      if (self->state_ != State::closed) self->on_upload_started(std::move(*start));
    });
  });
  if (!is_taken) refuse(Error{Code::unavailable, "the service is busy; try again soon"});
}

void HttpConnection::on_upload_started(Result<UploadStart> start) {
  if (!start) return refuse(start.error());
  upload_ = std::move(start->writer);
  upload_done_ = std::move(start->done);
  upload_was_here_ = upload_ == nullptr;
  upload_is_whole_ = start->is_whole;
  if (upload_was_here_ && parser_.head().expects_continue && input_.empty()) {
    closes_after_ = true;  // the client has not sent the body and need not
    return send(Reply{.status = 200});
  }
  chunk_.clear();
  parser_.take_body(kUploadLimit, [this](std::string_view piece) {
    if (!upload_was_here_) chunk_.append(piece);
  });
  ask_for_body(State::upload);
}

void HttpConnection::write_chunk() {
  const bool is_last = parser_.is_done();
  if (is_last) has_unread_body_ = false;
  if (upload_was_here_) return send(Reply{.status = 200});  // nothing was kept, so this is the end
  work_without_deadline();
  const bool is_taken = rim_.workers.post_next_step([self = shared_from_this(), is_last] {
    Result<void> written = self->upload_->write(self->chunk_);
    if (written && is_last && self->upload_is_whole_)
      if (auto finished = self->upload_->finish(); !finished) written = tl::unexpected<Error>{finished.error()};
    self->rim_.loop.post([self, written = std::move(written)] {
      if (self->state_ != State::closed) self->on_chunk_written(written);
    });
  });
  if (!is_taken) refuse(Error{Code::unavailable, "the service is stopping; try again soon"});
}

void HttpConnection::on_chunk_written(const Result<void>& written) {
  chunk_.clear();
  if (!written) {
    upload_.reset();
    chunk_ = {};
    return refuse(written.error());
  }
  if (!parser_.is_done()) {
    set_state(State::upload, rim_.limits.body_time);
    return consume();
  }
  upload_.reset();
  chunk_ = {};
  if (rim_.services.metrics != nullptr) rim_.services.metrics->note_uploaded(*parser_.head().content_length);
  send(upload_is_whole_ ? std::move(upload_done_) : Reply{.status = 202});
}

}  // namespace godwit::api
