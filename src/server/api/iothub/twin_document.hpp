// A row of a twin scan as a query sees it. Every section is parsed when the first path leads into it and not before;
// the parsed values live in one buffer that is used again for the next row. One thread.
#pragma once

#include <array>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parser.hpp>
#include <memory>
#include <optional>

#include "server/hub/query/document.hpp"
#include "server/store/store.hpp"

namespace godwit::api::iothub {

class TwinDocument final : public hub::query::Document {
 public:
  TwinDocument();
  ~TwinDocument() override;
  TwinDocument(const TwinDocument&) = delete;
  TwinDocument& operator=(const TwinDocument&) = delete;

  /// `row` is looked at until the next call; what was found before is gone.
  void show(const store::TwinRow& row);
  void show(const store::TwinRow&& row) = delete;  // it would be gone
  [[nodiscard]] const json::Value* find(const hub::query::Path& path) override;
  /// What went wrong in find() since show(): a stored text that is no JSON. Such a member counts as missing.
  [[nodiscard]] Result<void> outcome() const;

 private:
  struct Section {
    std::optional<json::Value> values{};
    std::optional<json::Value> metadata{};
    std::optional<json::Value> version{};
    std::optional<json::Value> whole{};
  };

  [[nodiscard]] const json::Value* in_properties(const hub::query::Path& path);
  [[nodiscard]] const json::Value& whole(Section& section);
  [[nodiscard]] const json::Value& values(Section& section);
  [[nodiscard]] const json::Value& metadata(Section& section);
  [[nodiscard]] const json::Value& version(Section& section);
  [[nodiscard]] const json::Value& parsed(std::optional<json::Value>& place, std::string_view text,
                                          std::string_view what);
  void forget();

  std::unique_ptr<unsigned char[]> buffer_;
  boost::json::monotonic_resource memory_;
  boost::json::parser parser_;
  const store::TwinRow* row_ = nullptr;
  std::optional<json::Value> device_id_;
  std::optional<json::Value> module_id_;
  std::optional<json::Value> head_;
  std::optional<json::Value> tags_;
  std::optional<json::Value> properties_;
  Section desired_;
  Section reported_;
  std::string failure_;
};

}  // namespace godwit::api::iothub
