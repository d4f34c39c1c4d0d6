// The bare limits of TLS: OpenSSL on the descriptor, a fixed CONNACK for a CONNECT (session present, so that a device
// need not subscribe) and fixed bytes for a twin GET. No credentials, no topics, no limits, no store: what a hub
// cannot go below. Prints its port. Usage: bench_tls_accept CERTIFICATE KEY [PORT]
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

[[noreturn]] void give_up(const char* what) {
  fmt::print(stderr, "bench_tls_accept: {}\n", what);
  std::exit(1);
}

SSL_CTX* make_context(const char* certificate, const char* key) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  // The same options as the hub's own context (server/net/tls.cpp), so that only the work around it differs.
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
    give_up("cannot read certificate and key");
  return context;
}

int listen_on(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 4096) != 0) give_up("cannot listen");
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  fmt::print("{}\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

/// Connections by descriptor.
std::vector<SSL*> connections(20'000);

void drop(int fd) {
  SSL_free(connections[static_cast<std::size_t>(fd)]);
  connections[static_cast<std::size_t>(fd)] = nullptr;
  close(fd);
}

void accept_all(int listener, int epoll, SSL_CTX* context) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (static_cast<std::size_t>(fd) >= connections.size()) give_up("too many connections");
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    SSL* tls = SSL_new(context);
    SSL_set_fd(tls, fd);
    SSL_set_accept_state(tls);
    connections[static_cast<std::size_t>(fd)] = tls;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

/// One answer for each packet that came whole. A virtual device sends nothing else.
std::string answers(std::string_view bytes) {
  static const std::string kTwin =
      R"({"desired":{"$version":1},"reported":{"filler":")" + std::string(230, 'x') + R"(","$version":1}})";
  std::string all;
  if (bytes.starts_with('\x10')) return std::string("\x20\x02\x01\x00", 4);
  if (bytes.starts_with('\x82') && bytes.size() > 4) {  // SUBSCRIBE: each filter gets QoS 0
    std::string codes;
    for (std::size_t at = 4; at + 2 < bytes.size(); codes.push_back('\0'))
      at += 3 + static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + 1]));
    return std::string{'\x90', static_cast<char>(2 + codes.size()), bytes[2], bytes[3]} + codes;
  }
  for (;;) {
    const std::size_t found = bytes.find("$rid=");
    if (found == std::string_view::npos) return all;
    bytes.remove_prefix(found);
    const std::string_view id = bytes.substr(0, bytes.find_first_not_of("0123456789", 5));
    bytes.remove_prefix(id.size());
    const std::string topic = "$iothub/twin/res/200/?" + std::string(id);
    const std::size_t size = 2 + topic.size() + kTwin.size();
    all += {'\x30', static_cast<char>(0x80 | (size & 0x7F)), static_cast<char>(size >> 7), '\0',
            static_cast<char>(topic.size())};
    all += topic + kTwin;
  }
}

void serve(int fd) {
  SSL* tls = connections[static_cast<std::size_t>(fd)];
  ERR_clear_error();
  std::array<char, 16 * 1024> buffer{};
  const int got = SSL_read(tls, buffer.data(), static_cast<int>(buffer.size()));  // shakes hands first
  if (got <= 0) {
    if (SSL_get_error(tls, got) != SSL_ERROR_WANT_READ) drop(fd);
    return;
  }
  const std::string answer = answers({buffer.data(), static_cast<std::size_t>(got)});
  if (!answer.empty() && SSL_write(tls, answer.data(), static_cast<int>(answer.size())) <= 0) drop(fd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) give_up("usage: bench_tls_accept CERTIFICATE KEY [PORT]");
  std::signal(SIGPIPE, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  SSL_CTX* context = make_context(argv[1], argv[2]);
  const int listener = listen_on(argc > 3 ? std::atoi(argv[3]) : 0);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener;
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    std::array<epoll_event, 256> events{};
    const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      fd == listener ? accept_all(listener, epoll, context) : serve(fd);
    }
  }
}
