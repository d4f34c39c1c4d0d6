// Questions that several pages ask: deployments over all groups, failures in groups of their code, classes by id.
import { all, ask, each, manage, own, Problem, quoted, type Page } from "./api";
import { countsOf, type Counts, type Deployment, type DeploymentStatus, type DeviceClass, type DeviceProgress, type Group } from "./model";

export interface Progress {
  deployment: Deployment;
  state: string;
  counts: Counts;
}
const GROUPS_MAX = 300;

export async function classesById(signal?: AbortSignal): Promise<Map<string, DeviceClass>> {
  const classes = await all<DeviceClass>(manage(["deviceClasses"]), 1000, signal);
  return new Map(classes.value.map((one) => [one.deviceClassId, one]));
}

export const listGroups = (signal?: AbortSignal) => all<Group>(manage(["groups"]), GROUPS_MAX, signal);

/** Deployments of all groups (the first 300), newest first, each with its counts. */
export async function deployments(onlyLive: boolean, signal?: AbortSignal): Promise<{ list: Progress[]; isWhole: boolean }> {
  const groups = await listGroups(signal);
  const asked = groups.value.filter((group) => !onlyLive || group.deployments?.length);
  const lists = await each(asked, async (group) => {
    const own = await all<Deployment>(manage(["groups", group.groupId, "deployments"]), 200, signal);
    return onlyLive ? own.value.filter((one) => group.deployments!.includes(one.deploymentId)) : own.value;
  });
  const list = await each(lists.flat(), async (deployment) => ({ deployment, ...(await progressOf(deployment.groupId, deployment.deploymentId, signal)) }));
  list.sort((a, b) => b.deployment.startDateTime.localeCompare(a.deployment.startDateTime) || b.deployment.deploymentId.localeCompare(a.deployment.deploymentId));
  return { list, isWhole: groups.isWhole };
}

export async function progressOf(group: string, id: string, signal?: AbortSignal): Promise<{ state: string; counts: Counts }> {
  try {
    const status = await ask<DeploymentStatus>(manage(["groups", group, "deployments", id, "status"]), { signal });
    return { state: status.deploymentState, counts: countsOf(status) };
  } catch (failure) {
    if (failure instanceof Problem && failure.isMissing) return { state: "Inactive", counts: { total: 0, running: 0, failed: 0, succeeded: 0, cancelled: 0 } };
    throw failure;
  }
}

export interface FailureGroup {
  code: string;
  sentence: string;
  /** The service knows the code, and its sentence says what to do. */
  isKnown: boolean;
  details: string;
  devices: { deviceId: string; moduleId?: string; group: string; deployment: string }[];
}

/** Failed devices of the given deployments by extended code; the first hundred of each deployment are read. */
export async function failuresOf(list: Progress[], signal?: AbortSignal): Promise<FailureGroup[]> {
  const found = new Map<string, FailureGroup>();
  await each(
    list.filter((one) => one.counts.failed > 0),
    async ({ deployment }) => {
      const path = own(["groups", deployment.groupId, "deployments", deployment.deploymentId, "devicestates"], { filter: `deviceState eq ${quoted("Failed")}` });
      const page = await ask<Page<DeviceProgress>>(path, { signal });
      for (const device of page.value) {
        const said = device.godwit ?? {};
        const code = said.extendedResultCode ?? "unknown";
        const entry = found.get(code) ?? { code, sentence: said.extendedResultText || said.resultText || "The device gave no reason", isKnown: !!said.extendedResultText, details: said.resultDetails ?? "", devices: [] };
        entry.devices.push({ deviceId: device.deviceId, moduleId: device.moduleId, group: deployment.groupId, deployment: deployment.deploymentId });
        found.set(code, entry);
      }
    },
  );
  return [...found.values()].sort((a, b) => b.devices.length - a.devices.length);
}

/** What to do. The service's sentence for a code of its own ends with the remedy; for another's code only its words tell. */
export function remedyOf(isKnown: boolean): string {
  return isKnown ? "" : "This is not a code of Godwit's own: the step's script or handler gave it, and its words say what it means. When that is mended on the device, retry.";
}
