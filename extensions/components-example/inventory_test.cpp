#include "inventory.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"

namespace godwit::components_example {
namespace {

using extension::testing::TemporaryFolder;

/// A part that answers one line with another, once for each connection.
class Part {
 public:
  Part(const Path& socket, std::string answer) : answer_(std::move(answer)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    GODWIT_CHECK(socket.string().copy(address.sun_path, sizeof address.sun_path - 1) == socket.string().size());
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    GODWIT_CHECK(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    GODWIT_CHECK(::listen(listener_.get(), 8) == 0);
    thread_ = std::thread([this] {
      for (;;) {
        const UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
        if (!peer) return;
        std::array<char, 64> bytes{};
        static_cast<void>(::recv(peer.get(), bytes.data(), bytes.size(), 0));
        static_cast<void>(::send(peer.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL));
      }
    });
  }
  ~Part() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

 private:
  std::string answer_;
  UniqueFd listener_;
  std::thread thread_;
};

class Inventory : public ::testing::Test {
 protected:
  Path write(const std::string& text) {
    const Path file = folder_.path() / "components.json";
    GODWIT_CHECK(write_file_durably(file, text).has_value());
    return file;
  }
  std::string part(const std::string& id, const std::string& group) const {
    return R"({"id":")" + id + R"(","group":")" + group + R"(","properties":{"socket":")" +
           (folder_.path() / (id + ".sock")).string() + R"("}})";
  }
  TemporaryFolder folder_;
};

TEST_F(Inventory, each_part_has_the_version_that_it_tells_and_one_that_is_away_is_off_line) {
  const Part left(folder_.path() / "m-1.sock", "1.2\n");
  const Path file =
      write(R"({"components":[)" + part("m-1", "motors") + "," + part("m-2", "motors") + R"(,{"id":"c-1"}]})");
  const auto inventory = read_inventory(file);
  ASSERT_TRUE(inventory) << inventory.error().message;
  const auto& parts = inventory->at("components").as_array();
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].at("version").as_string(), "1.2");
  EXPECT_EQ(parts[0].at("properties").at("state").as_string(), "on-line");
  EXPECT_EQ(parts[1].at("properties").at("state").as_string(), "off-line");
  const auto online = select(*inventory, {{"group", "motors"}, {"state", "on-line"}});
  ASSERT_EQ(online.at("components").as_array().size(), 1U);
  EXPECT_EQ(online.at("components").as_array()[0].at("id").as_string(), "m-1");
  EXPECT_EQ(select(*inventory, {{"group", "doors"}}).at("components").as_array().size(), 0U);
}

TEST_F(Inventory, a_part_that_stays_silent_or_floods_is_off_line) {
  const Part silent(folder_.path() / "m-1.sock", "");
  const Part flooding(folder_.path() / "m-2.sock", std::string(5000, 'x'));
  const auto inventory = read_inventory(write(R"({"components":[)" + part("m-1", "g") + "," + part("m-2", "g") + "]}"));
  ASSERT_TRUE(inventory) << inventory.error().message;
  EXPECT_EQ(inventory->at("components").at(0).at("properties").at("state").as_string(), "off-line");
}

TEST_F(Inventory, a_file_that_is_wrong_is_refused_with_its_place) {
  EXPECT_EQ(read_inventory(folder_.path() / "none.json").error().code, Code::not_found);
  for (const char* text : {"", "[]", "{}", R"({"components":7})", R"({"components":[7]})", R"({"components":[{}]})",
                           R"({"components":[{"id":""}]})", R"({"components":[{"id":"a","properties":7}]})"}) {
    const auto inventory = read_inventory(write(text));
    ASSERT_FALSE(inventory) << text;
    EXPECT_NE(inventory.error().message.find("components.json"), std::string::npos) << inventory.error().message;
  }
}

TEST_F(Inventory, the_extension_reads_the_file_that_its_registration_names) {
  using namespace extension;
  auto registration =
      extension::testing::registration_of(extension::testing::library_folder() / "godwit-components-example.so",
                                          Type::component_enumerator, "godwit/components-example:1");
  registration.options["inventory"] = write(R"({"components":[{"id":"m-1","group":"motors"}]})").string();
  const auto listed = run_extension(registration, {{"verb", "list"}}, Limits{}, {}, {});
  ASSERT_TRUE(listed) << listed.error().message;
  EXPECT_EQ(listed->answer.at("components").as_array().size(), 1U) << listed->details;
  registration.options["inventory"] = "/nowhere.json";
  const auto failed = run_extension(registration, {{"verb", "list"}}, Limits{}, {}, {});
  ASSERT_TRUE(failed) << failed.error().message;
  EXPECT_EQ(failed->result_code, 0);
  EXPECT_NE(failed->details.find("/nowhere.json"), std::string::npos) << failed->details;
}

}  // namespace
}  // namespace godwit::components_example
