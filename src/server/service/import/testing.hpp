// For tests: an importer over a real store and real blobs, with a web of texts instead of the network.
#pragma once

#include <map>
#include <set>

#include "core/trust/manifest_signature.hpp"
#include "server/blobs/disk/disk_blobs.hpp"
#include "server/service/catalog/catalog.hpp"
#include "server/service/import/importer.hpp"
#include "server/store/testing.hpp"

namespace godwit::service {

/// One signing identity per test binary: making RSA keys is slow.
struct TestKeys {
  trust::PrivateKey root = trust::PrivateKey::generate(2048).value();
  trust::PrivateKey signing = trust::PrivateKey::generate(2048).value();
  [[nodiscard]] SigningIdentity identity() const {
    return {.key = signing,
            .signed_jwk = trust::make_signed_jwk(signing.public_key(), "signing-1", root, "root-1").value()};
  }
  [[nodiscard]] trust::RootKeyPackage package() const {
    trust::RootKeyPackage package;
    package.root_keys.emplace_back("root-1", root.public_key());
    return package;
  }
  static const TestKeys& get() {
    static const TestKeys keys;
    return keys;
  }
};

class FakeFetcher final : public Fetcher {
 public:
  std::map<std::string, std::string> web{};  // URL -> body
  std::function<void()> on_fetch{};
  int fetches = 0;
  Result<void> fetch(const std::string& url, ByteCount expected, const Sink& sink,
                     const IsCancelled& is_cancelled) override {
    ++fetches;
    if (on_fetch) on_fetch();
    if (is_cancelled()) return fail(Code::cancelled, "stopping");
    const auto found = web.find(url);
    if (found == web.end()) return fail(Code::not_found, "the server answered HTTP 404");
    if (found->second.size() > expected) return fail(Code::too_large, "more than announced");
    GODWIT_TRY_VOID(sink(found->second));
    if (found->second.size() < expected) return fail(Code::size_mismatch, "less than announced");
    return {};
  }
};

struct SampleFile {
  std::string name;
  std::string content;
  std::vector<std::pair<std::string, std::string>> related{};  // name, content
};

struct SampleUpdate {
  std::string name = "Toaster";
  std::string version = "1.2.0";
  std::string model = name;
  bool is_deployable = true;
  std::string manifest_version = "5.0";
  std::vector<SampleFile> files{{"app.bin", "payload of the app"}};
  std::vector<std::string> references{};  // "Motor/1.0"
  json::Object handler_properties{{"installedCriteria", "1.2.0"}};
};

inline json::Object file_json(const std::string& name, const std::string& content) {
  return {{"filename", name},
          {"sizeInBytes", content.size()},
          {"hashes", json::Object{{"sha256", base64_encode(sha256(content))}}}};
}

inline std::string manifest_text(const SampleUpdate& update) {
  json::Array files;
  json::Array names;
  for (const SampleFile& file : update.files) {
    json::Object one = file_json(file.name, file.content);
    json::Array related;
    for (const auto& [name, content] : file.related) {
      json::Object delta = file_json(name, content);
      delta["properties"] = json::Object{{"microsoft.sourceFileHash", "x"}};
      related.emplace_back(std::move(delta));
    }
    if (!related.empty()) {
      one["relatedFiles"] = std::move(related);
      one["downloadHandler"] = json::Object{{"id", "microsoft/delta:1"}};
    }
    files.emplace_back(std::move(one));
    names.emplace_back(file.name);
  }
  json::Array steps;
  if (!names.empty())
    steps.emplace_back(json::Object{
        {"handler", "microsoft/script:1"}, {"files", names}, {"handlerProperties", update.handler_properties}});
  for (const std::string& reference : update.references) {
    const auto slash = reference.find('/');
    steps.emplace_back(json::Object{{"type", "reference"},
                                    {"updateId", json::Object{{"provider", "Contoso"},
                                                              {"name", reference.substr(0, slash)},
                                                              {"version", reference.substr(slash + 1)}}}});
  }
  json::Object object{
      {"updateId", json::Object{{"provider", "Contoso"}, {"name", update.name}, {"version", update.version}}},
      {"description", "A better " + update.name},
      {"compatibility", json::Array{json::Object{{"manufacturer", "Contoso"}, {"model", update.model}}}},
      {"instructions", json::Object{{"steps", std::move(steps)}}},
      {"files", std::move(files)},
      {"manifestVersion", update.manifest_version},
      {"createdDateTime", "2026-01-01T00:00:00Z"}};
  if (update.manifest_version != "4.0") object["isDeployable"] = update.is_deployable;
  return json::print(object);
}

inline UpdateId sample_id(std::string_view name, std::string_view version) {
  return UpdateId::parse("Contoso", name, version).value();
}

struct ImportRig {
  explicit ImportRig(ImportOptions how = {}, blobs::DiskOptions disk = {})
      : options(how),
        blobs(blobs::open_disk_blobs(test.folder.path() / "blobs", test.clock, disk).value()),
        catalog(*test.store, test.clock) {
    restart();
  }

  /// A new importer over the same store, as after a restart of the server.
  void restart() {
    importer.reset();
    importer = std::make_unique<Importer>(*test.store, *blobs, fetcher, test.clock, test.log,
                                          TestKeys::get().identity(), options);
    catalog.set_wake([this] { importer->wake(); });
  }
  void upload(const std::string& content) {
    auto upload = blobs->start(sha256(content), content.size()).value();
    ASSERT_TRUE(upload->write(content));
    ASSERT_TRUE(upload->finish());
  }
  void upload_files(const SampleUpdate& update) {
    for (const SampleFile& file : update.files) {
      upload(file.content);
      for (const auto& [name, content] : file.related) upload(content);
    }
  }
  [[nodiscard]] bool has_blob(const std::string& content) {
    return blobs->size_of(sha256(content)).value().has_value();
  }
  /// Puts manifest and files on the web.
  UrlItem publish(const SampleUpdate& update) {
    const std::string text = manifest_text(update);
    const std::string base = "https://files.example/" + update.name + "/" + update.version + "/";
    fetcher.web[base + "manifest"] = text;
    UrlItem item{.url = base + "manifest", .size = text.size(), .sha256 = sha256(text), .friendly_name = "Spring"};
    for (const SampleFile& file : update.files) {
      item.files[file.name] = base + file.name;
      fetcher.web[base + file.name] = file.content;
      for (const auto& [name, content] : file.related) {
        item.files[name] = base + name;
        fetcher.web[base + name] = content;
      }
    }
    return item;
  }
  /// Starts and works off; gives the operation as the API shows it.
  json::Object run(const std::vector<ImportItem>& items) {
    const auto id = importer->start(items, "tester");
    if (!id) {
      ADD_FAILURE() << id.error().outer << ": " << id.error().message;
      return {};
    }
    EXPECT_TRUE(importer->work_off());
    test.clock.advance(std::chrono::seconds(1));  // what comes later is later
    return catalog.describe_operation(*id, "main").value();
  }
  json::Object import_directly(const SampleUpdate& update) {
    upload_files(update);
    return run({DirectItem{.manifest = manifest_text(update), .friendly_name = "Spring"}});
  }
  Offer offer(const UpdateId& id, ContractModel model) {
    Offer found;
    const auto outcome = test.store->read([&](store::Records& records) -> Result<void> {
      GODWIT_TRY(found, catalog.offer_for(records, id, model));
      return {};
    });
    EXPECT_TRUE(outcome) << outcome.error().message;
    return found;
  }

  store::TestStore test;
  ImportOptions options;
  std::unique_ptr<blobs::Blobs> blobs;
  FakeFetcher fetcher;
  Catalog catalog;
  std::unique_ptr<Importer> importer;
};

inline std::string text_at(const json::Object& object, std::string_view key) {
  return json::text_or_nothing(object, key).value_or("");
}
/// "outer/inner" of a failed operation.
inline std::string codes_of(const json::Object& operation) {
  const json::Object* error = json::object_or_null(operation, "error");
  if (error == nullptr) return "no error, " + text_at(operation, "status");
  const json::Object* inner = json::object_or_null(*error, "innererror");
  return text_at(*error, "code") + "/" + (inner != nullptr ? text_at(*inner, "code") : "");
}

}  // namespace godwit::service
