// The engine is what Debian 12 has for PKCS#11; OpenSSL 3 calls engines deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "device/agent/hardware_key.hpp"

#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ui.h>

#include <algorithm>

#include "core/base/bytes.hpp"
#include "core/base/file.hpp"
#include "core/base/text.hpp"

namespace godwit::agent {
namespace {

constexpr std::string_view kToken = "pkcs11:";
constexpr std::string_view kTpm = "handle:0x";
constexpr std::size_t kUriLimit = 1024;
constexpr ByteCount kPinLimit = 256;

using Engine = std::unique_ptr<ENGINE, decltype(&ENGINE_free)>;

/// An attribute of a PKCS#11 URI, percent-decoded; "" when it is not there.
std::string attribute(std::string_view uri, std::string_view name) {
  uri.remove_prefix(std::min(uri.size(), kToken.size()));
  while (!uri.empty()) {
    const auto end = std::min(uri.find_first_of(";?&"), uri.size());
    const auto pair = uri.substr(0, end);
    uri.remove_prefix(std::min(end + 1, uri.size()));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return percent_decode(pair.substr(name.size() + 1)).value_or("");
  }
  return {};
}

/// The PIN from pin-value or the file of pin-source; "" without one. Errors: not_found, io_failed, too_large.
Result<std::string> pin_of(std::string_view uri) {
  std::string source = attribute(uri, "pin-source");
  if (source.empty()) return attribute(uri, "pin-value");
  if (source.starts_with("file:")) source.erase(0, 5);
  GODWIT_TRY(const auto text, read_file(source, kPinLimit));
  return std::string(trimmed(text));
}

std::string without_pin(const std::string& uri) {
  const auto begin = uri.find("pin-value=");
  if (begin == std::string::npos) return uri;
  const auto end = std::min(uri.find_first_of(";?&", begin), uri.size());
  return uri.substr(0, begin) + "pin-value=***" + uri.substr(end);
}

/// The first reason in OpenSSL's queue is the cause; the rest says who was on the way.
std::string reason() {
  const unsigned long code = ERR_peek_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string words = text != nullptr ? text : code == 0 ? "unknown reason" : "error " + std::to_string(code);
  ERR_clear_error();
  return words;
}

tl::unexpected<Error> refuse(const std::string& uri, std::string_view why) {
  return fail(Code::tls_failed, "the device's private key " + without_pin(uri) + ": " + std::string(why));
}

}  // namespace

std::string check_key_uri(std::string_view uri) {
  const auto is_in = [](std::string_view text, std::string_view allowed) {
    return std::ranges::all_of(text, [&](char c) { return allowed.find(c) != allowed.npos; });
  };
  if (uri.size() > kUriLimit) return "is longer than 1024 bytes";
  if (std::ranges::any_of(uri, [](char c) { return c <= ' ' || c == '\x7f'; }))
    return "has blanks or control characters";
  if (uri.starts_with(kToken) && uri.size() > kToken.size()) return "";
  if (uri.starts_with(kTpm) && uri.size() == kTpm.size() + 8 &&
      is_in(uri.substr(kTpm.size()), "0123456789abcdefABCDEF"))
    return "";
  return "is neither \"pkcs11:token=...;object=...\" nor a handle of the TPM like \"handle:0x81000001\"";
}

Result<std::unique_ptr<HardwareKey>> HardwareKey::open(const std::string& uri) {
  if (const std::string wrong = check_key_uri(uri); !wrong.empty()) return refuse(uri, wrong);
  std::unique_ptr<HardwareKey> opened(new HardwareKey);
  ERR_clear_error();
  if (uri.starts_with(kToken)) {
    GODWIT_TRY_VOID(opened->open_token(uri));
    return opened;
  }
  auto tpm = TpmKey::open(uri);
  if (!tpm) return refuse(uri, tpm.error().message);
  opened->tpm_ = *std::move(tpm);
  return opened;
}

HardwareKey::~HardwareKey() { EVP_PKEY_free(key_); }

evp_pkey_st* HardwareKey::key() const { return tpm_ != nullptr ? tpm_->key() : key_; }

Result<void> HardwareKey::open_token(const std::string& uri) {
  OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_DYNAMIC, nullptr);
  const Engine engine(ENGINE_by_id("pkcs11"), &ENGINE_free);
  if (!engine)
    return refuse(uri, "OpenSSL has no engine for PKCS#11 (" + reason() + "); install libengine-pkcs11-openssl");
  if (const std::string module = attribute(uri, "module-path"); !module.empty())
    if (ENGINE_ctrl_cmd_string(engine.get(), "MODULE_PATH", module.c_str(), 0) != 1)
      return refuse(uri, "module-path is not taken: " + reason());
  if (ENGINE_init(engine.get()) != 1)
    return refuse(uri, "the token's library does not start (" + reason() + "); check module-path");
  const auto pin = pin_of(uri);
  if (!pin) return refuse(uri, pin.error().message);
  if (!pin->empty()) ENGINE_ctrl_cmd_string(engine.get(), "PIN", pin->c_str(), 0);
  // The engine knows no query in a URI, and writes what it does not know to standard error, a PIN included. UI_null:
  // nobody sits at a device to type one.
  const std::string name = uri.substr(0, uri.find('?'));
  key_ = ENGINE_load_private_key(engine.get(), name.c_str(), const_cast<UI_METHOD*>(UI_null()), nullptr);
  const std::string why = key_ == nullptr ? reason() : "";
  ENGINE_finish(engine.get());  // the key holds the engine as long as it lives
  if (key_ == nullptr)
    return refuse(uri, "the token does not give it (" + why + "); check that token and object are there, and the PIN");
  return {};
}

}  // namespace godwit::agent
