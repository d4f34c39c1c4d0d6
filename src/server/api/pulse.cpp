#include "server/api/pulse.hpp"

#include <algorithm>

#include "core/base/json.hpp"

namespace godwit::api {
namespace {

constexpr ByteCount kFileLimit = 256 * 1024;
constexpr std::int64_t kFileVersion = 1;

[[nodiscard]] Result<std::deque<Pulse::Sample>> read_samples(std::string_view text) {
  GODWIT_TRY(const json::Object object, json::parse_object(text, json::Limits{.bytes = kFileLimit, .depth = 4}));
  GODWIT_TRY(const std::int64_t version, json::integer(object, "version", "the file"));
  if (version != kFileVersion) return fail(Code::unsupported, "it is of version " + std::to_string(version));
  GODWIT_TRY(const json::Array* list, json::array(object, "samples", "the file"));
  std::deque<Pulse::Sample> samples;
  for (const json::Value& value : *list) {
    const json::Array* pair = value.if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_int64() || !(*pair)[1].is_int64() ||
        (*pair)[1].get_int64() < 0)
      return fail(Code::invalid_argument, "a sample is not a time and a number");
    samples.push_back({from_unix_ms((*pair)[0].get_int64()), static_cast<std::uint64_t>((*pair)[1].get_int64())});
    if (samples.size() > 1 && samples[samples.size() - 2].time >= samples.back().time)
      return fail(Code::invalid_argument, "its samples are not in order");
  }
  while (samples.size() > Pulse::kMostSamples) samples.pop_front();
  return samples;
}

}  // namespace

Pulse::Pulse(Clock& clock, Log& log, Sources sources, Path file)
    : clock_(clock), log_(log), sources_(std::move(sources)), file_(std::move(file)) {
  load();
  next_sample_ = clock_.monotonic();
  next_save_ = clock_.monotonic() + kBetweenSaves;
}

void Pulse::load() {
  const auto text = read_file(file_, kFileLimit);
  if (!text) {
    if (text.error().code != Code::not_found)
      log_.warning("pulse.not_read", {{"file", file_.string()}, {"problem", text.error().message}});
    return;
  }
  auto samples = read_samples(*text);
  if (!samples) {
    log_.warning("pulse.not_read", {{"file", file_.string()}, {"problem", samples.error().message}});
    return;
  }
  const WallTime now = clock_.now();
  std::erase_if(*samples, [&](const Sample& one) { return one.time >= now; });  // the clock was set back
  samples_ = *std::move(samples);
}

void Pulse::save() {
  json::Array list;
  {
    const std::lock_guard lock(mutex_);
    if (!is_changed_since_save_) return;
    is_changed_since_save_ = false;
    for (const Sample& one : samples_)
      list.emplace_back(json::Array{to_unix_ms(one.time), static_cast<std::int64_t>(one.devices)});
  }
  const std::string text = json::print(json::Object{{"version", kFileVersion}, {"samples", std::move(list)}});
  if (const auto saved = write_file_durably(file_, text); !saved)
    log_.warning("pulse.not_saved", {{"file", file_.string()}, {"problem", saved.error().message}});
}

void Pulse::look() {
  const std::uint64_t commits = sources_.commits();
  const std::uint64_t connects = sources_.connects();
  const std::uint64_t devices = sources_.devices_online();
  bool has_records = false;
  bool has_connections = false;
  bool is_save_due = false;
  {
    const std::lock_guard lock(mutex_);
    has_records = commits != commits_;
    has_connections = connects != connects_;
    commits_ = commits;
    connects_ = connects;
    const Duration now = clock_.monotonic();
    if (now >= next_sample_) {
      next_sample_ = now + kBetweenSamples;
      const WallTime time = clock_.now();
      while (!samples_.empty() && samples_.back().time >= time) samples_.pop_back();  // the clock was set back
      samples_.push_back({time, devices});
      if (samples_.size() > kMostSamples) samples_.pop_front();
      is_changed_since_save_ = true;
    }
    is_save_due = now >= next_save_;
    if (is_save_due) next_save_ = now + kBetweenSaves;
  }
  if (is_save_due) save();
  if (!has_records && !has_connections) return;
  stream_.push({.name = "changed",
                .data = json::print(json::Object{{"records", has_records}, {"connections", has_connections}})});
}

std::vector<Pulse::Sample> Pulse::online() const {
  std::vector<Sample> points;
  const Sample present{clock_.now(), sources_.devices_online()};
  const std::lock_guard lock(mutex_);
  const std::size_t together = samples_.size() / kMostPoints + 1;
  for (std::size_t at = 0; at < samples_.size(); at += together) {
    const auto first = samples_.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last = samples_.begin() + static_cast<std::ptrdiff_t>(std::min(at + together, samples_.size()));
    points.push_back(
        *std::min_element(first, last, [](const Sample& a, const Sample& b) { return a.devices < b.devices; }));
  }
  if (points.empty() || points.back().time < present.time) points.push_back(present);
  return points;
}

void Pulse::start() {
  thread_ = std::thread([this] { run(); });
}

void Pulse::run() {
  for (;;) {
    look();
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, kBetweenLooks, [this] { return is_stopping_; })) return;
  }
}

void Pulse::stop() {
  stream_.stop();
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  save();
}

}  // namespace godwit::api
