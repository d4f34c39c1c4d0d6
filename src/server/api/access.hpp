// Bearer tokens: who calls, and may they. Tokens are 32 random bytes; only their SHA-256 is stored, with a name and a
// role. Found tokens are remembered for a short time; forget_tokens() ends that at once. Addresses that keep failing
// must wait, also with shared access signatures (policies.hpp). Safe from any thread.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/secret.hpp"
#include "server/api/permissions.hpp"
#include "server/store/store.hpp"

namespace godwit::api {

struct Caller {
  std::string name;
  Role role = Role::content_reader;
  std::optional<std::uint32_t> permissions{};  // of a shared access policy, which has no role
  std::string instance{};                      // the only one its token opens; "": all
};

/// What a token is to be.
struct NewToken {
  std::string name;
  Role role = Role::content_reader;
  std::optional<WallTime> expires{};
  std::string instance{};  // "": all
  std::string made_by{};
};

class Policies;

class Access {
 public:
  static constexpr Duration kMemory = std::chrono::seconds(15);
  static constexpr int kFreeFailures = 10;  // before an address has to wait
  static constexpr Duration kLongestWait = std::chrono::seconds(30);
  static constexpr Duration kUseStep = std::chrono::minutes(1);  // "last used" is stored no finer

  /// `operators`: where tokens are looked for that `store` does not know, e.g. those of who runs several instances.
  Access(Clock& clock, store::Store& store, store::Store* operators = nullptr)
      : clock_(clock), store_(store), operators_(operators) {}

  /// Looks only in memory: a caller, or an error that needs no store (no token, wrong scheme, address has to wait), or
  /// nullopt: ask look_up(). Never blocks.
  [[nodiscard]] Result<std::optional<Caller>> recall(std::string_view authorization, const std::string& address);
  /// Asks the store, and has it note the use. Blocks: worker thread. Errors: unauthorized, too_many, database_failed.
  [[nodiscard]] Result<Caller> look_up(std::string_view authorization, const std::string& address);
  /// After a token was removed: the next request asks the store again, also one that is being looked up now.
  void forget_tokens();
  /// `other` looks for tokens here as well and forgets with this one. Before requests come.
  void add_follower(Access& other) { followers_.push_back(&other); }

  /// From now on shared access signatures are taken too. Before requests come.
  void use_policies(Policies& policies) { policies_ = &policies; }
  /// True for "SharedAccessSignature ...", whatever follows.
  [[nodiscard]] static bool is_shared_access(std::string_view authorization);
  /// The policy that signed, if its token covers `path` (as sent). Looks only in memory, never blocks.
  /// Errors: unauthorized, too_many.
  [[nodiscard]] Result<Caller> check_shared_access(std::string_view authorization, const std::string& address,
                                                   std::string_view path);

  /// Makes a token "gwt_..." and stores its digest. The text is shown once. Errors: invalid_argument (name), conflict.
  [[nodiscard]] static Result<Secret> create_token(store::Records& records, const NewToken& wanted, WallTime now);

 private:
  struct Known {
    Caller caller;
    Duration until{};
    std::optional<WallTime> expires;
  };
  struct Failures {
    int count = 0;
    Duration wait_until{};
    Duration forget_at{};
  };
  void note_failure(const std::string& address);
  [[nodiscard]] Result<void> check_waiting(const std::string& address);
  void note_use(store::Store& store, const store::TokenRecord& record);

  Clock& clock_;
  store::Store& store_;
  store::Store* operators_;
  Policies* policies_ = nullptr;
  std::mutex mutex_;
  std::map<Bytes, Known> known_;  // by digest
  std::uint64_t generation_ = 0;  // of known_: counts forget_tokens()
  std::vector<Access*> followers_;
  std::map<std::string, Failures> failures_;  // by address
};

/// The error of a caller without `permission`, if it has not got it.
[[nodiscard]] Result<void> check_permission(const Caller& caller, Permission permission);
/// The error of a caller whose token is for another instance.
[[nodiscard]] Result<void> check_instance(const Caller& caller, std::string_view instance);

}  // namespace godwit::api
