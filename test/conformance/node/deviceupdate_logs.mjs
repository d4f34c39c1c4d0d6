// Check 42 by the npm runtime: logs of one device are asked for, listed and shown.
import { check, client, listAll, root, wish } from './deviceupdate.mjs';

await check('put', async () => {
  const base = `${root}/management/deviceDiagnostics/logCollections`;
  const made = await client.pathUnchecked(`${base}/from-node`).put({ body: { operationId: 'from-node', deviceList: [{ deviceId: wish.device }] } });
  let read = await client.pathUnchecked(`${base}/from-node`).get();
  for (let tries = 0; tries < 100 && !['Succeeded', 'Failed'].includes(read.body.status); tries += 1) {
    await new Promise((done) => setTimeout(done, 100));
    read = await client.pathUnchecked(`${base}/from-node`).get();
  }
  const detail = (await client.pathUnchecked(`${base}/from-node/detailedStatus`).get()).body;
  const listed = (await listAll(base)).values.some((one) => one.operationId === 'from-node');
  return { status: Number(made.status), listed, detail: detail.status, code: detail.deviceStatus[0].resultCode, hasLocation: Boolean(detail.deviceStatus[0].logLocation) };
});
