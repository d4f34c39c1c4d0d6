#include "server/store/sqlite/migrations.hpp"

namespace godwit::store::sqlite {
namespace {

// A row for each text in the tags of a twin, at most three names deep and 256 characters long, so that
// tags.ADUGroup = 'x' does not read the fleet. The triggers keep it: whoever changes tags, in whatever statement,
// changes the rows with them. A patch that leaves the tags as they are costs one comparison. Written out level by level
// because a trigger cannot hold a recursive query; a value that is no object must not reach the inner json_each, which
// would take it for broken JSON.
constexpr std::string_view kSql = R"sql(
CREATE TABLE twin_tags (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  device_id TEXT NOT NULL REFERENCES twins(device_id) ON DELETE CASCADE,
  PRIMARY KEY (name, value, device_id)
) WITHOUT ROWID;
CREATE INDEX twin_tags_by_device ON twin_tags(device_id);

CREATE TRIGGER twins_tags_changed AFTER UPDATE OF tags ON twins WHEN OLD.tags <> NEW.tags BEGIN
  DELETE FROM twin_tags WHERE device_id = NEW.device_id;
  INSERT INTO twin_tags (name, value, device_id)
    SELECT a.key, a.value, NEW.device_id FROM json_each(NEW.tags) a WHERE a.type = 'text' AND length(a.value) <= 256
    UNION ALL
    SELECT a.key || '.' || b.key, b.value, NEW.device_id
      FROM json_each(NEW.tags) a, json_each(iif(a.type = 'object', a.value, '{}')) b
      WHERE b.type = 'text' AND length(b.value) <= 256
    UNION ALL
    SELECT a.key || '.' || b.key || '.' || c.key, c.value, NEW.device_id
      FROM json_each(NEW.tags) a, json_each(iif(a.type = 'object', a.value, '{}')) b,
        json_each(iif(b.type = 'object', b.value, '{}')) c
      WHERE c.type = 'text' AND length(c.value) <= 256
    ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER twins_tags_inserted AFTER INSERT ON twins WHEN NEW.tags <> '{}' BEGIN
  INSERT INTO twin_tags (name, value, device_id)
    SELECT a.key, a.value, NEW.device_id FROM json_each(NEW.tags) a WHERE a.type = 'text' AND length(a.value) <= 256
    UNION ALL
    SELECT a.key || '.' || b.key, b.value, NEW.device_id
      FROM json_each(NEW.tags) a, json_each(iif(a.type = 'object', a.value, '{}')) b
      WHERE b.type = 'text' AND length(b.value) <= 256
    UNION ALL
    SELECT a.key || '.' || b.key || '.' || c.key, c.value, NEW.device_id
      FROM json_each(NEW.tags) a, json_each(iif(a.type = 'object', a.value, '{}')) b,
        json_each(iif(b.type = 'object', b.value, '{}')) c
      WHERE c.type = 'text' AND length(c.value) <= 256
    ON CONFLICT DO NOTHING;
END;

INSERT INTO twin_tags (name, value, device_id)
  SELECT a.key, a.value, t.device_id FROM twins t, json_each(t.tags) a WHERE a.type = 'text' AND length(a.value) <= 256
  UNION ALL
  SELECT a.key || '.' || b.key, b.value, t.device_id
    FROM twins t, json_each(t.tags) a, json_each(iif(a.type = 'object', a.value, '{}')) b
    WHERE b.type = 'text' AND length(b.value) <= 256
  UNION ALL
  SELECT a.key || '.' || b.key || '.' || c.key, c.value, t.device_id
    FROM twins t, json_each(t.tags) a, json_each(iif(a.type = 'object', a.value, '{}')) b,
      json_each(iif(b.type = 'object', b.value, '{}')) c
    WHERE c.type = 'text' AND length(c.value) <= 256
  ON CONFLICT DO NOTHING;
)sql";

}  // namespace

Migration migration_0006() { return {.version = 6, .name = "index of tags", .sql = kSql}; }

}  // namespace godwit::store::sqlite
