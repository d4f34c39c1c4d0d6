#include <sys/stat.h>

#include "tools/cli/testing/fake_service.hpp"

namespace godwit::cli {
namespace {

const FakeService::Reply kStatus{
    .status = 200, .body = R"({"version":"1.2.3","hubName":"hub.example","deviceCount":7})", .headers = {}};

std::string read(const Path& path) { return read_file(path, 1 << 16).value_or("(nothing)"); }
unsigned mode_of(const Path& path) {
  struct stat info {};
  ::stat(path.c_str(), &info);
  return info.st_mode & 0777U;
}

TEST(Login, it_tries_the_service_and_keeps_address_token_and_ca) {
  FakeService service;
  service.answer("GET /godwit/v1/default/status", kStatus);
  Terminal terminal;
  const auto done = terminal.type({"login", service.url(), "--token-file", service.token_file(), "--ca", service.ca()});
  EXPECT_EQ(done.code, exit_code::ok) << done.error;
  EXPECT_NE(done.out.find("godwitd 1.2.3, hub hub.example, 7 devices"), std::string::npos) << done.out;
  EXPECT_NE(service.last("GET /godwit/v1/default/status").head.find("Authorization: Bearer secret-token\r\n"),
            std::string::npos);
  EXPECT_EQ(read(terminal.settings() / "token"), "secret-token\n");
  EXPECT_EQ(mode_of(terminal.settings() / "token"), 0600U);
  EXPECT_EQ(read(terminal.settings() / "ca.pem"), service.ca_pem());
}

TEST(Login, later_verbs_need_nothing_else_even_when_the_files_that_were_named_are_gone) {
  FakeService service;
  service.answer("GET /godwit/v1/other/status", kStatus);
  service.answer("GET /readyz", {});
  Terminal terminal;
  const TempFolder elsewhere;
  std::filesystem::copy(service.ca(), elsewhere.path() / "ca.pem");
  std::filesystem::copy(service.token_file(), elsewhere.path() / "token");
  ASSERT_EQ(terminal
                .type({"login", service.url(), "--token-file", elsewhere.path() / "token", "--ca",
                       elsewhere.path() / "ca.pem", "--instance", "other"})
                .code,
            exit_code::ok);
  std::filesystem::remove(elsewhere.path() / "ca.pem");
  std::filesystem::remove(elsewhere.path() / "token");
  const auto done = terminal.type({"doctor", "--data", "/nonexistent", "-o", "json"});
  EXPECT_EQ(done.code, exit_code::ok) << done.out << done.error;
  EXPECT_EQ(service.requests().back().line, "GET /godwit/v1/other/status") << "the instance was kept, too";
}

TEST(Login, a_refused_token_is_said_and_nothing_is_kept) {
  FakeService service;
  service.answer("GET /godwit/v1/default/status",
                 {.status = 401,
                  .body = R"({"error":{"code":"Unauthorized","message":"the token is not known"}})",
                  .headers = {}});
  Terminal terminal;
  const auto done = terminal.type({"login", service.url(), "--token-file", service.token_file(), "--ca", service.ca()});
  EXPECT_EQ(done.code, exit_code::failed);
  EXPECT_NE(done.error.find("the token is not known"), std::string::npos) << done.error;
  EXPECT_FALSE(std::filesystem::exists(terminal.settings()));
}

TEST(Login, a_service_of_another_authority_is_not_believed) {
  FakeService service, other;
  service.answer("GET /godwit/v1/default/status", kStatus);
  Terminal terminal;
  const auto done = terminal.type({"login", service.url(), "--token-file", service.token_file(), "--ca", other.ca()});
  EXPECT_EQ(done.code, exit_code::failed);
  EXPECT_TRUE(service.requests().empty()) << "the token went out";
  EXPECT_FALSE(std::filesystem::exists(terminal.settings()));
}

TEST(Login, without_an_address_it_takes_the_service_of_this_machine) {
  FakeService service;
  service.answer("GET /godwit/v1/default/status", kStatus);
  const TempFolder data;
  ASSERT_TRUE(make_folders(data.path() / "tls"));
  ASSERT_TRUE(write_file_durably(data.path() / "enrolment.url", service.url() + "#aa-bb\n"));
  std::filesystem::copy(service.token_file(), data.path() / "admin.token");
  std::filesystem::copy(service.ca(), data.path() / "tls" / "ca.pem");
  Terminal terminal;
  const auto done = terminal.type({"login", "--data", data.path()});
  EXPECT_EQ(done.code, exit_code::ok) << done.error;
  EXPECT_NE(read(terminal.settings() / "config.toml").find("url = \"" + service.url() + "\""), std::string::npos);
  EXPECT_EQ(read(terminal.settings() / "config.toml").find("aa-bb"), std::string::npos) << "a device's secret was kept";
  const auto nowhere = terminal.type({"login", "--data", "/nonexistent"});
  EXPECT_NE(nowhere.error.find("run godwitd init first"), std::string::npos) << nowhere.error;
}

TEST(Login, a_machine_that_cannot_look_up_its_own_name_is_reached_as_localhost) {
  FakeService service;
  service.answer("GET /godwit/v1/default/status", kStatus);
  const TempFolder data;
  ASSERT_TRUE(make_folders(data.path() / "tls"));
  const std::string port = service.url().substr(service.url().rfind(':'));
  ASSERT_TRUE(write_file_durably(data.path() / "enrolment.url", "https://no-such-name.invalid" + port + "#aa-bb\n"));
  std::filesystem::copy(service.token_file(), data.path() / "admin.token");
  std::filesystem::copy(service.ca(), data.path() / "tls" / "ca.pem");
  Terminal terminal;
  const auto done = terminal.type({"login", "--data", data.path()});
  EXPECT_EQ(done.code, exit_code::ok) << done.error;
  EXPECT_NE(read(terminal.settings() / "config.toml").find("url = \"" + service.url() + "\""), std::string::npos);
  const auto named = terminal.type(
      {"login", "https://no-such-name.invalid" + port, "--token-file", service.token_file(), "--ca", service.ca()});
  EXPECT_EQ(named.code, exit_code::failed) << "an address that was typed is meant";
}

}  // namespace
}  // namespace godwit::cli
