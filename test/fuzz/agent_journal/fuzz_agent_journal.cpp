// Goal: whatever a disk gives back as the agent's journal, reading it ends; and what is accepted is written and read as
// the same record, and every event of the table can be taken from it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/agent/journal.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit::agent;
  const auto record = parse_record(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!record) return 0;
  const auto again = parse_record(print_record(*record));
  GODWIT_CHECK(again.has_value());
  GODWIT_CHECK(*again == *record);
  for (int event = 0; event <= static_cast<int>(Event::installer_lost); ++event) {
    const auto row = next(record->state, static_cast<Event>(event));
    if (!row) continue;
    Incident incident;
    incident.event = row->on;
    incident.result.emplace();
    incident.result->event = row->on;
    incident.goal.emplace();
    incident.goal->workflow_id = "w";
    const Record changed = advance(*record, *row, incident);
    GODWIT_CHECK(changed.state == row->to);
    static_cast<void>(report_of_end(changed));
  }
  return 0;
}
