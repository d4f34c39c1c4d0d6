// An unmodified azure-iothub Registry with a connection string of a shared access policy. Prints one JSON line per step:
// {"step":..., "ok":true, ...} or {"step":..., "error":"<class of the client>"}; the exit code is 0 whatever the steps say.
//   node registry.mjs '{"connection":"HostName=...","port":8443,"ca":"file","device":"...","steps":["create","list","get","update","delete"]}'
// The client splits no port from HostName, so an Agent carries port and CA; it must be set after construction.
import fs from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';

const { Registry } = createRequire(import.meta.url)('azure-iothub');

const wish = JSON.parse(process.argv[2]);
const registry = Registry.fromConnectionString(wish.connection);
const agent = new https.Agent({ host: 'localhost', port: wish.port, servername: 'localhost', ca: fs.readFileSync(wish.ca, 'utf8'), keepAlive: true });
registry._restApiClient.setOptions({ http: { agent } });

const steps = {
  create: async () => ({ key: (await registry.create({ deviceId: wish.device, status: 'enabled' })).responseBody.authentication.symmetricKey.primaryKey }),
  list: async () => ({ devices: (await registry.list()).responseBody.map((device) => device.deviceId) }),
  get: async () => ({ device: (await registry.get(wish.device)).responseBody.deviceId }),
  update: async () => ({ status: (await registry.update({ deviceId: wish.device, status: 'disabled' })).responseBody.status }),
  delete: async () => { await registry.delete(wish.device); return {}; },
  twin: async () => ({ etag: (await registry.getTwin(wish.device)).responseBody.etag }),
  patch: async () => ({ tags: (await registry.updateTwin(wish.device, { tags: { line: 'a' } }, '*')).responseBody.tags }),
  query: async () => ({ devices: (await registry.createQuery('SELECT * FROM devices', 100).nextAsTwin()).result.map((twin) => twin.deviceId) }),
  statistics: async () => ({ total: (await registry.getRegistryStatistics()).responseBody.totalDeviceCount }),
};

for (const step of wish.steps) {
  try {
    console.log(JSON.stringify({ step, ok: true, ...(await steps[step]()) }));
  } catch (error) {
    console.log(JSON.stringify({ step, error: error.name, message: String(error.message), body: error.responseBody ?? null }));
  }
}
agent.destroy();
