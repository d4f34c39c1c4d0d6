#include "device/installer/installer_config.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/extension/testing/test_extensions.hpp"

namespace godwit::installer {
namespace {

class Config : public ::testing::Test {
 protected:
  Result<InstallerConfig> load(const std::string& text, mode_t mode = 0644) {
    EXPECT_TRUE(write_file_durably(folder_ / "installer.toml", text, mode));
    return load_installer_config(folder_ / "installer.toml");
  }
  extension::testing::TemporaryFolder folder_;
};

TEST_F(Config, relative_paths_start_at_the_file_and_compatibility_follows_the_names) {
  const auto config = load(
      "[installer]\ndata = \"state\"\nsocket = \"run/x.sock\"\n[device]\nmanufacturer = \"Contoso\"\nmodel = "
      "\"Toaster\"\nproperties = [\"plant=7\", \"rev=b=1\"]\n"
      "compat_property_names = [\"model\", \"rev\"]\n[limits]\ninstall = \"2h\"\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->work_folder(), folder_ / "state/work");
  EXPECT_EQ(config->socket, folder_ / "run/x.sock");
  EXPECT_EQ(config->compatibility(), (CompatibilitySet{{"model", "Toaster"}, {"rev", "b=1"}}));
  EXPECT_EQ(config->time_limit(Verb::install), std::chrono::hours(2));
}

TEST_F(Config, what_is_missing_or_wrong_is_named) {
  const std::string device = "[device]\nmanufacturer = \"C\"\nmodel = \"T\"\n";
  for (const auto& [text, says] :
       std::vector<std::pair<std::string, std::string>>{{"", "device.manufacturer"},
                                                        {"[device]\nmanufacturer = \"C\"\n", "device.model"},
                                                        {device + "properties = [\"x\"]\n", "location=plant7"},
                                                        {device + "properties = [\"model=x\"]\n", "twice"},
                                                        {device + "compat_property_names = [\"rev\"]\n", "rev"},
                                                        {device + "compat_property_names = []\n", "1 to 5"},
                                                        {device + "[installer]\nsocked = \"x\"\n", "installer.socket"},
                                                        {device + "[limits]\ninstall = \"0s\"\n", "limits.install"}}) {
    const auto refused = load(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message.find(says), std::string::npos) << refused.error().message;
  }
  EXPECT_EQ(load(device, 0666).error().code, Code::refused) << "others may write it";
}

TEST_F(Config, users_are_found_by_name_and_number) {
  EXPECT_EQ(find_user("root").value(), 0U);
  EXPECT_EQ(find_user("1234").value(), 1234U);
  EXPECT_FALSE(find_user("no-such-user-here"));
  EXPECT_FALSE(find_user(""));
  EXPECT_FALSE(find_user("99999999999999"));
}

}  // namespace
}  // namespace godwit::installer
