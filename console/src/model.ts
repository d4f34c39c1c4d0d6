// What the REST answers, as far as the console reads it; docs/reference/rest.md and /openapi.json are the source.
export interface UpdateId {
  provider: string;
  name: string;
  version: string;
}
export interface UpdateInfo {
  updateId: UpdateId;
  description?: string;
  friendlyName?: string;
}
export interface Compliance {
  totalDeviceCount: number;
  onLatestUpdateDeviceCount: number;
  newUpdatesAvailableDeviceCount: number;
  updatesInProgressDeviceCount: number;
}
export type DeviceState = "Succeeded" | "InProgress" | "Canceled" | "Failed";
export interface Device {
  deviceId: string;
  moduleId?: string;
  deviceClassId: string;
  groupId?: string;
  installedUpdate?: UpdateInfo;
  deploymentStatus?: DeviceState;
  onLatestUpdate: boolean;
  lastDeploymentId?: string;
}
export interface Words {
  resultCode?: number;
  resultText?: string;
  extendedResultCodes?: { code: string; text: string }[];
  extendedResultCode?: { code: string; text: string };
  resultDetails?: string;
  failedStep?: number;
  stepResults?: Words[];
}
export interface ExplainedDevice extends Device {
  isHealthy: boolean;
  whyNoUpdate?: string;
  bestUpdate?: UpdateInfo;
  connection?: { isConnected: boolean; lastActivity?: string; modelId?: string };
  agent?: { properties?: Record<string, string>; contractModel?: string; state?: number };
  deployment?: { deploymentId: string; groupId: string; workflowId: string; deviceState: DeviceState; retryCount: number; lastChange: string };
  progress?: { phase: string; step: number; steps: number; doneBytes: number; totalBytes: number; waitingFor?: string | null };
  result?: Words;
  reports: { time: string; workflowId?: string; verdict: string; report: { state?: number; action?: number; installedUpdateId?: string; result?: Words } }[];
}
export interface Group {
  groupId: string;
  groupType: string;
  createdDateTime: string;
  deviceCount?: number;
  subgroupsWithNewUpdatesAvailableCount?: number;
  subgroupsWithUpdatesInProgressCount?: number;
  subgroupsWithOnLatestUpdateCount?: number;
  deployments?: string[];
}
export interface DeviceClass {
  deviceClassId: string;
  friendlyName?: string;
  deviceClassProperties: { compatProperties: Record<string, string>; contractModel?: { id: string; name: string } };
  bestCompatibleUpdate?: UpdateInfo;
}
export interface Subgroup {
  groupId: string;
  deviceClassId: string;
  deviceCount?: number;
  deploymentId?: string;
}
export interface BestUpdate {
  groupId: string;
  deviceClassId: string;
  update: UpdateInfo;
  deviceCount: number;
}
export interface RollbackPolicy {
  update: UpdateInfo;
  failure: { devicesFailedPercentage: number; devicesFailedCount: number };
}
export interface Deployment {
  deploymentId: string;
  groupId: string;
  startDateTime: string;
  update: UpdateInfo;
  deviceClassSubgroups?: string[];
  isCanceled?: boolean;
  isRetried?: boolean;
  rollbackPolicy?: RollbackPolicy;
  isCloudInitiatedRollback?: boolean;
}
export interface SubgroupStatus {
  deviceClassId: string;
  deploymentState: string;
  totalDevices?: number;
  devicesInProgressCount?: number;
  devicesCompletedFailedCount?: number;
  devicesCompletedSucceededCount?: number;
  devicesCanceledCount?: number;
}
export interface DeploymentStatus {
  deploymentState: string;
  subgroupStatus: SubgroupStatus[];
  error?: { message: string };
}
export interface DeviceProgress {
  deviceId: string;
  moduleId?: string;
  retryCount: number;
  deviceState: DeviceState;
  movedOnToNewDeployment: boolean;
  godwit?: { resultCode?: number; resultText?: string; extendedResultCode?: string; extendedResultText?: string; resultDetails?: string; step?: number; steps?: number; lastChange?: string };
}
export interface Step {
  type?: string;
  description?: string;
  handler?: string;
  handlerProperties?: Record<string, unknown>;
  files?: string[];
  updateId?: UpdateId;
}
export interface Update extends UpdateInfo {
  isDeployable?: boolean;
  compatibility: Record<string, string>[];
  instructions?: { steps: Step[] };
  referencedBy?: UpdateId[];
  scanResult?: string;
  manifestVersion: string;
  importedDateTime: string;
  createdDateTime: string;
}
export interface UpdateFile {
  fileId: string;
  fileName: string;
  sizeInBytes: number;
  hashes: Record<string, string>;
  scanResult?: string;
  scanDetails?: string;
  downloadHandler?: { id: string };
  /** Deltas: what a device fetches instead of the file. */
  relatedFiles?: { fileName: string; sizeInBytes: number; properties?: Record<string, string> }[];
}
/** Who signed one version of an update's manifest; `isBelieved` by a device that holds the present root key package. */
export interface Signature {
  manifestVersion: string;
  algorithm?: string;
  keyId?: string;
  keySha256?: string;
  keySizeInBits?: number;
  rootKeyId?: string;
  isBelieved: boolean;
  problem?: { code: string; text: string; details: string };
}
export interface Signatures {
  rootKeyPackageVersion: number;
  value: Signature[];
}
export interface Operation {
  operationId: string;
  status: "NotStarted" | "Running" | "Succeeded" | "Failed";
  error?: { message: string; code: string; innererror?: { code: string; message?: string } };
}
export interface Token {
  name: string;
  role: string;
  instanceId?: string;
  createdDateTime: string;
  createdBy?: string;
  expiresDateTime?: string;
  lastUsedDateTime?: string;
  isExpired: boolean;
  token?: string;
}
export interface AuditEvent {
  id: number;
  time: string;
  actor: string;
  action: string;
  subject: string;
  details?: Record<string, unknown>;
}

export const nameOf = (id: UpdateId) => `${id.provider}/${id.name}/${id.version}`;
export const titleOf = (info: UpdateInfo) => `${info.updateId.name} ${info.updateId.version}`;
export const isSame = (a: UpdateId, b: UpdateId) => nameOf(a) === nameOf(b);
export function className(one: DeviceClass | undefined, id = ""): string {
  if (!one) return id.slice(0, 8);
  return one.friendlyName ?? Object.values(one.deviceClassProperties.compatProperties).join(" · ");
}
/** Counts of a deployment, over its subgroups. */
export interface Counts {
  total: number;
  running: number;
  failed: number;
  succeeded: number;
  cancelled: number;
}
export function countsOf(status: DeploymentStatus): Counts {
  const sum = (pick: (one: SubgroupStatus) => number | undefined) => status.subgroupStatus.reduce((all, one) => all + (pick(one) ?? 0), 0);
  return {
    total: sum((one) => one.totalDevices),
    running: sum((one) => one.devicesInProgressCount),
    failed: sum((one) => one.devicesCompletedFailedCount),
    succeeded: sum((one) => one.devicesCompletedSucceededCount),
    cancelled: sum((one) => one.devicesCanceledCount),
  };
}
