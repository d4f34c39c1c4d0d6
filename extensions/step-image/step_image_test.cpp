// The whole extension, as the installer calls it: the library in a worker process, on a device of files with a U-Boot
// state in two sectors. The starts in between are the boot loader's: its words are changed as its script does it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/chunks/pack.hpp"
#include "core/model/outcome.hpp"
#include "device/extension/process.hpp"
#include "device/extension/testing/test_extensions.hpp"
#include "device/slots/host_disk.hpp"
#include "device/slots/uboot_switch.hpp"

namespace godwit::step_image {
namespace {

using extension::Outcome;
using extension::Type;
using slots::Side;

class StepImage : public ::testing::Test {
 protected:
  void SetUp() override {
    registration_.options["slots"] = slots_file().string();
    for (const char* side : {"a", "b"}) ASSERT_TRUE(write_file_durably(folder_ / side, std::string(64 * 1024, '-')));
    ASSERT_TRUE(write_file_durably(folder_ / "image", image_));
    const Bytes copy = *slots::print_uboot({.words = {{"good", "A"}}, .flag = 0}, 512, slots::UBootFormat::plain);
    ASSERT_TRUE(write_file_durably(folder_ / "state", copy + copy));
    start(Side::a);
    configure("[\"/bin/true\"]");
  }
  void configure(const std::string& health) {
    const std::string where = folder_.path().string();
    ASSERT_TRUE(write_file_durably(
        slots_file(),
        fmt::format("[slots]\na = \"{0}/a\"\nb = \"{0}/b\"\ndata = \"{0}/data\"\ncommand_line = \"{0}/cmdline\"\n"
                    "[boot]\nenvironment = \"{0}/state\"\n[health]\ncommand = {1}\ntime_limit = \"1s\"\npause = "
                    "\"200ms\"\npanic_log = \"{0}/panic\"\n{2}",
                    where, health, pair_block_)));
  }
  Path slots_file() const { return folder_ / "slots.toml"; }
  void start(Side side) {
    ASSERT_TRUE(write_file_durably(folder_ / "cmdline",
                                   fmt::format("root={}/{}\n", folder_.path().string(), side == Side::a ? "a" : "b")));
  }
  slots::UBootSwitch boot() {
    const Path state = folder_ / "state";
    return {disk_, slots::UBootPlace{.copies = {slots::UBootCopy{state, 0}, slots::UBootCopy{state, 512}}}};
  }
  /// What the loader's script does in a start of the trial.
  void loader_tries() {
    slots::UBootSwitch state = boot();
    auto now = *state.read();
    ASSERT_EQ(now.trial, Side::b);
    --now.attempts_left;
    ASSERT_TRUE(state.write(now));
    start(Side::b);
  }
  void loader_gives_up() {
    ASSERT_TRUE(boot().write({.good = Side::a, .trial = {}, .attempts_left = 0, .failed = Side::b}));
    start(Side::a);
  }
  Outcome run(const std::string& verb) {
    json::Object call{
        {"verb", verb},
        {"handler_id", "godwit/image:1"},
        {"handler_properties", properties_},
        {"work_dir", folder_.path().string()},
        {"files",
         json::Array{json::Object{
             {"id", "f1"}, {"name", "image"}, {"path", (folder_ / "image").string()}, {"size", image_.size()}}}},
        {"workflow_id", "w-1"},
        {"update_id", json::Object{{"provider", "p"}, {"name", "n"}, {"version", version_}}},
        {"attempt", 1},
        {"step", step_}};
    if (!stored_.empty()) call["files"] = streamed_files();
    if (!kernel_file_.empty()) call["files"].as_array().push_back(kernel_entry());
    const auto outcome = extension::run_extension(registration_, call, limits_, {}, {});
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? *outcome : Outcome{};
  }

  /// The image as godwit image pack makes it: its index is here, of the rest only `pieces_`.
  void pack() {
    const auto index = chunks::pack(image_,
                                    [&](std::string_view frame) -> Result<void> {
                                      stored_ += frame;
                                      return {};
                                    },
                                    {.chunk_size = chunks::kChunkSizeMin, .level = 3, .jobs = 1});
    ASSERT_TRUE(index && write_file_durably(folder_ / "index", *index));
    properties_["compression"] = "zstd";
    properties_["streamedFile"] = "image";
    properties_["indexFile"] = "index";
  }
  /// The device gets a pair of files, and the update a kernel for it.
  void bring_kernel(const Bytes& kernel, const std::string& name = "vmlinuz") {
    const std::string where = folder_.path().string();
    for (const char* side : {"A", "B"}) ASSERT_TRUE(make_folders(folder_ / "efi" / side));
    pair_block_ =
        fmt::format("[[pairs]]\nname = \"kernel\"\na = \"{0}/efi/A/vmlinuz\"\nb = \"{0}/efi/B/vmlinuz\"\n", where);
    configure("[\"/bin/true\"]");
    ASSERT_TRUE(write_file_durably(folder_ / "efi" / "A" / "vmlinuz", "the kernel of A"));
    ASSERT_TRUE(write_file_durably(folder_ / name, kernel));
    kernel_file_ = name;
    properties_["pairs"] = json::Object{{"kernel", name}};
  }
  json::Object kernel_entry() const {
    const Bytes bytes = *read_file(folder_ / kernel_file_, 1 << 20);
    json::Object entry{{"id", "f9"},
                       {"name", kernel_file_},
                       {"path", kernel_is_here_ ? (folder_ / kernel_file_).string() : ""},
                       {"size", bytes.size()}};
    if (hash_is_told_) entry["sha256"] = hex_encode(sha256(bytes));
    return entry;
  }
  Bytes kernel_of(const std::string& side) const {
    const auto bytes = read_file(folder_ / "efi" / side / "vmlinuz", 1 << 20);
    return bytes ? *bytes : Bytes("none");
  }
  json::Array streamed_files() const {
    json::Object image{{"id", "f1"}, {"name", "image"}, {"path", ""}, {"size", stored_.size()}};
    if (!pieces_.empty()) {
      image["pieces_path"] = (folder_ / "pieces").string();
      image["ranges"] = pieces_;
    }
    return {std::move(image),
            json::Object{{"id", "f2"}, {"name", "index"}, {"path", (folder_ / "index").string()}, {"size", 1}}};
  }
  /// Brings what the answer asks for; how many bytes.
  ByteCount fetch(const Outcome& asked) {
    Bytes bytes;
    pieces_ = asked.answer.at("ranges").as_array();
    for (const json::Value& range : pieces_)
      bytes += stored_.substr(range.at("offset").to_number<std::size_t>(), range.at("length").to_number<std::size_t>());
    EXPECT_TRUE(write_file_durably(folder_ / "pieces", bytes));
    return bytes.size();
  }

  slots::HostDisk disk_;
  extension::testing::TemporaryFolder folder_;
  extension::Registration registration_ = extension::testing::registration_of(
      extension::testing::library_folder() / "godwit-step-image.so", Type::step_handler, "godwit/image:1");
  Bytes image_ = std::string(20'000, 'n') + "end";
  json::Object properties_{
      {"imageFile", "image"}, {"imageSize", image_.size()}, {"imageSha256", hex_encode(sha256(image_))}};
  std::string version_ = "2.0";
  int step_ = 0;
  Bytes stored_{};        // not empty: the image is streamed
  json::Array pieces_{};  // what came along
  std::string pair_block_{};
  std::string kernel_file_{};  // not empty: it comes along
  bool kernel_is_here_ = true;
  bool hash_is_told_ = true;
  extension::Limits limits_{.time_limit = std::chrono::seconds(60)};
};

TEST_F(StepImage, a_good_image_is_written_tried_checked_and_kept) {
  EXPECT_EQ(run("is_installed").result_code, result::not_installed);
  const Outcome installed = run("install");
  ASSERT_EQ(installed.result_code, result::install_reboot) << installed.details;
  EXPECT_TRUE(read_file(folder_ / "b", 1 << 20)->starts_with(image_));
  EXPECT_EQ(*read_file(folder_ / "a", 1 << 20), std::string(64 * 1024, '-')) << "the running side is never written";
  EXPECT_EQ(slots::in_words(*boot().read()), "good=A try=B left=3");
  loader_tries();
  EXPECT_EQ(run("is_installed").result_code, result::not_installed) << "not before it is confirmed";
  EXPECT_EQ(run("apply").result_code, result::apply_ok);
  EXPECT_EQ(slots::in_words(*boot().read()), "good=B");
  EXPECT_EQ(run("is_installed").result_code, result::is_installed);
  EXPECT_EQ(run("install").result_code, result::install_ok);
}

TEST_F(StepImage, a_streamed_image_is_asked_for_in_pieces_then_tried_and_kept) {
  pack();
  EXPECT_EQ(run("is_installed").result_code, result::not_installed);
  const Outcome asked = run("install");
  ASSERT_EQ(asked.result_code, result::install_wants_pieces) << asked.details;
  EXPECT_EQ(asked.answer.at("file").as_string(), "image");
  EXPECT_EQ(run("install").answer, asked.answer) << "without the pieces it asks again for the same";
  EXPECT_EQ(fetch(asked), stored_.size());
  const Outcome installed = run("install");
  ASSERT_EQ(installed.result_code, result::install_reboot) << installed.details;
  EXPECT_TRUE(read_file(folder_ / "b", 1 << 20)->starts_with(image_));
  EXPECT_EQ(*read_file(folder_ / "a", 1 << 20), std::string(64 * 1024, '-')) << "the running side is never written";
  loader_tries();
  EXPECT_EQ(run("apply").result_code, result::apply_ok);
  EXPECT_EQ(run("is_installed").result_code, result::is_installed);
}

TEST_F(StepImage, a_kernel_comes_along_with_the_image_and_counts_as_part_of_it) {
  bring_kernel("the new kernel");
  EXPECT_EQ(run("is_installed").result_code, result::not_installed);
  const Outcome installed = run("install");
  ASSERT_EQ(installed.result_code, result::install_reboot) << installed.details;
  EXPECT_EQ(kernel_of("B"), "the new kernel");
  EXPECT_EQ(kernel_of("A"), "the kernel of A") << "nothing of the running side is written";
  loader_tries();
  EXPECT_EQ(run("apply").result_code, result::apply_ok);
  kernel_is_here_ = false;
  EXPECT_EQ(run("is_installed").result_code, result::is_installed) << "the manifest is enough to know it";
  ASSERT_TRUE(write_file_durably(folder_ / "vmlinuz", "a newer kernel"));
  EXPECT_EQ(run("is_installed").result_code, result::not_installed) << "the same image, but not its kernel";
  const Outcome missing = run("install");
  EXPECT_NE(missing.details.find("'vmlinuz' is not here yet"), std::string::npos) << missing.details;
}

TEST_F(StepImage, a_packed_kernel_is_unpacked_and_a_streamed_image_brings_one_as_well) {
  const Bytes kernel(50'000, 'k');
  Bytes packed;
  ASSERT_TRUE(chunks::pack(kernel,
                           [&](std::string_view frame) -> Result<void> {
                             packed += frame;
                             return {};
                           },
                           {.chunk_size = chunks::kChunkSizeMin, .level = 3, .jobs = 1}));
  bring_kernel(packed, "vmlinuz.zst");
  pack();
  const Outcome asked = run("install");
  ASSERT_EQ(asked.result_code, result::install_wants_pieces) << asked.details;
  EXPECT_EQ(kernel_of("B"), "none") << "not before the image is whole";
  fetch(asked);
  const Outcome installed = run("install");
  ASSERT_EQ(installed.result_code, result::install_reboot) << installed.details;
  EXPECT_EQ(kernel_of("B"), kernel);
}

TEST_F(StepImage, a_kernel_that_the_update_does_not_bring_is_copied) {
  bring_kernel("unused");
  properties_.erase("pairs");
  ASSERT_EQ(run("install").result_code, result::install_reboot);
  EXPECT_EQ(kernel_of("B"), "the kernel of A");
}

TEST_F(StepImage, pairs_that_cannot_be_are_refused_before_anything_has_changed) {
  bring_kernel("the new kernel");
  const Bytes state = *read_file(folder_ / "state", 4096);
  const auto expect_refused = [&](std::string_view words) {
    const Outcome refused = run("install");
    EXPECT_EQ(refused.result_code, result::failure);
    EXPECT_EQ(refused.extended_code, erc::handler_refused);
    EXPECT_NE(refused.details.find(words), std::string::npos) << refused.details;
    EXPECT_EQ(*read_file(folder_ / "state", 4096), state);
    EXPECT_EQ(*read_file(folder_ / "b", 1 << 20), std::string(64 * 1024, '-'));
    EXPECT_EQ(kernel_of("B"), "none");
  };
  properties_["pairs"] = json::Object{{"dtb", "vmlinuz"}};
  expect_refused("brings a file for the pair 'dtb', but slots.toml of this device has only kernel");
  properties_["pairs"] = json::Object{{"kernel", "other"}};
  expect_refused("pairs.kernel: the step has no file 'other'");
  properties_["pairs"] = json::Object{{"kernel", "vmlinuz"}};
  hash_is_told_ = false;
  expect_refused("does not tell the hashes of files");
  hash_is_told_ = true;
  ASSERT_TRUE(write_file_durably(folder_ / "vmlinuz.gz", "no gzip"));
  kernel_file_ = "vmlinuz.gz";
  properties_["pairs"] = json::Object{{"kernel", "vmlinuz.gz"}};
  expect_refused("the gzip stream is damaged");
}

TEST_F(StepImage, a_streamed_image_that_was_altered_on_the_way_is_never_tried) {
  pack();
  stored_[stored_.size() / 2] = static_cast<char>(stored_[stored_.size() / 2] ^ 1);
  fetch(run("install"));
  const Outcome refused = run("install");
  EXPECT_EQ(refused.result_code, 0);
  EXPECT_EQ(refused.extended_code, erc::hash_mismatch) << refused.details;
  EXPECT_EQ(slots::in_words(*boot().read()), "good=A");
}

TEST_F(StepImage, a_side_that_was_written_between_the_pieces_is_noticed_and_mended_by_a_retry) {
  pack();
  fetch(run("install"));
  ASSERT_EQ(run("install").result_code, result::install_reboot);
  ASSERT_EQ(run("restore").result_code, result::restore_ok);
  Bytes side = *read_file(folder_ / "b", 1 << 20);
  side[5000] = static_cast<char>(side[5000] ^ 1);
  ASSERT_TRUE(write_file_durably(folder_ / "b", side));
  pieces_.clear();
  EXPECT_EQ(run("install").extended_code, erc::hash_mismatch);
  const Outcome asked = run("install");
  ASSERT_EQ(asked.result_code, result::install_wants_pieces) << asked.details;
  EXPECT_LT(fetch(asked), stored_.size()) << "only the chunk that is wrong";
  EXPECT_EQ(run("install").result_code, result::install_reboot);
}

TEST_F(StepImage, an_index_of_another_image_is_refused_before_anything_has_changed) {
  pack();
  const Bytes state = *read_file(folder_ / "state", 4096);
  properties_["imageSha256"] = std::string(64, '0');
  EXPECT_NE(run("install").details.find("another image"), std::string::npos);
  properties_["imageSha256"] = hex_encode(sha256(image_));
  ASSERT_TRUE(write_file_durably(folder_ / "index", "nonsense"));
  EXPECT_NE(run("install").details.find("not an index"), std::string::npos);
  EXPECT_EQ(*read_file(folder_ / "state", 4096), state);
}

TEST_F(StepImage, an_unhealthy_side_is_given_back_with_the_words_of_its_check) {
  ASSERT_EQ(run("install").result_code, result::install_reboot);
  loader_tries();
  configure("[\"/bin/sh\", \"-c\", \"echo no hub; exit 4\"]");
  const Outcome applied = run("apply");
  EXPECT_EQ(applied.result_code, 0);
  EXPECT_NE(applied.details.find("exit code 4: no hub"), std::string::npos) << applied.details;
  EXPECT_EQ(slots::in_words(*boot().read()), "good=A try=B left=2") << "only restore gives it back";
  EXPECT_EQ(run("restore").result_code, 1105);
  EXPECT_EQ(boot().read()->good, Side::a);
  EXPECT_FALSE(boot().read()->trial);
  start(Side::a);
  EXPECT_EQ(run("restore").result_code, result::restore_ok);
}

TEST_F(StepImage, a_health_check_that_hangs_is_a_no_within_its_time) {
  ASSERT_EQ(run("install").result_code, result::install_reboot);
  loader_tries();
  configure("[\"/bin/sleep\", \"600\"]");
  const auto begun = std::chrono::steady_clock::now();
  const Outcome applied = run("apply");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
  EXPECT_EQ(applied.result_code, result::failure);
  EXPECT_NE(applied.details.find("did not end in its time"), std::string::npos) << applied.details;
  EXPECT_EQ(boot().read()->good, Side::a) << "only a yes confirms";
}

TEST_F(StepImage, never_tried_and_tried_without_success_are_told_apart) {
  ASSERT_EQ(run("install").result_code, result::install_reboot);
  Outcome applied = run("apply");
  EXPECT_EQ(applied.extended_code, erc::not_in_place_after_restart);
  EXPECT_NE(applied.details.find("never tried"), std::string::npos) << applied.details;
  for (int i = 0; i < 3; ++i) loader_tries();
  loader_gives_up();
  applied = run("apply");
  EXPECT_EQ(applied.extended_code, erc::not_in_place_after_restart);
  EXPECT_NE(applied.details.find("3 of 3 attempts"), std::string::npos) << applied.details;
  EXPECT_EQ(run("restore").result_code, result::restore_ok);
}

TEST_F(StepImage, a_kernel_panic_of_the_trial_is_told_and_an_older_one_is_not) {
  const auto panicked = [&](const std::string& reason) {
    ASSERT_TRUE(write_file_durably(folder_ / "panic", "Panic#1 Part1\n<0>[    1.4] Kernel panic - not syncing: " +
                                                          reason + "\n<0>[    1.5] Rebooting in 1 seconds.."));
  };
  panicked("of last year");
  ASSERT_EQ(run("install").result_code, result::install_reboot);
  loader_gives_up();
  EXPECT_EQ(run("apply").details.find("last words"), std::string::npos);
  panicked("Attempted to kill init! exitcode=0x00000100\x1b[2J");
  const Outcome told = run("apply");
  EXPECT_TRUE(
      told.details.ends_with("; the kernel's last words: Kernel panic - not syncing: Attempted to kill init! "
                             "exitcode=0x00000100?[2J"))
      << told.details;
}

TEST_F(StepImage, a_confirmed_image_raises_the_floor_and_older_updates_are_refused) {
  properties_["versionFloor"] = "1.9";
  version_ = "1.8";
  EXPECT_NE(run("install").details.find("above the update's own version"), std::string::npos);
  version_ = "2.0";
  ASSERT_EQ(run("install").result_code, result::install_reboot);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data" / "version-floor")) << "an image on trial raises nothing";
  loader_tries();
  ASSERT_EQ(run("apply").result_code, result::apply_ok);
  EXPECT_EQ(*read_file(folder_ / "data" / "version-floor", 100), "1.9\n");
  std::filesystem::remove(folder_ / "data" / "version-floor");
  EXPECT_EQ(run("is_installed").result_code, result::is_installed);
  EXPECT_EQ(*read_file(folder_ / "data" / "version-floor", 100), "1.9\n") << "a cut after the confirmation lost it";
  properties_.erase("versionFloor");
  version_ = "1.8.9";
  image_ += "older";
  ASSERT_TRUE(write_file_durably(folder_ / "image", image_));
  properties_["imageSize"] = image_.size();
  properties_["imageSha256"] = hex_encode(sha256(image_));
  const Outcome refused = run("install");
  EXPECT_EQ(refused.extended_code, erc::handler_refused);
  EXPECT_NE(refused.details.find("older than 1.9"), std::string::npos) << refused.details;
  version_ = "1.9";
  EXPECT_EQ(run("install").result_code, result::install_reboot);
}

TEST_F(StepImage, what_the_device_has_no_place_for_is_refused_before_it_is_downloaded) {
  EXPECT_EQ(run("is_installed").result_code, result::not_installed);
  const auto size = properties_["imageSize"];
  properties_["imageSize"] = 64 * 1024 + 1;
  EXPECT_NE(run("is_installed").details.find("the partition only 65536"), std::string::npos);
  EXPECT_EQ(run("is_installed").result_code, result::failure);
  step_ = 1;
  EXPECT_EQ(run("is_installed").result_code, result::not_installed) << "the step before may make room";
  step_ = 0;
  properties_["imageSize"] = size;
  ASSERT_TRUE(make_folders(folder_ / "data") && write_file_durably(folder_ / "data" / "version-floor", "9.0\n"));
  EXPECT_NE(run("is_installed").details.find("older than 9.0"), std::string::npos);
  std::filesystem::remove(folder_ / "data" / "version-floor");
  bring_kernel("the new kernel");
  kernel_is_here_ = false;
  EXPECT_EQ(run("is_installed").result_code, result::not_installed);
  properties_["pairs"] = json::Object{{"dtb", "vmlinuz"}};
  EXPECT_NE(run("is_installed").details.find("slots.toml of this device has only kernel"), std::string::npos);
}

TEST_F(StepImage, what_cannot_be_is_refused_before_anything_has_changed) {
  const Bytes state = *read_file(folder_ / "state", 4096);
  properties_["imageSize"] = 64 * 1024 + 1;
  EXPECT_NE(run("install").details.find("the partition only 65536"), std::string::npos) << run("install").details;
  properties_["imageFile"] = "other";
  EXPECT_EQ(run("install").result_code, 0);
  EXPECT_EQ(*read_file(folder_ / "b", 1 << 20), std::string(64 * 1024, '-'));
  EXPECT_EQ(*read_file(folder_ / "state", 4096), state);
}

TEST_F(StepImage, an_image_that_is_not_what_the_manifest_says_is_never_tried) {
  properties_["imageSha256"] = std::string(64, '0');
  const Outcome installed = run("install");
  EXPECT_EQ(installed.result_code, 0);
  EXPECT_EQ(installed.extended_code, erc::hash_mismatch) << installed.details;
  EXPECT_EQ(slots::in_words(*boot().read()), "good=A");
}

}  // namespace
}  // namespace godwit::step_image
