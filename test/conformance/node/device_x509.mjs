// An unmodified azure-iot-device client that proves itself by certificate. Prints one JSON line per event; exit 0 only if
// every expectation held.
//   node device_x509.mjs '{"host":"localhost:8883","hub":"...","device":"...","cert":"file with the chain","certKey":"file","ca":"file"}'
// Its connection string with x509=true loses GatewayHostName, so the provider is built by hand.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { X509AuthenticationProvider } = require('azure-iot-device/dist/x509_authentication_provider');

const wish = JSON.parse(process.argv[2]);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
const fail = (why) => { tell('failed', { why: String(why?.message ?? why) }); process.exit(1); };
const within = (what, ms, promise) => Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error(`${what}: not within ${ms} ms`)), ms))]);
process.on('unhandledRejection', fail);

const provider = new X509AuthenticationProvider({
  host: wish.hub, deviceId: wish.device, gatewayHostName: wish.host,
  x509: { cert: fs.readFileSync(wish.cert, 'utf8'), key: fs.readFileSync(wish.certKey, 'utf8') },
});
const client = Client.fromAuthenticationProvider(provider, Mqtt);
client.on('disconnect', (why) => tell('disconnect', { why: String(why?.message ?? why) }));
await client.setOptions({ ca: fs.readFileSync(wish.ca, 'utf8') });
try {
  await within('open', 20000, client.open());
} catch (error) {
  fail(error);
}
tell('open');
const twin = await within('getTwin', 20000, client.getTwin());
tell('twin', { desiredVersion: twin.properties.desired.$version });
await within('report', 20000, new Promise((yes, no) => twin.properties.reported.update({ conformance: { client: 'azure-iot-device x509' } }, (e) => (e ? no(e) : yes()))));
tell('reported');
if (wish.waitForEnd) {
  await within('the end of the connection', 60000, new Promise((yes) => client.on('disconnect', yes)));
  tell('ended');
  process.exit(0);
}
await client.close();
tell('done');
process.exit(0);
