// npm's @azure-rest/core-client as a Device Update client: the pipeline that the typed packages for JavaScript run on, unmodified.
// The authority comes from NODE_EXTRA_CA_CERTS. Each check prints one JSON line: {"check": name, ...} or {"check": name, "error": ...}.
import { getClient } from '@azure-rest/core-client';

export const wish = JSON.parse(process.argv[2]);
export const root = '/deviceUpdate/default';

export function clientWith(token, more = {}) {
  const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3600000 }) };
  return getClient(wish.endpoint, credential, { apiVersion: '2022-10-01', credentials: { scopes: ['https://api.adu.microsoft.com/.default'] }, ...more });
}

export const client = clientWith(wish.token);

export async function check(name, prove) {
  try {
    console.log(JSON.stringify({ check: name, ...(await prove()) }));
  } catch (error) {
    console.log(JSON.stringify({ check: name, error: error.name, message: String(error.message) }));
  }
}

// All elements of a list, with the number of pages; nextLink is used as it comes.
export async function listAll(path, options = {}) {
  const values = [];
  let pages = 0;
  let answer = await client.pathUnchecked(path).get(options);
  for (;;) {
    if (answer.status !== '200') throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    pages += 1;
    values.push(...answer.body.value);
    if (!answer.body.nextLink) return { values, pages };
    answer = await client.pathUnchecked(answer.body.nextLink).get();
  }
}
