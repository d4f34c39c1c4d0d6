#include "tree_archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <memory>

namespace godwit::step_files {
namespace {

constexpr std::size_t kBlock = 256 * 1024;
constexpr const char* kHint = "; it must be a tar archive, plain or packed by zstd, gzip or xz";

struct CloseArchive {
  void operator()(archive* a) const { ::archive_read_free(a); }
};
using Reader = std::unique_ptr<archive, CloseArchive>;

Error bad_archive(archive* reader) {
  const char* said = ::archive_error_string(reader);
  return {Code::bad_packet, fmt::format("the archive cannot be read: {}{}", said == nullptr ? "?" : said, kHint)};
}

Result<Reader> new_reader() {
  Reader reader(::archive_read_new());
  if (!reader) return fail(Code::internal, "libarchive gives no reader");
  archive* a = reader.get();
  if (::archive_read_support_format_tar(a) != ARCHIVE_OK || ::archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
      ::archive_read_support_filter_xz(a) != ARCHIVE_OK || ::archive_read_support_filter_zstd(a) != ARCHIVE_OK)
    return fail(Code::unsupported, "libarchive was built without tar, gzip, xz or zstd");
  return reader;
}

Kind kind_of(archive_entry* entry) {
  if (::archive_entry_hardlink(entry) != nullptr) return Kind::hard_link;
  switch (::archive_entry_filetype(entry)) {
    case AE_IFREG: return Kind::file;
    case AE_IFDIR: return Kind::folder;
    case AE_IFLNK: return Kind::link;
    default: return Kind::other;
  }
}

RawEntry raw_entry(archive_entry* entry) {
  const auto text = [](const char* said) { return said == nullptr ? std::string{} : std::string(said); };
  return {.name = text(::archive_entry_pathname(entry)),
          .kind = kind_of(entry),
          .mode = static_cast<std::uint32_t>(::archive_entry_mode(entry)) & 07777U,
          .byte_count = ::archive_entry_size(entry),
          .link_target = text(::archive_entry_symlink(entry)),
          .is_sparse = ::archive_entry_sparse_count(entry) > 0};
}

Result<void> read_file_bytes(archive* reader, const Entry& entry, const TreeSink& sink) {
  ByteCount done = 0;
  for (;;) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int status = ::archive_read_data_block(reader, &block, &size, &offset);
    if (sink.is_cancelled && sink.is_cancelled()) return fail(Code::cancelled, "cancelled while unpacking");
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) return tl::unexpected<Error>{bad_archive(reader)};
    if (offset < 0 || static_cast<ByteCount>(offset) != done || size > entry.byte_count - done)
      return fail(Code::bad_packet, fmt::format("the entry '{}' has other bytes than its header says", entry.path));
    done += size;
    if (sink.bytes) GODWIT_TRY_VOID(sink.bytes({static_cast<const char*>(block), size}));
  }
  if (done != entry.byte_count)
    return fail(Code::bad_packet,
                fmt::format("the entry '{}' has {} bytes, not {}", entry.path, done, entry.byte_count));
  return sink.end ? sink.end() : Result<void>{};
}

Result<ByteCount> read_all(archive* reader, TreeLimits limits, const TreeSink& sink) {
  TreeRules rules(limits);
  std::size_t count = 0;
  for (;; ++count) {
    archive_entry* entry = nullptr;
    const int status = ::archive_read_next_header(reader, &entry);
    if (sink.is_cancelled && sink.is_cancelled()) return fail(Code::cancelled, "cancelled while unpacking");
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) return tl::unexpected<Error>{bad_archive(reader)};
    GODWIT_TRY(const Entry admitted, rules.admit(raw_entry(entry)));
    if (sink.begin) GODWIT_TRY_VOID(sink.begin(admitted));
    if (admitted.kind == Kind::file) GODWIT_TRY_VOID(read_file_bytes(reader, admitted, sink));
  }
  if (count == 0) return fail(Code::bad_packet, fmt::format("the archive holds nothing{}", kHint));
  return rules.bytes();
}

}  // namespace

Result<ByteCount> read_tree(const Path& path, TreeLimits limits, const TreeSink& sink) {
  GODWIT_TRY(const UniqueFd fd, open_file(path, O_RDONLY | O_NOFOLLOW));
  GODWIT_TRY(const Reader reader, new_reader());
  if (::archive_read_open_fd(reader.get(), fd.get(), kBlock) != ARCHIVE_OK)
    return tl::unexpected<Error>{bad_archive(reader.get())};
  return read_all(reader.get(), limits, sink);
}

Result<ByteCount> read_tree_in_memory(std::string_view bytes, TreeLimits limits, const TreeSink& sink) {
  GODWIT_TRY(const Reader reader, new_reader());
  if (::archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK)
    return tl::unexpected<Error>{bad_archive(reader.get())};
  return read_all(reader.get(), limits, sink);
}

}  // namespace godwit::step_files
