// The border of the content downloader: C structs in, one try, the answer out.
#include "core/base/json.hpp"
#include "core/model/outcome.hpp"
#include "download.hpp"
#include "download_ranges.hpp"
#include "godwit/author.hpp"
#include "godwit/content_downloader.h"
#include "upload.hpp"

namespace {

namespace author = godwit::author;
using namespace godwit::downloader_curl;

void give(const author::Host& host, const DownloadAnswer& answer, godwit_outcome* outcome) {
  godwit::json::Object object{{"retryable", answer.is_retryable},
                              {"httpStatus", answer.http_status},
                              {"bytesReceived", answer.bytes_received},
                              {"fileSize", answer.file_size},
                              {"resumed", answer.was_resumed}};
  if (answer.retry_after_seconds) object["retryAfterSeconds"] = *answer.retry_after_seconds;
  host.answer(godwit::json::print(object));
  author::say(outcome, answer.result_code, answer.extended_code, answer.details);
}

void download_at_border(const godwit_host* c_host, const godwit_download* what, godwit_outcome* outcome) {
  author::guarded(outcome, godwit::erc::download_failed, [&] {
    const author::Host host(c_host);
    DownloadRequest request{.url = author::str(what->url), .target = author::str(what->target_path)};
    if (what->expected_size != GODWIT_SIZE_UNKNOWN) request.expected_size = what->expected_size;
    request.resume_offset = what->resume_offset;
    auto options = parse_options(author::view(what->options_json));
    if (!options) {
      give(host, {.result_code = 0, .extended_code = godwit::erc::download_failed, .details = options.error().message},
           outcome);
      return;
    }
    request.options = *std::move(options);
    const DownloadWatch watch{
        .on_progress = [&](std::uint64_t done, std::uint64_t total) { host.progress(done, total); },
        .is_cancelled = [&] { return host.is_cancelled(); }};
    give(host, download(request, watch), outcome);
  });
}

void upload_at_border(const godwit_host* c_host, const godwit_upload* what, godwit_outcome* outcome) {
  author::guarded(outcome, godwit::erc::download_failed, [&] {
    const author::Host host(c_host);
    UploadRequest request{.url = author::str(what->url), .source = author::str(what->source_path)};
    auto options = parse_options(author::view(what->options_json));
    const auto headers = godwit::json::parse_object(author::view(what->headers_json));
    if (!options || !headers) {
      give(host,
           {.result_code = 0,
            .extended_code = godwit::erc::download_failed,
            .details = options ? headers.error().message : options.error().message},
           outcome);
      return;
    }
    request.options = *std::move(options);
    for (const auto& header : *headers)
      if (header.value().is_string())
        request.headers[std::string(header.key())] = std::string(header.value().as_string());
    const DownloadWatch watch{
        .on_progress = [&](std::uint64_t done, std::uint64_t total) { host.progress(done, total); },
        .is_cancelled = [&] { return host.is_cancelled(); }};
    give(host, upload(request, watch), outcome);
  });
}

void download_ranges_at_border(const godwit_host* c_host, const godwit_ranges* what, godwit_outcome* outcome) {
  author::guarded(outcome, godwit::erc::download_failed, [&] {
    const author::Host host(c_host);
    auto options = parse_options(author::view(what->options_json));
    if (!options) {
      give(host, {.result_code = 0, .extended_code = godwit::erc::download_failed, .details = options.error().message},
           outcome);
      return;
    }
    RangesRequest request{.url = author::str(what->url),
                          .target = author::str(what->target_path),
                          .file_size = what->file_size,
                          .resume_offset = what->resume_offset,
                          .options = *std::move(options)};
    for (std::size_t i = 0; i < what->range_count; ++i)
      request.pieces.push_back({.offset = what->ranges[i].offset, .length = what->ranges[i].length});
    const DownloadWatch watch{
        .on_progress = [&](std::uint64_t done, std::uint64_t total) { host.progress(done, total); },
        .is_cancelled = [&] { return host.is_cancelled(); }};
    give(host, download_ranges(request, watch), outcome);
  });
}

constexpr godwit_content_downloader kTable{sizeof(godwit_content_downloader), download_at_border, upload_at_border,
                                           download_ranges_at_border};

}  // namespace

extern "C" {

const godwit_content_downloader* godwit_content_downloader_entry(std::uint32_t abi) {
  return abi == GODWIT_ABI ? &kTable : nullptr;
}

std::int32_t GetContractInfo(godwit_contract_info* info) {
  return author::describe(info, GODWIT_TYPE_CONTENT_DOWNLOADER);
}
}
