// Unmodified azure-iothub clients: methods, identities in bulk, queries, scheduled jobs. Prints one JSON line per step; an error is
// {"step":..., "error":"<class of the client>", "message":..., "status":...}.
//   node service-messages.mjs '{"hub":"...","port":8443,"token":"...","ca":"file","steps":[{"do":"invoke","device":"...","params":{...}}]}'
// A token credential stands in for a policy's key, and an Agent carries port and CA; it must be set after construction.
import fs from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';

const { Client, JobClient, Registry } = createRequire(import.meta.url)('azure-iothub');

const wish = JSON.parse(process.argv[2]);
const credential = { getToken: async () => ({ token: wish.token, expiresOnTimestamp: Date.now() + 3600000 }) };
const agent = new https.Agent({ host: 'localhost', port: wish.port, servername: 'localhost', ca: fs.readFileSync(wish.ca, 'utf8'), keepAlive: true });
const made = (Class) => {
  const client = Class.fromTokenCredential(wish.hub, credential);
  client._restApiClient.setOptions({ http: { agent } });
  return client;
};
const registry = made(Registry);
const service = made(Client);
const jobs = made(JobClient);
const sleep = (ms) => new Promise((yes) => setTimeout(yes, ms));

const steps = {
  invoke: async (step) => {
    const call = step.module ? service.invokeDeviceMethod(step.device, step.module, step.params) : service.invokeDeviceMethod(step.device, step.params);
    return (await call).result;
  },
  add: async (step) => (await registry.addDevices(step.devices.map((deviceId) => ({ deviceId, status: 'enabled' })))).responseBody,
  update: async (step) => (await registry.updateDevices(step.devices.map((deviceId) => ({ deviceId, status: step.status })), true)).responseBody,
  remove: async (step) => (await registry.removeDevices(step.devices.map((deviceId) => ({ deviceId })), true)).responseBody,
  query: async (step) => {
    const query = registry.createQuery(step.text, step.size ?? 100);
    const pages = [];
    do {
      const { result } = await (step.raw ? query.next() : query.nextAsTwin());
      pages.push(result.map((row) => (step.raw ? row : row.deviceId)));
    } while (query.hasMoreResults);
    return { pages };
  },
  twinJob: async (step) => (await jobs.scheduleTwinUpdate(step.job, step.where, { ...step.patch, etag: '*' }, new Date(), 300)).jobStatus,
  methodJob: async (step) => (await jobs.scheduleDeviceMethod(step.job, step.where, step.params, new Date(), 300)).jobStatus,
  waitJob: async (step) => {
    for (let i = 0; i < 150; i += 1) {
      const { jobStatus } = await jobs.getJob(step.job);
      if (['completed', 'failed', 'cancelled'].includes(jobStatus.status)) return jobStatus;
      await sleep(200);
    }
    throw new Error('the job did not end');
  },
  cancelJob: async (step) => (await jobs.cancelJob(step.job)).jobStatus,
  laterJob: async (step) => (await jobs.scheduleTwinUpdate(step.job, step.where, { ...step.patch, etag: '*' }, new Date(Date.now() + 3600000), 300)).jobStatus,
  listJobs: async (step) => ({ jobs: (await jobs.createQuery(step.type, step.status, 100).next()).result.map((job) => job.jobId) }),
};

for (const step of wish.steps) {
  try {
    console.log(JSON.stringify({ step: step.do, result: await steps[step.do](step) }));
  } catch (error) {
    console.log(JSON.stringify({ step: step.do, error: error.name, message: String(error.message), status: error.response?.statusCode ?? null, body: error.responseBody ?? null }));
  }
}
agent.destroy();
