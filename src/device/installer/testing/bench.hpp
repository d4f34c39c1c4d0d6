// A device on a bench: keys, signed updates, payloads, and the real installer in a process of its own, for the tests of
// this room. One thread.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/base/file.hpp"
#include "core/trust/keys.hpp"
#include "core/trust/root_keys.hpp"
#include "device/extension/frames.hpp"
#include "device/extension/testing/test_extensions.hpp"
#include "device/installer/installer_config.hpp"
#include "device/installer/messages.hpp"

namespace godwit::installer::testing {

/// 2048-bit keys, made once: 0 and 1 are roots, 2 signs manifests, 3 is a stranger.
[[nodiscard]] const trust::PrivateKey& key(std::size_t index);
[[nodiscard]] std::string anchors_text();
[[nodiscard]] std::string package_text(std::int64_t version, const std::vector<Bytes>& disabled_signing_keys = {});
[[nodiscard]] std::string sign(std::string_view manifest, std::size_t signer = 2);

struct TestStep {
  std::string handler = "microsoft/script:1";
  json::Object properties{};
  std::vector<std::string> files{};
};
/// The manifest of Contoso/Toaster/<version>; file ids are "f-" + name.
[[nodiscard]] std::string manifest_text(const std::vector<TestStep>& steps,
                                        const std::map<std::string, std::string>& files,
                                        const std::string& version = "1.0.0", const std::string& model = "Toaster");

class Bench {
 public:
  Bench();
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  [[nodiscard]] Path path(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] const InstallerConfig& config() const { return config_; }
  [[nodiscard]] Path agent_folder() const { return folder_ / "agent"; }
  [[nodiscard]] Path step_folder(std::uint32_t step = 0, const std::string& workflow = "w-1") const {
    return config_.work_folder() / workflow / ("step_" + std::to_string(step));
  }

  void write_config(const std::string& more = "");
  void register_extensions();
  void put_payload(const std::string& name, const std::string& content) const;  // into the agent's folder, under its id

  void start();
  void kill_9();
  int terminate();  // SIGTERM; the exit status
  [[nodiscard]] pid_t pid() const { return pid_; }

  [[nodiscard]] UniqueFd connect() const;
  /// One request, one connection; other replies than the final one are collected in `chatter`.
  Reply ask(const Request& request);
  static Reply read_final(int fd, extension::FrameSplitter& splitter, std::vector<Reply>* chatter = nullptr);

  /// Opens with a good signature and package 1. Fails the test if refused.
  ActOutcome open(const std::string& manifest, std::uint32_t attempt = 1, const std::string& workflow = "w-1");
  ActOutcome act(Verb verb, std::uint32_t step = 0, std::uint32_t attempt = 1, const std::string& workflow = "w-1");
  [[nodiscard]] ActRequest act_request(Verb verb, std::uint32_t step = 0, std::uint32_t attempt = 1,
                                       const std::string& workflow = "w-1") const;
  [[nodiscard]] static OpenRequest open_request(const std::string& manifest, std::uint32_t attempt = 1,
                                                const std::string& workflow = "w-1");

  /// An update with one script step; its body sees $action, $work, $result and $outside (a folder that stays).
  void script_update(const std::string& body);
  [[nodiscard]] std::string outside(const std::string& name) const;  // the content of a file there, "" if none

  std::vector<Reply> chatter;

 private:
  extension::testing::TemporaryFolder folder_;
  InstallerConfig config_;
  pid_t pid_ = -1;
};

/// Waits up to ten seconds.
[[nodiscard]] bool soon(const std::function<bool()>& is_so);

}  // namespace godwit::installer::testing
