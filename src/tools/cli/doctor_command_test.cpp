#include <sys/stat.h>

#include <chrono>

#include "core/base/clock.hpp"
#include "tools/cli/testing/fake_service.hpp"

namespace godwit::cli {
namespace {

std::string status(const std::string& version, Duration ahead = {}) {
  return R"({"version":")" + version + R"(","time":")" + format_time(SystemClock().now() + ahead) + "\"}";
}

/// A terminal that is logged in by its environment, and a data folder that is in order.
struct Scene {
  FakeService service{};
  Terminal terminal{};
  TempFolder data{};

  Scene() {
    terminal.environment = {{"GODWIT_URL", service.url()},
                            {"GODWIT_CA", service.ca().string()},
                            {"GODWIT_TOKEN_FILE", service.token_file().string()}};
    for (const char* folder : {"keys", "tls", "secrets"}) EXPECT_TRUE(make_folders(data.path() / folder));
    for (const char* file : {"godwit.toml", "keys/signing.pem", "admin.token"})
      EXPECT_TRUE(write_file_durably(data.path() / file, "x", 0600));
  }
  Terminal::Outcome look() { return terminal.type({"doctor", "--data", data.path(), "-o", "json"}); }
  /// "bad", "warning" or "good" of the check whose words hold `words`; "" when no check says that.
  std::string verdict(const Terminal::Outcome& outcome, std::string_view name, std::string_view words) {
    const auto body = json::parse_object(outcome.out);
    if (!body) return "no JSON: " + outcome.out + outcome.error;
    for (const auto& one : body->at("checks").as_array())
      if (text_at(one, "name") == name && text_at(one, "words").find(words) != std::string::npos)
        return text_at(one, "verdict");
    return "";
  }
};

TEST(Doctor, a_machine_on_which_all_is_well_is_called_healthy) {
  Scene scene;
  scene.service.answer("GET /readyz", {});
  scene.service.answer("GET /godwit/v1/default/status", {.status = 200, .body = status(GODWIT_VERSION), .headers = {}});
  const auto found = scene.look();
  EXPECT_EQ(found.code, exit_code::ok) << found.out;
  for (const char* name : {"settings", "service", "token", "data folder"})
    EXPECT_EQ(scene.verdict(found, name, ""), "good") << name << found.out;
}

TEST(Doctor, without_settings_it_names_login) {
  Scene scene;
  scene.terminal.environment.clear();
  const auto found = scene.look();
  EXPECT_EQ(found.code, exit_code::failed);
  EXPECT_EQ(scene.verdict(found, "settings", "godwit login"), "bad") << found.out;
}

TEST(Doctor, a_service_that_is_not_there_and_one_that_is_not_ready_are_told_apart) {
  Scene scene;
  scene.service.answer("GET /readyz",
                       {.status = 503,
                        .body = R"({"error":{"code":"Unavailable","message":"not ready: the disk is full"}})",
                        .headers = {}});
  scene.service.answer("GET /godwit/v1/default/status", {.status = 200, .body = status(GODWIT_VERSION), .headers = {}});
  const auto ill = scene.look();
  EXPECT_EQ(ill.code, exit_code::failed);
  EXPECT_EQ(scene.verdict(ill, "service", "the disk is full"), "bad") << ill.out;
  EXPECT_EQ(scene.verdict(ill, "token", "accepted"), "good") << "it looks on";
  scene.terminal.environment["GODWIT_URL"] = "https://localhost:1";
  const auto away = scene.look();
  EXPECT_EQ(scene.verdict(away, "service", "does godwitd run"), "bad") << away.out;
  EXPECT_EQ(scene.verdict(away, "token", ""), "") << "nobody could have judged it";
}

TEST(Doctor, a_refused_token_another_version_and_a_wrong_clock_are_named) {
  Scene scene;
  scene.service.answer("GET /readyz", {});
  scene.service.answer(
      "GET /godwit/v1/default/status",
      {.status = 401, .body = R"({"error":{"code":"Unauthorized","message":"no such token"}})", .headers = {}});
  scene.service.answer("GET /godwit/v1/default/status",
                       {.status = 200, .body = status("0.0.0", std::chrono::hours(1)), .headers = {}});
  const auto refused = scene.look();
  EXPECT_EQ(scene.verdict(refused, "token", "godwit token create"), "bad") << refused.out;
  const auto found = scene.look();
  EXPECT_EQ(found.code, exit_code::ok) << "warnings do not stand in the way";
  EXPECT_EQ(scene.verdict(found, "version", "0.0.0"), "warning") << found.out;
  EXPECT_EQ(scene.verdict(found, "clock", "NTP"), "warning") << found.out;
}

TEST(Doctor, keys_that_should_be_away_and_secrets_that_are_open_are_found) {
  Scene scene;
  scene.service.answer("GET /readyz", {});
  scene.service.answer("GET /godwit/v1/default/status", {.status = 200, .body = status(GODWIT_VERSION), .headers = {}});
  ASSERT_TRUE(write_file_durably(scene.data.path() / "keys" / "root-2.pem", "x", 0600));
  const auto warned = scene.look();
  EXPECT_EQ(warned.code, exit_code::ok);
  EXPECT_EQ(scene.verdict(warned, "off-line", "root-2.pem is still on this machine"), "warning") << warned.out;
  ASSERT_EQ(::chmod((scene.data.path() / "admin.token").c_str(), 0644), 0);
  const auto open = scene.look();
  EXPECT_EQ(open.code, exit_code::failed);
  EXPECT_EQ(scene.verdict(open, "secret", "chmod 600 " + (scene.data.path() / "admin.token").string()), "bad");
}

TEST(Doctor, a_file_of_another_user_in_the_data_folder_is_found) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  Scene scene;
  scene.service.answer("GET /readyz", {});
  scene.service.answer("GET /godwit/v1/default/status", {.status = 200, .body = status(GODWIT_VERSION), .headers = {}});
  ASSERT_EQ(::chown((scene.data.path() / "godwit.toml").c_str(), 12345, 12345), 0);
  const auto found = scene.look();
  EXPECT_EQ(found.code, exit_code::failed);
  EXPECT_EQ(scene.verdict(found, "owner", "chown -R --reference="), "bad") << found.out;
}

}  // namespace
}  // namespace godwit::cli
