#include "device/slots/pairs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "device/slots/difference_writer.hpp"

namespace godwit::slots {
namespace {

constexpr ByteCount kCluster = 64 * 1024;  // a file takes whole clusters of its file system

/// The first bytes of an open file.
class DiskSource final : public ImageSource {
 public:
  DiskSource(std::unique_ptr<DiskFile> file, ByteCount size) : file_(std::move(file)), size_(size) {}
  Result<std::size_t> read(std::span<char> buffer) override {
    const auto want = static_cast<std::size_t>(std::min<ByteCount>(buffer.size(), size_ - at_));
    GODWIT_TRY(const std::size_t got, file_->read_at(at_, buffer.first(want)));
    at_ += got;
    return got;
  }

 private:
  std::unique_ptr<DiskFile> file_;
  ByteCount size_;
  ByteCount at_ = 0;
};

std::string name_of(const Pair& pair, Side side) {
  return fmt::format("pair {} of side {} ({})", pair.name, side_name(side), pair.of(side).string());
}

template <class T>
Result<T> in_pair(const Pair& pair, Side side, Result<T> result) {
  if (!result) return with_context(name_of(pair, side), result.error());
  return result;
}

/// Size and hash of all that comes; no more than `most` bytes.
Result<Image> measure(ImageSource& source, ByteCount most, std::size_t chunk, const Watch& watch) {
  Image content;
  Sha256 sum;
  std::vector<char> buffer(chunk);
  for (;;) {
    if (watch.is_cancelled()) return cancelled();
    GODWIT_TRY(const std::size_t got, source.read(buffer));
    if (got == 0) break;
    content.size += got;
    if (content.size > most)
      return fail(Code::too_large, fmt::format("what is to lie there has more than the {} bytes that have room", most));
    sum.update({buffer.data(), got});
  }
  if (content.size == 0) return fail(Code::invalid_argument, "what is to lie there is empty");
  content.sha256 = sum.finish();
  return content;
}

Result<std::optional<ByteCount>> size_of(Disk& disk, const Path& path) {
  const auto file = disk.open(path, OpenMode::read);
  if (!file && file.error().code == Code::not_found) return std::optional<ByteCount>{};
  if (!file) return tl::unexpected<Error>{file.error()};
  GODWIT_TRY(const ByteCount size, (*file)->size());
  return std::optional<ByteCount>{size};
}

}  // namespace

Result<void> check_name(const std::vector<Pair>& pairs, const std::string& name) {
  if (std::ranges::any_of(pairs, [&](const Pair& pair) { return pair.name == name; })) return {};
  std::string known;
  for (const Pair& pair : pairs) known += (known.empty() ? "" : ", ") + pair.name;
  return fail(Code::refused,
              fmt::format("the update brings a file for the pair '{}', but slots.toml of this device has {}; add it "
                          "there as [[pairs]], or leave it out of the update",
                          name, known.empty() ? "no pairs" : "only " + known));
}

Result<void> PairTransfer::check(const PairSources& sources) {
  jobs_.clear();
  for (const auto& source : sources) GODWIT_TRY_VOID(check_name(pairs_, source.first));
  for (const Pair& pair : pairs_) {
    const auto brought = sources.find(pair.name);
    GODWIT_TRY(Job job, in_pair(pair, target_, plan(pair, brought == sources.end() ? nullptr : &brought->second)));
    jobs_.push_back(std::move(job));
  }
  return check_rooms();
}

Result<PairTransfer::Job> PairTransfer::plan(const Pair& pair, const OpenSource* brought) {
  Job job{.pair = &pair, .open = {}};
  if (brought != nullptr) {
    job.open = *brought;
  } else {
    const Path from = pair.of(other(target_));
    const auto file = disk_.open(from, OpenMode::read);
    if (!file && file.error().code == Code::not_found)
      return fail(
          Code::refused,
          fmt::format("the update brings nothing for it, and {} of the running side, which would be copied, does "
                      "not exist; put it there, or name the pair in the update",
                      from.string()));
    if (!file) return tl::unexpected<Error>{file.error()};
    GODWIT_TRY(const ByteCount size, copied_size(pair, **file));
    job.open = [this, from, size]() -> Result<std::unique_ptr<ImageSource>> {
      GODWIT_TRY(auto copied, disk_.open(from, OpenMode::read));
      return std::make_unique<DiskSource>(std::move(copied), size);
    };
  }
  GODWIT_TRY_VOID(check_fit(job));
  return job;
}

/// Of a partition what was written onto it, as long as that is still there; else all of it.
Result<ByteCount> PairTransfer::copied_size(const Pair& pair, DiskFile& file) {
  GODWIT_TRY(const ByteCount size, file.size());
  const auto known = known_.find(pair.name);
  if (pair.is_file || known == known_.end() || known->second.size > size) return size;
  GODWIT_TRY(const Bytes digest, digest_of(file, known->second.size, options_, watch_));
  return digest == known->second.sha256 ? known->second.size : size;
}

Result<void> PairTransfer::check_fit(Job& job) {
  const Path& place = job.pair->of(target_);
  ByteCount most = 0;
  if (job.pair->is_file) {
    GODWIT_TRY(const Room room, disk_.room(place.parent_path()));
    GODWIT_TRY(const auto present, size_of(disk_, place));
    most = room.free + present.value_or(0);
  } else {
    GODWIT_TRY(const auto partition, disk_.open(place, OpenMode::read));
    GODWIT_TRY(most, partition->size());
  }
  GODWIT_TRY(const auto source, job.open());
  GODWIT_TRY(job.content, measure(*source, most, options_.chunk, watch_));
  return {};
}

/// Files of one file system need room together.
Result<void> PairTransfer::check_rooms() {
  std::map<std::uint64_t, ByteCount> needed;
  for (const Job& job : jobs_) {
    if (!job.pair->is_file) continue;
    const Path& place = job.pair->of(target_);
    GODWIT_TRY(const Room room, disk_.room(place.parent_path()));
    GODWIT_TRY(const auto present, size_of(disk_, place));
    const ByteCount there = present.value_or(0);
    ByteCount& sum = needed[room.file_system];
    if (job.content.size > there) sum += (job.content.size - there + kCluster - 1) / kCluster * kCluster;
    if (sum > room.free)
      return fail(Code::too_large,
                  fmt::format("{}: its file system has {} bytes free, and {} more are needed; make room on it, or give "
                              "it more",
                              name_of(*job.pair, target_), room.free, sum));
  }
  return {};
}

Result<Written> PairTransfer::write() {
  Written all;
  for (const Job& job : jobs_) {
    GODWIT_TRY(const Written written, in_pair(*job.pair, target_, write_place(job)));
    all.written += written.written;
    all.skipped += written.skipped;
  }
  return all;
}

Result<Written> PairTransfer::write_place(const Job& job) {
  const Path& place = job.pair->of(target_);
  GODWIT_TRY(const auto source, job.open());
  bool goes_on = true;
  if (job.pair->is_file) {
    GODWIT_TRY(const auto present, size_of(disk_, place));
    goes_on = present && *present <= job.content.size;
  }
  GODWIT_TRY(const auto file, disk_.open(place, goes_on ? OpenMode::write : OpenMode::create));
  // Its name as well, or nothing of it is found after a cut.
  if (!goes_on) GODWIT_TRY_VOID(disk_.sync_folder(place.parent_path()));
  GODWIT_TRY(const Written written, write_image(*file, *source, job.content, nullptr, options_, watch_));
  // What is equal may be so in memory only: a program that wrote it was ended before its sync.
  if (written.written == 0) GODWIT_TRY_VOID(file->sync());
  return written;
}

Result<PairContents> PairTransfer::read_back() {
  PairContents contents;
  for (const Job& job : jobs_) {
    GODWIT_TRY_VOID(in_pair(*job.pair, target_, verify_place(job)));
    contents[job.pair->name] = {.size = job.content.size, .sha256 = job.content.sha256};
  }
  return contents;
}

Result<void> PairTransfer::verify_place(const Job& job) {
  const Path& place = job.pair->of(target_);
  GODWIT_TRY(const auto file, disk_.open(place, OpenMode::write));
  GODWIT_TRY_VOID(verify_image(*file, job.content, options_, watch_));
  return job.pair->is_file ? disk_.sync_folder(place.parent_path()) : Result<void>{};
}

Result<PairContents> read_pairs(Disk& disk, const std::vector<Pair>& pairs, Side side, const WriterOptions& options,
                                const Watch& watch) {
  const auto read = [&](const Pair& pair) -> Result<PairContent> {
    const Path& place = pair.of(side);
    GODWIT_TRY(const auto file, disk.open(place, OpenMode::write));
    GODWIT_TRY_VOID(file->sync());  // what the other program wrote may be in memory only
    if (pair.is_file) GODWIT_TRY_VOID(disk.sync_folder(place.parent_path()));
    PairContent content;
    GODWIT_TRY(content.size, file->size());
    if (content.size == 0) return fail(Code::invalid_argument, "it is empty");
    GODWIT_TRY(content.sha256, digest_of(*file, content.size, options, watch));
    return content;
  };
  PairContents contents;
  for (const Pair& pair : pairs) {
    GODWIT_TRY(contents[pair.name], in_pair(pair, side, read(pair)));
  }
  return contents;
}

}  // namespace godwit::slots
