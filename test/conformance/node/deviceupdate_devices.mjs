// Checks 19, 20, 22 and 27 by the npm runtime: a class, the default group, paging, and the import of devices.
import { check, client, listAll, root, wish } from './deviceupdate.mjs';

const classPath = `${root}/management/deviceClasses/${wish.classId}`;
await check('class', async () => ({ model: (await client.pathUnchecked(classPath).get()).body.deviceClassProperties.compatProperties.model }));
await check('rename', async () => ({
  friendlyName: (await client.pathUnchecked(classPath).patch({ body: { friendlyName: 'Lamps.by-node' }, contentType: 'application/merge-patch+json' })).body.friendlyName,
}));
await check('found', async () => ({ classes: (await listAll(`${root}/management/deviceClasses`, { queryParameters: { filter: "friendlyName eq 'Lamps.by-node'" } })).values.length }));

await check('default-group', async () => ({
  first: (await listAll(`${root}/management/groups`, { queryParameters: { orderby: 'deviceCount desc' } })).values[0].groupId,
  raw: (await client.pathUnchecked(`${root}/management/groups/$default`).get()).body.groupId,
  encoded: (await client.path(`${root}/management/groups/{groupId}`, '$default').get()).body.groupId,
}));
await check('groups', async () => {
  const { values, pages } = await listAll(`${root}/management/groups`);
  return { pages, total: values.length, distinct: new Set(values.map((group) => group.groupId)).size };
});

await check('import-devices', async () => {
  const started = await client.pathUnchecked(`${root}/management/devices:import`).post({ body: 'All', contentType: 'application/json' });
  for (;;) {
    const operation = await client.pathUnchecked(started.headers['operation-location']).get();
    if (operation.body.status === 'Succeeded' || operation.body.status === 'Failed') return { started: Number(started.status), sent: started.request.body, status: operation.body.status };
    await new Promise((done) => setTimeout(done, 100));
  }
});
