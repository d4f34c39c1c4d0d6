// Checks 30 and 31 by the npm runtime: a deployment put and read back, and ids that must be refused.
import { check, client, root, wish } from './deviceupdate.mjs';

const group = `${root}/management/groups/${wish.group}`;
const put = (id, body = {}) => client.path('/deviceUpdate/default/management/groups/{groupId}/deployments/{deploymentId}', wish.group, id).put({
  body: { deploymentId: id, groupId: wish.group, startDateTime: new Date(Date.now() + (body.later ?? 0)).toISOString(), update: wish.update },
});

await check('put', async () => {
  const made = await put(wish.deployment);
  const read = await client.pathUnchecked(`${group}/deployments/${wish.deployment}`).get();
  return {
    status: Number(made.status),
    classes: made.body.deviceClassSubgroups,
    equal: JSON.stringify(made.body) === JSON.stringify(read.body),
    group: (await client.pathUnchecked(group).get()).body.deployments,
    subgroup: (await client.pathUnchecked(`${group}/deviceClassSubgroups/${wish.classId}`).get()).body.deploymentId,
  };
});

await check('bad-ids', async () => {
  const statuses = {};
  const wrong = ['Upper', 'x'.repeat(74), ...'&^[]{}|<>\\"'.split('').map((sign) => `a${sign}b`), 'a/b'];
  for (const id of wrong) statuses[id] = Number((await put(id)).status);
  const answer = await put('y'.repeat(73), { later: 86400000 });
  return { statuses, longest: Number(answer.status) };
});
