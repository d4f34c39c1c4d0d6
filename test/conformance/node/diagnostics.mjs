// An agent as others write one: the unmodified azure-iot-device client hears of a log collection through its twin, the unmodified
// @azure/storage-blob client (which comes with it) puts the logs into the container that the URL names, and the twin tells how it went.
//   node diagnostics.mjs '{"host":"localhost:8883","hub":"...","device":"...","key":"...","ca":"file","outcome":200,"blockBytes":0}'
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { ContainerClient } = require('@azure/storage-blob');

const wish = JSON.parse(process.argv[2]);
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));
const fail = (why) => { tell('failed', { why: String(why?.stack ?? why) }); process.exit(1); };
const within = (what, ms, promise) => Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error(`${what}: not within ${ms} ms`)), ms))]);
process.on('unhandledRejection', fail);

const client = Client.fromConnectionString(`HostName=${wish.hub};DeviceId=${wish.device};SharedAccessKey=${wish.key};GatewayHostName=${wish.host}`, Mqtt);
await client.setOptions({ ca: fs.readFileSync(wish.ca, 'utf8') });
await within('open', 20000, client.open());
const twin = await within('getTwin', 20000, client.getTwin());
const asked = new Promise((yes) => {
  const look = (desired) => { const service = desired?.diagnosticInformation?.service; if (service?.operationId) yes(service); };
  twin.on('properties.desired', look);
  look(twin.properties.desired);
});
tell('ready');
const { operationId, storageSasUrl } = await within('a request for logs', 30000, asked);
tell('asked', { operationId, parameters: [...new URL(storageSasUrl).searchParams.keys()] });

if (wish.outcome === 200) {
  const container = new ContainerClient(storageSasUrl);
  for (const [name, text] of [['du-agent.log', 'first line\n'.repeat(1000)], ['with blank.log', 'second']]) {
    const blob = container.getBlockBlobClient(`${wish.device}/${operationId}/adu/${name}`);
    const answer = await within('upload', 20000, blob.upload(text, Buffer.byteLength(text)));
    tell('uploaded', { name, status: answer._response.status, hasEtag: Boolean(answer.etag), hasDate: answer.lastModified instanceof Date });
  }
  const forged = new URL(storageSasUrl);
  forged.searchParams.set('sig', 'AAAA');
  const refused = await new ContainerClient(forged.toString()).getBlockBlobClient('x').upload('x', 1).then(() => null, (error) => error);
  tell('forged', { status: refused?.statusCode, code: refused?.code });
}
const report = { diagnosticInformation: { __t: 'c', service: { value: {}, ac: 200, av: twin.properties.desired.$version, ad: '' }, agent: { resultCode: wish.outcome, operationId } } };
await within('report', 20000, new Promise((yes, no) => twin.properties.reported.update(report, (e) => (e ? no(e) : yes()))));
tell('reported');
await client.close();
process.exit(0);
