#include "server/net/acceptor.hpp"

#include <utility>

namespace godwit::net {
namespace {

constexpr std::chrono::milliseconds kRetryAfter{200};

}  // namespace

Acceptor::Acceptor(asio::io_context& context, Log& log, Accepted accepted)
    : acceptor_(context), retry_(context), log_(log), accepted_(std::move(accepted)) {}

Result<void> Acceptor::open(const std::string& address, std::uint16_t port) {
  ErrorCode ec;
  const asio::ip::address ip = asio::ip::make_address(address, ec);
  if (ec)
    return fail(Code::invalid_argument,
                "'" + address + "' is no IP address to listen on (use 127.0.0.1, 0.0.0.0 or ::)");
  const Tcp::endpoint endpoint{ip, port};
  const std::string where = "listen on " + address + " port " + std::to_string(port);
  const auto failed = [&] {
    const std::string why = ec.message();
    ErrorCode ignored;
    acceptor_.close(ignored);
    return fail(Code::io_failed, where + ": " + why);
  };
  if (acceptor_.open(endpoint.protocol(), ec); ec) return failed();
  if (acceptor_.set_option(Tcp::acceptor::reuse_address(true), ec); ec) return failed();
  if (acceptor_.bind(endpoint, ec); ec) return failed();
  if (acceptor_.listen(asio::socket_base::max_listen_connections, ec); ec) return failed();
  port_ = acceptor_.local_endpoint(ec).port();
  accept_next();
  return {};
}

void Acceptor::accept_next() {
  if (is_held_ || std::exchange(is_accepting_, true)) return;
  acceptor_.async_accept([this](const ErrorCode& ec, Tcp::socket socket) {
    is_accepting_ = false;
    if (ec == asio::error::operation_aborted) return;
    if (ec) return pause(ec);  // out of descriptors or memory, as a rule
    accepted_(std::move(socket));
    if (acceptor_.is_open()) accept_next();
  });
}

void Acceptor::release() {
  is_held_ = false;
  if (acceptor_.is_open()) accept_next();
}

void Acceptor::pause(const ErrorCode& why) {
  log_.warning("accept.paused", {{"port", port_},
                                 {"reason", why.message()},
                                 {"remedy", "raise the limit of open files (ulimit -n) if it was reached"}});
  retry_.expires_after(kRetryAfter);
  retry_.async_wait([this](const ErrorCode& ec) {
    if (!ec && acceptor_.is_open()) accept_next();
  });
}

void Acceptor::close() {
  ErrorCode ignored;
  acceptor_.close(ignored);
  retry_.cancel();
}

}  // namespace godwit::net
