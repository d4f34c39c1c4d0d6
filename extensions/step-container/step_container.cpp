// The border of godwit/container:1: an image archive becomes a container of the device's podman, judged by its health,
// the former container taken back when that fails.
#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "container_place.hpp"
#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/base/text.hpp"
#include "core/model/outcome.hpp"
#include "godwit/author.hpp"
#include "health.hpp"
#include "image_archive.hpp"
#include "image_store.hpp"
#include "service_description.hpp"
#include "support/command_trouble.hpp"
#include "support/options.hpp"

namespace {

using godwit::Code;
using godwit::Path;
using godwit::Result;
using godwit::author::Host;
using godwit::author::Outcome;
namespace author = godwit::author;
namespace result = godwit::result;
using namespace godwit::step_container;

const Path kStateFolder = "/var/lib/godwit-container";
constexpr const char* kFormerName = "container-former.json";
constexpr const char* kImageName = "container-image";
constexpr godwit::ByteCount kImageLimit = 64;
constexpr std::size_t kCriteriaLimit = 4096;
constexpr godwit::ByteCount kFormerLimit = 256 * 1024;
constexpr std::chrono::seconds kHealthPause{1};

struct Order {
  ServiceDescription service{};
  std::string criteria{};
  std::string token{};
  const godwit_file* file = nullptr;
  [[nodiscard]] Path archive() const { return author::str(file->path); }
};

Outcome failed(std::uint32_t extended_code, std::string details) {
  return {result::failure, extended_code, std::move(details)};
}

/// `otherwise` unless the kind of error has a code of its own.
Outcome failed(const godwit::Error& error, std::uint32_t otherwise) {
  switch (error.code) {
    case Code::cancelled: return {result::cancelled, 0, error.message};
    case Code::disk_full: return failed(godwit::erc::disk_full, error.message);
    case Code::bad_packet: return failed(code::bad_archive, error.message);
    case Code::refused: return failed(code::not_ours, error.message);
    default: return failed(otherwise, error.message);
  }
}

Result<Order> read_order(const godwit_step& step) {
  Order order;
  GODWIT_TRY(order.service, parse_description(author::view(step.handler_properties_json)));
  order.criteria = author::str(step.installed_criteria);
  if (order.criteria.empty() || order.criteria.size() > kCriteriaLimit)
    return godwit::fail(Code::invalid_argument,
                        fmt::format("installedCriteria is missing, or longer than {} bytes", kCriteriaLimit));
  order.token = fmt::format("{}/{}/{}", author::view(step.workflow_id), step.attempt, step.step_index);
  if (!order.service.image.empty())
    order.file = author::file_named(step, order.service.image);
  else if (step.file_count == 1)
    order.file = step.files[0];
  if (order.file == nullptr)
    return godwit::fail(Code::invalid_argument,
                        order.service.image.empty()
                            ? "image does not say which of the step's files is the image archive"
                            : fmt::format("image: the step has no file '{}'", order.service.image));
  return order;
}

Outcome is_installed(const Host&, const godwit_step&, const Order& order, const Podman& podman) {
  const std::string& name = order.service.name;
  const ContainerPlace place(podman, kStateFolder, name);
  const auto found = place.current();
  if (!found) return {result::not_installed, 0, "what is there cannot be told: " + found.error().message};
  if (!*found) return {result::not_installed, 0, fmt::format("there is no container '{}'", name)};
  const Container& container = **found;
  if (container.criteria != order.criteria)
    return {result::not_installed, 0,
            container.criteria ? fmt::format("'{}' holds '{}'", name, container.criteria->substr(0, 200))
                               : fmt::format("'{}' was not made by this handler", name)};
  if (!place.is_settled(container.token))
    return {result::not_installed, 0, fmt::format("'{}' is the wanted one, but was not found healthy yet", name)};
  const bool is_done = order.service.restart != "always" && container.has_ended && container.exit_code == 0;
  if (!container.is_running && !is_done)
    return {result::not_installed, 0,
            fmt::format("'{}' is the wanted one, but ended with exit code {}", name, container.exit_code)};
  return {result::is_installed, 0, ""};
}

/// The archive is read, and the place looked at, before anything changes.
Outcome download(const Host& host, const godwit_step&, const Order& order, const Podman& podman) {
  const std::string machine = own_architecture();
  const auto image = read_image(order.archive(), machine, [&] { return host.is_cancelled(); });
  if (!image) return failed(image.error(), code::bad_archive);
  if (image->os != "linux" || !runs_on(image->architecture, machine))
    return failed(code::other_platform, fmt::format("the image is for {}/{}, this device is linux/{}", image->os,
                                                    image->architecture, machine));
  const auto former = ContainerPlace(podman, kStateFolder, order.service.name).note_former();
  if (!former) return failed(former.error(), code::cannot_make);
  return {result::download_ok, 0, ""};
}

/// Written once: when the act comes again, the container of the step may have the name already.
Outcome backup(const Host&, const godwit_step& step, const Order& order, const Podman& podman) {
  const Path note = Path(author::str(step.work_dir)) / kFormerName;
  if (::access(note.c_str(), F_OK) == 0) return {result::backup_ok, 0, ""};
  const auto former = ContainerPlace(podman, kStateFolder, order.service.name).note_former();
  if (!former) return failed(former.error(), code::cannot_make);
  if (auto written = godwit::write_file_durably(note, print_former(*former)); !written)
    return failed(written.error(), author::kRefused);
  return {result::backup_ok, 0, ""};
}

Result<Former> noted_former(const godwit_step& step) {
  GODWIT_TRY(const auto text, godwit::read_file(Path(author::str(step.work_dir)) / kFormerName, kFormerLimit));
  return parse_former(text);
}

ImageStore image_store(const Host& host, const Podman& podman) {
  const auto boot = godwit::read_file("/proc/sys/kernel/random/boot_id", 128);
  return {host, podman, kStateFolder, boot ? std::string(godwit::trimmed(*boot)) : ""};
}

Outcome install(const Host& host, const godwit_step& step, const Order& order, const Podman& podman) {
  const auto image = read_image(order.archive(), own_architecture(), [&] { return host.is_cancelled(); });
  if (!image) return failed(image.error(), code::bad_archive);
  const ContainerPlace place(podman, kStateFolder, order.service.name);
  if (auto cleared = place.clear(); !cleared) return failed(cleared.error(), code::cannot_make);
  const ImageStore store = image_store(host, podman);
  if (auto loaded = store.take_in(*image, order.archive()); !loaded) return failed(loaded.error(), code::cannot_make);
  const auto is_there = podman.has_image(image->id);
  if (!is_there) return failed(is_there.error(), code::cannot_make);
  if (!*is_there)
    return failed(code::cannot_make, fmt::format("podman took the archive, but has no image {}", image->id));
  const auto words = create_words(order.service, image->id, order.criteria, order.token);
  if (auto made = place.try_to_make(words); !made) return failed(made.error(), code::cannot_make);
  if (auto whole = store.seal(image->id); !whole) return failed(whole.error(), author::kRefused);
  if (auto noted = godwit::write_file_durably(Path(author::str(step.work_dir)) / kImageName, image->id); !noted)
    return failed(noted.error(), author::kRefused);
  return {result::install_ok, 0, ""};
}

std::string ask_health(const Podman& podman, const std::string& id, const Health& health, godwit::Duration time) {
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(time);
  if (!health.in_container.empty())
    if (std::string trouble = podman.exec_trouble(id, health.in_container, limit); !trouble.empty()) return trouble;
  return author::command_trouble(health.on_device, limit);
}

Outcome judge(const Host& host, const Order& order, const Podman& podman, const ContainerPlace& place) {
  const godwit::SystemClock clock;
  const Health& health = order.service.health;
  HealthJudge judge(order.service, clock.monotonic());
  for (;;) {
    const auto found = place.current();
    if (!found) return failed(found.error(), code::unhealthy);
    if (!*found) return failed(code::unhealthy, "the container is gone");
    const Container& container = **found;
    const std::string trouble =
        container.is_running ? ask_health(podman, container.id, health, judge.time_for_a_try(clock.monotonic())) : "";
    const Verdict verdict = judge.look(container, trouble, clock.monotonic());
    if (verdict == Verdict::healthy) return {result::apply_ok, 0, ""};
    if (verdict == Verdict::unhealthy) {
      const std::string said = podman.last_output(container.id);
      return failed(code::unhealthy, fmt::format("not healthy: {}{}{}", judge.trouble(),
                                                 said.empty() ? "" : "; its last words: ", said));
    }
    if (host.is_cancelled())
      return {result::cancelled, 0, "cancelled while the health was watched: " + judge.trouble()};
    if (!judge.trouble().empty()) host.info("not healthy yet: " + judge.trouble());
    std::this_thread::sleep_for(kHealthPause);
  }
}

Outcome apply(const Host& host, const godwit_step& step, const Order& order, const Podman& podman) {
  const auto former = noted_former(step);
  if (!former) return failed(former.error(), author::kRefused);
  const auto image_id = godwit::read_file(Path(author::str(step.work_dir)) / kImageName, kImageLimit);
  if (!image_id) return failed(image_id.error(), author::kRefused);
  const ContainerPlace place(podman, kStateFolder, order.service.name);
  const auto words = create_words(order.service, *image_id, order.criteria, order.token);
  if (auto switched = place.switch_to(words, order.token, *former); !switched)
    return failed(switched.error(), code::cannot_start);
  Outcome judged = judge(host, order, podman, place);
  if (judged.result_code != result::apply_ok) return judged;
  if (auto settled = place.settle(order.token, *former); !settled) return failed(settled.error(), author::kRefused);
  return judged;
}

Outcome restore(const Host& host, const godwit_step& step, const Order& order, const Podman& podman) {
  const auto former = noted_former(step);
  if (!former && former.error().code == Code::not_found) return {result::restore_ok, 0, ""};  // nothing was changed
  if (!former) return failed(code::restore_failed, former.error().message);
  if (auto back = ContainerPlace(podman, kStateFolder, order.service.name).switch_back(order.token, *former); !back)
    return failed(code::restore_failed, back.error().message);
  const auto image_id = godwit::read_file(Path(author::str(step.work_dir)) / kImageName, kImageLimit);
  if (image_id && *image_id != former->image_id) podman.forget_image(*image_id, "");
  if (auto tidy = image_store(host, podman).tidy_up(); !tidy)
    host.info("podman's store is not tidy, the next update tries again: " + tidy.error().message);
  return {result::restore_ok, 0, ""};
}

using Act = Outcome (*)(const Host&, const godwit_step&, const Order&, const Podman&);

template <Act kAct>
Outcome act_as(const Host& host, const godwit_step& step) {
  const auto order = read_order(step);
  if (!order) return failed(code::bad_properties, order.error().message);
  const Podman podman(host, author::option(host, "podman", "/usr/bin/podman"));
  if (!podman.is_there()) {
    const std::string missing = fmt::format("this device has no podman: {} cannot be run", podman.program().string());
    if (kAct == is_installed) return {result::not_installed, 0, missing};
    return failed(code::no_podman, missing);
  }
  if (order->file->path.size == 0 && (kAct == download || kAct == install))
    return failed(author::kRefused, "the image archive is not on the device");
  return kAct(host, step, *order, podman);
}

constexpr godwit_step_handler kTable{sizeof(godwit_step_handler),        author::step_act<act_as<is_installed>>,
                                     author::step_act<act_as<download>>, author::step_act<act_as<backup>>,
                                     author::step_act<act_as<install>>,  author::step_act<act_as<apply>>,
                                     author::step_act<act_as<restore>>};

}  // namespace

GODWIT_STEP_HANDLER(kTable)
