#include "server/api/iothub/twin_document.hpp"

#include <boost/system/error_code.hpp>
#include <span>

#include "server/api/iothub/shapes.hpp"

namespace godwit::api::iothub {
namespace {

// Holds the parsed sections of an ordinary twin; a larger one takes more from the heap, for this row.
constexpr std::size_t kBuffer = 64 * 1024;

}  // namespace

using hub::query::Path;
using hub::query::Root;

TwinDocument::TwinDocument() : buffer_(std::make_unique<unsigned char[]>(kBuffer)), memory_(buffer_.get(), kBuffer) {}
TwinDocument::~TwinDocument() { forget(); }

void TwinDocument::forget() {
  for (Section* section : {&desired_, &reported_}) *section = Section{};
  for (std::optional<json::Value>* value : {&device_id_, &module_id_, &head_, &tags_, &properties_}) value->reset();
  parser_.reset();
  memory_.release();
  failure_.clear();
}

void TwinDocument::show(const store::TwinRow& row) {
  forget();
  row_ = &row;
}

Result<void> TwinDocument::outcome() const {
  if (failure_.empty()) return {};
  return fail(Code::database_failed, failure_);
}

const json::Value& TwinDocument::parsed(std::optional<json::Value>& place, std::string_view text,
                                        std::string_view what) {
  if (place) return *place;
  boost::system::error_code problem;
  parser_.reset(boost::json::storage_ptr(&memory_));
  parser_.write(text.data(), text.size(), problem);
  if (problem) {
    failure_ = "the stored " + std::string(what) + " of '" + row_->identity.id.str() + "' is not JSON";
    return place.emplace(json::Object{});
  }
  return place.emplace(parser_.release());
}

const json::Value& TwinDocument::values(Section& section) {
  return &section == &desired_ ? parsed(section.values, row_->desired, "desired section")
                               : parsed(section.values, row_->reported, "reported section");
}

const json::Value& TwinDocument::metadata(Section& section) {
  return &section == &desired_ ? parsed(section.metadata, row_->desired_metadata, "desired metadata")
                               : parsed(section.metadata, row_->reported_metadata, "reported metadata");
}

const json::Value& TwinDocument::version(Section& section) {
  if (!section.version) section.version.emplace(&section == &desired_ ? row_->desired_version : row_->reported_version);
  return *section.version;
}

const json::Value& TwinDocument::whole(Section& section) {
  if (section.whole) return *section.whole;
  json::Value& all = section.whole.emplace(values(section), boost::json::storage_ptr(&memory_));
  if (all.is_object()) {
    all.get_object()["$metadata"] = metadata(section);
    all.get_object()["$version"] = version(section);
  }
  return all;
}

const json::Value* TwinDocument::in_properties(const Path& path) {
  const std::span names(path.names);
  if (names.size() == 1) {
    if (!properties_) {
      json::Object both(boost::json::storage_ptr{&memory_});
      both["desired"] = whole(desired_);
      both["reported"] = whole(reported_);
      properties_.emplace(std::move(both));
    }
    return &*properties_;
  }
  Section& section = names[1] == "desired" ? desired_ : reported_;
  if (names.size() == 2) return &whole(section);
  if (names[2] == "$metadata") return hub::query::descend(&metadata(section), names.subspan(3));
  if (names[2] == "$version") return hub::query::descend(&version(section), names.subspan(3));
  return hub::query::descend(&values(section), names.subspan(2));
}

const json::Value* TwinDocument::find(const Path& path) {
  const std::span names(path.names);
  switch (path.root) {
    case Root::device_id:
      if (!device_id_) device_id_.emplace(row_->identity.id.device_text());
      return hub::query::descend(&*device_id_, names.subspan(1));
    case Root::module_id:
      if (!row_->identity.id.is_module()) return nullptr;
      if (!module_id_) module_id_.emplace(row_->identity.id.module_text());
      return hub::query::descend(&*module_id_, names.subspan(1));
    case Root::tags: return hub::query::descend(&parsed(tags_, row_->tags, "tags"), names.subspan(1));
    case Root::properties: return in_properties(path);
    default:
      if (!head_) head_.emplace(twin_head_json(row_->identity, row_->session, row_->version));
      return hub::query::descend(&*head_, names);
  }
}

}  // namespace godwit::api::iothub
