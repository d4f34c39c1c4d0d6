// The `mqtt` package of npm as a raw client over WebSocket. Prints one JSON line per event; exit 0 only if all went well.
//   node mqtt-websocket.mjs '{"url":"wss://localhost:8443/$iothub/websocket","ca":"file","device":"...","user":"...","password":"..."}'
// It reads its twin by topic, sends a large telemetry message with QoS 1, lives through two keep-alives, and says goodbye.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const mqtt = require('mqtt');

const wish = JSON.parse(process.argv[2]);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
const fail = (why) => { tell('failed', { why: String(why?.message ?? why) }); process.exit(1); };
const promise = (what, ms, begin) => new Promise((yes, no) => {
  setTimeout(() => no(new Error(`${what}: not within ${ms} ms`)), ms).unref();
  begin((error, value) => (error ? no(error) : yes(value)));
});

process.on('unhandledRejection', fail);

const client = mqtt.connect(wish.url, {
  clientId: wish.device, username: wish.user, password: wish.password, ca: fs.readFileSync(wish.ca), clean: true, keepalive: 2, reconnectPeriod: 0,
});
client.on('error', fail);
const connack = await promise('connect', 20000, (done) => client.on('connect', (packet) => done(null, packet)));
tell('connected', { code: connack.returnCode });

await promise('subscribe', 10000, (done) => client.subscribe('$iothub/twin/res/#', { qos: 0 }, done));
const twin = promise('twin', 10000, (done) => client.once('message', (topic, body) => done(null, { topic, body: JSON.parse(body) })));
client.publish('$iothub/twin/GET/?$rid=1', '');
tell('twin', await twin);

const payload = Buffer.alloc(250 * 1024, 'x');
await promise('telemetry', 20000, (done) => client.publish(`devices/${wish.device}/messages/events/`, payload, { qos: 1 }, done));
tell('telemetry', { bytes: payload.length });

let pongs = 0;
client.on('packetreceive', (packet) => { if (packet.cmd === 'pingresp') pongs += 1; });
await promise('two pings', 20000, (done) => { const poll = setInterval(() => { if (pongs >= 2) { clearInterval(poll); done(null); } }, 100); });
tell('kept-alive', { pongs });

await promise('end', 10000, (done) => client.end(false, {}, done));
tell('done');
process.exit(0);
