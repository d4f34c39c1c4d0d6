#include "device/agent/payloads.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "core/base/text.hpp"
#include "device/agent/backoff.hpp"
#include "device/agent/sources.hpp"

namespace godwit::agent {
namespace {

constexpr int kPieceRounds = 3;  // a source that goes on changing is not worth more
constexpr Duration kLongestRetryAfter = std::chrono::minutes(10);
constexpr int kSourceTries = 3;

ByteCount size_of(const Path& path) {
  std::error_code problem;
  const auto size = std::filesystem::file_size(path, problem);
  return problem ? 0 : size;
}

std::optional<ByteCount> free_space(const Path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return std::nullopt;
  return static_cast<ByteCount>(info.f_bavail) * info.f_frsize;
}

Path beside(Path target, std::string_view suffix) {
  target += suffix;
  return target;
}

Path partial(const Path& target) { return beside(target, ".part"); }

ExtendedCode code_of(const Error& error) {
  return error.code == Code::disk_full ? erc::disk_full : erc::download_failed;
}

void remove_quietly(const Path& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

/// Named by what it is to hold: after a restart only a part of the very same pieces is continued.
std::string pieces_name(const std::vector<FileRange>& ranges) {
  return "pieces-" + hex_encode(sha256(json::print(ranges_to_json(ranges)))).substr(0, 16);
}

}  // namespace

FetchAnswer ExtensionDownloader::fetch(const FetchRequest& request, const std::stop_token& stop,
                                       const Progress& progress) {
  const auto registry = extension::Registry::load(extensions_file_);
  if (!registry) return {.extended_code = erc::downloader_missing, .details = registry.error().message};
  const auto registration = registry->find_downloader(scheme_of(request.url));
  if (!registration) return {.extended_code = erc::downloader_missing, .details = registration.error().message};

  json::Object options = options_;
  if (!request.size) options["sizeLimit"] = request.size_limit;
  json::Object call;
  call["verb"] = request.ranges.empty() ? "download" : "download_ranges";
  call["url"] = request.url;
  call["target"] = request.target.string();
  if (request.ranges.empty()) {
    if (request.size) call["expected_size"] = *request.size;
  } else {
    call["ranges"] = ranges_to_json(request.ranges);
    call["file_size"] = request.whole_size;
  }
  call["resume_offset"] = request.resume_offset;
  call["options"] = std::move(options);
  extension::Callbacks callbacks;
  callbacks.on_progress = [&progress](std::uint64_t done, std::uint64_t) { progress(done); };
  callbacks.on_log = [this](LogLevel level, std::string_view line) {
    log_.write(level, "downloader.says", {{"line", line}});
  };
  const auto outcome = extension::run_extension(*registration, call, limits_, stop, callbacks);
  if (!outcome) {
    const bool is_retryable = outcome.error().code == Code::timed_out;
    return {.extended_code = extension::extended_code_of(extension::Type::content_downloader, outcome.error().code),
            .details = outcome.error().message,
            .is_retryable = is_retryable};
  }
  FetchAnswer answer{
      .result_code = outcome->result_code, .extended_code = outcome->extended_code, .details = outcome->details};
  const auto* retryable = json::find(outcome->answer, "retryable");
  answer.is_retryable = retryable != nullptr && retryable->is_bool() && retryable->as_bool();
  if (const auto seconds = json::integer_or_nothing(outcome->answer, "retryAfterSeconds"); seconds && *seconds >= 0)
    answer.retry_after = std::chrono::seconds(std::min<std::int64_t>(*seconds, 86'400));
  return answer;
}

Payloads::Place Payloads::link_of(const PlannedFile& file) const {
  return [this, id = file.id] { return links_.url_of(id); };
}

Attempt<bool> Payloads::fetch_patiently(FetchRequest request, const Place& place, const std::string& name,
                                        const Patience& patience, const std::stop_token& stop,
                                        const Progress& progress) {
  Duration last_headway = clock_.monotonic();
  std::uint32_t failures = 0;
  int tries = 0;
  for (bool is_first = true;; is_first = false) {
    request.resume_offset = size_of(request.target);
    if (!request.size || request.resume_offset > *request.size) {
      remove_quietly(request.target);
      request.resume_offset = 0;
    }
    if (request.size && request.resume_offset == *request.size) return false;
    request.url = place();
    const FetchAnswer answer = downloader_.fetch(request, stop, progress);
    if (answer.result_code > 0) return is_first && request.resume_offset == 0;
    if (stop.stop_requested()) return stopped();
    const auto space = free_space(request.target.parent_path());
    const ByteCount here = size_of(request.target);
    const ByteCount missing = request.size && here < *request.size ? *request.size - here : 0;
    if (space && *space <= std::min<ByteCount>(missing, 1024 * 1024) && missing > 0)
      return trouble(
          erc::disk_full,
          fmt::format("download {}: the disk is full, {} are missing and {} are free; free some space and retry", name,
                      readable_size(missing), readable_size(*space)));
    const ExtendedCode code = answer.extended_code != 0 ? answer.extended_code : erc::download_failed;
    if (!answer.is_retryable) {
      if (place() == request.url) return trouble(code, fmt::format("download {}: {}", name, answer.details));
      log_.info("download.renewed", {{"file", name}, {"reason", answer.details}, {"have_bytes", here}});
      continue;
    }
    if (here > request.resume_offset) {
      last_headway = clock_.monotonic();
      failures = 0;
    }
    const Duration idle = clock_.monotonic() - last_headway;
    if (++tries == patience.tries)
      return trouble(code, fmt::format("download {}: gave up after {} tries: {}", name, tries, answer.details));
    if (idle >= patience.give_up_after)
      return trouble(code, fmt::format("download {}: gave up, no byte came for {} s: {}", name, idle.count() / 1000,
                                       answer.details));
    Duration pause = backoff(failures++, settings_.first_pause, settings_.longest_pause, random_);
    if (answer.retry_after) pause = std::max(pause, std::min(*answer.retry_after, kLongestRetryAfter));
    if (patience.tries > 0) pause = std::min(pause, patience.give_up_after);
    log_.warning("download.again",
                 {{"file", name}, {"reason", answer.details}, {"have_bytes", here}, {"again_in_ms", pause.count()}});
    if (!pauses_.wait(pause, stop)) return stopped();
  }
}

Attempt<void> Payloads::check(const PlannedFile& file, const Path& path) const {
  const ByteCount size = size_of(path);
  if (size != file.size)
    return trouble(erc::download_size,
                   fmt::format("download {}: {} bytes came, the manifest says {}", file.name, size, file.size));
  const auto digest = sha256_of_file(path);
  if (!digest) return trouble(code_of(digest.error()), fmt::format("check {}: {}", file.name, digest.error().message));
  if (*digest != file.sha256)
    return trouble(
        erc::download_hash,
        fmt::format(
            "download {}: its SHA-256 is {}, the manifest says {}; the server holds another file than was signed",
            file.name, hex_encode(*digest), hex_encode(file.sha256)));
  return {};
}

Attempt<ExtendedCode> Payloads::fetch(const PlannedFile& file, const Path& folder, const std::stop_token& stop,
                                      const Progress& progress) {
  const Path whole = folder / file.id;
  if (size_of(whole) == file.size && check(file, whole)) {
    progress(file.size);
    return ExtendedCode{0};
  }
  remove_quietly(whole);
  ExtendedCode soft = 0;
  std::string story;
  for (const std::string& source : settings_.sources) {
    const Place filled = [&] { return fill_source(source, file, links_.url_of(file.id)); };
    if (filled().empty()) continue;
    const std::string place = url_for_log(filled());
    const auto fetched = fetch_from(filled, file, whole, {settings_.source_patience, kSourceTries}, stop, progress);
    if (fetched) {
      log_.info("download.from_source", {{"file", file.name}, {"source", place}});
      return soft;
    }
    if (stop.stop_requested()) return stopped();
    const Trouble& problem = fetched.error();
    if (problem.extended_code == erc::disk_full) return tl::unexpected<Trouble>{problem};
    if (soft != kSourceWrong) soft = problem.extended_code == erc::download_hash ? kSourceWrong : kSourceFailed;
    story = fmt::format("; before it, {}: {}", place, problem.details);
    log_.warning("download.next_source", {{"file", file.name},
                                          {"source", place},
                                          {"code", extended_code_hex(problem.extended_code)},
                                          {"reason", problem.details}});
    // The bytes stay, the hash decides; but what one server calls its version tells nothing to the next.
    remove_quietly(beside(partial(whole), ".meta"));
  }
  if (links_.url_of(file.id).empty())
    return trouble(erc::download_bad_url,
                   fmt::format("download {}: the service gave no URL for file {}{}", file.name, file.id, story));
  const auto fetched = fetch_from(link_of(file), file, whole, {settings_.give_up_after}, stop, progress);
  if (fetched) return soft;
  Trouble problem = fetched.error();
  if (problem.result_code != result::cancelled) problem.details += story;
  return tl::unexpected<Trouble>{std::move(problem)};
}

Attempt<void> Payloads::fetch_from(const Place& place, const PlannedFile& file, const Path& whole,
                                   const Patience& patience, const std::stop_token& stop, const Progress& progress) {
  const FetchRequest request{.target = partial(whole), .size = file.size, .size_limit = file.size};
  for (bool may_start_over = true;; may_start_over = false) {
    const auto fetched = fetch_patiently(request, place, file.name, patience, stop, progress);
    if (!fetched) return tl::unexpected<Trouble>{fetched.error()};
    const auto checked = check(file, request.target);
    if (checked) break;
    remove_quietly(request.target);  // what is wrong must not be continued
    if (*fetched || !may_start_over) return checked;
    log_.warning("download.from_the_start", {{"file", file.name}, {"reason", checked.error().details}});
  }
  if (auto named = give_its_name(request.target, whole); !named) return named;
  progress(file.size);
  return {};
}

Attempt<void> Payloads::give_its_name(const Path& from, const Path& whole) const {
  const UniqueFd fd(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0)
    return trouble(erc::download_failed,
                   error_from_errno(fmt::format("download {}", whole.filename().string()), errno).message);
  std::error_code problem;
  std::filesystem::rename(from, whole, problem);
  if (problem)
    return trouble(erc::download_failed, fmt::format("download {}: {}", whole.filename().string(), problem.message()));
  if (auto synced = sync_folder(whole.parent_path()); !synced)
    return trouble(code_of(synced.error()), synced.error().message);
  return {};
}

MakeAnswer Payloads::make_with_pieces(const MakeRequest& request, const std::stop_token& stop) {
  MakeRequest again = request;
  MakeAnswer answer = maker_.make(again, stop);
  const Place place = link_of(request.file);
  for (int round = 0; round < kPieceRounds && !answer.is_willing && !answer.lacks.empty() && !place().empty();
       ++round) {
    again.ranges = answer.lacks;
    const ByteCount sum = extension::sum_of(again.ranges);
    again.ranges_file = request.work_folder / pieces_name(again.ranges);
    log_.warning("download.pieces", {{"file", request.file.name},
                                     {"handler", request.file.download_handler},
                                     {"pieces", again.ranges.size()},
                                     {"bytes", sum},
                                     {"reason", answer.details}});
    const auto fetched = fetch_patiently({.target = again.ranges_file,
                                          .size = sum,
                                          .size_limit = sum,
                                          .ranges = again.ranges,
                                          .whole_size = request.file.size},
                                         place, request.file.name, {settings_.give_up_after}, stop, [](ByteCount) {});
    if (!fetched) return {.extended_code = fetched.error().extended_code, .details = fetched.error().details};
    answer = maker_.make(again, stop);
    remove_quietly(again.ranges_file);
  }
  return answer;
}

Attempt<Path> Payloads::fetch_pieces(const PlannedFile& file, const std::vector<FileRange>& ranges, const Path& folder,
                                     const std::stop_token& stop) {
  if (links_.url_of(file.id).empty())
    return trouble(erc::download_bad_url,
                   fmt::format("download {}: the service gave no URL for file {}", file.name, file.id));
  if (const auto made = make_folders(folder, 0755); !made) return trouble(code_of(made.error()), made.error().message);
  const std::string prefix = file.id + ".";
  const Path target = folder / (prefix + pieces_name(ranges));
  std::error_code problem;
  for (auto entry = std::filesystem::directory_iterator(folder, problem);
       !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    const std::string name = entry->path().filename();
    if (name.starts_with(prefix + "pieces-") && !name.starts_with(target.filename().string())) remove_quietly(*entry);
  }
  const ByteCount sum = extension::sum_of(ranges);
  const auto fetched =
      fetch_patiently({.target = target, .size = sum, .size_limit = sum, .ranges = ranges, .whole_size = file.size},
                      link_of(file), file.name, {settings_.give_up_after}, stop, [](ByteCount) {});
  if (!fetched) return tl::unexpected<Trouble>{fetched.error()};
  remove_quietly(beside(target, ".meta"));
  return target;
}

MakeAnswer Payloads::make_from_parts(const MakeRequest& request, const Path& whole, const std::stop_token& stop) {
  const auto refuse = [](const Trouble& problem) {
    return MakeAnswer{.extended_code = problem.extended_code, .details = problem.details};
  };
  if (const auto made = make_folders(request.work_folder); !made)
    return {.extended_code = code_of(made.error()), .details = made.error().message};
  const MakeAnswer chosen = maker_.choose(request, stop);
  if (!chosen.is_willing) return chosen;
  for (const std::string& id : chosen.related) {
    const auto related = std::ranges::find(request.file.related, id, &RelatedFile::id);
    const PlannedFile part{.id = id, .name = related->name, .size = related->size, .sha256 = related->sha256};
    const auto fetched = fetch(part, request.work_folder, stop, [](ByteCount) {});
    if (!fetched) return refuse(fetched.error());
  }
  MakeAnswer answer = make_with_pieces(request, stop);
  if (!answer.is_willing) return answer;
  if (const auto checked = check(request.file, request.target); !checked)
    return {.extended_code = erc::make_failed, .details = "what it made is not the file: " + checked.error().details};
  if (const auto named = give_its_name(request.target, whole); !named) return refuse(named.error());
  return answer;
}

Attempt<ExtendedCode> Payloads::obtain(const Wanted& wanted, const Path& folder, const std::stop_token& stop,
                                       const Progress& progress) {
  const PlannedFile& file = wanted.file;
  ExtendedCode soft = 0;
  const Path whole = folder / file.id;
  const bool is_begun = size_of(whole) == file.size || size_of(partial(whole)) > 0;
  if (!file.download_handler.empty() && !is_begun) {
    const Path made = beside(whole, ".made");
    const MakeRequest request{
        .file = file, .target = made, .work_folder = beside(whole, ".make"), .update = wanted.update};
    const MakeAnswer answer = make_from_parts(request, whole, stop);
    remove_quietly(made);
    if (stop.stop_requested()) return stopped();  // what was fetched for it goes on later
    remove_quietly(request.work_folder);
    if (answer.is_willing) {
      log_.info("download.made", {{"file", file.name}, {"handler", file.download_handler}});
      progress(file.size);
      return soft;
    }
    soft = answer.extended_code;
    log_.warning("download.whole", {{"file", file.name},
                                    {"handler", file.download_handler},
                                    {"code", extended_code_hex(soft)},
                                    {"reason", answer.details}});
  }
  const auto fetched = fetch(file, folder, stop, progress);
  if (!fetched) return tl::unexpected<Trouble>{fetched.error()};
  return soft != 0 ? soft : *fetched;
}

void Payloads::keep_sources(const std::vector<PlannedStep>& steps, const UpdateId& update, const Path& folder,
                            const std::stop_token& stop) {
  for (const auto& step : steps)
    for (const auto& file : step.files) {
      if (file.download_handler.empty() || size_of(folder / file.id) != file.size) continue;
      const Path work = beside(folder / file.id, ".make");
      if (const auto made = make_folders(work); !made)
        return log_.warning("download_handler.not_asked", {{"reason", made.error().message}});
      maker_.completed({.file = file, .target = folder / file.id, .work_folder = work, .update = update}, stop);
      remove_quietly(work);
    }
}

Attempt<std::string> Payloads::fetch_text(const std::string& url, const Path& target, ByteCount limit,
                                          const std::stop_token& stop) {
  const auto fetched = fetch_patiently(
      {.target = target, .size = std::nullopt, .size_limit = limit}, [&url] { return url; }, target.filename().string(),
      {settings_.give_up_after}, stop, [](ByteCount) {});
  if (!fetched) return tl::unexpected<Trouble>{fetched.error()};
  auto text = read_file(target, limit);
  remove_quietly(target);
  if (!text) return trouble(code_of(text.error()), text.error().message);
  return *std::move(text);
}

Attempt<void> Payloads::reserve_space(const std::vector<const PlannedFile*>& files, const Path& folder,
                                      std::uint64_t copy_device) const {
  ByteCount missing = 0;
  ByteCount whole = 0;
  for (const auto* file : files) {
    const ByteCount here = std::max(size_of(folder / file->id), size_of(partial(folder / file->id)));
    missing += file->size - std::min(here, file->size);
    whole += file->size;
  }
  if (missing == 0) return {};
  struct stat info {};
  const bool is_same_disk = ::stat(folder.c_str(), &info) == 0 && info.st_dev == copy_device;
  const ByteCount needed = missing + (is_same_disk ? whole : 0);
  const auto refuse = [&](ByteCount space) {
    return trouble(erc::disk_full,
                   fmt::format("download: {} are needed{} and {} must stay free, but {} has only {}; free some space "
                               "and retry",
                               readable_size(needed), is_same_disk ? " (with the installer's copy)" : "",
                               readable_size(settings_.reserve), folder.string(), readable_size(space)));
  };
  const auto space = free_space(folder);
  if (space && *space < needed + settings_.reserve) return refuse(*space);
  for (const auto* file : files) {
    if (size_of(folder / file->id) == file->size || !file->download_handler.empty()) continue;
    const UniqueFd fd(::open(partial(folder / file->id).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    // The length stays: it says how much is here. A file system that cannot reserve is no reason to refuse.
    const bool is_full =
        fd && ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(file->size)) != 0 && errno == ENOSPC;
    if (is_full) return refuse(free_space(folder).value_or(0));
  }
  return {};
}

}  // namespace godwit::agent
