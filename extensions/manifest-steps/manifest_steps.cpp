// The border of the extension: C structs in, the planner's answer out.
#include <cstddef>

#include "core/base/json.hpp"
#include "godwit/author.hpp"
#include "godwit/manifest_handler.h"
#include "planner.hpp"

namespace {

constexpr std::uint32_t kInternal = 0x30400FFF;

void plan(const godwit_host* host, const godwit_plan_request* request, godwit_outcome* outcome) {
  namespace author = godwit::author;
  author::guarded(outcome, kInternal, [&] {
    // A host of minor version 0 or 1 has a shorter struct.
    const bool has_children = request->size >= offsetof(godwit_plan_request, children_json) + sizeof(godwit_text);
    const auto planned = godwit::manifest_steps::plan(
        {.manifest = author::view(request->manifest_json),
         .components = author::view(request->components_json),
         .children = has_children ? author::view(request->children_json) : std::string_view{}});
    if (planned.ok()) author::Host(host).answer(godwit::json::print(planned.answer));
    author::say(outcome, planned.ok() ? 1 : 0, planned.extended_code, planned.details);
  });
}

constexpr godwit_manifest_handler kTable{sizeof(godwit_manifest_handler), plan};

}  // namespace

extern "C" {

const godwit_manifest_handler* godwit_manifest_handler_entry(std::uint32_t abi) {
  return abi == GODWIT_ABI ? &kTable : nullptr;
}

std::int32_t GetContractInfo(godwit_contract_info* info) {
  return godwit::author::describe(info, GODWIT_TYPE_MANIFEST_HANDLER);
}
}
