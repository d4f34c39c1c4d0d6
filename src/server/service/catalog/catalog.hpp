// The catalog: imported updates as operators list them and as devices are offered them. Imports are next door.
// Works inside transactions of the store; safe from any thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/model/compatibility.hpp"
#include "server/store/store.hpp"

namespace godwit::service {

/// What goes into the twin of one device, in the dialect of its contract model; URLs are made from `files` by the
/// caller.
struct Offer {
  std::string manifest{};  // exact signed bytes: whole, or mini when the whole does not fit a twin
  std::string signature{};
  bool is_detached = false;                         // `manifest` is a mini one that points at a file with the whole
  std::map<std::string, store::OfferFile> files{};  // file id -> sha256 and file name; all of them belong into fileUrls
};

class Catalog {
 public:
  /// True if a deployment that may still be delivered wants the update. Set by the wiring; unset = never.
  using IsInUse = std::function<Result<bool>(store::Records& records, const UpdateId& id)>;
  /// Called after the commit that queued an operation; wakes the importer.
  using Wake = std::function<void()>;

  Catalog(store::Store& store, Clock& clock) : store_(store), clock_(clock) {}
  void set_in_use(IsInUse is_in_use) { is_in_use_ = std::move(is_in_use); }  // before the server serves
  void set_wake(Wake wake) { wake_ = std::move(wake); }                      // before the server serves

  /// Manifest version 4 for contract model 1, else 5. Errors: not_found.
  [[nodiscard]] Result<Offer> offer_for(store::Records& records, const UpdateId& id, ContractModel model) const;

  /// The update in the shape of the API. Errors: not_found.
  [[nodiscard]] Result<json::Object> describe(const UpdateId& id) const;
  struct Page {
    json::Array values{};
    std::string next_token{};  // "" = last page
  };
  /// `token`: "" or the next_token of the page before.
  [[nodiscard]] Result<Page> list(store::UpdateQuery query, const std::string& token) const;
  [[nodiscard]] Result<std::vector<std::string>> providers() const;
  [[nodiscard]] Result<std::vector<std::string>> names(const std::string& provider) const;  // not_found
  [[nodiscard]] Result<std::vector<std::string>> versions(const std::string& provider, const std::string& name,
                                                          std::optional<bool> is_deployable) const;        // not_found
  [[nodiscard]] Result<std::vector<std::string>> file_ids(const UpdateId& id) const;                       // not_found
  [[nodiscard]] Result<json::Object> describe_file(const UpdateId& id, const std::string& file_id) const;  // not_found

  /// Takes the update out of the catalog at once and queues an operation that frees its blobs; gives the operation's
  /// id. Errors: not_found, conflict (a parent refers to it, a deployment wants it).
  [[nodiscard]] Result<std::string> remove(const UpdateId& id, const std::string& actor);

  [[nodiscard]] Result<json::Object> describe_operation(const std::string& operation_id,
                                                        const std::string& instance_id) const;  // not_found
  [[nodiscard]] Result<Page> list_imports(bool only_unfinished, std::size_t top, const std::string& token,
                                          const std::string& instance_id) const;

 private:
  store::Store& store_;
  Clock& clock_;
  IsInUse is_in_use_{};
  Wake wake_{};
};

/// {"updateId", "description"?, "friendlyName"?}: how other rooms show an update.
[[nodiscard]] json::Object update_info(const store::UpdateSummary& summary);

}  // namespace godwit::service
