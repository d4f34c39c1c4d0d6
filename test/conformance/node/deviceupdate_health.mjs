// Check 28 by the npm runtime: device health by state, by device, and without the filter it needs.
import { check, client, listAll, root, wish } from './deviceupdate.mjs';

const path = `${root}/management/deviceDiagnostics/deviceHealth`;
const health = async (filter) => (await listAll(path, { queryParameters: { filter } })).values;

for (const [name, device] of [['unhealthy', wish.sick], ['healthy', wish.healthy]]) {
  await check(name, async () => {
    const [one] = await health(`deviceId eq '${device}'`);
    return { state: one.state, results: one.healthChecks.map((entry) => entry.result), failed: one.healthChecks.find((entry) => entry.result === 'userError')?.name ?? null };
  });
  await check(`${name}-list`, async () => {
    const all = await health(`state eq '${name}'`);
    return { states: [...new Set(all.map((one) => one.state))], hasSick: all.some((one) => one.deviceId === wish.sick) };
  });
}
await check('no-filter', async () => {
  const answer = await client.pathUnchecked(path).get();
  return { status: Number(answer.status), code: answer.body.error.code };
});
