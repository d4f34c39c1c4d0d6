// What dpkg and apt-get print, and the two small files of this handler, as values. Pure; safe from any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apt_manifest.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit::step_apt {

/// One package as dpkg knows it.
struct Installed {
  std::string version{};
  bool is_whole = false;  // "installed": unpacked and configured
  bool is_automatic = false;
};
/// By "name" and, for each, by "name:arch".
using InstalledPackages = std::map<std::string, Installed, std::less<>>;

/// The format that dpkg-query is asked for.
inline constexpr std::string_view kQueryFormat = "${Package}\t${Architecture}\t${Version}\t${db:Status-Status}\n";
/// Packages that are not on the device (only their configuration is) do not come in.
[[nodiscard]] InstalledPackages parse_dpkg_query(std::string_view output);

/// The format for packages_in_a_mess().
inline constexpr std::string_view kMessFormat = "${db:Status-Eflag}\t${Package}\t${Architecture}\t${Version}\n";
/// Packages whose unpacking was cut: dpkg wants them unpacked once more, and configures them no more. As wishes for the
/// version that dpkg names, which is the one from before the cut; a removal where it names none.
[[nodiscard]] std::vector<Wish> packages_in_a_mess(std::string_view output);

/// What a simulated run of apt-get (-s) would touch: the names of its Inst and Remv lines, each once.
[[nodiscard]] std::vector<std::string> parse_simulation(std::string_view output);

/// The first wish that does not hold, as a sentence; nothing: all hold.
[[nodiscard]] std::optional<std::string> what_is_missing(const std::vector<Wish>& wishes,
                                                         const InstalledPackages& installed);

/// Of apt's and dpkg's lines, those that say what went wrong, joined; empty if there is none.
class ErrorLines {
 public:
  void take(std::string_view line);
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool mention(std::string_view part) const { return text_.find(part) != std::string::npos; }

 private:
  std::string text_{};
};

/// Any line of APT::Status-Fd; what it tells of failures is told elsewhere too.
[[nodiscard]] bool is_status_line(std::string_view line);
/// 0..100 from a line of APT::Status-Fd ("pmstatus:tree:40.0:..."); nothing: it is another line.
[[nodiscard]] std::optional<unsigned> status_percent(std::string_view line);

/// The record of what was installed under which criteria: a JSON array of {"installedCriteria","state","timestamp",
/// "packages":[{"name","version"}]}, as the original agent's file with the packages added.
struct Record {
  std::string criteria{};
  std::int64_t timestamp = 0;  // seconds
  std::vector<Wish> packages{};
};
inline constexpr std::size_t kRecordsLimit = 200;  // the oldest go
[[nodiscard]] Result<std::vector<Record>> parse_records(std::string_view text);
[[nodiscard]] std::string print_records(const std::vector<Record>& records);
/// Replaces the record of these criteria.
void put_record(std::vector<Record>& records, Record record);

/// What was there before install: version empty: it was not.
struct Before {
  std::string name{};
  std::string version{};
  bool is_automatic = false;
};
[[nodiscard]] Result<std::vector<Before>> parse_backup(std::string_view text);
[[nodiscard]] std::string print_backup(const std::vector<Before>& packages);

}  // namespace godwit::step_apt
