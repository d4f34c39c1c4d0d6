// One line for each row of the route tables, in the order of the families.
#include <array>

#include "server/api/openapi/description.hpp"

// A pattern is one literal; these only keep the table readable.
#define UPDATES "/deviceUpdate/{instanceId}/updates"
#define UPDATE UPDATES "/providers/{provider}/names/{name}/versions/{version}"
#define MANAGEMENT "/deviceUpdate/{instanceId}/management"
#define GROUP MANAGEMENT "/groups/{groupId}"
#define SUBGROUP GROUP "/deviceClassSubgroups/{deviceClassId}"
#define LOGS MANAGEMENT "/deviceDiagnostics/logCollections"
#define GODWIT "/godwit/v1/{instanceId}"

namespace godwit::api {

namespace {

using enum Method;

// clang-format off
constexpr auto kQueryTexts = std::to_array<QueryText>({
    {"filter", "Comparisons `name eq 'text'` joined by `and` or by `or`; which names, the reference says."},
    {"orderby", "A name and `asc` or `desc`."},
    {"search", "Text that provider, name, version, description or friendly name holds, in any case."},
    {"top", "How many at most.", "integer"},
    {"skiptoken", "The place of a page; comes in nextLink."},
    {"agent", "Only this agent: `device` or `device/module`."},
    {"device", "Only this device."},
    {"module", "Only this module."},
    {"component", "Only this component."},
    {"jobType", "scheduleUpdateTwin or scheduleDeviceMethod."},
    {"jobStatus", "scheduled, enqueued, running, completed, failed or cancelled."},
    {"se", "When the link ends."},
    {"sig", "The link's signature."},
});
// clang-format on

// clang-format off
constexpr auto kRouteTexts = std::to_array<RouteText>({
    // ---- Device Update: content
    {get,     UPDATES,                                   "List updates", "search filter skiptoken", "", "page:Update"},
    {post,    UPDATES ":import",                         "Import an update with its children, by URL", "", "list:ImportUpdateInput", "", 202},
    {get,     UPDATE,                                    "Show an update", "", "", "Update"},
    {delete_, UPDATE,                                    "Delete an update that nothing refers to", "", "", "", 202},
    {get,     UPDATES "/providers",                      "List providers", "skiptoken", "", "page:string"},
    {get,     UPDATES "/providers/{provider}/names",     "List the names of a provider", "skiptoken", "", "page:string"},
    {get,     UPDATES "/providers/{provider}/names/{name}/versions", "List the versions of a name", "filter skiptoken", "", "page:string"},
    {get,     UPDATE "/files",                           "List the ids of an update's files", "", "", "page:string"},
    {get,     UPDATE "/files/{fileId}",                  "Show a file of an update", "", "", "UpdateFile"},
    {get,     UPDATES "/operations",                     "List imports", "filter top", "", "page:UpdateOperation"},
    {get,     UPDATES "/operations/{operationId}",       "Show how far an import or a delete is", "", "", "UpdateOperation"},
    // ---- Device Update: devices, classes
    {get,     MANAGEMENT "/deviceClasses",               "List device classes", "filter skiptoken", "", "page:DeviceClass"},
    {get,     MANAGEMENT "/deviceClasses/{deviceClassId}", "Show a device class", "", "", "DeviceClass"},
    {patch,   MANAGEMENT "/deviceClasses/{deviceClassId}", "Give a device class a friendly name", "", "PatchDeviceClass", "DeviceClass"},
    {delete_, MANAGEMENT "/deviceClasses/{deviceClassId}", "Delete a device class without devices", "", "", "", 204},
    {get,     MANAGEMENT "/deviceClasses/{deviceClassId}/installableUpdates", "List the updates that fit a class", "", "", "page:UpdateInfo"},
    {get,     MANAGEMENT "/devices",                     "List devices", "filter skiptoken", "", "page:Device"},
    {post,    MANAGEMENT "/devices:import",              "Read all twins once more", "", "ImportType", "", 202},
    {get,     MANAGEMENT "/devices/{deviceId}",          "Show a device", "", "", "Device"},
    {get,     MANAGEMENT "/devices/{deviceId}/modules/{moduleId}", "Show an agent that is a module", "", "", "Device"},
    {get,     MANAGEMENT "/operations",                  "List device syncs", "filter top", "", "page:DeviceOperation"},
    {get,     MANAGEMENT "/operations/{operationId}",    "Show how far a device sync is", "", "", "DeviceOperation"},
    {get,     MANAGEMENT "/deviceDiagnostics/deviceHealth", "List which devices report as they should", "filter* skiptoken", "", "page:DeviceHealth"},
    {get,     "/deviceUpdate/{instanceId}/limits",       "Show what is counted against which quota", "", "", "Limits"},
    {get,     MANAGEMENT "/updateCompliance",            "Count all devices by how current they are", "", "", "Compliance"},
    // ---- Device Update: groups
    {get,     MANAGEMENT "/groups",                      "List groups", "orderby skiptoken", "", "page:Group"},
    {get,     GROUP,                                     "Show a group", "", "", "Group"},
    {delete_, GROUP,                                     "Delete an empty group", "", "", "", 204},
    {get,     GROUP "/updateCompliance",                 "Count a group's devices by how current they are", "", "", "Compliance"},
    {get,     GROUP "/bestUpdates",                      "List the best update of each subgroup", "filter skiptoken", "", "page:BestUpdate"},
    {get,     GROUP "/deviceClassSubgroups",             "List the subgroups of a group", "filter skiptoken", "", "page:Subgroup"},
    {get,     SUBGROUP,                                  "Show a subgroup", "", "", "Subgroup"},
    {delete_, SUBGROUP,                                  "Delete an empty subgroup", "", "", "", 204},
    {get,     SUBGROUP "/updateCompliance",              "Count a subgroup's devices by how current they are", "", "", "Compliance"},
    {get,     SUBGROUP "/bestUpdates",                   "Show the best update of a subgroup", "", "", "BestUpdate"},
    // ---- Device Update: deployments
    {get,     GROUP "/deployments",                      "List a group's deployments", "orderby skiptoken", "", "page:Deployment"},
    {get,     GROUP "/deployments/{deploymentId}",       "Show a deployment", "", "", "Deployment"},
    {put,     GROUP "/deployments/{deploymentId}",       "Deploy an update to a group", "", "Deployment", "Deployment"},
    {delete_, GROUP "/deployments/{deploymentId}",       "Delete a deployment that is not live", "", "", "", 204},
    {get,     GROUP "/deployments/{deploymentId}/status", "Show how far a deployment is", "", "", "DeploymentStatus"},
    {get,     SUBGROUP "/deployments",                   "List a subgroup's deployments", "orderby skiptoken", "", "page:Deployment"},
    {get,     SUBGROUP "/deployments/{deploymentId}",    "Show a subgroup's deployment", "", "", "Deployment"},
    {delete_, SUBGROUP "/deployments/{deploymentId}",    "Delete a subgroup's deployment that is not live", "", "", "", 204},
    {post,    SUBGROUP "/deployments/{deploymentId}:cancel", "Cancel a subgroup's deployment", "", "", "Deployment"},
    {post,    SUBGROUP "/deployments/{deploymentId}:retry", "Let failed devices of a subgroup try again", "", "", "Deployment"},
    {get,     SUBGROUP "/deployments/{deploymentId}/status", "Show how far a subgroup's deployment is", "", "", "SubgroupStatus"},
    {get,     SUBGROUP "/deployments/{deploymentId}/devicestates", "List the devices of a subgroup's deployment", "filter skiptoken", "", "page:DeploymentDeviceState"},
    // ---- Device Update: logs
    {get,     LOGS,                                      "List log collections", "skiptoken", "", "page:LogCollection"},
    {put,     LOGS "/{operationId}",                     "Ask up to 100 agents for their logs", "", "LogCollection", "LogCollection", 201},
    {get,     LOGS "/{operationId}",                     "Show a log collection", "", "", "LogCollection"},
    {get,     LOGS "/{operationId}/detailedStatus",      "Show how far each agent of a log collection is", "", "", "LogCollectionDetail"},
    // ---- Hub: registry
    {get,     "/devices",                                "List identities", "top", "", "list:Identity"},
    {post,    "/devices",                                "Change up to 1000 identities", "", "list:IdentityChange", "BulkResult"},
    {get,     "/devices/{deviceId}",                     "Show a device's identity", "", "", "Identity"},
    {put,     "/devices/{deviceId}",                     "Make or change a device's identity", "", "Identity", "Identity"},
    {delete_, "/devices/{deviceId}",                     "Delete a device with its modules", "", "", "", 204},
    {post,    "/devices/query",                          "Query twins and jobs", "", "Query", "list:QueryRow"},
    {get,     "/devices/{deviceId}/modules",             "List a device's modules", "", "", "list:Identity"},
    {get,     "/devices/{deviceId}/modules/{moduleId}",  "Show a module's identity", "", "", "Identity"},
    {put,     "/devices/{deviceId}/modules/{moduleId}",  "Make or change a module's identity", "", "Identity", "Identity"},
    {delete_, "/devices/{deviceId}/modules/{moduleId}",  "Delete a module", "", "", "", 204},
    {get,     "/twins/{deviceId}",                       "Show a device's twin", "", "", "Twin"},
    {patch,   "/twins/{deviceId}",                       "Change tags and desired properties of a device", "", "Twin", "Twin"},
    {put,     "/twins/{deviceId}",                       "Replace tags and desired properties of a device", "", "Twin", "Twin"},
    {get,     "/twins/{deviceId}/modules/{moduleId}",    "Show a module's twin", "", "", "Twin"},
    {patch,   "/twins/{deviceId}/modules/{moduleId}",    "Change desired properties of a module", "", "Twin", "Twin"},
    {put,     "/twins/{deviceId}/modules/{moduleId}",    "Replace desired properties of a module", "", "Twin", "Twin"},
    {get,     "/statistics/devices",                     "Count identities", "", "", "RegistryStatistics"},
    {get,     "/statistics/service",                     "Count connected devices", "", "", "ServiceStatistics"},
    // ---- Hub: methods, messages, jobs
    {post,    "/twins/{deviceId}/methods",               "Call a method of a device and wait for its answer", "", "MethodCall", "MethodResult"},
    {post,    "/twins/{deviceId}/modules/{moduleId}/methods", "Call a method of a module and wait for its answer", "", "MethodCall", "MethodResult"},
    {post,    "/devices/{deviceId}/messages/devicebound", "Send a message to a device; headers are its properties", "", "bytes", "", 204},
    {delete_, "/devices/{deviceId}/commands",            "Forget the messages that wait for a device", "", "", "PurgeResult"},
    {get,     "/messages/servicebound/feedback",         "Read how messages to devices ended", "", "", "list:Feedback"},
    {delete_, "/messages/servicebound/feedback/{lockToken}", "Say that feedback was read", "", "", "", 204},
    {put,     "/jobs/v2/{jobId}",                        "Schedule a job for the devices that a condition selects", "", "Job", "Job"},
    {get,     "/jobs/v2/{jobId}",                        "Show a job", "", "", "Job"},
    {get,     "/jobs/v2/query",                          "List jobs", "jobType jobStatus", "", "list:Job"},
    {post,    "/jobs/v2/{jobId}/cancel",                 "Cancel a job", "", "", "Job"},
    // ---- Provisioning
    {post,    "/enrollments",                            "Change up to ten individual enrollments", "", "BulkEnrollments", "BulkResult"},
    {post,    "/enrollments/query",                      "List individual enrollments", "", "Query", "list:Enrollment"},
    {get,     "/enrollments/{registrationId}",           "Show an individual enrollment", "", "", "Enrollment"},
    {put,     "/enrollments/{registrationId}",           "Make or change an individual enrollment", "", "Enrollment", "Enrollment"},
    {delete_, "/enrollments/{registrationId}",           "Delete an individual enrollment", "", "", "", 204},
    {post,    "/enrollments/{registrationId}/attestationmechanism", "Show how an enrollment proves itself, with keys", "", "", "AttestationMechanism"},
    {post,    "/enrollmentGroups/query",                 "List enrollment groups", "", "Query", "list:EnrollmentGroup"},
    {get,     "/enrollmentGroups/{enrollmentGroupId}",   "Show an enrollment group", "", "", "EnrollmentGroup"},
    {put,     "/enrollmentGroups/{enrollmentGroupId}",   "Make or change an enrollment group", "", "EnrollmentGroup", "EnrollmentGroup"},
    {delete_, "/enrollmentGroups/{enrollmentGroupId}",   "Delete an enrollment group", "", "", "", 204},
    {post,    "/enrollmentGroups/{enrollmentGroupId}/attestationmechanism", "Show how a group proves itself, with keys", "", "", "AttestationMechanism"},
    {get,     "/registrations/{id}",                     "Show a registration", "", "", "Registration"},
    {delete_, "/registrations/{id}",                     "Delete a registration", "", "", "", 204},
    {post,    "/registrations/{id}/query",               "List the registrations of a group", "", "", "list:Registration"},
    // ---- Godwit: updates, deployments, devices
    {post,    GODWIT "/updates:import",                  "Import updates whose payloads were uploaded", "", "list:DirectImport", "", 202},
    {get,     GODWIT "/updates/providers/{provider}/names/{name}/versions/{version}/signatures", "Show who signed an update and whether devices believe it", "", "", "Signatures"},
    {get,     GODWIT "/blobs",                           "Show the payload store and what its check found", "", "", "BlobStore"},
    {post,    GODWIT "/blobs:check",                     "Begin to read all payloads again", "", "", "", 202},
    {get,     GODWIT "/blobs/{sha256}/upload",           "Show how much of an upload is here", "", "", "PartialUpload"},
    {delete_, GODWIT "/blobs/{sha256}/upload",           "Give an upload up", "", "", "", 204},
    {get,     GODWIT "/blobs/{sha256}",                  "Show whether a payload is here", "", "", "Blob"},
    {put,     GODWIT "/blobs/{sha256}",                  "Upload a payload", "", "bytes", "", 201},
    {get,     GODWIT "/status",                          "Show the state of the installation", "", "", "Status"},
    {get,     GODWIT "/auditEvents",                     "List who did what", "skiptoken", "", "page:AuditEvent"},
    {get,     GODWIT "/devices/{deviceId}",              "Show a device with progress and reports in words", "", "", "ExplainedDevice"},
    {get,     GODWIT "/devices/{deviceId}/modules/{moduleId}", "Show an agent that is a module, with progress and reports in words", "", "", "ExplainedDevice"},
    {post,    GODWIT "/devices:tag",                     "Tag many devices", "", "TagDevices", "TagResult"},
    {post,    GODWIT "/groups/{groupId}/deployments/{deploymentId}:cancel", "Cancel a group's deployment", "", "", "Deployment"},
    {post,    GODWIT "/groups/{groupId}/deployments/{deploymentId}:retry", "Let failed devices of a group try again", "", "", "Deployment"},
    {post,    GODWIT "/groups/{groupId}/deployments/{deploymentId}/devices/{deviceId}:cancel", "Cancel a deployment for one device", "", "", "DeploymentDeviceState"},
    {post,    GODWIT "/groups/{groupId}/deployments/{deploymentId}/devices/{deviceId}/modules/{moduleId}:cancel", "Cancel a deployment for one module", "", "", "DeploymentDeviceState"},
    {post,    GODWIT "/groups/{groupId}/deployments/{deploymentId}/devices/{deviceId}:retry", "Let a failed agent try again: one device", "", "", "DeploymentDeviceState"},
    {post,    GODWIT "/groups/{groupId}/deployments/{deploymentId}/devices/{deviceId}/modules/{moduleId}:retry", "Let a failed agent try again: one module", "", "", "DeploymentDeviceState"},
    {get,     GODWIT "/groups/{groupId}/deployments/{deploymentId}/devicestates", "List the devices of a group's deployment", "filter skiptoken", "", "page:DeploymentDeviceState"},
    {get,     GODWIT "/groups/{groupId}/deployments/{deploymentId}/progress", "Show how far a group's deployment was over time", "", "", "DeploymentProgress"},
    {get,     GODWIT "/events",                          "Hear when something has changed", "", "", "events"},
    {delete_, GODWIT "/logCollections/{operationId}",    "Delete a log collection with its files", "", "", "", 204},
    {get,     GODWIT "/logCollections/{operationId}/files", "List the logs that came", "agent skiptoken", "", "page:LogFile"},
    {get,     GODWIT "/logCollections/{operationId}/files/{fileId}", "Fetch a log", "", "", "bytes"},
    // ---- Godwit: who may
    {get,     GODWIT "/tokens",                          "List tokens", "skiptoken", "", "page:Token"},
    {post,    GODWIT "/tokens",                          "Make a token; its secret is in this answer only", "", "NewToken", "Token", 201},
    {get,     GODWIT "/tokens/{tokenName}",              "Show a token", "", "", "Token"},
    {delete_, GODWIT "/tokens/{tokenName}",              "Revoke a token at once", "", "", "", 204},
    {get,     GODWIT "/hub/policies",                    "List shared access policies", "", "", "page:Policy"},
    {post,    GODWIT "/hub/policies",                    "Make a shared access policy", "", "Policy", "Policy", 201},
    {get,     GODWIT "/hub/policies/{policyName}",       "Show a shared access policy", "", "", "Policy"},
    {delete_, GODWIT "/hub/policies/{policyName}",       "Delete a shared access policy that is not built in", "", "", "", 204},
    {post,    GODWIT "/hub/policies/{policyName}:renew", "Replace a key of a policy", "", "RenewKey", "Policy"},
    {get,     GODWIT "/hub/policies/{policyName}/keys",  "Show a policy with its keys", "", "", "Policy"},
    // ---- Godwit: hub
    {get,     GODWIT "/hub/certificates",                "List authorities of device certificates", "", "", "page:Authority"},
    {get,     GODWIT "/hub/certificates/{name}",         "Show an authority", "", "", "Authority"},
    {put,     GODWIT "/hub/certificates/{name}",         "Add an authority", "", "NewAuthority", "Authority"},
    {patch,   GODWIT "/hub/certificates/{name}",         "Enable or disable an authority", "", "PatchAuthority", "Authority"},
    {delete_, GODWIT "/hub/certificates/{name}",         "Remove an authority", "", "", "", 204},
    {put,     GODWIT "/hub/certificates/{name}/revocationList", "Give an authority its revocation list", "", "bytes", "Authority"},
    {delete_, GODWIT "/hub/certificates/{name}/revocationList", "Remove an authority's revocation list", "", "", "", 204},
    {get,     GODWIT "/hub/provisioning",                "Show what devices need to be provisioned", "", "", "ProvisioningFacts"},
    {get,     GODWIT "/hub/telemetry",                   "Follow what devices send", "device module component", "", "events"},
    {get,     GODWIT "/hub/connectionHistory",           "Show how many devices were connected over the last day", "", "", "ConnectionHistory"},
    {get,     GODWIT "/hub/counters",                    "Show what the hub has counted", "", "", "Counters"},
    {get,     GODWIT "/hub/connections/{deviceId}",      "Show how a device is connected", "", "", "DeviceConnection"},
    {get,     GODWIT "/hub/connections/{deviceId}/modules/{moduleId}", "Show how a module is connected", "", "", "DeviceConnection"},
    {post,    GODWIT "/devices/{deviceId}/messages",     "Send a message to a device, as JSON", "", "Message", "MessageSent", 201},
    {post,    GODWIT "/devices/{deviceId}/modules/{moduleId}/messages", "Send a message to a module, as JSON", "", "Message", "MessageSent", 201},
    // ---- Files and health
    {get,     "/healthz",                                "Say that the process answers", "", "", "Health"},
    {get,     "/readyz",                                 "Say whether requests will be served", "", "", "Health"},
    {get,     "/enrolment",                              "Say what a device needs to trust and find this service", "", "", "Enrolment"},
    {get,     "/metrics",                                "Figures for Prometheus", "", "", "text"},
    {get,     "/openapi.json",                           "This description", "", "", "OpenApi"},
    {get,     "/docs/api",                               "This description as a page", "", "", "html"},
    {get,     "/docs/api.css",                           "The page's style", "", "", "text"},
    {get,     "/console",                                "The web console", "", "", "html"},
    {get,     "/console/{path...}",                      "A file of the web console, or a place inside it", "", "", "html"},
    {get,     "/download/{sha256}/{filename}",           "Fetch a payload; knows ranges", "se* sig*", "", "bytes"},
    {put,     "/device-logs/{container}/{blob...}",      "Put a log, as a block blob", "se* sig*", "bytes", "", 201},
    {get,     "/rootkeys/{file}",                        "Fetch the root key package", "", "", "RootKeyPackage"},
    {get,     "/i/{instanceId}/metrics",                 "Figures of one instance for Prometheus", "", "", "text"},
    {get,     "/i/{instanceId}/download/{sha256}/{filename}", "Fetch a payload of one instance; knows ranges", "se* sig*", "", "bytes"},
    {put,     "/i/{instanceId}/device-logs/{container}/{blob...}", "Put a log of one instance, as a block blob", "se* sig*", "bytes", "", 201},
    {get,     "/i/{instanceId}/rootkeys/{file}",         "Fetch the root key package, as links of one instance name it", "", "", "RootKeyPackage"},
    {get,     "/$iothub/websocket",                      "Become a WebSocket for MQTT", "", "", "", 101},
});
// clang-format on

}  // namespace

std::span<const QueryText> query_texts() { return kQueryTexts; }
std::span<const RouteText> route_texts() { return kRouteTexts; }

}  // namespace godwit::api
