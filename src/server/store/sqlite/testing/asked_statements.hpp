// For tests: every statement that SQLite is given by connections that open while somebody listens, and what SQLite's
// own planner says of it. Process-wide; one listener at a time, any thread.
#pragma once

#include <set>
#include <string>

namespace godwit::store::testing {

class AskedStatements {
 public:
  AskedStatements();
  ~AskedStatements();
  AskedStatements(const AskedStatements&) = delete;
  AskedStatements& operator=(const AskedStatements&) = delete;

  /// Texts since the last call, each once.
  [[nodiscard]] std::set<std::string> take();
  /// What the plan of `sql` does that grows with the fleet: scans of tables with a row for each device. "" if nothing,
  /// or if the statement stops by a LIMIT. Uses the database of the statements that were heard.
  [[nodiscard]] std::string growth_of(const std::string& sql) const;
};

}  // namespace godwit::store::testing
