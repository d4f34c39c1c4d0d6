#include "apps/godwitd/init.hpp"

#include <netdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/trust/certificates.hpp"
#include "core/trust/manifest_signature.hpp"
#include "core/trust/root_keys.hpp"
#include "server/api/access.hpp"
#include "server/api/policies.hpp"
#include "server/blobs/disk/disk_blobs.hpp"
#include "server/store/sqlite/sqlite_store.hpp"

namespace godwit::daemon {
namespace {

constexpr int kCertificateDays = 3650;
constexpr std::size_t kUrlKeyBytes = 32;
constexpr std::size_t kGroupKeyBytes = 32;
constexpr ByteCount kCertificateLimit = 64 * 1024;

[[nodiscard]] std::string own_host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? std::string(name) : std::string("localhost");
}

/// The given names first, then those by which the machine can always be reached from itself.
[[nodiscard]] std::vector<std::string> certificate_names(const std::vector<std::string>& hosts) {
  std::vector<std::string> names = hosts;
  for (const char* local : {"localhost", "127.0.0.1"})
    if (std::find(names.begin(), names.end(), local) == names.end()) names.emplace_back(local);
  return names;
}

[[nodiscard]] Result<void> make_certificates(const Layout& layout, const std::vector<std::string>& hosts,
                                             const std::string& hub_name) {
  GODWIT_TRY(const auto ca, trust::make_ca("Godwit CA of " + hub_name, kCertificateDays));
  GODWIT_TRY(const auto server, trust::issue_server_certificate(ca, certificate_names(hosts), kCertificateDays));
  GODWIT_TRY_VOID(write_file_durably(layout.ca_certificate(), ca.certificate_pem, 0644));
  GODWIT_TRY_VOID(write_file_durably(layout.ca_key(), ca.key_pem.reveal()));
  // With the authority behind it: a client that knows only its fingerprint finds it in the handshake.
  GODWIT_TRY_VOID(write_file_durably(layout.server_certificate(), server.certificate_pem + ca.certificate_pem, 0644));
  return write_file_durably(layout.server_key(), server.key_pem.reveal());
}

[[nodiscard]] Result<void> save_key(const Path& file, const trust::PrivateKey& key) {
  GODWIT_TRY(const Secret pem, key.to_pem());
  return write_file_durably(file, pem.reveal());
}

[[nodiscard]] Result<void> make_keys(const Layout& layout, WallTime now) {
  GODWIT_TRY(const auto first, trust::PrivateKey::generate());
  GODWIT_TRY(const auto second, trust::PrivateKey::generate());
  GODWIT_TRY(const auto signing, trust::PrivateKey::generate());
  const std::string first_name = key_name("root-1", first.public_key());
  const std::string second_name = key_name("root-2", second.public_key());

  trust::RootKeyPackage package;
  package.version = 1;
  package.published = to_unix_ms(now) / 1000;
  package.root_keys = {{first_name, first.public_key()}, {second_name, second.public_key()}};
  GODWIT_TRY(const std::string package_text, package.sign({&first, &second}));
  trust::TrustAnchors anchors;
  anchors.keys.emplace(first_name, first.public_key());
  anchors.keys.emplace(second_name, second.public_key());
  GODWIT_TRY_VOID(trust::verify_root_key_package(package_text, anchors, 0));
  GODWIT_TRY(
      const std::string signed_jwk,
      trust::make_signed_jwk(signing.public_key(), key_name("signing", signing.public_key()), first, first_name));

  GODWIT_TRY_VOID(save_key(layout.root_key(1), first));
  GODWIT_TRY_VOID(save_key(layout.root_key(2), second));
  GODWIT_TRY_VOID(save_key(layout.signing_key(), signing));
  GODWIT_TRY_VOID(write_file_durably(layout.signed_jwk(), signed_jwk));
  GODWIT_TRY_VOID(write_file_durably(layout.trust_anchors(), anchors.print(), 0644));
  return write_file_durably(layout.root_key_package(), package_text, 0644);
}

/// The group by which `godwit-agent enrol` brings devices in.
[[nodiscard]] Result<void> make_enrolment(store::Records& records, WallTime now, const Secret& key) {
  return records.provisioning().insert_enrollment(
      store::EnrollmentRecord{.kind = store::EnrollmentKind::group,
                              .id = "devices",
                              .primary_key = key,
                              .secondary_key = Secret(random_bytes(kGroupKeyBytes)),
                              .created = now,
                              .updated = now});
}

/// What a device is told after '#': whom to believe, and the group's key.
[[nodiscard]] Result<std::string> enrolment_words(const Layout& layout, const Secret& key) {
  GODWIT_TRY(const std::string ca, read_file(layout.ca_certificate(), kCertificateLimit));
  GODWIT_TRY(const std::string authority, trust::certificate_fingerprint(ca));
  return hex_encode(authority) + "-" + hex_encode(key.reveal());
}

[[nodiscard]] Result<void> make_store(const Layout& layout, const Config& config) {
  SystemClock clock;
  NullLog log;
  GODWIT_TRY(const auto sealer, load_or_make_sealer(layout));
  GODWIT_TRY(const auto store, store::open_sqlite_store(layout.database(), sealer, clock, log));
  Secret token;
  const Secret group_key(random_bytes(kGroupKeyBytes));
  const auto job = [&](store::Records& records) -> Result<void> {
    GODWIT_TRY(token, api::Access::create_token(
                          records, api::NewToken{.name = "admin", .role = api::Role::administrator}, clock.now()));
    GODWIT_TRY_VOID(make_enrolment(records, clock.now(), group_key));
    return api::Policies::make_built_in(records, clock.now());
  };
  GODWIT_TRY_VOID(store->write(job));
  GODWIT_TRY(const auto blobs, blobs::open_disk_blobs(layout.blobs(), clock));
  GODWIT_TRY(const std::string words, enrolment_words(layout, group_key));
  GODWIT_TRY_VOID(write_file_durably(layout.enrolment_url(), "https://" + config.api_host + ":" +
                                                                 std::to_string(config.api_port) + "#" + words + "\n"));
  return write_file_durably(layout.admin_token(), token.reveal() + "\n");
}

/// What libraries create (the database) is for the owner only, whatever the shell's umask is.
class PrivateFiles {
 public:
  PrivateFiles() : before_(::umask(0077)) {}
  ~PrivateFiles() { ::umask(before_); }
  PrivateFiles(const PrivateFiles&) = delete;
  PrivateFiles& operator=(const PrivateFiles&) = delete;

 private:
  mode_t before_;
};

[[nodiscard]] Result<void> make_all(const Layout& layout, const std::vector<std::string>& hosts, Config config) {
  const PrivateFiles private_files;
  for (const char* folder : {"tls", "keys", "secrets", "db", "run"})
    GODWIT_TRY_VOID(make_folders(layout.data / folder));
  GODWIT_TRY_VOID(make_certificates(layout, hosts, config.hub_name));
  GODWIT_TRY_VOID(make_keys(layout, SystemClock().now()));
  GODWIT_TRY_VOID(write_file_durably(layout.url_key(), base64_encode(random_bytes(kUrlKeyBytes)) + "\n"));
  config.api_host = hosts.front();
  GODWIT_TRY_VOID(make_store(layout, config));
  GODWIT_TRY_VOID(check_config(config));
  return write_file_durably(layout.config(), print_config(config), 0644);
}

}  // namespace

std::string key_name(std::string_view role, const trust::PublicKey& key) {
  return std::string(role) + "-" + hex_encode(key.fingerprint()).substr(0, 8);
}

Result<void> give_to_owner_of(const Path& place, const Path& what) {
  struct stat info {};
  if (::geteuid() != 0 || ::stat(place.c_str(), &info) != 0 || info.st_uid == 0) return {};
  const auto give = [&info](const Path& path) -> Result<void> {
    if (::lchown(path.c_str(), info.st_uid, info.st_gid) == 0) return {};
    return tl::unexpected<Error>{error_from_errno("give " + path.string() + " to the service's user", errno)};
  };
  GODWIT_TRY_VOID(give(what));
  std::error_code problem;
  if (!std::filesystem::is_directory(what, problem)) return {};
  for (auto entry = std::filesystem::recursive_directory_iterator(what, problem);
       !problem && entry != std::filesystem::recursive_directory_iterator(); entry.increment(problem))
    GODWIT_TRY_VOID(give(entry->path()));
  if (problem) return tl::unexpected<Error>{error_from_errno("list " + what.string(), problem.value())};
  return {};
}

Result<trust::Sealer> load_or_make_sealer(const Layout& layout) {
  constexpr ByteCount kLimit = 4096;
  std::error_code ignored;
  if (!std::filesystem::exists(layout.store_key(), ignored)) {
    const Secret key(random_bytes(trust::Sealer::kKeyBytes));
    GODWIT_TRY_VOID(write_file_durably(layout.store_key(), base64_encode(key.reveal()) + "\n"));
    return trust::Sealer::from_key(key);
  }
  GODWIT_TRY(std::string text, read_file(layout.store_key(), kLimit));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  auto key = base64_decode(text);
  if (!key || key->size() != trust::Sealer::kKeyBytes)
    return fail(Code::invalid_argument, "'" + layout.store_key().string() +
                                            "' does not hold a key of 32 bytes in base64; put the file back that "
                                            "belongs to this data folder");
  return trust::Sealer::from_key(Secret(*std::move(key)));
}

Result<void> init(const Path& data, const InitOptions& options) {
  std::error_code problem;
  const Path target = std::filesystem::absolute(data, problem).lexically_normal();
  if (std::filesystem::exists(target, problem) &&
      !(std::filesystem::is_directory(target, problem) && std::filesystem::is_empty(target, problem)))
    return fail(Code::conflict, "'" + target.string() + "' is there already and not empty; nothing was changed");
  const std::vector<std::string> hosts =
      options.hosts.empty() ? std::vector<std::string>{own_host_name()} : options.hosts;
  Path folder = target;
  if (!folder.has_filename()) folder = folder.parent_path();
  const Path parent = folder.parent_path();
  GODWIT_TRY_VOID(make_folders(parent, 0755));
  const Layout unfinished{parent / ("." + folder.filename().string() + ".init-" + std::to_string(::getpid()))};
  GODWIT_TRY_VOID(make_folders(unfinished.data));
  if (auto made = make_all(unfinished, hosts, options.config); !made) {
    static_cast<void>(remove_tree(unfinished.data));
    return with_context("make '" + folder.string() + "'", made.error());
  }
  if (auto given = give_to_owner_of(folder, unfinished.data); !given) {
    static_cast<void>(remove_tree(unfinished.data));
    return given;
  }
  if (::rename(unfinished.data.c_str(), folder.c_str()) != 0) {
    const Error error = error_from_errno("rename to '" + folder.string() + "'", errno);
    static_cast<void>(remove_tree(unfinished.data));
    return tl::unexpected<Error>{error};
  }
  return sync_folder(parent);
}

std::string why_unreachable(const std::string& host) {
  addrinfo* found = nullptr;
  const int problem = ::getaddrinfo(host.c_str(), nullptr, nullptr, &found);
  if (problem == 0) ::freeaddrinfo(found);
  if (problem == 0) return "";
  return "this machine cannot look up '" + host + "' (" + ::gai_strerror(problem) +
         "); devices and operators must be able to: add it to your DNS or to their /etc/hosts";
}

std::string describe_installation(const Layout& layout, Reader reader) {
  std::string text = "Made an installation in " + layout.data.string() + "\n";
  const auto line = [&](const Path& path, std::string_view what) {
    std::string name = path.lexically_relative(layout.data).string();
    name.resize(std::max<std::size_t>(name.size(), 22), ' ');
    text += "  " + name + "  " + std::string(what) + "\n";
  };
  line(layout.config(), "configuration");
  line(layout.admin_token(), "token of the administrator, for the command line");
  line(layout.enrolment_url(), "secret URL by which devices enrol themselves");
  line(layout.ca_certificate(), "certificate authority: clients and devices trust it");
  line(layout.trust_anchors(), "root keys that devices believe: copy it to every device");
  line(layout.root_key_package(), "signed list of root keys that devices fetch");
  line(layout.store_key(), "seals device keys in the database: a backup of one needs the other");
  text += "Keep these off-line and take them off this machine; the service does not need them:\n";
  line(layout.root_key(1), "root key");
  line(layout.root_key(2), "root key");
  line(layout.ca_key(), "key of the certificate authority");
  if (reader == Reader::starts_it) return text + "Next:\n  godwitd run --data " + layout.data.string() + "\n";
  if (reader == Reader::reads_a_log) return text;
  if (const auto url = read_file(layout.enrolment_url(), kCertificateLimit)) {
    const std::string address = url->substr(0, url->find('#'));
    text += "godwitd.service runs and starts with this machine; see: systemctl status godwitd\nNext:\n";
    text +=
        "  godwit login\n    keeps address and token for the other verbs of godwit on this machine (package godwit)\n";
    text += "  " + address + "/console\n    the web console; it signs in by the token in admin.token\n";
    text += "  godwit-agent enrol '" + url->substr(0, url->find('\n')) + "' --manufacturer NAME --model NAME\n";
    text += "    on a device (package godwit-agent). Secret: whoever knows it can enrol and imitate devices\n";
  }
  return text;
}

}  // namespace godwit::daemon
