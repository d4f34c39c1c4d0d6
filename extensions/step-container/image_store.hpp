// Images in podman's store, whole in spite of power cuts, and none of their layers left behind when a load did not end.
//
// podman (containers/storage of podman 4.3.1) writes down that it has a layer before the layer's files are on the disk,
// and takes the layer for whole when it meets it again: after a cut its files may be empty. Layers of a load that was
// ended belong to no image; podman neither shows nor removes them. Both kinds go by way of an image that names them and
// nothing else: podman takes it in without content, since it has the layers, and removing it removes them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "image_archive.hpp"
#include "load_marks.hpp"
#include "podman.hpp"

namespace godwit::step_container {

/// An image that has the first `count` of `layers` and none of their content.
struct HollowImage {
  std::string id{};
  std::string archive{};  // an OCI image layout (OCI image specification 1.0, image-layout.md) as a tar
};
/// Errors: internal.
[[nodiscard]] Result<HollowImage> make_hollow_image(const std::vector<std::string>& layers, std::size_t count);

/// Blocking, one thread.
class ImageStore {
 public:
  /// `podman` and `host` outlive this. `state`: the handler's folder on the device; `boot`: as LoadMarks has it.
  ImageStore(const author::Host& host, const Podman& podman, const Path& state, std::string boot)
      : host_(host),
        podman_(podman),
        marks_(state / ".loads", std::move(boot)),
        hollow_(state / ".hollow.tar"),
        scratch_(state / ".scratch") {}

  /// podman has the image, each of its layers as in the archive. Goes on with a load that was killed in this boot.
  /// No container that this step made uses the image. Errors: process_failed, disk_full, cancelled, those of files.
  [[nodiscard]] Result<void> take_in(const ImageInfo& image, const Path& archive) const;
  /// All of it is on the disk, and what was made of it. Errors: those of files.
  [[nodiscard]] Result<void> seal(const std::string& image_id) const;
  /// What loads left that did not end, goes; what a container or a service uses stays, and what a load of this boot has
  /// of the image `to_come`. Errors: as take_in().
  [[nodiscard]] Result<void> tidy_up(std::string_view to_come = "") const;

 private:
  [[nodiscard]] Result<void> load(const Path& archive) const;
  [[nodiscard]] Result<void> remove_layers(const LoadMark& mark) const;
  [[nodiscard]] Result<void> tidy_up_after(const LoadMark& mark) const;

  const author::Host& host_;
  const Podman& podman_;
  LoadMarks marks_;
  Path hollow_;
  Path scratch_;  // for podman's copies of an archive: one that is killed leaves them
};

}  // namespace godwit::step_container
