// A TOML file as a tree that knows its lines, for files that hold lists of tables; a program's own configuration is a
// config::Schema. TOML itself stays behind this room. Values; safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.hpp"

namespace godwit::toml_tree {

struct Member;
struct Node {
  using Array = std::vector<Node>;
  using Table = std::vector<Member>;  // sorted by name
  std::uint32_t line = 0;             // from 1
  std::variant<Table, Array, std::string, std::int64_t, double, bool> value;

  // Made and copied where Member is complete: not every compiler waits for that by itself.
  Node();
  Node(const Node& other);
  Node(Node&& other) noexcept;
  Node& operator=(const Node& other);
  Node& operator=(Node&& other) noexcept;
  ~Node();
};
struct Member {
  std::string name;
  Node node;
};

inline Node::Node() = default;
inline Node::Node(const Node& other) = default;
inline Node::Node(Node&& other) noexcept = default;
inline Node& Node::operator=(const Node& other) = default;
inline Node& Node::operator=(Node&& other) noexcept = default;
inline Node::~Node() = default;

/// Errors: invalid_argument "name:line: what" for text that is no TOML, for dates (nothing of ours has them), and for
/// characters outside ASCII that stand neither in a "string" nor in a comment.
[[nodiscard]] Result<Node> parse(std::string_view text, std::string_view source_name);

}  // namespace godwit::toml_tree
