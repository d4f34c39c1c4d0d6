#include "server/store/sqlite/fleet_columns.hpp"
#include "server/store/sqlite/rollout.hpp"
#include "server/store/sqlite/rows.hpp"

namespace godwit::store::sqlite {

Result<void> SqliteRollout::append_report(const ReportRecord& report, std::size_t keep) {
  GODWIT_TRY_VOID(connection_.run(
      "INSERT INTO device_reports (device_id, time, workflow_id, deployment, verdict, report_json) VALUES (?, ?, ?, ?, "
      "?, ?)",
      report.device.str(), report.time, report.workflow_id, report.deployment, report.verdict, report.report_json));
  return connection_.run(
      "DELETE FROM device_reports WHERE device_id = ? AND sequence <= "
      "(SELECT sequence FROM device_reports WHERE device_id = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
      report.device.str(), report.device.str(), keep);
}

Result<std::vector<ReportRecord>> SqliteRollout::list_reports(const IdentityId& device, std::size_t limit) {
  GODWIT_TRY(auto rows, connection_.prepare(
                            "SELECT device_id, time, workflow_id, deployment, verdict, report_json FROM device_reports "
                            "WHERE device_id = ? ORDER BY sequence DESC LIMIT ?"));
  rows.bind(device.str(), limit);
  return all(rows, [](Statement& row) -> Result<ReportRecord> {
    GODWIT_TRY(auto id, stored_id<IdentityId>(row.text_view(0), "device id"));
    return ReportRecord{.device = std::move(id),
                        .time = row.time(1),
                        .workflow_id = row.text(2),
                        .deployment = row.integer(3),
                        .verdict = row.text(4),
                        .report_json = row.text(5)};
  });
}

}  // namespace godwit::store::sqlite
