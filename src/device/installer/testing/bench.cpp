#include "device/installer/testing/bench.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "core/base/bytes.hpp"
#include "core/trust/manifest_signature.hpp"
#include "device/extension/registry.hpp"

namespace godwit::installer::testing {

using extension::Registry;
using extension::Type;

const trust::PrivateKey& key(std::size_t index) {
  static const std::vector<trust::PrivateKey> keys = [] {
    std::vector<trust::PrivateKey> made;
    for (int i = 0; i < 4; ++i) made.push_back(trust::PrivateKey::generate(2048).value());
    return made;
  }();
  return keys.at(index);
}

std::string anchors_text() {
  trust::TrustAnchors anchors;
  anchors.keys.emplace("root-1", key(0).public_key());
  return anchors.print();
}

std::string package_text(std::int64_t version, const std::vector<Bytes>& disabled_signing_keys) {
  trust::RootKeyPackage package;
  package.version = version;
  package.published = 1'795'000'000;
  package.disabled_signing_keys = disabled_signing_keys;
  package.root_keys = {{"root-1", key(0).public_key()}, {"root-2", key(1).public_key()}};
  return package.sign({&key(0), &key(1)}).value();
}

std::string sign(std::string_view manifest, std::size_t signer) {
  const std::string jwk = trust::make_signed_jwk(key(signer).public_key(), "signing", key(0), "root-1").value();
  return trust::sign_manifest(manifest, key(signer), jwk).value();
}

std::string manifest_text(const std::vector<TestStep>& steps, const std::map<std::string, std::string>& files,
                          const std::string& version, const std::string& model) {
  json::Array step_array;
  for (const TestStep& step : steps) {
    json::Array ids;
    for (const std::string& name : step.files) ids.emplace_back("f-" + name);
    step_array.push_back(
        json::Object{{"handler", step.handler}, {"files", std::move(ids)}, {"handlerProperties", step.properties}});
  }
  json::Object file_map;
  for (const auto& [name, content] : files)
    file_map["f-" + name] = json::Object{{"fileName", name},
                                         {"sizeInBytes", content.size()},
                                         {"hashes", json::Object{{"sha256", base64_encode(sha256(content))}}}};
  return json::print(
      json::Object{{"manifestVersion", "5"},
                   {"updateId", json::Object{{"provider", "Contoso"}, {"name", "Toaster"}, {"version", version}}},
                   {"compatibility", json::Array{json::Object{{"manufacturer", "Contoso"}, {"model", model}}}},
                   {"instructions", json::Object{{"steps", std::move(step_array)}}},
                   {"files", std::move(file_map)},
                   {"createdDateTime", "2026-11-22T10:00:00Z"}});
}

Bench::Bench() {
  ::signal(SIGPIPE, SIG_IGN);
  GODWIT_CHECK(make_folders(agent_folder()).has_value());
  GODWIT_CHECK(make_folders(folder_ / "outside").has_value());
  GODWIT_CHECK(write_file_durably(folder_ / "trust-anchors.json", anchors_text(), 0644).has_value());
  write_config();
  register_extensions();
}

Bench::~Bench() {
  if (pid_ > 0) kill_9();
}

void Bench::write_config(const std::string& more) {
  const std::string text = fmt::format(
      "[installer]\ndata = \"installer\"\nsocket = \"run/installer.sock\"\nagent_user = \"{}\"\ntrust_anchors = "
      "\"trust-anchors.json\"\n"
      "[device]\nmanufacturer = \"Contoso\"\nmodel = \"Toaster\"\n{}[log]\nlevel = \"warning\"\n",
      ::geteuid(), more);
  GODWIT_CHECK(write_file_durably(folder_ / "installer.toml", text, 0644).has_value());
  auto loaded = load_installer_config(folder_ / "installer.toml");
  if (!loaded) FAIL() << loaded.error().message;
  config_ = *std::move(loaded);
}

void Bench::register_extensions() {
  auto registry = Registry::load(config_.extensions_file());
  GODWIT_CHECK(registry.has_value());
  const auto add = [&](Type type, const std::string& id, const Path& library) {
    const auto added = registry->add(type, id, library, false);
    ASSERT_TRUE(added) << added.error().message;
  };
  add(Type::manifest_handler, "microsoft/update-manifest",
      extension::testing::library_folder() / "godwit-manifest-steps.so");
  add(Type::step_handler, "microsoft/script:1", extension::testing::library_folder() / "godwit-step-script.so");
  add(Type::step_handler, "test/step:1", extension::testing::test_library("step"));
}

void Bench::put_payload(const std::string& name, const std::string& content) const {
  const auto written = write_file_durably(agent_folder() / ("f-" + name), content);
  ASSERT_TRUE(written) << written.error().message;
}

void Bench::start() {
  ASSERT_EQ(pid_, -1);
  const std::string config = (folder_ / "installer.toml").string();
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::execl(self.c_str(), "godwit-installer", "installer-for-test", config.c_str(), nullptr);
    ::_exit(127);
  }
  ASSERT_TRUE(soon([&] { return static_cast<bool>(connect()); })) << "the installer does not listen";
}

void Bench::kill_9() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

int Bench::terminate() {
  ::kill(pid_, SIGTERM);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

UniqueFd Bench::connect() const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  GODWIT_CHECK(config_.socket.native().size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, config_.socket.c_str(), config_.socket.native().size() + 1);
  UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return UniqueFd{};
  return fd;
}

Reply Bench::read_final(int fd, extension::FrameSplitter& splitter, std::vector<Reply>* chatter) {
  for (;;) {
    const auto message = extension::read_frame(fd, splitter, std::chrono::seconds(60));
    if (!message) return Refusal{message.error().code, "test: " + message.error().message};
    if (!*message) return Refusal{Code::unavailable, "test: the installer closed the connection"};
    auto reply = parse_reply(**message);
    if (!reply) return Refusal{reply.error().code, "test: " + reply.error().message};
    if (std::holds_alternative<ActOutcome>(*reply) || std::holds_alternative<Refusal>(*reply)) return *std::move(reply);
    if (chatter != nullptr) chatter->push_back(*std::move(reply));
  }
}

Reply Bench::ask(const Request& request) {
  const UniqueFd fd = connect();
  if (!fd) return Refusal{Code::unavailable, "test: cannot connect"};
  const auto sent = extension::write_frame(fd.get(), to_json(request));
  if (!sent) return Refusal{sent.error().code, "test: " + sent.error().message};
  extension::FrameSplitter splitter;
  return read_final(fd.get(), splitter, &chatter);
}

OpenRequest Bench::open_request(const std::string& manifest, std::uint32_t attempt, const std::string& workflow) {
  return {.workflow_id = workflow,
          .attempt = attempt,
          .manifest = manifest,
          .signature = sign(manifest),
          .root_key_package = package_text(1)};
}

ActOutcome Bench::open(const std::string& manifest, std::uint32_t attempt, const std::string& workflow) {
  const Reply reply = ask(open_request(manifest, attempt, workflow));
  if (const auto* refusal = std::get_if<Refusal>(&reply)) {
    ADD_FAILURE() << refusal->message;
    return {};
  }
  auto outcome = std::get<ActOutcome>(reply);
  EXPECT_EQ(outcome.result_code, 1) << outcome.details;
  return outcome;
}

ActRequest Bench::act_request(Verb verb, std::uint32_t step, std::uint32_t attempt, const std::string& workflow) const {
  return {
      .workflow_id = workflow, .attempt = attempt, .step = step, .verb = verb, .files_folder = agent_folder().string()};
}

ActOutcome Bench::act(Verb verb, std::uint32_t step, std::uint32_t attempt, const std::string& workflow) {
  const Reply reply = ask(act_request(verb, step, attempt, workflow));
  if (const auto* refusal = std::get_if<Refusal>(&reply)) {
    ADD_FAILURE() << verb_name(verb) << ": " << refusal->message;
    return {.result_code = -99};
  }
  return std::get<ActOutcome>(reply);
}

void Bench::script_update(const std::string& body) {
  const std::string script = "#!/bin/sh\noutside='" + (folder_ / "outside").string() + R"sh('
while [ $# -gt 0 ]; do case "$1" in --action) action="$2"; shift;; --work-folder) work="$2"; shift;; --result-file) result="$2"; shift;; esac; shift; done
say() { echo "{\"resultCode\":$1,\"extendedResultCode\":0,\"resultDetails\":\"$2\"}" > "$result"; }
)sh" + body + "\n";
  put_payload("run.sh", script);
  put_payload("data.bin", std::string(100'000, 'd'));
  open(
      manifest_text({{.properties = {{"scriptFileName", "run.sh"}, {"apiVersion", "1.1"}, {"installedCriteria", "1.0"}},
                      .files = {"run.sh", "data.bin"}}},
                    {{"run.sh", script}, {"data.bin", std::string(100'000, 'd')}}));
}

std::string Bench::outside(const std::string& name) const {
  return read_file(folder_ / "outside" / name, 1'000'000).value_or("");
}

bool soon(const std::function<bool()>& is_so) {
  for (int i = 0; i < 1000; ++i) {
    if (is_so()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace godwit::installer::testing
