// The client's side of TLS alone: COUNT connections to bench_tls_accept from one thread and one context, each with a
// CONNECT sent and its CONNACK read, then at rest. What OpenSSL holds for a client that shares nothing with the others.
// Prints "ready" and ends with its input. Usage: bench_tls_connect CA PORT COUNT
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view kConnect("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x", 15);
constexpr int kPerSource = 10'000;  // one address has ports for 28,000

[[noreturn]] void give_up(const char* what) {
  fmt::print(stderr, "bench_tls_connect: {}\n", what);
  std::exit(1);
}

SSL_CTX* make_context(const char* ca) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  // The same options as the fleet's own context (tools/fleet/tls_client.cpp), so that only what is around it differs.
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (SSL_CTX_load_verify_file(context, ca) != 1) give_up("cannot read the CA certificate");
  return context;
}

SSL* connect_one(SSL_CTX* context, std::uint16_t port, int number) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + static_cast<std::uint32_t>(number / kPerSource));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0 ||
      connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    give_up("cannot connect");
  SSL* tls = SSL_new(context);
  SSL_set_fd(tls, fd);
  SSL_set1_host(tls, "localhost");
  std::array<char, 64> answer{};
  if (SSL_connect(tls) != 1 || SSL_write(tls, kConnect.data(), static_cast<int>(kConnect.size())) <= 0 ||
      SSL_read(tls, answer.data(), static_cast<int>(answer.size())) != 4)
    give_up("no TLS, or no CONNACK");
  SSL_free_buffers(tls);  // as the fleet does (tools/fleet/fleet.cpp says why)
  return tls;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) give_up("usage: bench_tls_connect CA PORT COUNT");
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  SSL_CTX* context = make_context(argv[1]);
  std::vector<SSL*> connections;
  const int count = std::atoi(argv[3]);
  for (int i = 0; i < count; ++i)
    connections.push_back(connect_one(context, static_cast<std::uint16_t>(std::atoi(argv[2])), i));
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return connections.size() == static_cast<std::size_t>(count) ? 0 : 1;
}
