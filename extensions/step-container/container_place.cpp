#include "container_place.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/text.hpp"
#include "service_description.hpp"

namespace godwit::step_container {
namespace {

constexpr ByteCount kTokenLimit = 4096;

std::string image_name(const std::string& service, std::string_view which) {
  return fmt::format("localhost/godwit/{}:{}", service, which);
}

/// The one that had the name before, or what was made anew from its words.
bool is_former(const Container& container, const Former& former) {
  return container.id == former.id || (!former.words.empty() && container.words == former.words);
}

}  // namespace

std::string print_former(const Former& former) {
  return json::print(json::Object{{"id", former.id},
                                  {"image", former.image_id},
                                  {"create", former.words},
                                  {"settled", former.settled},
                                  {"running", former.was_running}});
}

Result<Former> parse_former(std::string_view text) {
  constexpr std::string_view kWhere = "the note of the former container";
  GODWIT_TRY(const json::Object object, json::parse_object(text));
  Former former;
  GODWIT_TRY(former.id, json::text(object, "id", kWhere));
  GODWIT_TRY(former.image_id, json::text(object, "image", kWhere));
  GODWIT_TRY(former.words, json::text(object, "create", kWhere));
  GODWIT_TRY(former.settled, json::text(object, "settled", kWhere));
  const json::Value* running = json::find(object, "running");
  former.was_running = running != nullptr && running->is_bool() && running->get_bool();
  return former;
}

ContainerPlace::ContainerPlace(const Podman& podman, const Path& state, std::string name)
    : podman_(podman),
      settled_file_(state / name),
      name_(std::move(name)),
      next_(name_ + ".godwit-new"),
      earlier_(name_ + ".godwit-old") {}

std::string ContainerPlace::settled() const {
  const auto text = read_file(settled_file_, kTokenLimit);
  return text ? std::string(trimmed(*text)) : "";
}

Result<void> ContainerPlace::write_settled(const std::string& token) const {
  if (token.empty()) return remove_file_durably(settled_file_);
  GODWIT_TRY_VOID(make_folders(settled_file_.parent_path(), 0755));
  return write_file_durably(settled_file_, token + "\n", 0644);
}

Result<std::optional<Container>> ContainerPlace::current() const { return podman_.container(name_); }

Result<Former> ContainerPlace::note_former() const {
  GODWIT_TRY(const auto found, current());
  if (!found) return Former{.settled = settled()};
  if (found->token.empty())
    return fail(Code::refused, fmt::format("the device has a container '{}' that this handler did not make", name_));
  return Former{.id = found->id,
                .image_id = found->image_id,
                .words = found->words,
                .settled = settled(),
                .was_running = found->is_running};
}

Result<void> ContainerPlace::clear() const { return podman_.remove(next_); }

/// podman itself leaves to the system when the files of a container reach the disk.
Result<void> ContainerPlace::make(const std::vector<std::string>& words) const {
  GODWIT_TRY_VOID(clear());
  GODWIT_TRY_VOID(podman_.create(words, next_));
  ::sync();
  return {};
}

/// One whose making was cut is known to podman, but its files may be empty, and nothing can be said of it (podman
/// 4.3.1): it goes.
Result<std::optional<Container>> ContainerPlace::next() const {
  auto found = podman_.container(next_);
  if (found) return found;
  GODWIT_TRY_VOID(clear());
  return std::nullopt;
}

/// podman writes the name of a container down twice, for itself and for its store, and a rename that was cut in between
/// leaves two names: the one in the store cannot be given again, nor is it shown. A rename to its own name mends it
/// (podman 4.3.1).
Result<void> ContainerPlace::agree_on_names() const {
  for (const std::string& name : {earlier_, name_}) {
    GODWIT_TRY(const auto found, podman_.container(name));
    if (found) podman_.rename_to_itself(*found);
  }
  GODWIT_TRY(const auto found, next());
  if (found) podman_.rename_to_itself(*found);
  return {};
}

Result<void> ContainerPlace::try_to_make(const std::vector<std::string>& words) const {
  if (const auto made = make(words); !made) {
    if (made.error().code != Code::process_failed) return made;
    GODWIT_TRY_VOID(agree_on_names());
    GODWIT_TRY_VOID(make(words));
  }
  return clear();
}

/// The former container steps back, the new one has the name. Each of the changes may be done already.
Result<void> ContainerPlace::take_name(const std::string& token, const Former& former) const {
  GODWIT_TRY(const auto made, next());
  if (!made || made->token != token)
    return fail(Code::conflict, fmt::format("the container '{}' that this step made is gone", next_));
  GODWIT_TRY(const auto found, current());
  if (found && found->id != former.id)
    return fail(Code::conflict, fmt::format("the container '{}' is another one than when the step began", name_));
  if (found) {
    GODWIT_TRY_VOID(podman_.stop(found->id));
    GODWIT_TRY_VOID(podman_.remove(earlier_));
    GODWIT_TRY_VOID(podman_.rename(found->id, earlier_));
  }
  return podman_.rename(made->id, name_);
}

Result<void> ContainerPlace::switch_to(const std::vector<std::string>& words, const std::string& token,
                                       const Former& former) const {
  podman_.wait_for_boot();
  GODWIT_TRY(auto found, current());
  GODWIT_TRY(const auto set_aside, podman_.container(earlier_));
  if (set_aside || (found && found->token == token)) GODWIT_TRY_VOID(agree_on_names());  // it comes again
  if (!found || found->token != token) {
    GODWIT_TRY_VOID(make(words));
    GODWIT_TRY_VOID(take_name(token, former));
    GODWIT_TRY(found, current());
    if (!found) return fail(Code::conflict, fmt::format("the container '{}' is gone", name_));
  }
  // Between two starts of the device podman may have started both. The second found its port taken, and podman, tidying
  // up after it, took the way to that port from the first as well (podman 4.3.1 with netavark 1.4).
  if (!former.id.empty()) {
    GODWIT_TRY(const auto earlier, podman_.container(former.id));
    if (earlier && earlier->is_running) GODWIT_TRY_VOID(podman_.stop(earlier->id));
  }
  if (found->is_running) GODWIT_TRY_VOID(podman_.stop(found->id));
  return start(*found);
}

Result<Container> ContainerPlace::make_in_place(const std::string& printed_words) const {
  GODWIT_TRY(const auto words, parse_words(printed_words));
  GODWIT_TRY_VOID(make(words));
  GODWIT_TRY_VOID(podman_.rename(next_, name_));
  GODWIT_TRY(const auto made, current());
  if (!made) return fail(Code::conflict, fmt::format("the container '{}' is gone", name_));
  return *made;
}

Result<void> ContainerPlace::start(const Container& container) const {
  const auto started = podman_.start(container.id);
  if (started || started.error().code != Code::process_failed) return started;
  GODWIT_TRY(const auto found, podman_.container(container.id));
  if (!found || !found->is_stuck) return started;
  GODWIT_TRY_VOID(podman_.remove(found->id));
  GODWIT_TRY(const Container made, make_in_place(found->words));
  return podman_.start(made.id);
}

Result<void> ContainerPlace::settle(const std::string& token, const Former& former) const {
  GODWIT_TRY_VOID(write_settled(token));
  GODWIT_TRY(const auto found, current());
  if (!found) return {};  // it ended and was removed by others: nothing to tidy up for
  const std::string now = found->image_id;
  const auto before = podman_.image_named(image_name(name_, "former"));
  (void)podman_.tag(now, image_name(name_, "current"));
  if (!former.id.empty() && former.image_id != now) (void)podman_.tag(former.image_id, image_name(name_, "former"));
  (void)podman_.remove(earlier_);
  if (before && *before != former.image_id && *before != now) podman_.forget_image(*before, "");
  return {};
}

Result<void> ContainerPlace::remove_with_image(const Container& container, const Former& former) const {
  GODWIT_TRY_VOID(podman_.remove(container.id));
  if (container.image_id != former.image_id) podman_.forget_image(container.image_id, image_name(name_, "current"));
  return {};
}

Result<void> ContainerPlace::switch_back(const std::string& token, const Former& former) const {
  podman_.wait_for_boot();
  GODWIT_TRY_VOID(agree_on_names());
  GODWIT_TRY(const auto to_come, next());
  GODWIT_TRY(const auto found, current());
  const bool is_switched = found && found->token == token && !is_former(*found, former);
  if (found && !is_switched && !is_former(*found, former))
    return fail(Code::conflict, fmt::format("the container '{}' is another one than when the step began", name_));
  GODWIT_TRY_VOID(write_settled(former.settled));
  if (!former.image_id.empty()) (void)podman_.tag(former.image_id, image_name(name_, "current"));
  if (to_come) GODWIT_TRY_VOID(remove_with_image(*to_come, former));
  if (is_switched) GODWIT_TRY_VOID(remove_with_image(*found, former));
  if (former.id.empty()) return {};
  GODWIT_TRY(auto earlier, podman_.container(former.id));
  if (!earlier && found && !is_switched) earlier = found;
  if (!earlier) {  // an apply that had succeeded removed it
    GODWIT_TRY(earlier, make_in_place(former.words));
  }
  const bool was_disturbed = to_come || is_switched || earlier->name != name_;
  if (earlier->name != name_) GODWIT_TRY_VOID(podman_.rename(earlier->id, name_));
  if (!former.was_running) return {};
  if (earlier->is_running && was_disturbed) GODWIT_TRY_VOID(podman_.stop(earlier->id));  // as in switch_to()
  return start(*earlier);
}

}  // namespace godwit::step_container
