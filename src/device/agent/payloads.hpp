// How the bytes behind a URL come into the sandbox: fetched by the registered content downloader, continued where a
// partial file ends, tried again while there is headway, and checked by size and SHA-256 before the file gets its name.
// Blocking; belongs to the worker thread.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/base/random.hpp"
#include "device/agent/links.hpp"
#include "device/agent/maker.hpp"
#include "device/agent/pauses.hpp"
#include "device/agent/record.hpp"
#include "device/agent/trouble.hpp"
#include "device/extension/process.hpp"

namespace godwit::agent {

struct FetchRequest {
  std::string url{};
  Path target{};                    // continued from its present size
  std::optional<ByteCount> size{};  // nothing: unknown, then `size_limit` bounds it
  ByteCount size_limit = 0;
  ByteCount resume_offset = 0;
  /// Not empty: only these pieces of the file of `whole_size` bytes come, one after the other; `size` is their sum.
  std::vector<FileRange> ranges{};
  ByteCount whole_size = 0;
};
struct FetchAnswer {
  std::int32_t result_code = 0;
  ExtendedCode extended_code = 0;
  std::string details{};
  bool is_retryable = false;
  std::optional<Duration> retry_after{};
};

/// One try to fetch one file; a port so that tests need no extension.
class ContentDownloader {
 public:
  using Progress = std::function<void(ByteCount done)>;
  virtual ~ContentDownloader() = default;
  [[nodiscard]] virtual FetchAnswer fetch(const FetchRequest& request, const std::stop_token& stop,
                                          const Progress& progress) = 0;
};

/// The registered content-downloader extension, in a process of its own for every try.
class ExtensionDownloader final : public ContentDownloader {
 public:
  ExtensionDownloader(Path extensions_file, extension::Limits limits, json::Object options, Log& log)
      : extensions_file_(std::move(extensions_file)), limits_(limits), options_(std::move(options)), log_(log) {}
  [[nodiscard]] FetchAnswer fetch(const FetchRequest& request, const std::stop_token& stop,
                                  const Progress& progress) override;

 private:
  Path extensions_file_;
  extension::Limits limits_;
  json::Object options_;
  Log& log_;
};

struct PayloadSettings {
  Duration give_up_after = std::chrono::minutes(30);  // without a byte
  Duration first_pause = std::chrono::seconds(1);
  Duration longest_pause = std::chrono::minutes(1);
  ByteCount reserve = 32ULL * 1024 * 1024;  // left free on the disk
  std::vector<std::string> sources{};       // asked in this order before the URL of the service; see sources.hpp
  Duration source_patience = std::chrono::seconds(10);  // with each of them, without a byte
};

class Payloads {
 public:
  using Progress = std::function<void(ByteCount done)>;  // bytes of this file that are here
  Payloads(PayloadSettings settings, const Links& links, ContentDownloader& downloader, PayloadMaker& maker,
           const Clock& clock, Random& random, Pauses& pauses, Log& log)
      : settings_(settings),
        links_(links),
        downloader_(downloader),
        maker_(maker),
        clock_(clock),
        random_(random),
        pauses_(pauses),
        log_(log) {}

  struct Wanted {
    const PlannedFile& file;
    UpdateId update;
  };
  /// As fetch(), but a file with a download handler is made from what is here, if that works. Gives the soft code that
  /// tells why it did not, or else that of fetch(); 0: nothing to tell.
  Attempt<ExtendedCode> obtain(const Wanted& wanted, const Path& folder, const std::stop_token& stop,
                               const Progress& progress);
  /// The update with these files is installed: their download handlers may keep them as sources. Files that are not
  /// there are left out.
  void keep_sources(const std::vector<PlannedStep>& steps, const UpdateId& update, const Path& folder,
                    const std::stop_token& stop);

  /// Makes `folder / file.id` hold the file, whole and checked. A whole one is only checked, a partial one continued.
  /// The configured sources are asked in their order, then the link of the service: who fails, or holds another file,
  /// is followed by the next. A link that is renewed meanwhile is used from the next try on. Gives the soft code that
  /// tells of those that failed; 0: nothing to tell.
  Attempt<ExtendedCode> fetch(const PlannedFile& file, const Path& folder, const std::stop_token& stop,
                              const Progress& progress);
  /// Fetches pieces of a streamed file into a file of `folder`, one after the other, and says which: after a cut the
  /// very same pieces are continued. Whether they are right only their user can tell. Removes what other pieces of the
  /// file an earlier run left.
  Attempt<Path> fetch_pieces(const PlannedFile& file, const std::vector<FileRange>& ranges, const Path& folder,
                             const std::stop_token& stop);
  /// Fetches a small document whose size and hash nobody knows before, e.g. the root key package.
  Attempt<std::string> fetch_text(const std::string& url, const Path& target, ByteCount limit,
                                  const std::stop_token& stop);
  /// Takes the room that `files` need in `folder` before the first byte comes, so that nobody else gets it meanwhile.
  /// `copy_device`: st_dev of where the installer copies them to; on the same disk that room must be free as well.
  /// Refuses with disk_full when they do not fit beside the reserve.
  Attempt<void> reserve_space(const std::vector<const PlannedFile*>& files, const Path& folder,
                              std::uint64_t copy_device) const;

 private:
  struct Patience {
    Duration give_up_after{};  // without a byte
    int tries = 0;             // at most, headway or not: who trickles is followed by the next; 0: no limit
  };
  using Place = std::function<std::string()>;  // the URL as of now
  /// Tries until the file is there, or nothing came for too long. Each try asks `place` where; a place that refuses is
  /// asked again once it has changed. True: it came in one try from the first byte.
  Attempt<bool> fetch_patiently(FetchRequest request, const Place& place, const std::string& name,
                                const Patience& patience, const std::stop_token& stop, const Progress& progress);
  /// fetch() from one place: the file has its name, or the trouble is told and no wrong byte is left.
  Attempt<void> fetch_from(const Place& place, const PlannedFile& file, const Path& whole, const Patience& patience,
                           const std::stop_token& stop, const Progress& progress);
  Attempt<void> check(const PlannedFile& file, const Path& path) const;
  /// Lets the download handler choose, fetches what it chose, lets it make the file, checks it and names it `whole`.
  /// The answer of whoever was not willing, or did not deliver; willing: the file is there.
  MakeAnswer make_from_parts(const MakeRequest& request, const Path& whole, const std::stop_token& stop);
  /// Lets it make the file; pieces that it lacks are fetched from the full file and it is asked again.
  MakeAnswer make_with_pieces(const MakeRequest& request, const std::stop_token& stop);
  Attempt<void> give_its_name(const Path& from, const Path& whole) const;

  [[nodiscard]] Place link_of(const PlannedFile& file) const;

  PayloadSettings settings_;
  const Links& links_;
  ContentDownloader& downloader_;
  PayloadMaker& maker_;
  const Clock& clock_;
  Random& random_;
  Pauses& pauses_;
  Log& log_;
};

}  // namespace godwit::agent
