#include "server/service/import/clamd_scanner.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/base/text.hpp"

namespace godwit::service {
namespace {

constexpr std::size_t kChunk = 256 * 1024;
constexpr std::size_t kAnswerLimit = 4096;
constexpr int kPollMs = 1000;  // how often a stop is noticed
constexpr Duration kConnectTime = std::chrono::seconds(5);

using SteadyTime = std::chrono::steady_clock::time_point;

tl::unexpected<Error> no_scanner(std::string_view doing, int error_number) {
  return fail(Code::unavailable, fmt::format("clamd: {}: {}", doing, std::strerror(error_number)));
}

/// One conversation with clamd: a socket that does not block, a deadline, and the wish to stop.
class Conversation {
 public:
  Conversation(SteadyTime deadline, const Scanner::IsCancelled& is_cancelled)
      : deadline_(deadline), is_cancelled_(is_cancelled) {}

  Result<void> connect_to(const ClamdAddress& address) {
    const SteadyTime whole =
        std::exchange(deadline_, std::min(deadline_, std::chrono::steady_clock::now() + kConnectTime));
    auto connected = address.socket_path.empty() ? connect_to_host(address) : connect_to_path(address.socket_path);
    deadline_ = whole;
    return connected;
  }

  /// False: clamd has answered or hung up before it took everything.
  Result<bool> send(std::string_view bytes) {
    while (!bytes.empty()) {
      GODWIT_TRY(const short events, wait(POLLOUT | POLLIN));
      if ((events & POLLIN) != 0) return false;
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return false;
      if (sent < 0 && errno != EAGAIN && errno != EINTR) return no_scanner("send", errno);
      if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// Up to the NUL, or to the end of the connection.
  Result<std::string> answer() {
    std::string text;
    char buffer[512];
    while (text.find('\0') == std::string::npos) {
      if (text.size() > kAnswerLimit) return fail(Code::unavailable, "clamd: its answer has no end");
      GODWIT_TRY_VOID(wait(POLLIN));
      const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got < 0) return no_scanner("read its answer", errno);
      if (got == 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    return text.substr(0, text.find('\0'));
  }

 private:
  Result<short> wait(short wanted) {
    for (;;) {
      if (is_cancelled_()) return fail(Code::cancelled, "the server is shutting down");
      if (std::chrono::steady_clock::now() >= deadline_)
        return fail(Code::timed_out, "clamd: no answer within the time limit");
      pollfd one{.fd = socket_.get(), .events = wanted, .revents = 0};
      const int ready = ::poll(&one, 1, kPollMs);
      if (ready < 0 && errno != EINTR) return no_scanner("wait", errno);
      // After an end of the other side a read says what there is to say.
      if (ready > 0) return (one.revents & (POLLERR | POLLHUP)) != 0 ? static_cast<short>(POLLIN) : one.revents;
    }
  }

  Result<void> connect_now(int family, int protocol, const sockaddr* address, socklen_t size) {
    socket_ = UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (!socket_) return no_scanner("make a socket", errno);
    if (::connect(socket_.get(), address, size) == 0) return {};
    if (errno != EINPROGRESS) return no_scanner("connect", errno);
    GODWIT_TRY_VOID(wait(POLLOUT));
    int problem = 0;
    socklen_t length = sizeof problem;
    ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &problem, &length);
    if (problem != 0) return no_scanner("connect", problem);
    return {};
  }

  Result<void> connect_to_path(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    auto connected = connect_now(AF_UNIX, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (!connected) return with_context(path, std::move(connected).error());
    return {};
  }

  Result<void> connect_to_host(const ClamdAddress& address) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int rc = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
    if (rc != 0) return fail(Code::unavailable, fmt::format("clamd at {}: {}", address.host, ::gai_strerror(rc)));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
    Result<void> connected = fail(Code::unavailable, fmt::format("clamd at {}: it has no address", address.host));
    for (const addrinfo* one = all.get(); one != nullptr && !connected; one = one->ai_next)
      connected = connect_now(one->ai_family, one->ai_protocol, one->ai_addr, one->ai_addrlen);
    if (!connected) return with_context(fmt::format("{}:{}", address.host, address.port), std::move(connected).error());
    return {};
  }

  UniqueFd socket_{};
  SteadyTime deadline_;
  const Scanner::IsCancelled& is_cancelled_;
};

/// Length of a chunk as clamd wants it: 4 bytes, most significant first.
void put_length(std::vector<char>& frame, std::size_t length) {
  for (int i = 0; i < 4; ++i) frame[static_cast<std::size_t>(i)] = static_cast<char>((length >> (24 - 8 * i)) & 0xFFU);
}

/// False: clamd answered early.
Result<bool> stream_file(Conversation& clamd, int file, ByteCount size) {
  std::vector<char> frame(4 + kChunk);
  for (ByteCount done = 0; done < size;) {
    const ssize_t got =
        ::pread(file, frame.data() + 4, std::min<ByteCount>(kChunk, size - done), static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return tl::unexpected<Error>{error_from_errno("read the payload to scan", got < 0 ? errno : EIO)};
    put_length(frame, static_cast<std::size_t>(got));
    GODWIT_TRY(const bool is_taken, clamd.send({frame.data(), 4 + static_cast<std::size_t>(got)}));
    if (!is_taken) return false;
    done += static_cast<ByteCount>(got);
  }
  return clamd.send(std::string_view("\0\0\0\0", 4));
}

}  // namespace

Result<ClamdAddress> parse_clamd_address(const std::string& text) {
  if (text.starts_with('/')) {
    if (text.size() >= sizeof(sockaddr_un::sun_path))
      return fail(Code::invalid_argument, "scan.clamd is too long for the path of a socket");
    return ClamdAddress{.socket_path = text};
  }
  const auto colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  std::string host = text.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const bool is_number = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  if (host.empty() || !is_number)
    return fail(Code::invalid_argument, "scan.clamd is the path of clamd's socket, or host:port");
  return ClamdAddress{.socket_path = {}, .host = std::move(host), .port = port};
}

Result<ScanVerdict> read_clamd_answer(std::string_view answer) {
  while (!answer.empty() && (answer.back() == '\n' || answer.back() == ' ')) answer.remove_suffix(1);
  if (answer == "stream: OK")
    return ScanVerdict{.outcome = ScanOutcome::clean, .details = "clamd: no signature matched"};
  constexpr std::string_view kFound = " FOUND";
  constexpr std::string_view kStream = "stream: ";
  if (answer.starts_with(kStream) && answer.ends_with(kFound)) {
    // The blank before FOUND may be the one behind the colon: then there is no name between them.
    const std::size_t around = kStream.size() + kFound.size();
    std::string name(trimmed(answer.substr(kStream.size(), answer.size() > around ? answer.size() - around : 0)));
    if (name.empty()) name = "a signature without a name";
    // With AlertExceedsMax clamd reports in this way that it stopped at a limit of its own.
    if (name.starts_with("Heuristics.Limits.Exceeded"))
      return ScanVerdict{.outcome = ScanOutcome::not_scanned, .details = "too large for clamd: " + name};
    return ScanVerdict{.outcome = ScanOutcome::infected, .details = name};
  }
  if (answer.find("size limit exceeded") != std::string_view::npos)
    return ScanVerdict{.outcome = ScanOutcome::not_scanned,
                       .details = "too large for clamd: more than its StreamMaxLength"};
  return fail(Code::unavailable, answer.empty() ? std::string("clamd: it hung up without an answer")
                                                : fmt::format("clamd: it answered '{}'", answer.substr(0, 200)));
}

Result<ScanVerdict> ClamdScanner::scan(int file, ByteCount size, const IsCancelled& is_cancelled) {
  Conversation clamd(std::chrono::steady_clock::now() + time_limit_, is_cancelled);
  GODWIT_TRY_VOID(clamd.connect_to(address_));
  GODWIT_TRY(bool is_taken, clamd.send(std::string_view("zINSTREAM\0", 10)));
  if (is_taken) {
    GODWIT_TRY(is_taken, stream_file(clamd, file, size));
  }
  GODWIT_TRY(const std::string answer, clamd.answer());
  GODWIT_TRY(auto verdict, read_clamd_answer(answer));
  if (!is_taken && verdict.outcome == ScanOutcome::clean)
    return fail(Code::unavailable, "clamd: it called clean what it had not read to the end");
  return verdict;
}

}  // namespace godwit::service
