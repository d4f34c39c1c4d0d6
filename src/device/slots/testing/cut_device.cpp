#include "device/slots/testing/cut_device.hpp"

#include <fmt/format.h>

#include <random>

#include "device/slots/grub_switch.hpp"
#include "device/slots/systemd_boot_switch.hpp"
#include "device/slots/testing/bytes_source.hpp"
#include "device/slots/testing/fake_boot_loader.hpp"
#include "device/slots/testing/fake_bootcount.hpp"
#include "device/slots/testing/fake_systemd_boot.hpp"
#include "device/slots/uboot_switch.hpp"

namespace godwit::slots::testing {
namespace {

const Path kSideA = "/dev/a";
const Path kSideB = "/dev/b";
const Path kBoot = "/boot/state";
const Path kEntries = "/efi/loader/entries";
constexpr std::size_t kCopied = 1000;  // of a firmware: the shortest that an image brings
const Path kContents = "/data/contents.json";
constexpr ByteCount kPartition = 8 * 1024;
constexpr ByteCount kSmallPartition = 2 * 1024;
constexpr WriterOptions kWriter{.chunk = 2048, .grain = 512, .window = 2048};
constexpr int kMostStarts = 60;

const std::vector<Pair>& pairs() {
  static const std::vector<Pair> kPairs{
      {.name = "firmware", .places = {"/dev/firmware-a", "/dev/firmware-b"}, .is_file = false},
      {.name = "kernel", .places = {"/efi/side-A/kernel", "/efi/side-B/kernel"}, .is_file = true}};
  return kPairs;
}

struct TestImage {
  Bytes bytes;
  Image image;
  bool is_good = true;
  std::array<Bytes, 2> pairs{};  // the first may be empty: it does not come along
};

TestImage make_image(unsigned number, bool is_good, bool has_firmware = true) {
  std::mt19937 dice(number);
  const auto noise = [&](std::size_t size) {
    Bytes bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(dice());
    return bytes;
  };
  TestImage made{.bytes = noise(4 * 1024 + 300), .image = {}, .is_good = is_good};
  made.image = {.size = made.bytes.size(), .sha256 = sha256(made.bytes)};
  made.pairs = {has_firmware ? noise(1000 + 100 * number) : Bytes(), noise(1500 - 200 * number)};
  return made;
}

/// As a device with pairs is asked for it.
Image with_pairs(const TestImage& test) {
  Image image = test.image;
  for (std::size_t i = 0; i < pairs().size(); ++i)
    if (!test.pairs[i].empty()) image.pairs[pairs()[i].name] = sha256(test.pairs[i]);
  return image;
}

const std::array<TestImage, 5>& images() {
  static const std::array<TestImage, 5> kImages{make_image(1, true), make_image(2, true), make_image(3, false),
                                                make_image(4, true), make_image(5, true, false)};
  return kImages;
}

UBootFormat format_of(Loader loader) {
  return loader == Loader::uboot_plain ? UBootFormat::plain : UBootFormat::redundant;
}
AttemptCounter counter_of(Loader loader) {
  return loader == Loader::uboot_bootcount ? AttemptCounter::bootcount : AttemptCounter::script;
}

std::unique_ptr<BootSwitch> switch_of(Loader loader, FakeDisk& disk) {
  if (loader == Loader::grub) return std::make_unique<GrubSwitch>(disk, kBoot);
  if (loader == Loader::systemd_boot)
    return std::make_unique<SystemdBootSwitch>(
        disk, SystemdBootPlace{.entries = kEntries, .names = {"side-a", "side-b"}, .variables = "/efivars"});
  return std::make_unique<UBootSwitch>(disk, UBootPlace{.copies = {UBootCopy{kBoot, 0}, UBootCopy{kBoot, 512}},
                                                        .size = 512,
                                                        .format = format_of(loader),
                                                        .counter = counter_of(loader)});
}

void put_boot_state(Loader loader, FakeDisk& disk) {
  if (loader == Loader::systemd_boot) {
    disk.fat_folders.insert(kEntries.string());
    for (const Side side : {Side::a, Side::b}) {
      const std::string name = side == Side::a ? "side-a" : "side-b";
      const std::string text =
          fmt::format("linux /{0}/vmlinuz\noptions quiet godwit.side={1}\n", name, side_name(side));
      disk.put(kEntries / (name + ".entry"), text);
      if (side == Side::a) disk.put(kEntries / "side-a.conf", "sort-key 00-godwit\nversion 1\n" + text);
    }
    return;
  }
  const BootWords words = with_state({{"serial", "7"}}, BootState{}, counter_of(loader));
  if (loader == Loader::grub) {
    disk.put(kBoot, *print_grub_block(words));
    disk.untearable.insert(kBoot.string());
  } else {
    const Bytes copy = *print_uboot({.words = words, .flag = 254}, 512, format_of(loader));
    disk.put(kBoot, copy + copy);
  }
}

Result<Side> pick_side(Loader loader, FakeDisk& disk, BootSwitch& boot_switch) {
  if (loader == Loader::systemd_boot) return FakeSystemdBoot(disk, kEntries).pick();
  if (loader == Loader::uboot_bootcount) return FakeBootCount(disk, kBoot).pick();
  return FakeBootLoader(boot_switch).pick();
}

bool is_of_boot(const std::string& place) { return place == kBoot.string() || place.starts_with(kEntries.string()); }

}  // namespace

CutDevice::CutDevice(Build build, std::vector<Goal> goals, int attempts)
    : build_(build), goals_(std::move(goals)), attempts_(attempts) {
  Bytes a = images()[0].bytes;
  a.resize(kPartition, '\0');
  disk.put(kSideA, std::move(a));
  disk.put(kSideB, Bytes(kPartition, 'x'));
  put_boot_state(build_.loader, disk);
  if (!build_.has_pairs) return;
  Bytes firmware = images()[0].pairs[0];
  firmware.resize(kSmallPartition, '\0');
  disk.put(pairs()[0].of(Side::a), std::move(firmware));
  disk.put(pairs()[0].of(Side::b), Bytes(kSmallPartition, 'x'));
  disk.put(pairs()[1].of(Side::a), images()[0].pairs[1]);  // there is none yet for B
  running_pairs_ = pairs_on(Side::a);
  if (build_.loader != Loader::systemd_boot) return;
  for (const Side side : {Side::a, Side::b}) disk.fat_folders.insert(pairs()[1].of(side).parent_path().string());
}

void CutDevice::live(Loss loss, std::uint64_t seed, const std::function<bool(const CutDevice&)>& before_start) {
  for (; start_ < kMostStarts && broken.empty(); ++start_) {
    if (!before_start(*this)) return;
    try {
      if (boot()) run();
      if (goal_ == goals_.size() || !broken.empty()) break;
    } catch (const PowerCut&) {
      disk.is_loader = false;
      ++cuts_taken;
    }
    left_unsynced = disk.has_unsynced();
    disk.lose_power(loss, seed + static_cast<std::uint64_t>(start_));
    check_medium();
  }
  if (broken.empty() && goal_ != goals_.size()) broken = "the updates do not end";
  if (broken.empty()) check_end();
}

bool CutDevice::is_where(const CutDevice& other) const {
  return goal_ == other.goal_ && ask_ == other.ask_ && running_ == other.running_ && confirmed_ == other.confirmed_ &&
         marked_ == other.marked_ && taken_back_ == other.taken_back_ && disk.holds_the_same_as(other.disk);
}

void CutDevice::expect(bool holds, const std::string& words) {
  if (!holds && broken.empty()) broken = words;
}

const Bytes& CutDevice::bytes_on(Side side) const { return disk.durable(side == Side::a ? kSideA : kSideB); }

std::array<Bytes, 2> CutDevice::pairs_on(Side side) const {
  std::array<Bytes, 2> found;
  for (std::size_t i = 0; i < found.size(); ++i)
    if (build_.has_pairs && disk.is_durable(pairs()[i].of(side))) found[i] = disk.durable(pairs()[i].of(side));
  return found;
}

void CutDevice::check_pairs(Side side, std::size_t image, const BootState& state) {
  if (!build_.has_pairs) return;
  const auto found = pairs_on(side);
  const Bytes& firmware = images()[image].pairs[0];
  expect(found[1] == images()[image].pairs[1], "a side was booted with the kernel of another image");
  if (!firmware.empty())
    expect(found[0].starts_with(firmware), "a side was booted with the firmware of another image");
  else if (state.good != side)
    expect(found[0].substr(0, kCopied) == pairs_on(other(side))[0].substr(0, kCopied),
           "a side was booted with a firmware that is neither its own nor that of the side before");
}

std::optional<std::size_t> CutDevice::image_on(Side side) const {
  for (std::size_t i = 0; i < images().size(); ++i)
    if (bytes_on(side).starts_with(images()[i].bytes)) return i;
  return std::nullopt;
}

bool CutDevice::boot() {
  const auto boot_switch = switch_of(build_.loader, disk);
  disk.is_loader = true;
  const auto side = pick_side(build_.loader, disk, *boot_switch);
  disk.is_loader = false;
  if (!side) {
    expect(false, "the device does not start: " + side.error().message);
    return false;
  }
  const auto image = image_on(*side);
  expect(image.has_value(), fmt::format("side {} was booted and holds no whole image", side_name(*side)));
  if (!image) return false;
  expect(image != taken_back_, "an update that was taken back was booted");
  check_pairs(*side, *image, *boot_switch->read());
  if (!images()[*image].is_good) return false;
  running_ = *side;
  running_pairs_ = pairs_on(running_);
  if (confirmed_) {
    expect(boot_switch->read()->good == *confirmed_, "a confirmed side is not the good one after a restart");
  }
  return true;
}

void CutDevice::run() {
  const auto boot_switch = switch_of(build_.loader, disk);
  Slots slots(disk, *boot_switch,
              {.sides = {kSideA, kSideB},
               .running = running_,
               .contents = kContents,
               .attempts = attempts_,
               .writer = kWriter,
               .pairs = build_.has_pairs ? pairs() : std::vector<Pair>{}});
  while (goal_ < goals_.size() && broken.empty()) {
    const auto answer = ask(slots);
    if (!answer) return expect(false, "a question failed: " + answer.error().message);
    if (conclude(*answer)) return;
  }
}

Result<Answer> CutDevice::ask(Slots& slots) {
  const TestImage& wanted = images()[goals_[goal_].image];
  const Image image = build_.has_pairs ? with_pairs(wanted) : wanted.image;
  const auto before = static_cast<std::size_t>(disk.syncs());
  if (ask_ == Ask::install) {
    PairSources sources;
    for (std::size_t i = 0; i < pairs().size(); ++i)
      if (image.pairs.contains(pairs()[i].name)) sources[pairs()[i].name] = source_of(wanted.pairs[i]);
    auto answer = slots.install(image, source_of(wanted.bytes), nullptr, {}, sources);
    if (goals_[goal_].is_abandoned) spare_syncs(before, 0);
    spare_early_names(before);
    return answer;
  }
  if (ask_ == Ask::restore) {
    auto answer = slots.restore(image);
    if (!goals_[goal_].is_wanted()) spare_syncs(before, 1);
    return answer;
  }
  return slots.apply(image, [this]() -> Result<void> {
    if (goals_[goal_].is_unhealthy) return fail(Code::process_failed, "it stays cold");
    return {};
  });
}

void CutDevice::spare_syncs(std::size_t begin, std::size_t but) {
  std::vector<int> found;
  for (std::size_t i = begin; i < static_cast<std::size_t>(disk.syncs()); ++i)
    if (is_of_boot(disk.sync_places()[i])) found.push_back(static_cast<int>(i));
  found.resize(found.size() - std::min(found.size(), but));
  spared_syncs.insert(found.begin(), found.end());
}

/// Of two syncs of a folder in one install the first saves work after a cut; the name is promised by the second.
void CutDevice::spare_early_names(std::size_t begin) {
  const std::string folder = pairs()[1].of(other(running_)).parent_path().string() + "/";
  std::optional<int> first;
  for (std::size_t i = begin; i < static_cast<std::size_t>(disk.syncs()); ++i) {
    if (disk.sync_places()[i] != folder) continue;
    if (first) spared_syncs.insert(*first);
    first = static_cast<int>(i);
  }
}

bool CutDevice::conclude(const Answer& answer) {
  using Kind = Answer::Kind;
  if (ask_ == Ask::install) {
    expect(answer.kind == Kind::done || answer.kind == Kind::restart, "install: " + answer.details);
    if (goals_[goal_].is_abandoned) {
      ask_ = Ask::restore;
      return false;
    }
    ask_ = Ask::apply;
    confirmed_.reset();
    taken_back_.reset();
    if (answer.kind == Kind::restart) marked_ = other(running_);
    return answer.kind == Kind::restart;
  }
  if (ask_ == Ask::apply && answer.kind == Kind::done) {
    confirmed_ = running_;
    end_goal(true);
    return false;
  }
  if (ask_ == Ask::apply) {
    const bool is_unhealthy = answer.kind == Kind::unhealthy && goals_[goal_].is_unhealthy;
    expect((answer.kind == Kind::fell_back && marked_) || is_unhealthy, "apply: " + answer.details);
    ask_ = Ask::restore;
    return false;
  }
  if (answer.kind == Kind::restart) {
    taken_back_ = goals_[goal_].image;
    return true;
  }
  expect(answer.kind == Kind::done, "restore: " + answer.details);
  end_goal(false);
  return false;
}

void CutDevice::end_goal(bool has_succeeded) {
  expect(has_succeeded == (images()[goals_[goal_].image].is_good && goals_[goal_].is_wanted()),
         "the update did not end as its image deserves");
  taken_back_ = goals_[goal_].is_wanted() ? std::nullopt : std::optional(goals_[goal_].image);
  ask_ = Ask::install;
  marked_.reset();
  ++goal_;
}

void CutDevice::check_medium() {
  const auto boot_switch = switch_of(build_.loader, disk);
  const auto state = boot_switch->read();
  if (!state) return expect(false, "no boot state is whole: " + state.error().message);
  const auto contents = load_contents(disk, kContents);
  if (!contents) return expect(false, "contents.json cannot be read: " + contents.error().message);
  for (const Side side : {Side::a, Side::b}) {
    const auto& held = contents->of(side);
    expect(!held || sha256(bytes_on(side).substr(0, held->image.size)) == held->image.sha256,
           fmt::format("contents.json claims of side {} what is not there", side_name(side)));
    const auto found = pairs_on(side);
    for (std::size_t i = 0; held && i < found.size() && build_.has_pairs; ++i) {
      const auto claimed = held->pairs.find(pairs()[i].name);
      expect(claimed != held->pairs.end() && sha256(found[i].substr(0, claimed->second.size)) == claimed->second.sha256,
             fmt::format("contents.json claims of side {} and its {} what is not there", side_name(side),
                         pairs()[i].name));
    }
  }
  expect(pairs_on(running_) == running_pairs_, "a pair of the running side was written");
  if (state->trial && state->attempts_left > 0)
    expect(contents->of(*state->trial).has_value(), "a side is to be tried of which nothing is known");
  if (marked_)
    expect(state->trial == *marked_ || state->failed == *marked_ || state->good == *marked_,
           "the mark of an installed side is lost");
  if (confirmed_) expect(state->good == *confirmed_, "the confirmation of a side is lost");
  for (const auto& side : {kSideA, kSideB})
    expect(disk.most_unsynced(side) <= kWriter.window, "more than a window was not synced");
}

void CutDevice::check_end() {
  std::size_t last_good = 0;
  for (const Goal& goal : goals_)
    if (images()[goal.image].is_good && goal.is_wanted()) last_good = goal.image;
  const auto boot_switch = switch_of(build_.loader, disk);
  const auto state = boot_switch->read();
  expect(state && image_on(state->good) == last_good, "the last good image is not what the device ends with");
  expect(build_.loader == Loader::grub || build_.loader == Loader::systemd_boot ||
             disk.durable(kBoot).find(std::string_view("serial=7\0", 9)) != Bytes::npos,
         "a word of somebody else is lost");
}

}  // namespace godwit::slots::testing
