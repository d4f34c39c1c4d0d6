// Check 44 by the npm runtime: its retry policy waits as Retry-After says and comes again.
import { check, client, root } from './deviceupdate.mjs';

await check('throttled', async () => {
  const seen = new Set();
  const ends = new Set();
  const began = Date.now();
  client.pipeline.addPolicy({ name: 'note', sendRequest: async (request, next) => { const answer = await next(request); seen.add(answer.status); return answer; } }, { afterPhase: 'Retry' });
  for (let asked = 0; asked < 62; asked += 1) ends.add(Number((await client.pathUnchecked(`${root}/updates/providers`).get()).status));
  return { ends: [...ends], seen: [...seen], seconds: (Date.now() - began) / 1000 };
});
