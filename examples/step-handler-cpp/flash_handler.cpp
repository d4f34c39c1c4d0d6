// contoso/flash:1: writes the step's one file to the start of a device node in blocks, as a microcontroller behind a
// flash driver wants it, and keeps what was there for a restore.
//
// The node is said when the extension is registered: --option device=/dev/mtd0. What version it holds stands in a file
// that --option version_file names.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "godwit/author.hpp"

namespace {

namespace author = godwit::author;
using author::Host;
using author::Outcome;

constexpr std::size_t kBlock = 64 * 1024;
constexpr std::uint32_t kUsage = 0x33400001;  // facility 3, component 0x34, numbers of our own
constexpr std::uint32_t kIo = 0x33400002;

std::string option(const Host& host, const std::string& name) {
  const std::string_view json = host.options_json();
  const std::string key = "\"" + name + "\":\"";
  const auto from = json.find(key);
  const auto to = from == std::string_view::npos ? from : json.find('"', from + key.size());
  if (to == std::string_view::npos)
    throw std::invalid_argument("register this extension with --option " + name + "=...");
  return std::string(json.substr(from + key.size(), to - from - key.size()));
}

class Node {
 public:
  Node(const std::string& path, int flags) : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (fd_ < 0) fail("open");
  }
  ~Node() { ::close(fd_); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  std::size_t read(std::vector<char>& block) {
    const ssize_t got = ::read(fd_, block.data(), block.size());
    if (got < 0) fail("read");
    return static_cast<std::size_t>(got);
  }
  void write(const char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t put = ::write(fd_, data, size);
      if (put < 0) fail("write");
      data += put;
      size -= static_cast<std::size_t>(put);
    }
  }
  void sync() {
    if (::fsync(fd_) != 0 && errno != EINVAL) fail("sync");
  }

 private:
  [[noreturn]] void fail(const char* doing) const {
    throw std::runtime_error(std::string(doing) + " " + path_ + ": " + std::strerror(errno));
  }
  std::string path_;
  int fd_;
};

/// False: cancelled.
bool copy(const Host& host, const std::string& from, const std::string& to, std::uint64_t total) {
  Node source(from, O_RDONLY);
  Node target(to, O_WRONLY | O_CREAT);
  std::vector<char> block(kBlock);
  std::uint64_t done = 0;
  while (const std::size_t got = source.read(block)) {
    if (total > 0 && host.is_cancelled()) return false;
    target.write(block.data(), got);
    host.progress(done += got, total);
  }
  target.sync();
  return true;
}

Outcome is_installed(const Host& host, const godwit_step& step) {
  std::ifstream file(option(host, "version_file"));
  const std::string known{std::istreambuf_iterator<char>(file), {}};
  return {known == author::view(step.installed_criteria) && !known.empty() ? 900 : 901};
}

Outcome backup(const Host& host, const godwit_step& step) {
  copy(host, option(host, "device"), author::str(step.work_dir) + "/before", 0);
  return {1000};
}

Outcome install(const Host& host, const godwit_step& step) {
  if (step.file_count != 1) return {0, kUsage, "contoso/flash:1: name exactly one file in the step"};
  ::unlink(option(host, "version_file").c_str());  // from here on the node holds no whole version
  const std::string source = author::str(step.files[0]->path);
  if (!copy(host, source, option(host, "device"), step.files[0]->byte_count))
    return {-1, 0, "cancelled while writing; the restore brings back what was there"};
  return {600};
}

Outcome apply(const Host& host, const godwit_step& step) {
  const std::string name = option(host, "version_file");
  {
    Node file(name + ".new", O_WRONLY | O_CREAT | O_TRUNC);
    file.write(step.installed_criteria.data, step.installed_criteria.size);
    file.sync();
  }
  if (::rename((name + ".new").c_str(), name.c_str()) != 0) return {0, kIo, name + ": cannot be replaced"};
  return {700};
}

Outcome restore(const Host& host, const godwit_step& step) {
  copy(host, author::str(step.work_dir) + "/before", option(host, "device"), 0);
  return {1100};
}

// The members in the order of the table: is_installed, download (nothing to prepare), backup, install, apply, restore.
constexpr godwit_step_handler kTable{
    sizeof(godwit_step_handler),   author::step_act<is_installed, kIo>, nullptr,
    author::step_act<backup, kIo>, author::step_act<install, kIo>,      author::step_act<apply, kIo>,
    author::step_act<restore, kIo>};

}  // namespace

GODWIT_STEP_HANDLER(kTable)
