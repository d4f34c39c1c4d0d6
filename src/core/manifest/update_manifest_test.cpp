#include "core/manifest/update_manifest.hpp"

#include <gtest/gtest.h>
#include <functional>

#include "core/manifest/example_manifests.hpp"

namespace godwit::manifest {
namespace {

ImportManifest import_manifest() { return parse_import_manifest(json::print(example_import_manifest())).value(); }

FileBase child_file() {
  return {.file_name = "contoso.motor.2.0.updatemanifest.json", .size = 1031, .hashes = {{"sha256", hash_of("child")}}};
}
UpdateManifest built() { return build_update_manifest(import_manifest(), {child_file()}).value(); }

TEST(UpdateManifest, is_printed_in_the_order_and_names_of_the_wire) {
  const UpdateManifest manifest = built();
  const auto id = [&](std::string_view name) { return make_file_id(manifest.update_id, name); };
  const auto file = [&](std::string_view name, std::string_view content, int size) {
    return fmt::format(R"("{}":{{"fileName":"{}","sizeInBytes":{},"hashes":{{"sha256":"{}"}})", id(name), name, size,
                       hash_of(content));
  };
  std::vector<std::string> files = {
      file("ab.sh", "sh", 5120) + "}",
      file("contoso.motor.2.0.updatemanifest.json", "child", 1031) + "}",
      file("toaster.swu", "swu", 73400320) + R"(,"properties":{"colour":"red"},"relatedFiles":{)" +
          file("toaster.diff", "diff", 1290240) +
          R"(,"properties":{"microsoft.sourceFileHashAlgorithm":"sha256","microsoft.sourceFileHash":")" +
          hash_of("source") + R"("}}},"downloadHandler":{"id":"microsoft/delta:1"}})",
  };
  std::sort(files.begin(), files.end());
  EXPECT_EQ(
      print_update_manifest(manifest),
      fmt::format(
          R"({{"manifestVersion":"5","updateId":{{"provider":"Contoso","name":"Toaster","version":"1.2.0"}},)"
          R"("compatibility":[{{"manufacturer":"Contoso","model":"Toaster"}}],)"
          R"("instructions":{{"steps":[{{"handler":"microsoft/swupdate:2","files":["{}","{}"],"handlerProperties":{{"scriptFileName":"ab.sh","installedCriteria":"1.2.0"}}}},)"
          R"({{"type":"reference","detachedManifestFileId":"{}"}}]}},"files":{{{}}},"createdDateTime":"2026-11-22T10:00:00.0000000Z"}})",
          id("toaster.swu"), id("ab.sh"), id("contoso.motor.2.0.updatemanifest.json"), fmt::join(files, ",")));
}

TEST(UpdateManifest, is_read_back_to_an_equal_value) {
  EXPECT_EQ(parse_update_manifest(print_update_manifest(built())).value(), built());
}

TEST(UpdateManifest, file_ids_depend_on_update_and_name_only) {
  const UpdateId update = import_manifest().update_id;
  // Made with: printf 'Contoso/Toaster/1.2.0\0toaster.swu' | sha256sum
  EXPECT_EQ(make_file_id(update, "toaster.swu"), "f85bc75c1cf1daa7e");
  EXPECT_NE(make_file_id(update, "toaster.swu"), make_file_id(update, "toaster.swv"));
  EXPECT_NE(make_file_id(update, "toaster.swu"),
            make_file_id(UpdateId::parse("Contoso", "Toaster", "1.2.1").value(), "toaster.swu"));
}

TEST(UpdateManifest, version_4_leaves_out_what_came_with_5) {
  UpdateManifest manifest = built();
  manifest.version = 4;
  const std::string text = print_update_manifest(manifest);
  EXPECT_EQ(text.find("relatedFiles"), std::string::npos);
  EXPECT_EQ(text.find("downloadHandler"), std::string::npos);
  EXPECT_EQ(parse_update_manifest(text)->version, 4);
}

TEST(UpdateManifest, sha256_stands_first_because_agents_look_no_further) {
  UpdateManifest manifest = built();
  manifest.files.begin()->second.hashes["sha1"] = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=";
  const std::string text = print_update_manifest(manifest);
  EXPECT_LT(text.find("\"sha256\""), text.find("\"sha1\""));
}

TEST(UpdateManifest, building_needs_one_detached_manifest_for_each_reference_step) {
  EXPECT_FALSE(build_update_manifest(import_manifest(), {}));
  EXPECT_FALSE(build_update_manifest(import_manifest(), {child_file(), child_file()}));
  ImportManifest twice = import_manifest();
  twice.steps.push_back(twice.steps[1]);
  EXPECT_EQ(build_update_manifest(twice, {child_file(), child_file()})->files.size(),
            3U);  // one child, named by two steps
  FileBase other = child_file();
  other.size += 1;
  EXPECT_FALSE(build_update_manifest(twice, {child_file(), other}));
  other.file_name = "TOASTER.diff";
  EXPECT_FALSE(build_update_manifest(import_manifest(), {other}));
}

TEST(UpdateManifest, a_mini_manifest_names_the_file_that_holds_the_whole_one) {
  const UpdateManifest whole = built();
  const std::string file_text = print_detached_manifest(print_update_manifest(whole));
  EXPECT_EQ(parse_update_manifest(parse_detached_manifest(file_text).value()).value(), whole);
  const FileBase file{.file_name = detached_manifest_file_name(whole.update_id),
                      .size = file_text.size(),
                      .hashes = {{"sha256", hash_of(file_text)}}};
  EXPECT_EQ(file.file_name, "contoso.toaster.1.2.0.updatemanifest.json");
  const UpdateManifest mini = make_mini_manifest(whole, file);
  EXPECT_EQ(
      print_update_manifest(mini),
      fmt::format(
          R"({{"manifestVersion":"5","updateId":{{"provider":"Contoso","name":"Toaster","version":"1.2.0"}},"detachedManifestFileId":"{0}",)"
          R"("files":{{"{0}":{{"fileName":"{1}","sizeInBytes":{2},"hashes":{{"sha256":"{3}"}}}}}}}})",
          mini.detached_manifest_file_id, file.file_name, file.size, hash_of(file_text)));
  EXPECT_EQ(parse_update_manifest(print_update_manifest(mini)).value(), mini);
  EXPECT_FALSE(parse_detached_manifest("{}"));
  EXPECT_FALSE(parse_detached_manifest(R"({"updateManifest":{}})"));
}

constexpr std::string_view kSmall =
    R"({"manifestVersion":"5","updateId":{"provider":"C","name":"T","version":"1.0"},"compatibility":[{"model":"T"}],
  "instructions":{"steps":[{"type":"inline","handler":"microsoft/script:1","files":["f1"],"handlerProperties":{}},{"type":"reference","detachedManifestFileId":"f2"}]},
  "files":{"f1":{"fileName":"a.sh","sizeInBytes":1,"hashes":{"sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="},"downloadHandler":{"id":"microsoft/delta:1"},
    "relatedFiles":{"r1":{"fileName":"a.diff","sizeInBytes":1,"hashes":{"sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="},"properties":{"k":"v"}}}},
   "f2":{"fileName":"b.json","sizeInBytes":1,"hashes":{"sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="}}},"createdDateTime":"2026-11-22T10:00:00Z"})";

struct Row {
  std::string_view fragment;  // "" = accepted
  std::function<void(json::Object&)> change;
};
std::function<void(json::Object&)> set(std::string_view path, json::Value value) {
  return [=](json::Object& o) { at(o, path) = value; };
}
std::function<void(json::Object&)> drop(std::string_view path) {
  return [=](json::Object& o) { remove(o, path); };
}

// faults: 18, 44, 45
TEST(UpdateManifest, every_rule_is_checked_again_on_the_device) {
  const json::Value entry =
      json::parse(
          R"({"fileName":"x","sizeInBytes":1,"hashes":{"sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="}})")
          .value();
  const std::vector<Row> rows = {
      {"", [](json::Object&) {}},
      {"", set("/later", 1)},
      {"", set("/manifestVersion", "4.0")},
      {"manifestVersion is missing", drop("/manifestVersion")},
      {"updateId is missing", drop("/updateId")},
      {"version", set("/updateId/version", "x")},
      {"compatibility is missing", drop("/compatibility")},
      {"compatibility[0] has 0", set("/compatibility/0", json::Object{})},
      {"instructions is missing", drop("/instructions")},
      {"instructions.steps has 0", set("/instructions/steps", json::Array{})},
      {"", drop("/instructions/steps/0/type")},
      {"steps[0].type is 'x'", set("/instructions/steps/0/type", "x")},
      {"steps[0].handler is missing", drop("/instructions/steps/0/handler")},
      {"steps[0].handler is not", set("/instructions/steps/0/handler", "../x:1 ")},
      {"steps[0].files[0] is not the id", set("/instructions/steps/0/files/0", "f9")},
      {"steps[0].files[0] is not the id", set("/instructions/steps/0/files/0", 1)},
      {"handlerProperties must be an object", set("/instructions/steps/0/handlerProperties", 1)},
      {"steps[1].detachedManifestFileId: 'f9' is not in files",
       set("/instructions/steps/1/detachedManifestFileId", "f9")},
      {"files is missing", drop("/files")},
      {"files has 0", set("/files", json::Object{})},
      {"files has 21",
       [&](json::Object& o) {
         for (int i = 0; i < 19; ++i) at(o, "/files").as_object()["x" + std::to_string(i)] = entry;
       }},
      {"the file id '..'", set("/files/..", entry)},
      {"files.f1.fileName is not a plain file name", set("/files/f1/fileName", "../a.sh")},
      {"files.f1.fileName is not a plain file name", set("/files/f1/fileName", "/etc/cron.d/a")},
      {"files.f1.fileName is missing",
       [](json::Object& o) {
         remove(o, "/files/f1/fileName");
         at(o, "/files/f1/filename") = "a";
       }},
      {"'A.SH' is there already", set("/files/f2/fileName", "A.SH")},
      {"files.f1.sizeInBytes is 0", set("/files/f1/sizeInBytes", 0)},
      {"files.f1.sizeInBytes is 2147483649", set("/files/f1/sizeInBytes", 2147483649)},
      {"files.f1.hashes has no sha256", set("/files/f1/hashes", json::Object{})},
      {"files.f1.hashes.sha256 is not base64 of 32", set("/files/f1/hashes/sha256", "AAAA")},
      {"relatedFiles.r1.fileName is not a plain file name", set("/files/f1/relatedFiles/r1/fileName", "a/b")},
      {"relatedFiles.r1.properties has 0", set("/files/f1/relatedFiles/r1/properties", json::Object{})},
      {"the file id 'a/b'", [&](json::Object& o) { at(o, "/files/f1/relatedFiles").as_object()["a/b"] = entry; }},
      {"", drop("/files/f1/downloadHandler")},
      {"stand in one manifest", set("/detachedManifestFileId", "f1")},
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    json::Object object = json::parse_object(kSmall).value();
    rows[i].change(object);
    const auto read = parse_update_manifest(json::print(object));
    if (rows[i].fragment.empty()) {
      EXPECT_TRUE(read) << "row " << i << ": " << read.error().message;
      continue;
    }
    ASSERT_FALSE(read) << "row " << i << ": " << rows[i].fragment;
    EXPECT_EQ(read.error().code, Code::bad_manifest);
    EXPECT_NE(read.error().message.find(rows[i].fragment), std::string::npos)
        << "row " << i << ": " << read.error().message;
  }
}

TEST(UpdateManifest, unknown_versions_and_bad_text_have_their_own_codes) {
  json::Object object = json::parse_object(kSmall).value();
  object["manifestVersion"] = "6";
  EXPECT_EQ(parse_update_manifest(json::print(object)).error().code, Code::unsupported);
  EXPECT_EQ(parse_update_manifest("").error().code, Code::bad_json);
  EXPECT_EQ(parse_update_manifest(std::string(kUpdateManifestLimit + 1, ' ')).error().code, Code::too_large);
}

}  // namespace
}  // namespace godwit::manifest
