#include "podman.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <thread>
#include <vector>

#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/service_manager.hpp"
#include "core/base/text.hpp"
#include "service_description.hpp"
#include "support/child_process.hpp"

namespace godwit::step_container {
namespace {

constexpr std::chrono::seconds kAskTime{60};
constexpr std::chrono::minutes kActTime{15};  // a container may take ten minutes to stop
constexpr std::chrono::minutes kBootTime{2};
constexpr std::chrono::milliseconds kShortPatience{300};
constexpr std::size_t kInspectionLimit = 1024 * 1024;
constexpr std::size_t kSentenceLimit = 400;
constexpr std::size_t kCommandLineLimit = 64 * 1024;
constexpr const char* kKeptNames = "localhost/godwit/";

/// The last line that says something, without podman's own prefix.
std::string words_of(std::string_view output) {
  std::string_view text = trimmed(output);
  if (text.size() > kSentenceLimit) text = text.substr(text.size() - kSentenceLimit);
  std::string said(text);
  for (char& c : said)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return is_valid_utf8(said) ? said : "";
}

Error trouble(std::string_view verb, std::string_view end, std::string_view output) {
  const Code code = output.find("no space left on device") == output.npos ? Code::process_failed : Code::disk_full;
  const std::string said = words_of(output);
  return {code, fmt::format("podman {} {}{}{}", verb, end, said.empty() ? "" : ": ", said)};
}

bool is_missing(std::string_view output) {
  return output.find("no such container") != output.npos || output.find("no container with name or ID") != output.npos;
}

/// What makes and watches a container, and holds its ports: processes of their own.
std::vector<pid_t> monitors_of(const std::string& id) {
  std::vector<pid_t> found;
  std::error_code problem;
  for (auto entry = std::filesystem::directory_iterator("/proc", problem);
       !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    const auto process = to_number<pid_t>(entry->path().filename().string());
    if (!process) continue;
    const auto words = read_file(entry->path() / "cmdline", kCommandLineLimit);
    if (!words || words->find('\0' + id + '\0') == words->npos) continue;
    const Path program = Path(words->c_str()).filename();
    if (program == "conmon" || program == "crun" || program == "runc") found.push_back(*process);
  }
  return found;
}

/// Of a container that runs no more: those that do not end by themselves. One whose podman was killed while it started
/// is not known to podman.
void end_forgotten_monitors(const std::string& id, std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kPause{50};
  constexpr std::chrono::milliseconds kLongest{3000};
  for (std::chrono::milliseconds waited{0}; waited < kLongest; waited += kPause) {
    const auto left = monitors_of(id);
    if (left.empty()) return;
    if (waited >= patience)
      for (const pid_t process : left) ::kill(process, SIGKILL);
    std::this_thread::sleep_for(kPause);
  }
}

std::vector<std::string> words_between_blanks(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

/// "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "8099"}]}}
std::vector<PublishedPort> published_ports(const json::Object& container) {
  std::vector<PublishedPort> ports;
  const json::Object* config = json::object_or_null(container, "HostConfig");
  const json::Object* bindings = config == nullptr ? nullptr : json::object_or_null(*config, "PortBindings");
  if (bindings == nullptr) return ports;
  for (const auto& [inside, outside] : *bindings) {
    if (!outside.is_array()) continue;
    const std::string protocol = inside.substr(std::min(inside.find('/'), inside.size() - 1) + 1);
    for (const json::Value& one : outside.get_array()) {
      const auto number = one.is_object()
                              ? to_number<int>(json::text_or_nothing(one.get_object(), "HostPort").value_or(""))
                              : std::nullopt;
      if (number) ports.push_back({.protocol = protocol, .number = *number});
    }
  }
  return ports;
}

}  // namespace

Result<Container> parse_inspection(std::string_view text) {
  constexpr std::string_view kWhere = "podman's inspection";
  GODWIT_TRY(const json::Value list, json::parse(text, {.bytes = kInspectionLimit}));
  if (!list.is_array() || list.get_array().size() != 1 || !list.get_array()[0].is_object())
    return fail(Code::bad_packet, fmt::format("{} does not show one container", kWhere));
  const json::Object& one = list.get_array()[0].get_object();
  Container container;
  GODWIT_TRY(container.id, json::text(one, "Id", kWhere));
  GODWIT_TRY(container.name, json::text(one, "Name", kWhere));
  GODWIT_TRY(container.image_id, json::text(one, "Image", kWhere));
  GODWIT_TRY(const json::Object* state, json::object(one, "State", kWhere));
  const json::Value* running = json::find(*state, "Running");
  if (running == nullptr || !running->is_bool())
    return fail(Code::bad_packet, fmt::format("{} does not say whether the container runs", kWhere));
  container.is_running = running->get_bool();
  const std::string status = json::text_or_nothing(*state, "Status").value_or("");
  container.has_ended = status == "exited";
  container.is_stuck = status == "stopping";
  container.exit_code = json::integer_or_nothing(*state, "ExitCode").value_or(0);
  container.restart_count = json::integer_or_nothing(one, "RestartCount").value_or(0);
  container.ports = published_ports(one);
  const json::Object* config = json::object_or_null(one, "Config");
  const json::Object* labels = config == nullptr ? nullptr : json::object_or_null(*config, "Labels");
  if (labels == nullptr) return container;
  container.token = json::text_or_nothing(*labels, kTokenLabel).value_or("");
  container.words = json::text_or_nothing(*labels, kWordsLabel).value_or("");
  if (!container.token.empty()) container.criteria = json::text_or_nothing(*labels, kCriteriaLabel);
  return container;
}

std::vector<std::string> Podman::command(const std::vector<std::string>& words) const {
  std::vector<std::string> all{program_.string(), "--log-level=error"};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

bool Podman::is_there() const { return ::access(program_.c_str(), X_OK) == 0; }

void Podman::wait_for_boot() const {
  if (!is_systemd_here()) return;
  constexpr std::chrono::seconds kPause{1};
  for (std::chrono::seconds waited{0}; waited < kBootTime && !host_.is_cancelled(); waited += kPause) {
    const auto end = run_command({"/usr/bin/systemctl", "is-active", "podman-restart.service"}, "", {.time = kAskTime});
    if (!end || trimmed(end->output) != "activating") return;
    if (waited.count() == 0) host_.info("waiting for podman, which starts containers with the device");
    std::this_thread::sleep_for(kPause);
  }
}

Result<CommandEnd> Podman::ask(const std::vector<std::string>& words, std::chrono::milliseconds time) const {
  return run_command(command(words), "", {.time = time, .output = kInspectionLimit});
}

Result<void> Podman::act(const std::vector<std::string>& words, std::chrono::milliseconds time) const {
  GODWIT_TRY(const CommandEnd end, ask(words, time));
  if (!end.ok()) return tl::unexpected<Error>{trouble(words.front(), end.in_words(), end.output)};
  return {};
}

Result<void> Podman::run_with_cancel(const std::vector<std::string>& command, std::string_view verb,
                                     const std::vector<std::string>& environment) const {
  const author::ChildWatch watch{
      .on_line = [&](std::string_view line) { host_.debug(fmt::format("podman: {}", line)); },
      .is_cancelled = [&] { return host_.is_cancelled(); }};
  GODWIT_TRY(const author::ChildEnd end,
             author::run_child(command.front(), {command.begin() + 1, command.end()}, environment, "/", watch));
  if (end.was_cancelled) return fail(Code::cancelled, fmt::format("podman {} was ended by a cancel", verb));
  if (!end.is_success()) return tl::unexpected<Error>{trouble(verb, author::how_it_ended(end), end.last_output)};
  return {};
}

Result<std::optional<Container>> Podman::container(const std::string& name) const {
  GODWIT_TRY(const CommandEnd end, ask({"container", "inspect", name}, kAskTime));
  if (!end.ok() && is_missing(end.output)) return std::nullopt;
  if (!end.ok()) return tl::unexpected<Error>{trouble("container inspect", end.in_words(), end.output)};
  GODWIT_TRY(Container found, parse_inspection(end.output));
  return std::optional<Container>(std::move(found));
}

/// podman 4.3.1 unpacks an archive twice, once where TMPDIR says and before that in /var/tmp, come what may: there, in
/// a mount namespace of its own, is the scratch folder as well.
Result<void> Podman::load(const Path& archive, const Path& scratch) const {
  constexpr const char* kUnshare = "/usr/bin/unshare";
  constexpr const char* kScript = "mount --bind \"$0\" /var/tmp; exec \"$@\"";
  std::vector<std::string> words = command({"load", "--quiet", "--input", archive.string()});
  if (::access(kUnshare, X_OK) == 0)
    words.insert(words.begin(), {kUnshare, "--mount", "/bin/sh", "-c", kScript, scratch.string()});
  return run_with_cancel(words, "load", {"TMPDIR=" + scratch.string()});
}

Result<bool> Podman::has_image(const std::string& id) const {
  GODWIT_TRY(const CommandEnd end, ask({"image", "exists", id}, kAskTime));
  if (end.how == CommandEnd::How::exited && (end.code == 0 || end.code == 1)) return end.code == 0;
  return tl::unexpected<Error>{trouble("image exists", end.in_words(), end.output)};
}

Result<void> Podman::remove_image(const std::string& id) const { return act({"rmi", id}, kActTime); }

Result<void> Podman::create(const std::vector<std::string>& words, const std::string& name) const {
  std::vector<std::string> all{"create", "--name=" + name,
                               fmt::format("--label={}={}", kWordsLabel, print_words(words))};
  all.insert(all.end(), words.begin() + 1, words.end());
  return run_with_cancel(command(all), "create");
}

Result<void> Podman::rename(const std::string& id, const std::string& name) const {
  return act({"rename", id, name}, kAskTime);
}

void Podman::rename_to_itself(const Container& container) const {
  if (const auto done = rename(container.id, container.name); !done) host_.debug(done.error().message);
}

Result<void> Podman::stop(const std::string& id) const {
  GODWIT_TRY_VOID(act({"stop", id}, kActTime));
  end_forgotten_monitors(id, std::chrono::seconds(2));
  return {};
}

Result<void> Podman::start_once(const std::string& id) const {
  std::vector<std::string> words = command({"start", id});
  // The installer's unit forbids what a container needs (to name its host, to speak the words of another architecture),
  // and such a ban goes to all descendants: under systemd the container is its child, not ours. The unit ends with
  // podman; what watches the container lives on.
  if (is_systemd_here())
    words.insert(words.begin(), {"/usr/bin/systemd-run", "--quiet", "--collect", "--wait", "--pipe",
                                 "--property=KillMode=process", "--description=Start a container for an update"});
  GODWIT_TRY(const CommandEnd end, run_command(words, "", {.time = kActTime, .output = kInspectionLimit}));
  if (!end.ok()) return tl::unexpected<Error>{trouble("start", end.in_words(), end.output)};
  return {};
}

std::vector<RunningContainer> Podman::running_containers() const {
  constexpr const char* kIdAndAddresses =
      "{{.Id}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}";
  std::vector<RunningContainer> found;
  const auto running = ask({"ps", "--quiet", "--no-trunc"}, kAskTime);
  if (!running || !running->ok()) return found;
  for (const auto& id : words_between_blanks(running->output)) {
    const auto shown = ask({"container", "inspect", "--format", kIdAndAddresses, id}, kAskTime);
    if (!shown || !shown->ok()) continue;
    auto words = words_between_blanks(shown->output);
    if (words.empty()) continue;
    words.erase(words.begin());
    found.push_back({.id = id, .addresses = std::move(words)});
  }
  return found;
}

/// A podman that was killed in the middle of a start leaves the rules that forward the device's ports to the container,
/// which does not run, and no later verb takes them away: the next container is not reached (podman 4.3.1 with netavark
/// 1.4).
void Podman::drop_stale_forwarding(const std::string& id) const {
  const auto found = container(id);
  if (!found || !*found || (*found)->is_running || (*found)->ports.empty()) return;
  for (const char* program : {"/usr/sbin/iptables", "/usr/sbin/ip6tables"}) {
    if (::access(program, X_OK) != 0) continue;
    const CommandLimits limits{.time = kAskTime, .output = kInspectionLimit};
    const auto listing = run_command({program, "-t", "nat", "-S"}, "", limits);
    if (!listing || !listing->ok() || !has_forwarding(listing->output, (*found)->ports)) continue;
    for (auto& words : deletions_of_stale_rules(listing->output, (*found)->ports, running_containers())) {
      words.insert(words.begin(), program);
      const auto deleted = run_command(words, "", limits);
      host_.info(fmt::format("a rule that a killed start left is taken away: {}{}", fmt::join(words, " "),
                             deleted && deleted->ok() ? "" : " (in vain)"));
    }
  }
}

Result<void> Podman::start(const std::string& id) const {
  constexpr int kTries = 3;
  for (int tries = 1;; ++tries) {
    drop_stale_forwarding(id);
    auto started = start_once(id);
    if (started || tries == kTries) return started;
    // A start that was killed leaves a half container behind, which only the runtime knows ("already exists"), and
    // processes that go on with it and hold its ports, until somebody tidies up (podman 4.3.1 and crun 1.8.1). First
    // the stop: one that came to run after all needs the process that watches it to end well.
    host_.info("tidying up and trying again: " + started.error().message);
    (void)act({"stop", id}, kActTime);
    end_forgotten_monitors(id, kShortPatience);
    (void)act({"container", "cleanup", id}, kAskTime);
  }
}

Result<void> Podman::remove(const std::string& id) const { return act({"rm", "--force", "--volumes", id}, kActTime); }

Result<void> Podman::tag(const std::string& image_id, const std::string& name) const {
  return act({"tag", image_id, name}, kAskTime);
}

std::optional<std::string> Podman::image_named(const std::string& name) const {
  const auto end = ask({"image", "inspect", "--format", "{{.Id}}", name}, kAskTime);
  if (!end || !end->ok()) return std::nullopt;
  return std::string(trimmed(end->output));
}

void Podman::forget_image(const std::string& image_id, const std::string& name) const {
  if (!name.empty() && image_named(name) == image_id) {
    if (const auto done = act({"untag", name, name}, kAskTime); !done) host_.debug(done.error().message);
  }
  const auto names = ask({"image", "inspect", "--format", "{{range .RepoTags}}{{.}} {{end}}", image_id}, kAskTime);
  if (!names || !names->ok() || names->output.find(kKeptNames) != std::string::npos) return;
  const auto users = ask({"ps", "--all", "--quiet", "--filter", "ancestor=" + image_id}, kAskTime);
  if (!users || !users->ok() || !trimmed(users->output).empty()) return;
  if (!trimmed(names->output).empty())  // an image of several names is not removed by its id
    if (const auto done = act({"untag", image_id}, kAskTime); !done) host_.debug(done.error().message);
  if (const auto done = act({"rmi", image_id}, kActTime); !done) host_.debug(done.error().message);
}

std::string Podman::exec_trouble(const std::string& id, const std::vector<std::string>& words,
                                 std::chrono::milliseconds time) const {
  std::vector<std::string> all{"exec", id};
  all.insert(all.end(), words.begin(), words.end());
  const auto end = ask(all, time);
  if (!end) return end.error().message;
  if (end->ok()) return {};
  const std::string said = words_of(end->output);
  return fmt::format("{} {}{}{}", words.front(), end->in_words(), said.empty() ? "" : ": ", said);
}

std::string Podman::last_output(const std::string& id) const {
  const auto end = ask({"logs", "--tail=5", id}, kAskTime);
  return end && end->ok() ? words_of(end->output) : "";
}

}  // namespace godwit::step_container
