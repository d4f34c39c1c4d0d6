// delta make|apply|show: the difference between two versions of a file, made and used on this machine; no service is
// asked. Encoding runs on several threads, each with its own group.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <future>
#include <thread>

#include "core/base/file.hpp"
#include "core/base/text.hpp"
#include "core/delta/apply.hpp"
#include "core/delta/make.hpp"
#include "core/delta/mapped_file.hpp"
#include "tools/cli/app.hpp"
#include "tools/cli/new_file.hpp"

namespace godwit::cli {
namespace {

struct DeltaFlags {
  std::string source{};
  std::string target{};
  std::string delta{};
  std::string full{};
  int level = delta::kLevelDefault;
  std::uint32_t group_kib = delta::kGroupSizeMax / 1024;
  unsigned jobs = 0;
  bool with_groups = false;
};

Result<void> write_at(int fd, ByteCount offset, std::string_view bytes) {
  if (::lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0)
    return tl::unexpected<Error>{error_from_errno("write the target", errno)};
  return write_all(fd, bytes);
}

struct OpenedFile {
  UniqueFd fd{};
  ByteCount size = 0;
};
/// A file or a block device.
Result<OpenedFile> open_input(const std::string& path) {
  OpenedFile opened;
  GODWIT_TRY(opened.fd, open_file(path, O_RDONLY));
  const off_t size = ::lseek(opened.fd.get(), 0, SEEK_END);
  if (size < 0) return tl::unexpected<Error>{error_from_errno("read " + path, errno)};
  opened.size = static_cast<ByteCount>(size);
  return opened;
}

/// Groups are encoded a batch at a time, so that memory stays bounded, and written in order.
Result<ByteCount> write_delta(const delta::Maker& maker, unsigned jobs, int fd) {
  std::vector<std::unique_ptr<delta::Maker::Encoder>> encoders;
  for (unsigned i = 0; i < jobs; ++i) encoders.push_back(std::make_unique<delta::Maker::Encoder>());
  const Bytes head = print_header(maker.header());
  GODWIT_TRY_VOID(write_all(fd, head));
  ByteCount written = head.size();
  const std::uint64_t count = maker.header().group_count();
  const std::uint64_t batch = std::uint64_t{jobs} * 8;
  for (std::uint64_t first = 0; first < count; first += batch) {
    const std::uint64_t end = std::min(count, first + batch);
    std::vector<Bytes> records(static_cast<std::size_t>(end - first));
    std::atomic<std::uint64_t> next{first};
    std::vector<std::future<void>> workers;
    for (const auto& encoder : encoders)
      workers.push_back(std::async(std::launch::async, [&, encoder = encoder.get()] {
        for (std::uint64_t group = next++; group < end; group = next++)
          records[static_cast<std::size_t>(group - first)] = maker.encode(group, *encoder);
      }));
    for (auto& worker : workers) worker.get();
    for (const Bytes& record : records) {
      GODWIT_TRY_VOID(write_all(fd, record));
      written += record.size();
    }
  }
  return written;
}

Result<int> make_delta(Context& context, const DeltaFlags& flags) {
  GODWIT_TRY(const auto source, delta::MappedFile::open(flags.source));
  GODWIT_TRY(const auto target, delta::MappedFile::open(flags.target));
  GODWIT_TRY(const auto maker, delta::Maker::start(source.bytes(), target.bytes(),
                                                   {.level = flags.level, .group_size = flags.group_kib * 1024}));
  GODWIT_TRY(auto file, NewFile::begin(flags.delta));
  const unsigned jobs = flags.jobs > 0 ? flags.jobs : std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
  GODWIT_TRY(const ByteCount size, write_delta(maker, jobs, file.fd()));
  GODWIT_TRY_VOID(file.keep());
  const auto& header = maker.header();
  if (context.wants_json())
    context.show_json(json::Object{{"delta", flags.delta},
                                   {"sizeInBytes", size},
                                   {"targetSizeInBytes", header.target_size},
                                   {"sourceSha256", base64_encode(header.source_sha256)},
                                   {"targetSha256", base64_encode(header.target_sha256)}});
  else
    fmt::print(
        "wrote {}: {} for a file of {} ({:.1f} %)\n"
        "as a related file: --related-file path={} properties='{{\"microsoft.sourceFileHash\":\"{}\","
        "\"microsoft.sourceFileHashAlgorithm\":\"sha256\"}}'\n",
        flags.delta, readable_size(size), readable_size(header.target_size),
        header.target_size == 0 ? 0.0 : 100.0 * static_cast<double>(size) / static_cast<double>(header.target_size),
        flags.delta, base64_encode(header.source_sha256));
  return exit_code::ok;
}

/// Takes the damaged ranges from the full file, or says which they are.
Result<ByteCount> mend(const std::vector<delta::TargetRange>& damaged, const std::string& full, int fd) {
  ByteCount sum = 0;
  for (const auto& range : damaged) sum += range.length;
  if (damaged.empty()) return sum;
  if (full.empty())
    return fail(Code::digest_mismatch,
                fmt::format("the source is not the one that the delta was made for: {} bytes in {} ranges cannot be "
                            "made from it, the first at {}; give the full file with --full to take them from there",
                            sum, damaged.size(), damaged.front().offset));
  GODWIT_TRY(const auto opened, open_input(full));
  const auto read = delta::reader_of(opened.fd.get(), full);
  Bytes piece;
  for (const auto& range : damaged)
    for (ByteCount at = 0; at < range.length; at += piece.size()) {
      piece.resize(static_cast<std::size_t>(std::min<ByteCount>(delta::kGroupSizeMax, range.length - at)));
      GODWIT_TRY_VOID(read(range.offset + at, piece));
      GODWIT_TRY_VOID(write_at(fd, range.offset + at, piece));
    }
  return sum;
}

Result<int> apply_delta(Context& context, const DeltaFlags& flags) {
  GODWIT_TRY(const auto source, open_input(flags.source));
  GODWIT_TRY(const auto patch, open_input(flags.delta));
  GODWIT_TRY(auto file, NewFile::begin(flags.target));
  const int fd = file.fd();
  GODWIT_TRY(const auto applied,
             delta::apply(delta::reader_of(patch.fd.get(), flags.delta), patch.size,
                          delta::reader_of(source.fd.get(), flags.source),
                          [fd](ByteCount offset, std::string_view bytes) { return write_at(fd, offset, bytes); }, {}));
  GODWIT_TRY(const ByteCount taken, mend(applied.damaged, flags.full, fd));
  if (taken > 0) {
    GODWIT_TRY(const Bytes hash, sha256_of_file("/proc/self/fd/" + std::to_string(fd)));
    if (hash != applied.header.target_sha256)
      return fail(Code::digest_mismatch, flags.full + " is not the file that the delta makes");
  }
  GODWIT_TRY_VOID(file.keep());
  if (context.wants_json())
    context.show_json(json::Object{{"target", flags.target},
                                   {"sizeInBytes", applied.header.target_size},
                                   {"sha256", base64_encode(applied.header.target_sha256)},
                                   {"bytesFromFullFile", taken}});
  else
    fmt::print("wrote {}: {}{}\n", flags.target, readable_size(applied.header.target_size),
               taken > 0 ? fmt::format(", {} of it from {}", readable_size(taken), flags.full) : "");
  return exit_code::ok;
}

struct KindSum {
  std::uint64_t groups = 0;
  ByteCount target = 0;
  ByteCount source = 0;
  ByteCount frames = 0;
};

Result<int> show_delta(Context& context, const DeltaFlags& flags) {
  GODWIT_TRY(const auto patch, open_input(flags.delta));
  std::array<KindSum, 3> sums{};
  Table table({"group", "kind", "bytes", "windows", "source bytes", "frame bytes"});
  json::Array groups;
  GODWIT_TRY(
      const auto header,
      delta::survey(delta::reader_of(patch.fd.get(), flags.delta), patch.size, [&](const delta::GroupInfo& info) {
        const auto& record = info.record;
        KindSum& sum = sums.at(static_cast<std::size_t>(record.kind));
        ++sum.groups;
        sum.target += info.length;
        sum.source += record.source_bytes();
        sum.frames += record.frame_size;
        if (!flags.with_groups) return;
        table.add({std::to_string(info.group), std::string(kind_name(record.kind)), std::to_string(info.length),
                   std::to_string(record.windows.size()), std::to_string(record.source_bytes()),
                   std::to_string(record.frame_size)});
        groups.push_back(json::Object{{"group", info.group},
                                      {"kind", kind_name(record.kind)},
                                      {"bytes", info.length},
                                      {"windows", record.windows.size()},
                                      {"sourceBytes", record.source_bytes()},
                                      {"frameBytes", record.frame_size}});
      }));
  json::Object answer{
      {"formatVersion", delta::kFormatVersion},
      {"sizeInBytes", patch.size},
      {"groupSize", header.group_size},
      {"source", json::Object{{"sizeInBytes", header.source_size}, {"sha256", base64_encode(header.source_sha256)}}},
      {"target", json::Object{{"sizeInBytes", header.target_size}, {"sha256", base64_encode(header.target_sha256)}}}};
  Table kinds({"kind", "groups", "target bytes", "source bytes", "frame bytes"});
  json::Object by_kind;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto name = delta::kind_name(static_cast<delta::Kind>(i));
    const KindSum& sum = sums.at(i);
    kinds.add({std::string(name), std::to_string(sum.groups), std::to_string(sum.target), std::to_string(sum.source),
               std::to_string(sum.frames)});
    by_kind[name] = json::Object{
        {"groups", sum.groups}, {"bytes", sum.target}, {"sourceBytes", sum.source}, {"frameBytes", sum.frames}};
  }
  answer["kinds"] = std::move(by_kind);
  if (flags.with_groups) answer["groups"] = std::move(groups);
  if (!context.wants_json())
    fmt::print("format version {}, {} in groups of {}\nsource: {} bytes, sha256 {}\ntarget: {} bytes, sha256 {}\n\n",
               delta::kFormatVersion, readable_size(patch.size), readable_size(header.group_size), header.source_size,
               base64_encode(header.source_sha256), header.target_size, base64_encode(header.target_sha256));
  context.show(answer, flags.with_groups ? table : kinds);
  return exit_code::ok;
}

}  // namespace

void add_delta_commands(CLI::App& root, Context& context) {
  auto* group = root.add_subcommand("delta", "Make and use differences between versions of a file, on this machine");
  group->require_subcommand(1);
  auto flags = std::make_shared<DeltaFlags>();
  const auto verb = [&](const char* name, const char* help, Result<int> (*act)(Context&, const DeltaFlags&)) {
    auto* sub = group->add_subcommand(name, help);
    sub->callback([&context, flags, act] { context.action = [flags, act](Context& c) { return act(c, *flags); }; });
    return sub;
  };
  auto* make = verb("make", "Make the delta that turns SOURCE into TARGET", make_delta);
  make->add_option("source", flags->source, "The version that devices have")->required();
  make->add_option("target", flags->target, "The version that they shall have")->required();
  make->add_option("delta", flags->delta, "Where to write the delta")->required();
  make->add_option("--level", flags->level, "Effort of the compression; higher is smaller and slower")
      ->check(CLI::Range(delta::kLevelMin, delta::kLevelMax))
      ->capture_default_str();
  make->add_option("--group-size", flags->group_kib, "KiB of the target that are made at once")
      ->check(CLI::Range(delta::kGroupSizeMin / 1024, delta::kGroupSizeMax / 1024))
      ->capture_default_str();
  make->add_option("--jobs", flags->jobs, "Threads; each takes about 100 MB. Without it: one for each processor")
      ->check(CLI::Range(1, 64));
  auto* apply = verb("apply", "Make TARGET from SOURCE and a delta", apply_delta);
  apply->add_option("source", flags->source, "The version that is there: a file or a block device")->required();
  apply->add_option("delta", flags->delta, "The delta")->required();
  apply->add_option("target", flags->target, "Where to write the new version")->required();
  apply->add_option("--full", flags->full, "The new version itself, for ranges that a damaged source cannot give");
  auto* show = verb("show", "Say what a delta consists of, and check that it is undamaged", show_delta);
  show->add_option("delta", flags->delta, "The delta")->required();
  show->add_flag("--groups", flags->with_groups, "Every group, not only sums");
}

}  // namespace godwit::cli
