// Checks 1, 2, 5, 10 and 11 by the npm runtime. `item` is importable, `broken` lies about the hash of its manifest.
import { createHttpPoller } from '@azure/core-lro';
import { check, client, root, wish } from './deviceupdate.mjs';

// What the typed packages do: the start answer and each poll become {flatResponse, rawResponse} for the poller.
async function importUpdate(item, seen) {
  const shape = (answer) => ({ flatResponse: answer, rawResponse: { statusCode: Number(answer.status), headers: answer.headers, body: answer.body, request: answer.request } });
  const poller = createHttpPoller({
    sendInitialRequest: async () => {
      const answer = await client.pathUnchecked(`${root}/updates:import`).post({ body: [item] });
      seen.firstStatus = Number(answer.status);
      seen.location = answer.headers['operation-location'];
      return shape(answer);
    },
    sendPollRequest: async (path) => shape(await client.pathUnchecked(path).get()),
  }, { resourceLocationConfig: 'operation-location', intervalInMs: 100 });
  return poller.pollUntilDone();
}

const seen = {};
await check('import', async () => {
  const end = await importUpdate(wish.item, seen);
  const update = await client.pathUnchecked(end.body.resourceLocation ?? `${root}/updates/providers/Conformance/names/node-update/versions/1.0.0`).get();
  return { firstStatus: seen.firstStatus, version: update.body.updateId.version };
});
await check('operation-location', async () => ({ status: (await client.pathUnchecked(seen.location).get()).body.status }));
await check('broken', async () => ({ unexpected: await importUpdate(wish.broken, {}) }));

const path = `${root}/updates/providers/Conformance/names/node-update/versions/1.0.0`;
const known = await client.pathUnchecked(path).get();
await check('etag', async () => ({ body: known.body.etag, header: known.headers.etag }));
await check('not-modified', async () => ({ status: Number((await client.pathUnchecked(path).get({ headers: { 'if-none-match': known.body.etag } })).status) }));
