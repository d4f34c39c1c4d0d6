// Finds the row of the route tables that a request means. Literal segments match in any case, values do not; the path
// is split at '/' and a ":verb" is cut off before anything is decoded, so an encoded '/' or ':' stays part of a value.
// Immutable after construction; safe from any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/http.hpp"
#include "server/api/target.hpp"

namespace godwit::api {

/// Whose manners an answer follows: api-version values and the shape of an error.
enum class Family : std::uint8_t { device_update, iothub, provisioning, godwit, storage, plain };
[[nodiscard]] Family family_of(const Target& target);

/// Routes that do not read the request whole (transfer.hpp serves them), or whose connection goes to the hub.
enum class Stream : std::uint8_t { none, upload, download, root_key_package, websocket, log_upload, log_file };

/// One row as it was added; what descriptions, counters and tests walk.
struct RouteInfo {
  Method method = Method::get;
  std::string_view pattern;  // points into the table
  Permission permission = Permission::none;
  Stream stream = Stream::none;
};

struct Match {
  std::string_view pattern{};  // of the row
  Permission permission = Permission::none;
  RouteHandler handler{};  // empty for a stream
  Stream stream = Stream::none;
  std::map<std::string, std::string> parameters;
};

class Router {
 public:
  void add(const std::vector<Route>& table);
  /// `pattern` outlives the router.
  void add_stream(Method method, std::string_view pattern, Permission permission, Stream stream);
  [[nodiscard]] std::vector<RouteInfo> routes() const;

  struct Miss {
    std::vector<Method> allowed;  // empty: no such path (404); else 405
  };
  /// A HEAD without a row of its own takes that of GET.
  [[nodiscard]] tl::expected<Match, Miss> find(Method method, const Target& target) const;

 private:
  struct Segment {
    std::string text;  // literal, or name of the value
    bool is_value = false;
    bool is_tail = false;  // "{name...}", the last one: takes this segment and all that follow
    std::string verb;      // after ':', lower-case; "" = none
  };
  struct Row {
    Method method;
    std::vector<Segment> segments;
    Match match;
  };
  static Row compile(Method method, std::string_view pattern, Match match);
  static bool matches(const Row& row, const Target& target, std::map<std::string, std::string>& values);
  void insert(Row row);

  std::vector<Row> rows_;  // literals before values, so the first match is the most specific
};

[[nodiscard]] std::string_view method_name(Method method);

/// What must hold for a found row, apart from permission: the family's api-version and the instance in the path.
/// Errors: invalid_argument, not_found.
[[nodiscard]] Result<void> check_manners(const Target& target, const Match& match, std::string_view instance_id);

}  // namespace godwit::api
