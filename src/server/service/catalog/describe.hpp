// Records of the catalog in the shapes of the API. Pure functions; safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/manifest/import_manifest.hpp"
#include "server/store/catalog_records.hpp"

namespace godwit::service {

[[nodiscard]] Result<json::Object> describe_update(const store::UpdateRecord& update,
                                                   const std::vector<UpdateId>& referenced_by);
[[nodiscard]] json::Object describe_file(const store::UpdateRecord& update, const manifest::File& file);
[[nodiscard]] json::Object describe_operation(const store::OperationRecord& operation, const std::string& instance_id);
/// "/deviceUpdate/main/updates/providers/Contoso/names/Toaster/versions/1.2.0?api-version=2022-10-01"
[[nodiscard]] std::string update_location(const UpdateId& id, const std::string& instance_id);

}  // namespace godwit::service
