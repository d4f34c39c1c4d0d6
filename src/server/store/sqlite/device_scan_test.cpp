// Goal: a scan shows exactly the twins it was asked for, in id order, and the index of tags follows every change of the
// tags. Method: the real store; what a scan shows is written down as text.
#include <algorithm>

#include "server/store/sqlite/migrations.hpp"
#include "server/store/testing.hpp"

namespace godwit::store {
namespace {

IdentityId device(std::string_view text) { return IdentityId::parse(text).value(); }

class DeviceScan : public testing::Test {
 protected:
  void write(const Store::Job& job) {
    const auto outcome = test_.store->write(job);
    ASSERT_TRUE(outcome) << outcome.error().message;
  }
  void insert(const std::string& id, bool is_enabled = true, bool is_connected = false) {
    write([&](Records& records) -> Result<void> {
      GODWIT_TRY_VOID(records.devices().insert_identity({.id = device(id),
                                                         .is_enabled = is_enabled,
                                                         .status_reason = "r",
                                                         .primary_key = Secret{"secret-key-123456"},
                                                         .generation = "g",
                                                         .etag = 3},
                                                        test_.clock.now()));
      return records.devices().save_session(
          device(id), {.model_id = "dtmi:m;1", .is_connected = is_connected, .last_activity = from_unix_ms(5)});
    });
  }
  void set_tags(const std::string& id, const char* tags) {
    write([&](Records& records) -> Result<void> {
      GODWIT_TRY(auto record, records.devices().find_twin(device(id)));
      record->twin.tags = json::parse_object(tags).value();
      return records.devices().save_twin(device(id), *record);
    });
  }
  std::string ids(const TwinScan& scan) {
    std::string text;
    const auto job = [&](Records& records) -> Result<void> {
      return records.devices().scan_twins(scan, [&](const TwinRow& row) -> Result<bool> {
        text += row.identity.id.str() + " ";
        return true;
      });
    };
    const auto outcome = test_.store->read(job);
    EXPECT_TRUE(outcome) << outcome.error().message;
    return text;
  }
  std::string with_tag(const char* name, const std::string& value) {
    return ids({.tag = TagText{.name = name, .value = value}});
  }

  TestStore test_;
};

TEST_F(DeviceScan, shows_what_lies_between_its_bounds_in_id_order) {
  for (const char* id : {"c", "a", "b", "B", "d"}) insert(id);
  EXPECT_EQ(ids({}), "B a b c d ");
  EXPECT_EQ(ids({.after = "a"}), "b c d ");
  EXPECT_EQ(ids({.after = "aa"}), "b c d ");
  EXPECT_EQ(ids({.least = "b"}), "b c d ");
  EXPECT_EQ(ids({.after = "b", .least = "b"}), "c d ");
  EXPECT_EQ(ids({.after = "c", .least = "b"}), "d ");
  EXPECT_EQ(ids({.least = "b", .greatest = "c"}), "b c ");
  EXPECT_EQ(ids({.least = "c", .greatest = "c", .with_head = true, .with_tags = true}), "c ");
  EXPECT_EQ(ids({.is_modules = true}), "");
}

TEST_F(DeviceScan, modules_and_devices_are_apart) {
  for (const char* id : {"a", "b", "a/m2", "a/m1", "b/m1", "a-c"}) insert(id);
  set_tags("a/m1", R"({"g":"x"})");
  set_tags("a", R"({"g":"x"})");
  EXPECT_EQ(ids({}), "a a-c b ");
  EXPECT_EQ(ids({.is_modules = true}), "a/m1 a/m2 b/m1 ");
  EXPECT_EQ(ids({.is_modules = true, .least = "a/", .greatest = "a/\x7F"}), "a/m1 a/m2 ");
  EXPECT_EQ(ids({.is_modules = true, .after = "a/m1"}), "a/m2 b/m1 ");
  EXPECT_EQ(ids({.is_modules = true, .tag = TagText{.name = "g", .value = "x"}}), "a/m1 ");
  EXPECT_EQ(with_tag("g", "x"), "a ");
}

TEST_F(DeviceScan, filters_by_connection_and_status) {
  insert("a", true, true);
  insert("b", false, true);
  insert("c", true, false);
  set_tags("a", R"({"g":"x"})");
  set_tags("b", R"({"g":"x"})");
  EXPECT_EQ(ids({.is_connected = true}), "a b ");
  EXPECT_EQ(ids({.is_connected = false}), "c ");
  EXPECT_EQ(ids({.is_enabled = true}), "a c ");
  EXPECT_EQ(ids({.is_connected = true, .is_enabled = false}), "b ");
  EXPECT_EQ(ids({.after = "a", .is_connected = true}), "b ");
  EXPECT_EQ(ids({.tag = TagText{.name = "g", .value = "x"}, .is_connected = true, .is_enabled = true}), "a ");
}

TEST_F(DeviceScan, reads_what_was_asked_for_and_never_keys) {
  insert("a", false, true);
  write([&](Records& records) -> Result<void> {
    GODWIT_TRY(auto record, records.devices().find_twin(device("a")));
    record->version = 9;
    record->twin.tags = json::Object{{"t", 1}};
    record->twin.desired.values = json::Object{{"d", 1}};
    record->twin.desired.version = 4;
    record->twin.reported.values = json::Object{{"r", 1}};
    record->twin.reported.version = 6;
    return records.devices().save_twin(device("a"), *record);
  });
  const auto look = [&](const TwinScan& scan, const std::function<void(const TwinRow&)>& check) {
    int rows = 0;
    const auto job = [&](Records& records) -> Result<void> {
      return records.devices().scan_twins(scan, [&](const TwinRow& row) -> Result<bool> {
        check(row);
        ++rows;
        return true;
      });
    };
    ASSERT_TRUE(test_.store->read(job));
    EXPECT_EQ(rows, 1);
  };
  look({.with_tags = true}, [](const TwinRow& row) {
    EXPECT_EQ(row.tags, R"({"t":1})");
    EXPECT_EQ(row.desired, "");
    EXPECT_EQ(row.reported, "");
    EXPECT_EQ(row.reported_version, 0U);
  });
  look({.with_desired = true, .with_reported = true, .with_section_versions = true}, [](const TwinRow& row) {
    EXPECT_EQ(row.tags, "");
    EXPECT_EQ(row.desired, R"({"d":1})");
    EXPECT_EQ(row.desired_metadata, "");
    EXPECT_EQ(row.desired_version, 4U);
    EXPECT_EQ(row.reported, R"({"r":1})");
    EXPECT_EQ(row.reported_version, 6U);
  });
  look({.with_desired_metadata = true, .with_reported_metadata = true}, [](const TwinRow& row) {
    EXPECT_NE(row.desired_metadata.find("$lastUpdated"), std::string_view::npos);
    EXPECT_NE(row.reported_metadata.find("$lastUpdated"), std::string_view::npos);
  });
  look({.with_head = true}, [](const TwinRow& row) {
    EXPECT_EQ(row.version, 9U);
    EXPECT_FALSE(row.identity.is_enabled);
    EXPECT_EQ(row.identity.status_reason, "r");
    EXPECT_EQ(row.identity.etag, 3U);
    EXPECT_EQ(row.identity.generation, "g");
    EXPECT_EQ(row.identity.created, from_unix_ms(0));
    EXPECT_EQ(row.session.model_id, "dtmi:m;1");
    EXPECT_TRUE(row.session.is_connected);
    EXPECT_EQ(row.session.last_activity, from_unix_ms(5));
    EXPECT_TRUE(row.identity.primary_key.empty());
  });
}

TEST_F(DeviceScan, the_visitor_ends_it_and_may_read_other_records) {
  for (const char* id : {"a", "b", "c"}) insert(id);
  std::string seen;
  const auto job = [&](Records& records) -> Result<void> {
    return records.devices().scan_twins({.with_tags = true}, [&](const TwinRow& row) -> Result<bool> {
      // A scan inside of a scan uses the same statement text.
      GODWIT_TRY_VOID(records.devices().scan_twins({.with_tags = true}, [&](const TwinRow& inner) -> Result<bool> {
        seen += inner.identity.id.str();
        return true;
      }));
      GODWIT_TRY(const auto twin, records.devices().find_twin(row.identity.id));
      EXPECT_TRUE(twin);
      return row.identity.id.str() != "b";
    });
  };
  ASSERT_TRUE(test_.store->read(job));
  EXPECT_EQ(seen, "abcabc");
  const auto failing = [&](Records& records) -> Result<void> {
    return records.devices().scan_twins({}, [](const TwinRow&) -> Result<bool> { return fail(Code::refused, "no"); });
  };
  EXPECT_EQ(test_.store->read(failing).error().code, Code::refused);
}

TEST_F(DeviceScan, the_index_of_tags_follows_every_change) {
  for (const char* id : {"a", "b", "c"}) insert(id);
  set_tags("a", R"({"ADUGroup":"g","place":{"hall":"B","shelf":{"row":"r1","deep":{"er":"no"}}},"n":1,"list":["g"]})");
  set_tags("b", R"({"ADUGroup":"g"})");
  set_tags("c", R"({"ADUGroup":"G","n":"1"})");
  EXPECT_EQ(with_tag("ADUGroup", "g"), "a b ");
  EXPECT_EQ(with_tag("ADUGroup", "G"), "c ");
  EXPECT_EQ(with_tag("place.hall", "B"), "a ");
  EXPECT_EQ(with_tag("place.shelf.row", "r1"), "a ");
  EXPECT_EQ(with_tag("place.shelf.deep.er", "no"), "") << "deeper than the index goes";
  EXPECT_EQ(with_tag("n", "1"), "c ") << "only texts";
  EXPECT_EQ(with_tag("list", "g"), "");
  EXPECT_EQ(ids({.after = "a", .tag = TagText{.name = "ADUGroup", .value = "g"}}), "b ");

  set_tags("a", R"({"ADUGroup":"h"})");
  EXPECT_EQ(with_tag("ADUGroup", "g"), "b ");
  EXPECT_EQ(with_tag("ADUGroup", "h"), "a ");
  EXPECT_EQ(with_tag("place.hall", "B"), "");
  set_tags("a", "{}");
  EXPECT_EQ(with_tag("ADUGroup", "h"), "");

  write([&](Records& records) -> Result<void> {
    GODWIT_TRY([[maybe_unused]] const bool was_there, records.devices().remove_identity(device("b")));
    return {};
  });
  EXPECT_EQ(with_tag("ADUGroup", "g"), "");
}

TEST_F(DeviceScan, the_index_takes_texts_of_256_characters_and_any_content) {
  insert("a");
  const std::string longest(256, 'x');
  const std::string accents = "\u00fc\u00fc'\"\\\t{}[]";
  json::Object tags{{"long", longest}, {"longer", longest + "x"}, {"text", accents}, {"a'b \u00fc", "quoted"}};
  set_tags("a", json::print(tags).c_str());
  EXPECT_EQ(with_tag("long", longest), "a ");
  EXPECT_EQ(with_tag("longer", longest + "x"), "");
  EXPECT_EQ(with_tag("text", accents), "a ");
  EXPECT_EQ(with_tag("a'b \u00fc", "quoted"), "a ");
}

TEST(TagIndex, an_older_database_gets_the_tags_it_holds) {
  TemporaryFolder folder;
  const Path file = folder.path() / "db.sqlite";
  FakeClock clock;
  NullLog log;
  {
    auto connection = sqlite::Connection::open(file, sqlite::Connection::Mode::read_write).value();
    const auto all = sqlite::all_migrations();
    const auto at = std::find_if(all.begin(), all.end(), [](const auto& one) { return one.version == 6; });
    ASSERT_TRUE(sqlite::migrate(*connection, all.first(static_cast<std::size_t>(at - all.begin())), clock.now()));
    ASSERT_TRUE(connection->run_script(
        "INSERT INTO identities (device_id, is_enabled, status_reason, primary_key, secondary_key, generation, etag, "
        "created) VALUES ('a', 1, '', x'', x'', '', 1, 0), ('b', 1, '', x'', x'', '', 1, 0);"
        "INSERT INTO sessions (device_id, last_activity) VALUES ('a', 0), ('b', 0);"
        "INSERT INTO twins VALUES ('a', 1, '{\"ADUGroup\":\"g\",\"p\":{\"q\":\"r\",\"s\":{\"t\":\"u\"}},\"n\":1}', "
        "'{}', '{}', 1, "
        "'{}', '{}', 1), ('b', 1, '{}', '{}', '{}', 1, '{}', '{}', 1);"));
  }
  auto store = open_sqlite_store(file, trust::test_sealer(), clock, log);
  ASSERT_TRUE(store) << store.error().message;
  for (const auto& [name, value] : {std::pair{"ADUGroup", "g"}, std::pair{"p.q", "r"}, std::pair{"p.s.t", "u"}}) {
    std::string seen;
    ASSERT_TRUE((*store)->read([&, name = name, value = value](Records& records) -> Result<void> {
      return records.devices().scan_twins({.tag = TagText{.name = name, .value = value}},
                                          [&](const TwinRow& row) -> Result<bool> {
                                            seen += row.identity.id.str();
                                            return true;
                                          });
    }));
    EXPECT_EQ(seen, "a") << name;
  }
}

}  // namespace
}  // namespace godwit::store
