// One try to fetch pieces of one file: a request for each over one connection, written one after the other, continued
// where an earlier try ended. Blocking; one thread.
#pragma once

#include <vector>

#include "download.hpp"

namespace godwit::downloader_curl {

struct Piece {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
struct RangesRequest {
  std::string url{};
  Path target{};  // the pieces and nothing else
  std::vector<Piece> pieces{};
  std::uint64_t file_size = 0;      // of the whole file at `url`
  std::uint64_t resume_offset = 0;  // how much of what lies at `target` may be kept
  DownloadOptions options{};
};

/// Pieces that do not rise, overlap, are empty or leave the file are refused. An answer that is not exactly the piece
/// that was asked for is refused before its first byte is written. No validator is kept: the answer of every piece
/// names the size of the whole file, and whoever uses the pieces knows a hash of what comes out.
[[nodiscard]] DownloadAnswer download_ranges(const RangesRequest& request, const DownloadWatch& watch);

}  // namespace godwit::downloader_curl
