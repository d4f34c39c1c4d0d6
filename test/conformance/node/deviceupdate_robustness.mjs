// Checks 45, 46 and 47 by the npm runtime: the error body, paths in lower case, and the api-version.
import { check, client, clientWith, root, wish } from './deviceupdate.mjs';

await check('error', async () => {
  const answer = await client.pathUnchecked(`${root}/updates/providers/Conformance/names/nothing/versions/1.0`).get();
  const { error, title, traceId } = answer.body;
  return { status: Number(answer.status), code: error.code, text: error.message, inner: error.innererror?.code, title, traceId };
});

await check('lower-case', async () => {
  const paths = ['/updates', '/updates/providers', `/updates/providers/Conformance/names/${wish.name}/versions/1.0/files`, '/management/deviceClasses', '/management/devices',
    '/management/updateCompliance', '/management/groups', '/management/groups/$default/deviceClassSubgroups', '/management/groups/$default/bestUpdates', '/management/operations'];
  const lowered = { deviceClasses: 'deviceclasses', updateCompliance: 'updatecompliance', deviceClassSubgroups: 'deviceclasssubgroups', bestUpdates: 'bestupdates' };
  const different = [];
  for (const path of paths) {
    const lower = path.split('/').map((part) => lowered[part] ?? part).join('/');
    const [one, other] = [await client.pathUnchecked(root + path).get(), await client.pathUnchecked(root.toLowerCase() + lower).get()];
    // A link repeats the path as it was asked for.
    const plain = (answer) => JSON.stringify({ status: answer.status, value: answer.body.value ?? answer.body });
    if (one.status !== '200' || plain(one) !== plain(other)) different.push(path);
  }
  return { compared: paths.length, different };
});

await check('versions', async () => {
  const statuses = {};
  const ask = async (name, options) => {
    const answer = await clientWith(wish.token, options).pathUnchecked(`${root}/updates`).get();
    statuses[name] = [Number(answer.status), answer.body.error.message];
  };
  await ask('missing', { apiVersion: undefined });
  for (const version of ['2021-06-01-preview', '2020-09-01', '2022-10-02', '2022-10-01-preview']) await ask(version, { apiVersion: version });
  return { statuses };
});
