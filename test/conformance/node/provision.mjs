// An unmodified azure-iot-provisioning-device client over MQTT. Prints one JSON line per event; exit 0 when it was assigned.
//   node provision.mjs '{"host":"localhost:8883","idScope":"0ne..","registrationId":"dev-1","key":"base64"}'
//   node provision.mjs '{..., "cert":"file with the chain, PEM","certKey":"file"}'
// The client has no option for a CA: run it with NODE_EXTRA_CA_CERTS.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Mqtt } = require('azure-iot-provisioning-device-mqtt');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');

const wish = JSON.parse(process.argv[2]);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
const fail = (why) => { tell('failed', { why: String(why?.message ?? why), status: why?.result?.registrationState ?? why?.result ?? null }); process.exit(1); };
process.on('unhandledRejection', fail);
setTimeout(() => fail('not within 40 s'), 40000).unref();

const security = wish.key
  ? new SymmetricKeySecurityClient(wish.registrationId, wish.key)
  : new X509Security(wish.registrationId, { cert: fs.readFileSync(wish.cert, 'utf8'), key: fs.readFileSync(wish.certKey, 'utf8') });
const client = ProvisioningDeviceClient.create(wish.host, wish.idScope, new Mqtt(), security);
if (wish.payload) client.setProvisioningPayload(wish.payload);
try {
  const state = await client.register();
  tell('assigned', { hub: state.assignedHub, device: state.deviceId, substatus: state.substatus, status: state.status });
} catch (error) {
  fail(error);
}
process.exit(0);
