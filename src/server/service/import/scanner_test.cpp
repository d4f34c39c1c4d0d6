// clamd is the real one of Debian (clamav-daemon), with a signature of our own; commands are shell scripts.
#include "server/service/import/scanner.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "server/service/import/clamd_scanner.hpp"
#include "server/store/testing.hpp"

extern char** environ;

namespace godwit::service {
namespace {

constexpr const char* kClamd = "/usr/sbin/clamd";
constexpr std::string_view kMalware = "GODWIT-TEST-MALWARE";

Scanner::IsCancelled never() {
  return [] { return false; };
}

class Payload {
 public:
  Payload(const Path& folder, std::string_view bytes) : path_(folder / "payload"), size_(bytes.size()) {
    std::ofstream(path_, std::ios::binary) << bytes;
    file_ = open_file(path_, O_RDONLY).value();
  }
  Result<ScanVerdict> scanned_by(Scanner& scanner, const Scanner::IsCancelled& is_cancelled = never()) {
    return scanner.scan(file_.get(), size_, is_cancelled);
  }

 private:
  Path path_;
  ByteCount size_;
  UniqueFd file_{};
};

std::string told(const Result<ScanVerdict>& verdict) {
  if (!verdict) return std::string(code_name(verdict.error().code)) + ": " + verdict.error().message;
  constexpr const char* kWords[] = {"clean: ", "infected: ", "not scanned: "};
  return kWords[static_cast<int>(verdict->outcome)] + verdict->details;
}

/// A clamd of its own, in the foreground, that knows one signature and takes at most 2 MB.
class Clamd {
 public:
  explicit Clamd(const Path& folder) : socket_(folder / "clamd.sock") {
    std::filesystem::create_directories(folder / "db");
    std::ofstream(folder / "db" / "own.ndb") << "Godwit.Test:0:*:" << hex_encode(kMalware) << "\n";
    std::ofstream(folder / "clamd.conf")
        << "LocalSocket " << socket_.string() << "\nDatabaseDirectory " << (folder / "db").string()
        << "\nForeground yes\nStreamMaxLength 2M\nAlertExceedsMax yes\nMaxFileSize 1M\n";
    const std::string config = "--config-file=" + (folder / "clamd.conf").string();
    char* words[] = {const_cast<char*>(kClamd), const_cast<char*>(config.c_str()), nullptr};
    posix_spawn_file_actions_t quiet;
    ::posix_spawn_file_actions_init(&quiet);
    ::posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    EXPECT_EQ(::posix_spawn(&pid_, kClamd, &quiet, nullptr, words, environ), 0);
    ::posix_spawn_file_actions_destroy(&quiet);
    for (int i = 0; i < 2000 && !std::filesystem::exists(socket_); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ~Clamd() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] const Path& socket() const { return socket_; }

 private:
  Path socket_;
  pid_t pid_ = 0;
};

std::unique_ptr<Scanner> shell(const std::string& script, Duration limit = std::chrono::seconds(20)) {
  return make_scanner({.kind = "command", .command = {"/bin/sh", "-c", script}, .time_limit = limit}).value();
}

}  // namespace

TEST(ClamdScanner, the_real_one_finds_what_its_signatures_name_and_never_calls_clean_what_it_did_not_read) {
  ASSERT_EQ(::access(kClamd, X_OK), 0) << "clamav-daemon is not installed; ./dev setup test does that";
  store::TemporaryFolder folder;
  Clamd clamd(folder.path());
  const auto scanner = make_scanner({.kind = "clamd", .clamd = clamd.socket().string()}).value();
  const auto scan = [&](std::string_view bytes) { return told(Payload(folder.path(), bytes).scanned_by(*scanner)); };
  EXPECT_EQ(scan("an honest payload"), "clean: clamd: no signature matched");
  const std::string deep = std::string(700'000, 'x') + std::string(kMalware) + std::string(200'000, 'y');
  EXPECT_EQ(scan(deep), "infected: Godwit.Test.UNOFFICIAL");
  EXPECT_EQ(scan(std::string(1'500'000, 'x')),
            "not scanned: too large for clamd: Heuristics.Limits.Exceeded.MaxFileSize")
      << "more than its MaxFileSize";
  EXPECT_EQ(scan(std::string(8'000'000, 'x') + std::string(kMalware)),
            "not scanned: too large for clamd: more than its StreamMaxLength");
}

TEST(ClamdScanner, one_that_is_not_there_or_does_not_answer_is_an_error) {
  store::TemporaryFolder folder;
  Payload payload(folder.path(), "bytes");
  const auto away = make_scanner({.kind = "clamd", .clamd = (folder.path() / "nowhere").string()}).value();
  EXPECT_EQ(payload.scanned_by(*away).error().code, Code::unavailable);
  const auto closed = make_scanner({.kind = "clamd", .clamd = "127.0.0.1:1"}).value();
  EXPECT_EQ(payload.scanned_by(*closed).error().code, Code::unavailable);

  // A listener that never accepts: the kernel connects, nobody answers.
  const UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 4), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string where = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const auto silent =
      make_scanner({.kind = "clamd", .clamd = where, .time_limit = std::chrono::milliseconds(300)}).value();
  EXPECT_EQ(payload.scanned_by(*silent).error().code, Code::timed_out);
  EXPECT_EQ(payload.scanned_by(*silent, [] { return true; }).error().code, Code::cancelled);
}

TEST(ClamdScanner, each_answer_has_one_meaning) {
  struct Row {
    const char* answer;
    const char* meaning;
  };
  for (const Row& row :
       {Row{"stream: OK", "clean: clamd: no signature matched"},
        Row{"stream: Win.Test.EICAR_HDB-1 FOUND", "infected: Win.Test.EICAR_HDB-1"},
        Row{"stream:  FOUND", "infected: a signature without a name"},
        Row{"stream: FOUND", "infected: a signature without a name"},
        Row{"stream: Heuristics.Limits.Exceeded FOUND",
            "not scanned: too large for clamd: "
            "Heuristics.Limits.Exceeded"},
        Row{"INSTREAM size limit exceeded. ERROR",
            "not scanned: too large for clamd: more than its "
            "StreamMaxLength"},
        Row{"stream: Can't allocate memory ERROR",
            "unavailable: clamd: it answered 'stream: Can't "
            "allocate memory ERROR'"},
        Row{"OK", "unavailable: clamd: it answered 'OK'"}, Row{"", "unavailable: clamd: it hung up without an answer"}})
    EXPECT_EQ(told(read_clamd_answer(row.answer)), row.meaning);
}

TEST(CommandScanner, its_exit_status_decides_and_its_output_names_the_signature) {
  store::TemporaryFolder folder;
  Payload payload(folder.path(), std::string(3'000'000, 'x') + std::string(kMalware));
  EXPECT_EQ(told(payload.scanned_by(*shell("cat >/dev/null"))), "clean: sh: nothing found");
  EXPECT_EQ(told(payload.scanned_by(*shell("grep -q GODWIT-TEST && { echo 'stream: Own.Sig FOUND'; exit 1; }"))),
            "infected: stream: Own.Sig FOUND")
      << "it sees the whole payload on its standard input";
  EXPECT_EQ(told(payload.scanned_by(*shell("exit 1"))), "infected: sh names none");
  EXPECT_EQ(told(payload.scanned_by(*shell("echo 'no database' >&2; exit 2"))),
            "unavailable: the scanner sh ended with exit status 2: no database");
  EXPECT_EQ(payload.scanned_by(*shell("kill -9 $$")).error().code, Code::unavailable);
  const auto gone = make_scanner({.kind = "command", .command = {"/no/such/scanner"}}).value();
  EXPECT_EQ(payload.scanned_by(*gone).error().code, Code::unavailable);
  EXPECT_EQ(told(payload.scanned_by(*shell("yes | head -c 1000000; exit 0"))), "clean: sh: nothing found")
      << "much output is read and dropped";
}

TEST(CommandScanner, it_and_what_it_started_end_in_time_and_when_asked_to) {
  store::TemporaryFolder folder;
  Payload payload(folder.path(), "bytes");
  const auto slow =
      shell("sleep 100 & echo $! > " + (folder.path() / "child").string() + "; wait", std::chrono::milliseconds(500));
  EXPECT_EQ(payload.scanned_by(*slow).error().code, Code::timed_out);
  std::ifstream written(folder.path() / "child");
  pid_t child = 0;
  ASSERT_TRUE(written >> child);
  bool is_gone = false;
  for (int i = 0; i < 500 && !is_gone; ++i) {
    // An orphan that nobody waits for yet still has its number; it does not run any more.
    std::string name;
    std::string state = "X";
    std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
    stat >> child >> name >> state;
    is_gone = state == "X" || state == "Z";
    if (!is_gone) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(is_gone);
  EXPECT_EQ(payload.scanned_by(*shell("sleep 100"), [] { return true; }).error().code, Code::cancelled);
}

TEST(ScanSettings, what_makes_no_scanner_is_refused) {
  const auto code = [](ScanSettings settings) {
    const auto made = make_scanner(settings);
    return made ? Code::ok : made.error().code;
  };
  EXPECT_EQ(code({.kind = "none"}), Code::ok);
  EXPECT_EQ(code({.kind = "magic"}), Code::invalid_argument);
  EXPECT_EQ(code({.kind = "command"}), Code::invalid_argument);
  EXPECT_EQ(code({.kind = "command", .command = {"clamscan"}}), Code::invalid_argument);
  for (const char* bad : {"", "localhost", "localhost:", ":3310", "localhost:http", "localhost:123456"})
    EXPECT_EQ(code({.kind = "clamd", .clamd = bad}), Code::invalid_argument) << bad;
  EXPECT_EQ(code({.kind = "clamd", .clamd = "/" + std::string(200, 'x')}), Code::invalid_argument);
  EXPECT_EQ(parse_clamd_address("[::1]:3310").value().host, "::1");
}

TEST(ScanSummary, is_a_success_only_when_every_file_is) {
  const store::FileScan good{"Success", "clamd: no signature matched"};
  const store::FileScan large{"NotScanned", "too large"};
  EXPECT_EQ(summarize_scans({{"a", good}, {"b", good}}), good);
  EXPECT_EQ(summarize_scans({{"a", large}}), large);
  EXPECT_EQ(summarize_scans({{"a", good}, {"b", large}}),
            (store::FileScan{"NotScanned", "1 of 2 files were not scanned: too large"}));
}

}  // namespace godwit::service
