// Check 44 by the npm runtime: its retry policy waits as Retry-After says and comes again.
import { check, client, root } from './deviceupdate.mjs';

await check('throttled', async () => {
  const statuses = [];
  client.pipeline.addPolicy({ name: 'count', sendRequest: async (request, next) => { const answer = await next(request); statuses.push(answer.status); return answer; } }, { afterPhase: 'Retry' });
  const answer = await client.pathUnchecked(`${root}/updates`).get();
  return { status: Number(answer.status), first: statuses[0], requests: statuses.length };
});
