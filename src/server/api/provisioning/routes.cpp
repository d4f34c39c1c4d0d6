// The surface of the provisioning service that operators and scripts use.
#include "server/api/provisioning/shapes.hpp"
#include "server/api/services.hpp"

namespace godwit::api {

const std::vector<Route>& provisioning_routes() {
  using namespace provisioning;
  using Individual = Enrollments<store::EnrollmentKind::individual>;
  using Group = Enrollments<store::EnrollmentKind::group>;
  // clang-format off
  static const std::vector<Route> routes{
      {Method::post,    "/enrollments",                                                Permission::hub_write, run_bulk},
      {Method::post,    "/enrollments/query",                                          Permission::hub_read,  Individual::query},
      {Method::get,     "/enrollments/{registrationId}",                               Permission::hub_read,  Individual::get},
      {Method::put,     "/enrollments/{registrationId}",                               Permission::hub_write, Individual::put},
      {Method::delete_, "/enrollments/{registrationId}",                               Permission::hub_write, Individual::remove},
      {Method::post,    "/enrollments/{registrationId}/attestationmechanism",          Permission::hub_write, Individual::attestation},
      {Method::post,    "/enrollmentGroups/query",                                     Permission::hub_read,  Group::query},
      {Method::get,     "/enrollmentGroups/{enrollmentGroupId}",                       Permission::hub_read,  Group::get},
      {Method::put,     "/enrollmentGroups/{enrollmentGroupId}",                       Permission::hub_write, Group::put},
      {Method::delete_, "/enrollmentGroups/{enrollmentGroupId}",                       Permission::hub_write, Group::remove},
      {Method::post,    "/enrollmentGroups/{enrollmentGroupId}/attestationmechanism",  Permission::hub_write, Group::attestation},
      {Method::get,     "/registrations/{id}",                                         Permission::hub_read,  get_registration},
      {Method::delete_, "/registrations/{id}",                                         Permission::hub_write, delete_registration},
      {Method::post,    "/registrations/{id}/query",                                   Permission::hub_read,  query_registrations},
  };
  // clang-format on
  return routes;
}

}  // namespace godwit::api
