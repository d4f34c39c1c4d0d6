// Scans in the order of an import, with a scanner that says what the test wants; the real ones are in scanner_test.cpp.
#include "server/service/import/testing.hpp"

namespace godwit::service {
namespace {

/// Finds the word "virus"; reads what it is given, as a real one does.
class FakeScanner final : public Scanner {
 public:
  int scans = 0;
  int away = 0;  // so many times it is not there
  Result<ScanVerdict> scan(int file, ByteCount size, const IsCancelled& is_cancelled) override {
    ++scans;
    if (is_cancelled()) return fail(Code::cancelled, "stopping");
    if (away > 0) {
      --away;
      return fail(Code::unavailable, "clamd: connect: Connection refused");
    }
    std::string bytes(size, '\0');
    EXPECT_EQ(::pread(file, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(size));
    if (bytes.find("virus") == std::string::npos)
      return ScanVerdict{.outcome = ScanOutcome::clean, .details = "fake: nothing found"};
    return ScanVerdict{.outcome = ScanOutcome::infected, .details = "Test.Virus"};
  }
};

ImportOptions with(Scanner& scanner, bool is_required = false) {
  return {.scanner = &scanner, .largest_scan = 40, .is_scan_required = is_required, .scan_retry_wait = Duration{1}};
}

std::string message_of(const json::Object& operation) {
  const json::Object* error = json::object_or_null(operation, "error");
  return error == nullptr ? "" : text_at(*error, "message");
}

std::string file_scans(ImportRig& rig) {
  std::string all;
  const auto ids = rig.catalog.file_ids(sample_id("Toaster", "1.2.0")).value();
  for (const std::string& id : ids) {
    const auto file = rig.catalog.describe_file(sample_id("Toaster", "1.2.0"), id).value();
    all += text_at(file, "fileName") + "=" + text_at(file, "scanResult") + " ";
    if (const auto* related = json::find(file, "relatedFiles"))
      for (const json::Value& one : related->get_array())
        all += text_at(one.get_object(), "fileName") + "=" + text_at(one.get_object(), "scanResult") + " ";
  }
  return all;
}

}  // namespace

TEST(ImportScan, clean_files_and_their_update_say_success) {
  FakeScanner scanner;
  ImportRig rig(with(scanner));
  const SampleUpdate update{.files = {{"app.bin", "new image", {{"app.diff", "delta"}}}, {"b.bin", "more"}}};
  ASSERT_EQ(text_at(rig.run({rig.publish(update)}), "status"), "Succeeded");
  EXPECT_EQ(scanner.scans, 3);
  EXPECT_EQ(file_scans(rig), "app.bin=Success app.diff=Success b.bin=Success ");
  EXPECT_EQ(text_at(rig.catalog.describe(sample_id("Toaster", "1.2.0")).value(), "scanResult"), "Success");
}

TEST(ImportScan, an_infected_file_fails_the_import_by_name_and_its_blob_is_gone) {
  FakeScanner scanner;
  ImportRig rig(with(scanner));
  const SampleUpdate update{.files = {{"a.bin", "harmless"}, {"b.bin", "a virus"}}};
  for (const bool is_direct : {false, true}) {
    const auto failed = is_direct ? rig.import_directly(update) : rig.run({rig.publish(update)});
    EXPECT_EQ(codes_of(failed), "CannotProcessUpdateFile/SourceFileMalwareDetected");
    EXPECT_NE(message_of(failed).find("b.bin"), std::string::npos);
    EXPECT_NE(message_of(failed).find("Test.Virus"), std::string::npos) << message_of(failed);
    EXPECT_NE(message_of(failed).find(hex_encode(sha256("a virus"))), std::string::npos) << message_of(failed);
    EXPECT_FALSE(rig.has_blob("a virus")) << (is_direct ? "uploaded" : "fetched");
  }
  EXPECT_EQ(rig.catalog.describe(sample_id("Toaster", "1.2.0")).error().code, Code::not_found);
}

TEST(ImportScan, a_scanner_that_is_away_for_a_moment_is_asked_again_and_one_that_stays_away_fails_the_import) {
  FakeScanner scanner;
  ImportRig rig(with(scanner));
  scanner.away = 2;
  EXPECT_EQ(text_at(rig.import_directly({.version = "1.0"}), "status"), "Succeeded");
  scanner.away = 100;
  const auto failed = rig.import_directly({.version = "2.0"});
  EXPECT_EQ(codes_of(failed), "CannotProcessUpdateFile/SourceFilePendingMalwareAnalysis");
  EXPECT_NE(message_of(failed).find("Connection refused"), std::string::npos);
  scanner.away = 0;
  EXPECT_EQ(text_at(rig.import_directly({.version = "2.0"}), "status"), "Succeeded") << "later it imports";
}

TEST(ImportScan, a_file_too_large_to_scan_says_so_and_is_never_called_clean) {
  FakeScanner scanner;
  ImportRig rig(with(scanner));
  const SampleUpdate update{.files = {{"a.bin", "small"}, {"b.bin", std::string(41, 'x')}}};
  ASSERT_EQ(text_at(rig.import_directly(update), "status"), "Succeeded");
  EXPECT_EQ(scanner.scans, 1);
  EXPECT_EQ(file_scans(rig), "a.bin=Success b.bin=NotScanned ");
  const auto described = rig.catalog.describe(sample_id("Toaster", "1.2.0")).value();
  EXPECT_EQ(text_at(described, "scanResult"), "NotScanned");
  FakeScanner strict_scanner;
  ImportRig strict(with(strict_scanner, true));
  EXPECT_EQ(codes_of(strict.import_directly(update)), "CannotProcessUpdateFile/SourceFilePendingMalwareAnalysis");
}

TEST(ImportScan, without_a_scanner_nothing_is_called_scanned_and_the_policy_refuses) {
  ImportRig rig;
  ASSERT_EQ(text_at(rig.import_directly({}), "status"), "Succeeded");
  EXPECT_EQ(file_scans(rig), "app.bin=NotScanned ");
  ImportRig strict(ImportOptions{.is_scan_required = true});
  EXPECT_EQ(codes_of(strict.import_directly({})), "CannotProcessUpdateFile/SourceFilePendingMalwareAnalysis");
}

TEST(ImportScan, a_parent_without_files_is_as_good_as_its_children) {
  FakeScanner scanner;
  ImportRig rig(with(scanner, true));
  ASSERT_EQ(text_at(rig.import_directly({.name = "Motor", .version = "1.0"}), "status"), "Succeeded");
  ASSERT_EQ(text_at(rig.import_directly({.files = {}, .references = {"Motor/1.0"}}), "status"), "Succeeded");
  EXPECT_EQ(text_at(rig.catalog.describe(sample_id("Toaster", "1.2.0")).value(), "scanResult"), "Success");
}

}  // namespace godwit::service
