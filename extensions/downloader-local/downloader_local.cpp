// The border of the local downloader: C structs in, one try, the answer out.
#include "copy.hpp"
#include "core/base/json.hpp"
#include "core/model/outcome.hpp"
#include "godwit/author.hpp"
#include "godwit/content_downloader.h"

namespace {

namespace author = godwit::author;
using namespace godwit::downloader_local;

void give(const author::Host& host, const CopyAnswer& answer, godwit_outcome* outcome) {
  host.answer(godwit::json::print(godwit::json::Object{{"retryable", answer.is_retryable},
                                                       {"httpStatus", 0},
                                                       {"bytesReceived", answer.bytes_read},
                                                       {"fileSize", answer.file_size},
                                                       {"resumed", answer.was_resumed}}));
  author::say(outcome, answer.result_code, answer.extended_code, answer.details);
}

godwit::Result<CopyRequest> request_of(const author::Host& host, const godwit_download& what) {
  CopyRequest request{.url = author::str(what.url), .target = author::str(what.target_path)};
  if (what.expected_size != GODWIT_SIZE_UNKNOWN) request.expected_size = what.expected_size;
  request.resume_offset = what.resume_offset;
  GODWIT_TRY(const auto call, godwit::json::parse_object(author::view(what.options_json)));
  if (const auto limit = godwit::json::integer_or_nothing(call, "sizeLimit"); limit && *limit > 0)
    request.size_limit = static_cast<std::uint64_t>(*limit);
  GODWIT_TRY(request.options, parse_local_options(host.options_json()));
  return request;
}

void download_at_border(const godwit_host* c_host, const godwit_download* what, godwit_outcome* outcome) {
  author::guarded(outcome, godwit::erc::download_failed, [&] {
    const author::Host host(c_host);
    const auto request = request_of(host, *what);
    if (!request) {
      give(host, {.extended_code = godwit::erc::download_failed, .details = request.error().message}, outcome);
      return;
    }
    const CopyWatch watch{.on_progress = [&](std::uint64_t done, std::uint64_t total) { host.progress(done, total); },
                          .is_cancelled = [&] { return host.is_cancelled(); }};
    give(host, copy(*request, watch), outcome);
  });
}

constexpr godwit_content_downloader kTable{sizeof(godwit_content_downloader), download_at_border, nullptr, nullptr};

}  // namespace

extern "C" {

const godwit_content_downloader* godwit_content_downloader_entry(std::uint32_t abi) {
  return abi == GODWIT_ABI ? &kTable : nullptr;
}

std::int32_t GetContractInfo(godwit_contract_info* info) {
  return author::describe(info, GODWIT_TYPE_CONTENT_DOWNLOADER);
}
}
