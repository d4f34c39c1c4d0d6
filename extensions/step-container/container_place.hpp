// A service's place on the device: the container that has its name, the one before it, the one to come. Every change
// may be cut off and done again: containers are told apart by their id and by the token of the step that made them.
// Blocking, one thread.
#pragma once

#include <string>
#include <string_view>

#include "podman.hpp"

namespace godwit::step_container {

/// What had the name when the step began. Empty id: nothing.
struct Former {
  std::string id{};
  std::string image_id{};
  std::string words{};    // to make it again once it is gone
  std::string settled{};  // the token that was settled then
  bool was_running = false;
};
[[nodiscard]] std::string print_former(const Former& former);
/// Errors: bad_json.
[[nodiscard]] Result<Former> parse_former(std::string_view text);

class ContainerPlace {
 public:
  /// `podman` outlives this. `state` is a folder, made where it is missing: it holds which step's container succeeded.
  ContainerPlace(const Podman& podman, const Path& state, std::string name);

  /// The container that has the name now. Errors: process_failed.
  [[nodiscard]] Result<std::optional<Container>> current() const;

  /// For switch_back(). Errors: refused (the name belongs to a container that this handler did not make).
  [[nodiscard]] Result<Former> note_former() const;

  /// Removes what an install that was cut left. Errors: those of Podman::remove().
  [[nodiscard]] Result<void> clear() const;

  /// Makes the container to come, beside the one that runs, and removes it again: with a policy of "always" podman
  /// would start it with the device. Errors: those of Podman::create().
  [[nodiscard]] Result<void> try_to_make(const std::vector<std::string>& words) const;

  /// Makes the container of `token`, stops the former one and keeps it, gives its name to the new one, starts that.
  /// Done already is success. Errors: conflict (somebody else changed the containers meanwhile), those of Podman.
  [[nodiscard]] Result<void> switch_to(const std::vector<std::string>& words, const std::string& token,
                                       const Former& former) const;

  /// The step of `token` succeeded: the former container goes, its image stays until the next update.
  /// Errors: io_failed, disk_full.
  [[nodiscard]] Result<void> settle(const std::string& token, const Former& former) const;

  /// Did the step of `token` succeed? A container that has the name may still be on trial.
  [[nodiscard]] bool is_settled(const std::string& token) const { return !token.empty() && settled() == token; }

  /// The other way round: the container of `token` and its image go, the former one has its name again and runs if it
  /// ran. Errors: conflict, process_failed.
  [[nodiscard]] Result<void> switch_back(const std::string& token, const Former& former) const;

 private:
  [[nodiscard]] std::string settled() const;
  [[nodiscard]] Result<void> write_settled(const std::string& token) const;
  /// The container to come, on the disk when this returns.
  [[nodiscard]] Result<void> make(const std::vector<std::string>& words) const;
  [[nodiscard]] Result<std::optional<Container>> next() const;
  [[nodiscard]] Result<void> agree_on_names() const;
  [[nodiscard]] Result<void> take_name(const std::string& token, const Former& former) const;
  /// From the words of its label, under the name of the place; there is none of that name.
  [[nodiscard]] Result<Container> make_in_place(const std::string& printed_words) const;
  /// One that podman can start no more is made anew.
  [[nodiscard]] Result<void> start(const Container& container) const;
  [[nodiscard]] Result<void> remove_with_image(const Container& container, const Former& former) const;

  const Podman& podman_;
  Path settled_file_;
  std::string name_;
  std::string next_;     // "NAME.godwit-new"
  std::string earlier_;  // "NAME.godwit-old"
};

}  // namespace godwit::step_container
