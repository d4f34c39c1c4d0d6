// The border of the extension: C structs in, the list of parts out.
#include "core/base/json.hpp"
#include "godwit/author.hpp"
#include "godwit/component_enumerator.h"
#include "inventory.hpp"
#include "support/options.hpp"

namespace {

constexpr std::uint32_t kInventory = 0x70000201;  // facility 7, component enumerator; the value is this example's own
constexpr std::uint32_t kInternal = 0x70000FFF;

namespace author = godwit::author;
namespace example = godwit::components_example;

void answer_with(const godwit_host* host, godwit_outcome* outcome, const godwit::json::Object& selector) {
  const author::Host here(host);
  const auto inventory = example::read_inventory(author::option(here, "inventory", example::kInventoryFile));
  if (!inventory) return author::say(outcome, 0, kInventory, inventory.error().message);
  here.answer(godwit::json::print(example::select(*inventory, selector)));
  author::say(outcome, 1, 0, "");
}

void list(const godwit_host* host, godwit_outcome* outcome) {
  author::guarded(outcome, kInternal, [&] { answer_with(host, outcome, {}); });
}

void choose(const godwit_host* host, godwit_text selector_json, godwit_outcome* outcome) {
  author::guarded(outcome, kInternal, [&] {
    const auto selector = godwit::json::parse_object(author::view(selector_json), {.bytes = 64 * 1024, .depth = 2});
    if (!selector) return author::say(outcome, 0, kInventory, "the selector is no object: " + selector.error().message);
    answer_with(host, outcome, *selector);
  });
}

constexpr godwit_component_enumerator kTable{sizeof(godwit_component_enumerator), list, choose};

}  // namespace

extern "C" {

const godwit_component_enumerator* godwit_component_enumerator_entry(std::uint32_t abi) {
  return abi == GODWIT_ABI ? &kTable : nullptr;
}

std::int32_t GetContractInfo(godwit_contract_info* info) {
  return godwit::author::describe(info, GODWIT_TYPE_COMPONENT_ENUMERATOR);
}
}
