#include "device/agent/planned_steps.hpp"

#include <algorithm>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/base/file.hpp"

namespace godwit::agent {
namespace {

constexpr std::size_t kFilesLimit = 1000;

template <class File>
Result<File> file_of(const auto& described) {
  GODWIT_TRY(auto digest, hex_decode(described.sha256));
  if (digest.size() != 32 || !is_plain_file_name(described.id))
    return fail(Code::bad_packet, "the installer's plan describes a file badly");
  File file;
  file.id = described.id;
  file.name = described.name;
  file.size = described.size;
  file.sha256 = std::move(digest);
  return file;
}

}  // namespace

bool is_same_plan(const std::vector<PlannedStep>& one, const std::vector<PlannedStep>& other) {
  return std::ranges::equal(one, other, [](const PlannedStep& a, const PlannedStep& b) {
    return a.path == b.path && a.handler == b.handler && a.skip == b.skip && a.subject == b.subject &&
           a.files == b.files;
  });
}

Result<std::vector<PlannedStep>> steps_of(const installer::Plan& plan) {
  std::vector<PlannedStep> steps;
  std::size_t count = 0;
  for (const auto& planned : plan.steps) {
    PlannedStep step{.path = planned.path,
                     .handler = planned.handler,
                     .skip = planned.skip,
                     .subject = planned.subject,
                     .restores_update = planned.restores_update};
    for (const auto& described : planned.files) {
      GODWIT_TRY(auto file, file_of<PlannedFile>(described));
      file.download_handler = described.download_handler;
      file.is_streamed = described.is_streamed;
      for (const auto& one : described.related) {
        GODWIT_TRY(auto related, file_of<RelatedFile>(one));
        related.properties = one.properties;
        file.related.push_back(std::move(related));
      }
      step.files.push_back(std::move(file));
    }
    count += step.files.size();
    steps.push_back(std::move(step));
  }
  if (steps.empty() || count > kFilesLimit)
    return fail(Code::bad_packet, "the installer's plan has no step or too many files");
  return steps;
}

}  // namespace godwit::agent
