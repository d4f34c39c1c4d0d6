// What a route sees of HTTP: a whole, bounded request in, a reply out. Routes are rows of a table; a handler is a plain
// function that runs on the worker pool, of one of three shapes: it replies, it will reply later (responder.hpp), or it
// opens a stream of events (event_stream.hpp). Sockets, TLS and parsing are in the rim (server.hpp), payload bytes in
// transfer.hpp. Values; safe from any thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace godwit::api {

enum class Method : std::uint8_t { get, head, put, post, patch, delete_ };

/// The six data actions of the original, and those of the hub. A role is a set of them (permissions.hpp), and so is a
/// shared access policy (policies.hpp). hub_read and hub_write are what services do with devices: twins, queries,
/// methods, jobs, messages; identities are the registry's.
enum class Permission : std::uint8_t {
  none,
  updates_read,
  updates_write,
  updates_delete,
  management_read,
  management_write,
  management_delete,
  hub_read,
  hub_write,
  access_write,
  registry_read,
  registry_write,
  device_connect  // what a device does, done over REST
};

struct Request {
  Method method = Method::get;
  std::string path;                               // as sent, without the query
  std::map<std::string, std::string> parameters;  // {name} in the route pattern -> percent-decoded value
  std::map<std::string, std::string> query;       // percent-decoded; names lower-cased
  std::map<std::string, std::string> headers;     // names lower-cased
  std::string body;
  std::string caller;             // token name, for the audit trail
  std::string caller_instance{};  // the only instance the caller may see; "": all

  [[nodiscard]] std::string parameter(std::string_view name) const;  // "" if absent
  [[nodiscard]] std::optional<std::string> query_value(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> header(std::string_view lower_case_name) const;
};

struct Reply {
  int status = 200;
  std::string body{};  // empty = no body
  std::string content_type = "application/json; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers{};

  [[nodiscard]] static Reply json(const json::Value& value, int status = 200);
  [[nodiscard]] static Reply no_content() { return Reply{.status = 204}; }
};

struct Services;  // services.hpp: everything a handler may use

class Responder;   // responder.hpp
class EventQueue;  // event_stream.hpp

using Handler = Result<Reply> (*)(const Request& request, Services& services);
/// Returns soon; whoever has the responder answers. `request` is gone when the handler returns.
using AsyncHandler = void (*)(const Request& request, Services& services, Responder responder);
/// What the reader gets; usually EventStream::subscribe(). The rim sends it until either side ends it.
using EventHandler = Result<std::shared_ptr<EventQueue>> (*)(const Request& request, Services& services);

/// One of the three shapes, so that rows of a table look the same. Empty for a stream of bytes (router.hpp).
struct RouteHandler : std::variant<std::monostate, Handler, AsyncHandler, EventHandler> {
  using variant::variant;

  /// Calls the plain shape; any other is a bug of the caller.
  [[nodiscard]] Result<Reply> operator()(const Request& request, Services& services) const {
    const Handler* const plain = std::get_if<Handler>(this);
    GODWIT_CHECK(plain != nullptr);
    return (*plain)(request, services);
  }
};

/// `pattern`: "/deviceUpdate/{instanceId}/updates/providers/{provider}" ; literal segments match in any case, a segment
/// may end in a
/// ":verb" suffix ("/deviceUpdate/{instanceId}/updates:import", ".../deployments/{deploymentId}:cancel"). The last one
/// may be "{name...}": what is left of the path, at least one segment.
struct Route {
  Method method;
  std::string_view pattern;
  Permission permission;
  RouteHandler handler;
};

/// "Sun, 06 Nov 1994 08:49:37 GMT".
[[nodiscard]] std::string http_date(WallTime time);

/// The only place where an Error turns into an HTTP status.
[[nodiscard]] int http_status(Code code);

}  // namespace godwit::api
