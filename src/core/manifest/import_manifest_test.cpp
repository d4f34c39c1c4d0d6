// Goal: every rule of the format has a row: one change to a good manifest, and the sentence that names it.
#include "core/manifest/import_manifest.hpp"

#include <gtest/gtest.h>
#include <functional>

#include "core/manifest/example_manifests.hpp"

namespace godwit::manifest {
namespace {

Result<ImportManifest> parse(const json::Object& object) { return parse_import_manifest(json::print(object)); }

TEST(ImportManifest, a_good_one_is_read_whole) {
  const ImportManifest read = parse(example_import_manifest()).value();
  EXPECT_EQ(read.version, "5.0");
  EXPECT_EQ(read.update_id.str(), "Contoso/Toaster/1.2.0");
  EXPECT_EQ(read.description, "Warmer toast");
  EXPECT_TRUE(read.is_deployable);
  EXPECT_EQ(read.compatibility, (std::vector<CompatibilitySet>{{{"manufacturer", "Contoso"}, {"model", "Toaster"}}}));
  ASSERT_EQ(read.steps.size(), 2U);
  const auto& first = std::get<InlineStep>(read.steps[0]);
  EXPECT_EQ(first.handler, "microsoft/swupdate:2");
  EXPECT_EQ(first.files, (std::vector<std::string>{"toaster.swu", "ab.sh"}));
  EXPECT_EQ(json::text(first.handler_properties, "installedCriteria", "").value(), "1.2.0");
  EXPECT_EQ(std::get<ReferenceStep>(read.steps[1]).update.str(), "Contoso/Motor/2.0");
  ASSERT_EQ(read.files.size(), 2U);
  EXPECT_EQ(read.files[0].size, 73400320U);
  EXPECT_EQ(read.files[0].sha256(), godwit::sha256("swu"));
  EXPECT_EQ(read.files[0].download_handler, "microsoft/delta:1");
  ASSERT_EQ(read.files[0].related_files.size(), 1U);
  EXPECT_EQ(read.files[0].related_files[0].properties.size(), 2U);
  EXPECT_EQ(read.files[0].properties.at("colour").as_string(), "red");
}

TEST(ImportManifest, printing_reads_back_to_an_equal_value) {
  ImportManifest read = parse(example_import_manifest()).value();
  const std::string text = print_import_manifest(read);
  EXPECT_EQ(parse_import_manifest(text).value(), read);
  EXPECT_NE(text.find("\n  \"updateId\": {\n    \"provider\": \"Contoso\",\n"), std::string::npos) << text;
  read.is_deployable = false;
  EXPECT_EQ(parse_import_manifest(print_import_manifest(read)).value(), read);
}

using Change = std::function<void(json::Object&)>;
struct Row {
  std::string_view fragment;  // "" = accepted
  Change change;
};

Change set(std::string_view path, json::Value value) {
  return [=](json::Object& o) { at(o, path) = value; };
}
Change drop(std::string_view path) {
  return [=](json::Object& o) { remove(o, path); };
}
Change push(std::string_view path, json::Value value) {
  return [=](json::Object& o) { at(o, path).as_array().push_back(value); };
}
Change repeat_first(std::string_view path, std::size_t times) {
  return [=](json::Object& o) { at(o, path).as_array().resize(times, json::Value(at(o, path).as_array().at(0))); };
}
json::Value text_of(std::size_t length) { return json::Value(std::string(length, 'x')); }

void check(const std::vector<Row>& rows, const json::Object& good) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    json::Object object = good;
    rows[i].change(object);
    const auto read = parse(object);
    if (rows[i].fragment.empty()) {
      EXPECT_TRUE(read) << "row " << i << ": " << read.error().message;
      continue;
    }
    ASSERT_FALSE(read) << "row " << i << ": " << rows[i].fragment;
    EXPECT_EQ(read.error().code, Code::bad_manifest) << rows[i].fragment;
    EXPECT_NE(read.error().message.find(rows[i].fragment), std::string::npos)
        << "row " << i << ": " << read.error().message;
  }
}

TEST(ImportManifest, every_rule_of_the_frame_is_kept) {
  const json::Value sets_with_six = {{{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}, {"e", "1"}, {"f", "1"}}};
  check(
      {
          {"unknown member 'extra'", set("/extra", 1)},
          {"", drop("/$schema")},
          {"$schema must be a string", set("/$schema", 1)},
          {"updateId is missing", drop("/updateId")},
          {"unknown member 'more'", set("/updateId/more", "x")},
          {"provider", set("/updateId/provider", "Con toso")},
          {"provider has 65", set("/updateId/provider", text_of(65))},
          {"name has 0", set("/updateId/name", "")},
          {"version", set("/updateId/version", "1")},
          {"version", set("/updateId/version", "1.2.3.4.5")},
          {"version", set("/updateId/version", "1.2147483648")},
          {"", drop("/description")},
          {"", set("/description", text_of(512))},
          {"description has 513", set("/description", text_of(513))},
          {"description has 0", set("/description", "")},
          {"", set("/isDeployable", false)},
          {"isDeployable must be true or false", set("/isDeployable", "yes")},
          {"compatibility is missing", drop("/compatibility")},
          {"compatibility has 0", set("/compatibility", json::Array{})},
          {"", repeat_first("/compatibility", 10)},
          {"compatibility has 11", repeat_first("/compatibility", 11)},
          {"compatibility[0] has 6", set("/compatibility", sets_with_six)},
          {"compatibility[0].model", set("/compatibility/0/model", text_of(65))},
          {"compatibility[0].model is not a string", set("/compatibility/0/model", 3)},
          {"manifestVersion is missing", drop("/manifestVersion")},
          {"createdDateTime is missing", drop("/createdDateTime")},
          {"createdDateTime is not an ISO 8601", set("/createdDateTime", "yesterday")},
          {"instructions is missing", drop("/instructions")},
          {"instructions: unknown member 'more'", set("/instructions/more", 1)},
          {"instructions.steps has 0", set("/instructions/steps", json::Array{})},
          {"", repeat_first("/instructions/steps", 10)},
          {"instructions.steps has 11", repeat_first("/instructions/steps", 11)},
      },
      example_import_manifest());
}

TEST(ImportManifest, every_rule_of_a_step_is_kept) {
  check(
      {
          {"", drop("/instructions/steps/0/type")},
          {"steps[0].type is 'other'", set("/instructions/steps/0/type", "other")},
          {"steps[0]: unknown member 'extra'", set("/instructions/steps/0/extra", 1)},
          {"steps[1]: unknown member 'handler'", set("/instructions/steps/1/handler", "a/b:1")},
          {"steps[0] is not an object", set("/instructions/steps/0", 1)},
          {"steps[0].description has 65", set("/instructions/steps/0/description", text_of(65))},
          {"steps[0].handler is missing", drop("/instructions/steps/0/handler")},
          {"", set("/instructions/steps/0/handler", "a/b:1")},
          {"", set("/instructions/steps/0/handler", "contoso.x/y/z:12345")},
          {"steps[0].handler is not", set("/instructions/steps/0/handler", "a/b:123456")},
          {"steps[0].handler is not", set("/instructions/steps/0/handler", "a/b:")},
          {"steps[0].handler is not", set("/instructions/steps/0/handler", "a/:12")},
          {"steps[0].handler is not", set("/instructions/steps/0/handler", "/bcd:1")},
          {"steps[0].handler is not", set("/instructions/steps/0/handler", "abcde:1")},
          {"steps[0].handler is not", set("/instructions/steps/0/handler", "a b/c:1")},
          {"steps[0].handler is not", set("/instructions/steps/0/handler", "a/b:1x")},
          {"steps[0].handler is not",
           set("/instructions/steps/0/handler", json::Value("a/" + std::string(29, 'b') + ":1"))},
          {"steps[0].files is missing", drop("/instructions/steps/0/files")},
          {"steps[0].files has 0", set("/instructions/steps/0/files", json::Array{})},
          {"steps[0].files has 11", repeat_first("/instructions/steps/0/files", 11)},
          {"steps[0].files[0]: 'x.bin' is not in files", set("/instructions/steps/0/files/0", "x.bin")},
          {"'toaster.diff' is not in files", set("/instructions/steps/0/files/0", "toaster.diff")},
          {"steps[0].files[1] is not a string", set("/instructions/steps/0/files/1", 7)},
          {"", drop("/instructions/steps/0/handlerProperties")},
          {"handlerProperties must be an object", set("/instructions/steps/0/handlerProperties", "x")},
          {"steps[1].updateId is missing", drop("/instructions/steps/1/updateId")},
          {"steps[1]: updateId: unknown member", set("/instructions/steps/1/updateId/more", 1)},
          {"steps[1].updateId is the update itself",
           set("/instructions/steps/1/updateId", {{"provider", "Contoso"}, {"name", "Toaster"}, {"version", "1.2.0"}})},
      },
      example_import_manifest());
}

// faults: 18, 44, 45
TEST(ImportManifest, every_rule_of_a_file_is_kept) {
  const auto other = [](std::string_view name, std::int64_t size) {
    return json::Value{{"filename", name}, {"sizeInBytes", size}, {"hashes", {{"sha256", hash_of(name)}}}};
  };
  check(
      {
          {"", set("/files/0/mimeType", "x/y")},  // unknown members of a file are somebody else's
          {"files[0].filename is missing", drop("/files/0/filename")},
          {"", set("/files/0/properties", nullptr)},
          {"files[1].filename is not a plain file name", set("/files/1/filename", "../ab.sh")},
          {"files[1].filename is not a plain file name", set("/files/1/filename", "/etc/passwd")},
          {"files[1].filename is not a plain file name", set("/files/1/filename", "..")},
          {"files[1].filename is not a plain file name", set("/files/1/filename", "a\nb")},
          {"files[1].filename is not a plain file name", set("/files/1/filename", text_of(256))},
          {"'AB.sh' is there already", push("/files", other("AB.sh", 1))},
          {"'toaster.diff' is there already", push("/files", other("toaster.diff", 1))},
          {"files has 12",
           [&](json::Object& o) {
             for (int i = 0; i < 10; ++i) at(o, "/files").as_array().push_back(other("f" + std::to_string(i), 1));
           }},
          {"files[1].sizeInBytes is missing", drop("/files/1/sizeInBytes")},
          {"files[1].sizeInBytes is 0", set("/files/1/sizeInBytes", 0)},
          {"files[1].sizeInBytes is -1", set("/files/1/sizeInBytes", -1)},
          {"sizeInBytes must be an integer", set("/files/1/sizeInBytes", 1.5)},
          {"files[1].sizeInBytes is 2147483649", set("/files/1/sizeInBytes", 2147483649)},
          {"the sizes add up to", set("/files/1/sizeInBytes", 2147483648)},
          {"", set("/files/1/sizeInBytes", 2147483648 - 73400320 - 1290240)},
          {"the sizes add up to 2147483649", set("/files/1/sizeInBytes", 2147483648 - 73400320 - 1290240 + 1)},
          {"files[1].hashes is missing", drop("/files/1/hashes")},
          {"files[1].hashes has no sha256", set("/files/1/hashes", json::Object{})},
          {"files[1].hashes has no sha256", set("/files/1/hashes", {{"sha1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="}})},
          {"files[1].hashes.sha256 is not base64 of 32 bytes", set("/files/1/hashes/sha256", "AAAA")},
          {"files[1].hashes.sha256 is not base64 of 32 bytes", set("/files/1/hashes/sha256", "")},
          {"files[1].hashes.sha256 is not base64 of 32 bytes",
           set("/files/1/hashes/sha256", json::Value("!" + hash_of("x").substr(1)))},
          {"files[1].hashes.sha256 is not base64 of 32 bytes", set("/files/1/hashes/sha256", 5)},
          {"", set("/files/1/hashes/sha512", json::Value(base64_encode(std::string(64, 'x'))))},
          {"algorithm 'md5' is not known", set("/files/1/hashes/md5", "AAAA")},
          {"files[1].hashes has 3",
           [](json::Object& o) {
             at(o, "/files/1/hashes/a") = "x";
             at(o, "/files/1/hashes/b") = "x";
           }},
          {"files[0].properties must be an object", set("/files/0/properties", "x")},
          {"files[0] has relatedFiles but no downloadHandler", drop("/files/0/downloadHandler")},
          {"files[0].downloadHandler.id is not of the form", set("/files/0/downloadHandler/id", "delta")},
          {"files[0].downloadHandler.id is missing", set("/files/0/downloadHandler", json::Object{})},
          {"", drop("/files/0/relatedFiles")},
          {"files[0].relatedFiles has 5", repeat_first("/files/0/relatedFiles", 5)},
          {"relatedFiles[1]: the file name 'toaster.diff' is there already", repeat_first("/files/0/relatedFiles", 2)},
          {"relatedFiles[0].filename is not a plain file name", set("/files/0/relatedFiles/0/filename", "a/b")},
          {"relatedFiles[0].properties is missing", drop("/files/0/relatedFiles/0/properties")},
          {"relatedFiles[0].properties has 0", set("/files/0/relatedFiles/0/properties", json::Object{})},
          {"relatedFiles[0].properties.n is not a string", set("/files/0/relatedFiles/0/properties/n", 1)},
          {"relatedFiles[0].properties.n is not 1 to 256", set("/files/0/relatedFiles/0/properties/n", text_of(257))},
          {"relatedFiles[0].properties has a name",
           [](json::Object& o) {
             at(o, "/files/0/relatedFiles/0/properties").as_object()[std::string(65, 'n')] = "v";
           }},
          {"relatedFiles[0].properties has 6",
           [](json::Object& o) {
             for (const char* n : {"a", "b", "c", "d"})
               at(o, "/files/0/relatedFiles/0/properties").as_object()[n] = "v";
           }},
      },
      example_import_manifest());
}

TEST(ImportManifest, files_may_be_missing_when_all_steps_are_references) {
  json::Object object = example_import_manifest();
  at(object, "/instructions/steps").as_array().erase(at(object, "/instructions/steps").as_array().begin());
  check({{"", drop("/files")}, {"", set("/files", nullptr)}, {"", set("/files", json::Array{})}}, object);
}

TEST(ImportManifest, version_4_knows_less) {
  json::Object object = example_import_manifest();
  object["manifestVersion"] = "4.0";
  remove(object, "/isDeployable");
  for (const char* key : {"properties", "relatedFiles", "downloadHandler"})
    at(object, "/files/0").as_object().erase(key);
  check(
      {
          {"", [](json::Object&) {}},
          {"unknown member 'isDeployable'", set("/isDeployable", true)},
          {"files[0].properties needs manifestVersion 5.0", set("/files/0/properties", json::Object{})},
          {"files[0].relatedFiles needs manifestVersion 5.0", set("/files/0/relatedFiles", json::Array{})},
          {"files[0].downloadHandler needs manifestVersion 5.0",
           set("/files/0/downloadHandler", {{"id", "microsoft/delta:1"}})},
      },
      object);
  const ImportManifest read = parse(object).value();
  EXPECT_EQ(parse_import_manifest(print_import_manifest(read)).value(), read);
}

TEST(ImportManifest, other_versions_are_unsupported_whatever_else_they_hold) {
  for (const char* version : {"3.0", "2.0", "6.0", "5", ""}) {
    json::Object object = example_import_manifest();
    object["manifestVersion"] = version;
    object["updateType"] = "microsoft/swupdate:1";
    EXPECT_EQ(parse(object).error().code, Code::unsupported) << version;
  }
}

// faults: 13, 44
TEST(ImportManifest, text_that_is_no_bounded_strict_json_is_refused) {
  EXPECT_EQ(parse_import_manifest("{").error().code, Code::bad_json);
  EXPECT_EQ(parse_import_manifest("[]").error().code, Code::bad_json);
  EXPECT_EQ(parse_import_manifest(R"({"manifestVersion":"5.0","manifestVersion":"4.0"})").error().code, Code::bad_json);
  EXPECT_EQ(parse_import_manifest(std::string(100, '[')).error().code, Code::bad_json);
  EXPECT_EQ(parse_import_manifest(std::string(kImportManifestLimit + 1, ' ')).error().code, Code::too_large);
}

TEST(ImportManifest, hashes_are_kept_in_the_standard_alphabet) {
  json::Object object = example_import_manifest();
  const Bytes digest = godwit::sha256("ab.sh\x02");
  at(object, "/files/1/hashes/sha256") = base64url_encode(digest);
  EXPECT_EQ(parse(object)->files[1].hashes.at("sha256"), base64_encode(digest));
}

}  // namespace
}  // namespace godwit::manifest
