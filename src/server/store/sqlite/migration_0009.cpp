#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {

// kind: 0 twin update, 1 direct method. state of a job: 0 scheduled, 1 enqueued, 2 running, 3 completed, 4 failed,
// 5 cancelled; of a device in it: 0 pending, 1 running, 2 succeeded, 3 failed, 4 cancelled. A device is named as text:
// it may be removed while a job remembers it.
Migration migration_0009() {
  return {9, "scheduled jobs", R"sql(
CREATE TABLE jobs (
  job_id TEXT PRIMARY KEY,
  kind INTEGER NOT NULL,
  state INTEGER NOT NULL,
  condition TEXT NOT NULL,
  work TEXT NOT NULL,
  created INTEGER NOT NULL,
  starts INTEGER NOT NULL,
  began INTEGER,
  ended INTEGER,
  time_limit INTEGER NOT NULL,
  cursor TEXT NOT NULL,
  is_gathered INTEGER NOT NULL,
  reason TEXT NOT NULL
);
CREATE INDEX jobs_open ON jobs(starts) WHERE ended IS NULL;
CREATE INDEX jobs_ended ON jobs(ended) WHERE ended IS NOT NULL;
CREATE INDEX jobs_by_age ON jobs(created);

CREATE TABLE job_devices (
  job_id TEXT NOT NULL REFERENCES jobs(job_id) ON DELETE CASCADE,
  device TEXT NOT NULL,
  state INTEGER NOT NULL,
  began INTEGER,
  ended INTEGER,
  outcome TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job_id, device)
) WITHOUT ROWID;
CREATE INDEX job_devices_by_state ON job_devices(job_id, state, device);
)sql"};
}

}  // namespace godwit::store::sqlite
