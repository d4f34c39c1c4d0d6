// An unmodified azure-iot-provisioning-service client: enrollments, groups, bulk, queries, registrations. Exit 0 only if every
// expectation held.
//   node provisioning_service.mjs '{"host":"localhost","port":8443,"token":"gwt_..","ca":"file","group":"line","registrations":1}'
// The client splits no port off its host, so it gets an agent that knows it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');

const wish = JSON.parse(process.argv[2]);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
process.on('unhandledRejection', (why) => { tell('failed', { why: String(why?.stack ?? why) }); process.exit(1); });

const service = ProvisioningServiceClient.fromTokenCredential(wish.host, { getToken: async () => ({ token: wish.token, expiresOnTimestamp: Date.now() + 3600000 }) });
service._restApiClient.setOptions({ http: { agent: new https.Agent({ host: wish.host, port: wish.port, servername: wish.host, ca: fs.readFileSync(wish.ca) }) } });
const bodyOf = (answer) => answer.responseBody ?? answer;
const refused = async (what, promise) => { try { await promise; } catch (error) { return error; } throw new Error(`${what} was not refused`); };

// Single devices.
const key = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64');
const made = bodyOf(await service.createOrUpdateIndividualEnrollment({
  registrationId: 'sdk-1', deviceId: 'press-7', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: key } },
  initialTwin: { tags: { site: 'x' }, properties: { desired: { a: 1 } } }, reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
}));
assert.equal(made.registrationId, 'sdk-1');
assert.equal(made.deviceId, 'press-7');
assert.ok(made.etag);
const read = bodyOf(await service.getIndividualEnrollment('sdk-1'));
assert.deepEqual(read.initialTwin, { tags: { site: 'x' }, properties: { desired: { a: 1 } } });
const mechanism = bodyOf(await service.getIndividualEnrollmentAttestationMechanism('sdk-1'));
assert.equal(mechanism.symmetricKey.primaryKey, key);
const changed = bodyOf(await service.createOrUpdateIndividualEnrollment({ ...read, provisioningStatus: 'disabled' }));
assert.equal(changed.provisioningStatus, 'disabled');
const stale = await refused('a stale etag', service.createOrUpdateIndividualEnrollment({ ...read, provisioningStatus: 'enabled' }));
assert.equal(stale.name, 'InvalidEtagError');
assert.equal(bodyOf(await service.getIndividualEnrollmentAttestationMechanism('sdk-1')).symmetricKey.primaryKey, key);
tell('individual');

// Many at once. Without a callback this call of the client never ends, so it gets one.
const runBulk = (operation) => new Promise((yes, no) => service.runBulkEnrollmentOperation(operation, (error, result) => (error ? no(error) : yes(result))));
const bulk = bodyOf(await runBulk({ mode: 'create', enrollments: [2, 3, 4].map((n) => ({ registrationId: `sdk-${n}`, attestation: { type: 'symmetricKey' } })) }));
assert.equal(bulk.isSuccessful, true);
const again = bodyOf(await runBulk({ mode: 'create', enrollments: [{ registrationId: 'sdk-2', attestation: { type: 'symmetricKey' } }] }));
assert.equal(again.isSuccessful, false);
assert.equal(again.errors[0].registrationId, 'sdk-2');
const seen = [];
const query = service.createIndividualEnrollmentQuery({ query: '*' }, 3);
while (query.hasMoreResults) seen.push(...bodyOf(await query.next(query.continuationToken)).map((one) => one.registrationId));  // without it the client begins anew
assert.deepEqual(seen, ['sdk-1', 'sdk-2', 'sdk-3', 'sdk-4']);
for (const id of seen) await service.deleteIndividualEnrollment(id);
await refused('a deleted enrollment', service.getIndividualEnrollment('sdk-1'));
tell('bulk');

// Groups and what came of them.
const group = bodyOf(await service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'sdk-group', attestation: { type: 'symmetricKey' } }));
assert.ok(group.attestation.symmetricKey.primaryKey);
assert.equal(bodyOf(await service.getEnrollmentGroupAttestationMechanism('sdk-group')).symmetricKey.primaryKey, group.attestation.symmetricKey.primaryKey);
const groups = bodyOf(await service.createEnrollmentGroupQuery({ query: 'SELECT * FROM enrollmentGroups' }).next());
assert.ok(groups.some((one) => one.enrollmentGroupId === 'sdk-group'));
await service.deleteEnrollmentGroup(group);
tell('group');

const states = bodyOf(await service.createEnrollmentGroupDeviceRegistrationStateQuery({ query: '*' }, wish.group).next());
assert.equal(states.length, wish.registrations);
if (states.length > 0) {
  const state = bodyOf(await service.getDeviceRegistrationState(states[0].registrationId));
  assert.equal(state.status, 'assigned');
  await service.deleteDeviceRegistrationState(state);
  await refused('a deleted registration', service.getDeviceRegistrationState(states[0].registrationId));
}
tell('done');
process.exit(0);
