#include "port_forwarding.hpp"

#include <algorithm>

#include "core/base/text.hpp"

namespace godwit::step_container {
namespace {

constexpr std::string_view kToTheNetwork = "NETAVARK-HOSTPORT-DNAT";  // each rule names its container in a comment
constexpr std::string_view kToTheContainer = "NETAVARK-DN-";          // each rule names the container's address

using Words = std::vector<std::string>;

/// As iptables prints them: a word with spaces is in double quotes.
Words split_words(std::string_view line) {
  Words words;
  bool is_quoted = false, is_in_word = false;
  for (const char c : line) {
    if (c == ' ' && !is_quoted) {
      is_in_word = false;
      continue;
    }
    if (!is_in_word) words.emplace_back();
    is_in_word = true;
    if (c == '"')
      is_quoted = !is_quoted;
    else
      words.back() += c;
  }
  return words;
}

/// What stands after `flag`; empty: it is not there.
std::string_view after(const Words& words, std::string_view flag) {
  const auto found = std::find(words.begin(), words.end(), flag);
  return found == words.end() || found + 1 == words.end() ? std::string_view() : std::string_view(*(found + 1));
}

/// "8099", or "8000:8010".
bool holds(std::string_view range, int number) {
  const auto colon = range.find(':');
  const auto first = to_number<int>(range.substr(0, colon));
  const auto last = colon == range.npos ? first : to_number<int>(range.substr(colon + 1));
  return first && last && *first <= number && number <= *last;
}

/// The address of "10.88.0.2:8080" or "[fd00::2]:8080".
std::string_view address_of(std::string_view target) {
  target = target.substr(0, target.rfind(':'));
  if (target.size() > 1 && target.front() == '[' && target.back() == ']') target = target.substr(1, target.size() - 2);
  return target;
}

template <typename Visit>
void for_each_rule(std::string_view listing, const std::vector<PublishedPort>& ports, const Visit& visit) {
  while (!listing.empty()) {
    const auto end = std::min(listing.find('\n'), listing.size());
    const Words words = split_words(listing.substr(0, end));
    listing.remove_prefix(std::min(end + 1, listing.size()));
    if (words.size() < 2 || words[0] != "-A") continue;
    if (words[1] != kToTheNetwork && !std::string_view(words[1]).starts_with(kToTheContainer)) continue;
    const bool is_ours = std::any_of(ports.begin(), ports.end(), [&](const PublishedPort& port) {
      return after(words, "-p") == port.protocol && holds(after(words, "--dport"), port.number);
    });
    if (is_ours) visit(words);
  }
}

bool is_for(const Words& rule, const RunningContainer& container) {
  if (const auto comment = after(rule, "--comment"); !comment.empty()) return comment.ends_with(container.id);
  const auto address = address_of(after(rule, "--to-destination"));
  return std::find(container.addresses.begin(), container.addresses.end(), address) != container.addresses.end();
}

}  // namespace

bool has_forwarding(std::string_view listing, const std::vector<PublishedPort>& ports) {
  bool found = false;
  for_each_rule(listing, ports, [&](const Words&) { found = true; });
  return found;
}

std::vector<Words> deletions_of_stale_rules(std::string_view listing, const std::vector<PublishedPort>& ports,
                                            const std::vector<RunningContainer>& running) {
  std::vector<Words> found;
  for_each_rule(listing, ports, [&](Words words) {
    const bool names_one = !after(words, "--comment").empty() || !after(words, "--to-destination").empty();
    const bool is_needed = std::any_of(running.begin(), running.end(),
                                       [&](const RunningContainer& container) { return is_for(words, container); });
    if (!names_one || is_needed) return;
    words[0] = "-D";
    words.insert(words.begin(), {"-t", "nat"});
    found.push_back(std::move(words));
  });
  return found;
}

}  // namespace godwit::step_container
