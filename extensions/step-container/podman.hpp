// The device's own podman, called as a program: the one place that knows its words. Blocking, one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/command.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "godwit/author.hpp"
#include "port_forwarding.hpp"

namespace godwit::step_container {

/// What podman says of a container.
struct Container {
  std::string id{};
  std::string name{};
  std::string image_id{};
  bool is_running = false;
  bool has_ended = false;  // it ran, and does not any more
  bool is_stuck = false;   // "stopping" for good: what watched it was killed, and podman neither ends nor starts it
  std::int64_t exit_code = 0;
  std::int64_t restart_count = 0;
  std::optional<std::string> criteria{};  // of its labels; nothing: this handler did not make it
  std::string token{};
  std::string words{};
  std::vector<PublishedPort> ports{};
};

/// The answer of "podman container inspect". Errors: bad_json, bad_packet.
[[nodiscard]] Result<Container> parse_inspection(std::string_view text);

class Podman {
 public:
  /// `host` outlives this.
  Podman(const author::Host& host, Path program) : host_(host), program_(std::move(program)) {}

  [[nodiscard]] bool is_there() const;
  [[nodiscard]] const Path& program() const { return program_; }

  /// Where systemd runs, podman starts containers with the device. Waits until it has, at most two minutes.
  void wait_for_boot() const;

  /// By name or id; nothing: there is none. Errors: process_failed.
  [[nodiscard]] Result<std::optional<Container>> container(const std::string& name) const;

  // Errors of all that follow: process_failed (with podman's words), disk_full; cancelled where it says so.

  /// Takes the image out of the archive into podman's store. `scratch`: a folder for its copies on the way, up to twice
  /// the archive; one that is killed leaves them there. Ends when the step is cancelled.
  [[nodiscard]] Result<void> load(const Path& archive, const Path& scratch) const;
  [[nodiscard]] Result<bool> has_image(const std::string& id) const;
  /// One that has at most one name, and that no container uses.
  [[nodiscard]] Result<void> remove_image(const std::string& id) const;
  /// `words` from create_words(). Ends when the step is cancelled.
  [[nodiscard]] Result<void> create(const std::vector<std::string>& words, const std::string& name) const;
  [[nodiscard]] Result<void> rename(const std::string& id, const std::string& name) const;
  /// Mends a rename that was cut. Failure is a line in the log: another podman may know no such rename.
  void rename_to_itself(const Container& container) const;
  /// With the container's own stop time, then killed. Stopped already is success. Afterwards nothing holds its ports.
  [[nodiscard]] Result<void> stop(const std::string& id) const;
  /// Outside of the installer's own restrictions where systemd runs. Running already is success; what a start that was
  /// killed left is tidied up.
  [[nodiscard]] Result<void> start(const std::string& id) const;
  /// Also a running one; with its unnamed volumes. One that is not there is success.
  [[nodiscard]] Result<void> remove(const std::string& id) const;

  [[nodiscard]] Result<void> tag(const std::string& image_id, const std::string& name) const;
  /// Nothing: no image has this name, or podman cannot tell.
  [[nodiscard]] std::optional<std::string> image_named(const std::string& name) const;
  /// Takes the name away, and the image itself when no container and no service of this handler needs it. Failure is a
  /// line in the log: a leftover image hurts nobody but the disk.
  void forget_image(const std::string& image_id, const std::string& name) const;

  /// Runs a command in the container. Empty: it succeeded; else its end and its last words.
  [[nodiscard]] std::string exec_trouble(const std::string& id, const std::vector<std::string>& words,
                                         std::chrono::milliseconds time) const;
  /// The last that the container printed, for a sentence.
  [[nodiscard]] std::string last_output(const std::string& id) const;

 private:
  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& words) const;
  [[nodiscard]] Result<CommandEnd> ask(const std::vector<std::string>& words, std::chrono::milliseconds time) const;
  [[nodiscard]] Result<void> act(const std::vector<std::string>& words, std::chrono::milliseconds time) const;
  [[nodiscard]] Result<void> start_once(const std::string& id) const;
  [[nodiscard]] std::vector<RunningContainer> running_containers() const;
  void drop_stale_forwarding(const std::string& id) const;
  [[nodiscard]] Result<void> run_with_cancel(const std::vector<std::string>& command, std::string_view verb,
                                             const std::vector<std::string>& environment = {}) const;

  const author::Host& host_;
  Path program_;
};

}  // namespace godwit::step_container
