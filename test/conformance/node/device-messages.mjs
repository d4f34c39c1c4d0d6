// An unmodified azure-iot-device client that answers methods, completes messages and sends telemetry.
//   node device-messages.mjs '{"host":"localhost:8883","hub":"...","device":"...","key":"...","ca":"file","messages":2}'
// Methods: echo gives its payload back, slow never answers, say sends its payload as telemetry, quit ends with exit code 0.
// Prints one JSON line per event.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const wish = JSON.parse(process.argv[2]);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
const fail = (why) => { tell('failed', { why: String(why?.message ?? why) }); process.exit(1); };
process.on('unhandledRejection', fail);

const text = `HostName=${wish.hub};DeviceId=${wish.device};SharedAccessKey=${wish.key};GatewayHostName=${wish.host}`;
const client = Client.fromConnectionString(text, Mqtt);
await client.setOptions({ ca: fs.readFileSync(wish.ca, 'utf8') });
await client.open();

const answer = (response, status, payload) => new Promise((yes, no) => response.send(status, payload, (e) => (e ? no(e) : yes())));
client.onDeviceMethod('echo', (request, response) => {
  tell('method', { name: request.methodName, payload: request.payload ?? null });
  answer(response, 207, { echo: request.payload ?? null }).catch(fail);
});
client.onDeviceMethod('slow', () => tell('method', { name: 'slow' }));
client.onDeviceMethod('say', async (request, response) => {
  const message = new Message(JSON.stringify(request.payload));
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  message.messageId = 'said';
  message.properties.add('room', 'a b');
  await client.sendEvent(message);
  await answer(response, 200, null);
});
client.onDeviceMethod('quit', async (_, response) => {
  await answer(response, 200, 'bye');
  await client.close();
  process.exit(0);
});
client.on('message', async (message) => {
  const properties = Object.fromEntries(message.properties.propertyList.map((one) => [one.key, one.value]));
  tell('message', { data: message.data.toString(), messageId: message.messageId, to: message.to, contentType: message.contentType ?? null, properties });
  await client.complete(message);
});
await client.getTwin();
tell('ready');
