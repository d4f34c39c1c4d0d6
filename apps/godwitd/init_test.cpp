#include "apps/godwitd/init.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/base/bytes.hpp"
#include "core/trust/certificates.hpp"
#include "core/trust/manifest_signature.hpp"
#include "core/trust/root_keys.hpp"
#include "server/api/access.hpp"
#include "server/net/test_peer.hpp"
#include "server/net/tls.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::daemon {
namespace {

std::string read(const Path& path) { return read_file(path, 1 << 20).value_or(""); }
unsigned mode_of(const Path& path) {
  struct stat info {};
  ::stat(path.c_str(), &info);
  return info.st_mode & 0777U;
}

TEST(Init, makes_an_installation_whose_parts_fit_together) {
  const net::TestFolder folder;
  const Layout layout{folder.path() / "deep" / "data"};
  const auto made = init(layout.data, InitOptions{.hosts = {"updates.example", "10.1.2.3"}, .config = {}});
  ASSERT_TRUE(made) << made.error().message;

  EXPECT_TRUE(net::TlsContext::make_server(layout.server_certificate(), layout.server_key()));
  const auto anchors = trust::TrustAnchors::parse(read(layout.trust_anchors()));
  ASSERT_TRUE(anchors);
  EXPECT_EQ(anchors->keys.size(), 2U);
  const auto package = trust::verify_root_key_package(read(layout.root_key_package()), *anchors, 1);
  ASSERT_TRUE(package) << package.error().message;
  const auto signing = trust::PrivateKey::from_pem(read(layout.signing_key()));
  ASSERT_TRUE(signing);
  const auto signature = trust::sign_manifest("{}", *signing, read(layout.signed_jwk()));
  ASSERT_TRUE(signature);
  EXPECT_FALSE(trust::check_manifest_signature("{}", *signature, *package));
  EXPECT_TRUE(trust::check_manifest_signature("{ }", *signature, *package));

  const auto config = load_config(layout.config());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->api_host, "updates.example");

  std::string token = read(layout.admin_token());
  ASSERT_TRUE(token.ends_with('\n'));
  token.pop_back();
  SystemClock clock;
  NullLog log;
  const auto store = store::open_sqlite_store(layout.database(), load_or_make_sealer(layout).value(), clock, log);
  ASSERT_TRUE(store);
  const auto caller = api::Access(clock, **store).look_up("Bearer " + token, "here");
  ASSERT_TRUE(caller) << caller.error().message;
  EXPECT_EQ(caller->role, api::Role::administrator);
  std::vector<store::SharedAccessPolicy> policies;
  ASSERT_TRUE((*store)->read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(policies, records.policies().list());
    return {};
  }));
  EXPECT_EQ(policies.size(), 5U);
}

TEST(Init, the_url_for_devices_names_the_authority_and_the_key_of_their_group) {
  const net::TestFolder folder;
  const Layout layout{folder.path() / "data"};
  ASSERT_TRUE(init(layout.data, InitOptions{.hosts = {"updates.example"}, .config = {}}));
  SystemClock clock;
  NullLog log;
  const auto store = store::open_sqlite_store(layout.database(), load_or_make_sealer(layout).value(), clock, log);
  ASSERT_TRUE(store);
  std::optional<store::EnrollmentRecord> group;
  ASSERT_TRUE((*store)->read([&](store::Records& records) -> Result<void> {
    GODWIT_TRY(group, records.provisioning().find_enrollment(store::EnrollmentKind::group, "devices"));
    return {};
  }));
  ASSERT_TRUE(group);
  const std::string authority = hex_encode(*trust::certificate_fingerprint(read(layout.ca_certificate())));
  const std::string key = hex_encode(group->primary_key.reveal());
  EXPECT_EQ(key.size(), 64U);
  EXPECT_EQ(read(layout.enrolment_url()), "https://updates.example:8443#" + authority + "-" + key + "\n");
  EXPECT_NE(describe_installation(layout, Reader::has_it_running).find(key), std::string::npos)
      << "the operator sees the whole command";
  for (const Reader reader : {Reader::starts_it, Reader::reads_a_log})
    EXPECT_EQ(describe_installation(layout, reader).find(key), std::string::npos) << "a log is no place for it";
}

TEST(Init, secrets_are_for_the_owner_only) {
  const net::TestFolder folder;
  const Layout layout{folder.path() / "data"};
  ASSERT_TRUE(init(layout.data, InitOptions{}));
  EXPECT_EQ(mode_of(layout.data), 0700U);
  for (const Path& path :
       {layout.ca_key(), layout.server_key(), layout.root_key(1), layout.root_key(2), layout.signing_key(),
        layout.admin_token(), layout.enrolment_url(), layout.url_key(), layout.database()})
    EXPECT_EQ(mode_of(path) & 077U, 0U) << path;
}

TEST(Init, never_overwrites) {
  const net::TestFolder folder;
  const Path data = folder.path() / "data";
  ASSERT_TRUE(make_folders(data));
  ASSERT_TRUE(init(data, InitOptions{})) << "an empty folder may be filled";
  const std::string before = read(Layout{data}.admin_token());
  const auto again = init(data, InitOptions{});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::conflict);
  EXPECT_EQ(read(Layout{data}.admin_token()), before);
}

TEST(Init, leaves_nothing_behind_when_it_fails) {
  const net::TestFolder folder;
  InitOptions options{};
  options.config.hub_name = "a/b";
  EXPECT_FALSE(init(folder.path() / "data", options));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Init, a_name_that_cannot_be_looked_up_is_told) {
  EXPECT_EQ(why_unreachable("127.0.0.1"), "");
  EXPECT_NE(why_unreachable("no-such-name.invalid").find("cannot look up 'no-such-name.invalid'"), std::string::npos);
}

}  // namespace
}  // namespace godwit::daemon
