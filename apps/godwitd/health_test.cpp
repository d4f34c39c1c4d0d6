#include "apps/godwitd/health.hpp"

#include <gtest/gtest.h>

#include "apps/godwitd/init.hpp"
#include "core/base/json.hpp"
#include "server/net/test_peer.hpp"

namespace godwit::daemon {
namespace {

std::string why(const Layout& layout) {
  const auto health = check_health(Config{}, layout, HealthQuestion::ready);
  return health ? std::string("healthy") : health.error().message;
}

/// What a service that runs and answers says is asked in test/e2e, of the real program.
TEST(Health, a_service_that_does_not_run_is_not_healthy) {
  const net::TestFolder folder;
  const Layout layout{folder.path() / "data"};
  ASSERT_TRUE(init(layout.data, InitOptions{.hosts = {"updates.example"}, .config = {}}));
  EXPECT_NE(why(layout).find("no service runs in"), std::string::npos) << why(layout);
  for (const char* broken :
       {"", "nonsense", "[]", R"({"hub":1})", R"({"api":0})", R"({"api":"1"})", R"({"api":70000})"}) {
    ASSERT_TRUE(write_file_durably(layout.ports(), broken));
    EXPECT_NE(why(layout).find("no service runs in"), std::string::npos) << broken << ": " << why(layout);
  }
}

TEST(Health, a_port_where_nobody_listens_any_more_is_not_healthy) {
  const net::TestFolder folder;
  const Layout layout{folder.path() / "data"};
  ASSERT_TRUE(init(layout.data, InitOptions{.hosts = {"updates.example"}, .config = {}}));
  ASSERT_TRUE(write_file_durably(layout.ports(), R"({"api":1})"));
  EXPECT_NE(why(layout).find("port 1 of this machine does not answer"), std::string::npos) << why(layout);
  ASSERT_TRUE(write_file_durably(layout.server_certificate(), "nonsense"));
  EXPECT_NE(why(layout).find("server.pem: that is no certificate"), std::string::npos) << why(layout);
}

}  // namespace
}  // namespace godwit::daemon
