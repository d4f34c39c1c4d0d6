// An unmodified azure-iot-device client over MQTT. Prints one JSON line per event; exit 0 only if every expectation held.
//   node device.mjs '{"host":"localhost:8883","hub":"...","device":"...","key":"...","ca":"file","sasSeconds":12,"waitForRenewal":true}'
// With "webSocket":true it comes over WebSocket: to port 443 of the host, or to "webSocketPort".
// It gets its twin, reports, waits for a desired patch {"ping":n}, and, if asked, renews its token and waits for one more.
import fs from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { Client } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { SharedAccessKeyAuthenticationProvider } = require('azure-iot-device/dist/sak_authentication_provider');

const wish = JSON.parse(process.argv[2]);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
const fail = (why) => { tell('failed', { why: String(why) }); process.exit(1); };
const within = (what, ms, promise) => Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error(`${what}: not within ${ms} ms`)), ms))]);

process.on('unhandledRejection', fail);

const text = `HostName=${wish.hub};DeviceId=${wish.device};SharedAccessKey=${wish.key};GatewayHostName=${wish.host}`;
const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(text, wish.sasSeconds ?? 3600, wish.sasSeconds ? 3 : 900);
const client = Client.fromAuthenticationProvider(provider, wish.webSocket ? MqttWs : Mqtt);
let renewals = 0;
provider.on('newTokenAvailable', () => { renewals += 1; tell('sas-renewed', { renewals }); });
client.on('disconnect', (why) => tell('disconnect', { why: String(why?.message ?? why) }));

const options = { ca: fs.readFileSync(wish.ca, 'utf8') };
// The SDK dials port 443 whatever the connection string says; an agent is its own option to lead the socket elsewhere.
if (wish.webSocketPort) options.mqtt = { webSocketAgent: new https.Agent({ port: wish.webSocketPort }) };
await client.setOptions(options);
try {
  await within('open', 20000, client.open());
} catch (error) {
  fail(error.message);
}
tell('open');
const twin = await within('getTwin', 20000, client.getTwin());
tell('twin', { desiredVersion: twin.properties.desired.$version, reportedVersion: twin.properties.reported.$version });

await within('report', 20000, new Promise((yes, no) => twin.properties.reported.update({ conformance: { client: 'azure-iot-device', run: wish.run ?? 1 } }, (e) => (e ? no(e) : yes()))));
tell('reported');

const waiting = new Map();
twin.on('properties.desired', (delta) => {
  tell('desired', { version: delta.$version, ping: delta.ping ?? null });
  for (const [ping, done] of waiting) if (delta.ping === ping) done();
});
const desired = (ping) => new Promise((yes) => waiting.set(ping, yes));

const first = desired(1);
tell('ready');
await within('desired patch 1', 30000, first);

if (wish.waitForRenewal) {
  await within('renewal', 60000, new Promise((yes) => { const poll = setInterval(() => { if (renewals > 0) { clearInterval(poll); yes(); } }, 100); }));
  await new Promise((yes) => setTimeout(yes, 2000));  // the SDK drops the connection and dials again with the new token
  const second = desired(2);
  tell('ready-again');
  await within('desired patch 2 after the renewal', 30000, second);
}
await client.close();
tell('done');
process.exit(0);
