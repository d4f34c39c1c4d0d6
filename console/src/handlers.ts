// The handlers that the form for import manifests knows, as rows of one table: what each property means and what it may be.
// docs/reference/handlers.md is the source; a handler that is not here is written as JSON.
export interface Property {
  name: string;
  label: string;
  help: string;
  /**
   * text; file: one of the step's files; number; words: an array of words; choice: one of `options`;
   * yes: `yes` or left out; lines: an array, or an object of pairs, with one element on each line.
   */
  kind: "text" | "file" | "number" | "words" | "yes" | "choice" | "lines";
  isNeeded?: boolean;
  /** Few updates set it: it stands below the others, closed. */
  isRare?: boolean;
  /** What a box that is checked says; without it, true. */
  yes?: string;
  /** The element that a line says; undefined where it says none. */
  element?: (line: string) => unknown;
  /** The elements are pairs of an object, and no name may come twice. */
  isObject?: boolean;
  options?: string[];
  low?: number;
  high?: number;
  /** How many words or lines. */
  most?: number;
  pattern?: RegExp;
  /** What `pattern` wants, in words. */
  shape?: string;
}
export interface Handler {
  id: string;
  title: string;
  says: string;
  /** How many files a step takes. */
  files: { least: number; most: number; says: string; pattern?: RegExp };
  properties: Property[];
  /** What one property alone cannot tell: the property it is said at, and the sentence. `text` is what was typed, "" for nothing. */
  rule?: (text: (name: string) => string, files: string[], isDelta: boolean) => [string, string] | null;
  /** Properties that follow from others. */
  adds?: (found: Record<string, unknown>) => Record<string, unknown>;
}

const CRITERIA: Property = { name: "installedCriteria", label: "Installed criteria", help: "A text that says that this step is done, often the version. A device that has it already skips the step.", kind: "text" };
const NEEDED_CRITERIA: Property = { ...CRITERIA, isNeeded: true };
const SCRIPT: Property[] = [
  { name: "scriptFileName", label: "Script", help: "Which of the step's files is run, as root, in a folder with all of them.", kind: "file", isNeeded: true },
  { name: "apiVersion", label: "How it is called", help: "1.1: --action install; 1.0: --action-install, as older scripts expect.", kind: "choice", options: ["1.1", "1.0"] },
  { name: "arguments", label: "Arguments", help: "Split at blanks, without quoting; handed to each call.", kind: "text" },
  CRITERIA,
];
/** Of every step. */
export const COMMON: Property[] = [{ name: "restoreScope", label: "All or nothing", help: "A failure or a cancel puts back every step of the update that was changed, not the failing one only.", kind: "yes", yes: "update", isRare: true }];
const APT_LOCK: Property = { name: "lockTimeoutSeconds", label: "Wait for other apt runs, seconds", help: "Empty: 600.", kind: "number", low: 1, high: 86_400 };

function imageRule(text: (name: string) => string, files: string[], isDelta: boolean): [string, string] | null {
  if (text("indexFile")) {
    if (text("indexFile") === text("imageFile")) return ["indexFile", "The index is another file than the image."];
    if (text("compression") !== "zstd") return ["indexFile", "A streamed image is packed with zstd."];
    if (text("blockHashesFile")) return ["blockHashesFile", "The index has the hashes already: leave this empty."];
    if (isDelta) return ["indexFile", "A streamed image is not fetched as a delta; it takes what the other side has by itself."];
  }
  const ofPairs = text("pairs").split("\n").map((line) => line.slice(line.indexOf("=") + 1).trim()).filter(Boolean);
  const strange = ofPairs.find((file) => !files.includes(file) || [text("imageFile"), text("blockHashesFile"), text("indexFile")].includes(file));
  if (strange) return ["pairs", `${strange} is not another of the step's files.`];
  const block = Number(text("blockSize"));
  if (block && !Number.isInteger(Math.log2(block))) return ["blockSize", "It must be a power of two, such as 65536."];
  if (!text("verityRootHash") !== !text("verityHashOffset")) return [text("verityRootHash") ? "verityHashOffset" : "verityRootHash", "The root hash and where its tree begins come together."];
  const offset = Number(text("verityHashOffset"));
  if (offset % 4096) return ["verityHashOffset", "It must be a multiple of 4,096."];
  return offset && offset >= Number(text("imageSize")) ? ["verityHashOffset", "It lies behind the end of the image."] : null;
}

const SERVICE_NAME = /^[a-z0-9][a-z0-9_.-]{0,62}$/;
/** An absolute path without "." and "..", and without what podman would split at. */
const isMountPath = (path: string) => path.length <= 1024 && /^(\/[^/:,]+)+$/.test(path) && !path.split("/").some((part) => part === "." || part === "..");

/** [ADDRESS:]HOST[:CONTAINER][/udp] */
function portOf(line: string): unknown {
  const found = /^(?:(\[[0-9A-Fa-f:.]+\]|(?:\d{1,3}\.){3}\d{1,3}):)?(\d{1,5})(?::(\d{1,5}))?(?:\/(tcp|udp))?$/.exec(line);
  if (!found) return undefined;
  const [, address, host, container, protocol] = found;
  const isPort = (port?: string) => port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
  if (!isPort(host) || !isPort(container)) return undefined;
  return { host: Number(host), ...(container ? { container: Number(container) } : {}), ...(protocol === "udp" ? { protocol } : {}), ...(address ? { address: address.replace(/[[\]]/g, "") } : {}) };
}
/** SOURCE:TARGET[:ro] */
function volumeOf(line: string): unknown {
  const [source = "", target = "", mode, ...more] = line.split(":");
  if (more.length || (mode !== undefined && mode !== "ro" && mode !== "rw") || !isMountPath(target)) return undefined;
  if (!SERVICE_NAME.test(source) && (!isMountPath(source) || /^\/(proc|sys|dev|boot)(\/|$)/.test(source))) return undefined;
  return { source, target, ...(mode === "ro" ? { readOnly: true } : {}) };
}
/** NAME=value */
function variableOf(line: string): unknown {
  const found = /^([A-Za-z_][A-Za-z0-9_]{0,127})=(.*)$/.exec(line);
  return found ? [found[1], found[2]] : undefined;
}
/** NAME=FILE */
function pairOf(line: string): unknown {
  const found = /^([a-z0-9-]{1,32})=([^/]+)$/.exec(line);
  return found ? [found[1], found[2]] : undefined;
}
const deviceOf = (line: string) => (isMountPath(line) && line.startsWith("/dev/") ? line : undefined);

const CONTAINER: Property[] = [
  { name: "name", label: "Name of the container", help: "The one that has this name is replaced; one that no update made is left alone, and the step fails.", kind: "text", isNeeded: true, pattern: SERVICE_NAME, shape: "lower case letters, digits, “_”, “.” and “-”, at most 63" },
  NEEDED_CRITERIA,
  { name: "image", label: "Image archive", help: "Which of the step's files it is, where there are several.", kind: "file" },
  { name: "arguments", label: "Arguments", help: "For the image's entry point, without a shell. Words with blanks between them, or a JSON array.", kind: "words", most: 64 },
  { name: "environment", label: "Environment", help: "One on each line: MODE=production. It is no place for secrets: everybody who may read the update reads it.", kind: "lines", element: variableOf, isObject: true, most: 64, shape: "NAME=value" },
  { name: "ports", label: "Ports", help: "One on each line, of the device and of the container: 80:8080. Also 53:53/udp, and 127.0.0.1:80:8080 for one address of the device.", kind: "lines", element: portOf, most: 32, shape: "80:8080, 53:53/udp or 127.0.0.1:80:8080" },
  { name: "volumes", label: "Volumes", help: "One on each line: web-data:/data for a volume of that name, /srv/web:/data:ro for a folder of the device, here without the right to write.", kind: "lines", element: volumeOf, most: 32, shape: "web-data:/data or /srv/web:/data:ro, and nothing of /proc, /sys, /dev and /boot" },
  { name: "healthCommand", label: "Health command in the container", help: "Run in it once a second until it succeeds; if it never does, the former container comes back.", kind: "words", most: 64, pattern: /^\s*(\[\s*"[^"-]|[^[\s-])/, shape: "a program and its words" },
  { name: "deviceHealthCommand", label: "Health command on the device", help: "For images without a program to ask. It begins with an absolute path.", kind: "words", most: 64, pattern: /^\s*(\[\s*")?\//, shape: "an absolute path and its words, such as /usr/bin/curl -fsS http://localhost/" },
  { name: "network", label: "Network", help: "bridge: of its own, ports are published; host: the device's; none.", kind: "choice", options: ["bridge", "host", "none"] },
  { name: "restart", label: "When it ends", help: "always: it is started again, also at the device's start.", kind: "choice", options: ["always", "on-failure", "no"] },
  { name: "healthTimeoutSeconds", label: "Healthy within, seconds", help: "Empty: 60.", kind: "number", low: 1, high: 3600, isRare: true },
  { name: "healthTrySeconds", label: "One run of a health command, seconds", help: "Empty: 10.", kind: "number", low: 1, high: 3600, isRare: true },
  { name: "steadySeconds", label: "Stays healthy for, seconds", help: "And does not restart, before the step has succeeded. Empty: 5.", kind: "number", low: 0, high: 3600, isRare: true },
  { name: "stopSeconds", label: "From SIGTERM to SIGKILL, seconds", help: "Empty: 10.", kind: "number", low: 1, high: 600, isRare: true },
  { name: "user", label: "As which user it runs", help: "A name or UID:GID. Empty: what the image says.", kind: "text", pattern: /^[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,63}$/, shape: "a user of the image, such as app or 1000:1000", isRare: true },
  { name: "devices", label: "Devices", help: "One on each line, such as /dev/ttyUSB0.", kind: "lines", element: deviceOf, most: 32, shape: "a path below /dev, such as /dev/ttyUSB0", isRare: true },
  { name: "memoryLimitBytes", label: "Most memory, bytes", help: "At least 4 MiB. Empty: podman's own limit.", kind: "number", low: 4 * 2 ** 20, high: 2 ** 44, isRare: true },
  { name: "processLimit", label: "Most processes", help: "Empty: podman's own limit.", kind: "number", low: 1, high: 1_000_000, isRare: true },
  { name: "readOnlyRoot", label: "It cannot write to its image", help: "Volumes stay writable.", kind: "yes", isRare: true },
];
function containerRule(text: (name: string) => string, files: string[]): [string, string] | null {
  if (files.length > 1 && !text("image")) return ["image", "Several files: choose which one is the image archive."];
  if (text("ports") && text("network") !== "" && text("network") !== "bridge") return ["ports", "Ports are published by the network bridge only."];
  const targets = text("volumes").split("\n").map((line) => line.split(":")[1]?.trim()).filter(Boolean);
  const twice = targets.find((target, index) => targets.indexOf(target) !== index);
  return twice ? ["volumes", `${twice} is there twice.`] : null;
}

export const HANDLERS: Handler[] = [
  { id: "microsoft/script:1", title: "Run a script", says: "A script of the update does everything.", files: { least: 1, most: 10, says: "The script, and what it needs." }, properties: SCRIPT },
  { id: "microsoft/apt:1", title: "Packages from repositories (apt)", says: "Installs and removes Debian packages; they come from the repositories of the device.", files: { least: 1, most: 1, says: "One JSON file that names the packages.", pattern: /\.json$/i }, properties: [NEEDED_CRITERIA, APT_LOCK] },
  {
    id: "godwit/deb:1",
    title: "Packages that come along (.deb)",
    says: "Installs the .deb files of this step, for devices without a repository.",
    files: { least: 1, most: 10, says: "The packages.", pattern: /\.deb$/i },
    properties: [CRITERIA, APT_LOCK, { name: "fetchDependencies", label: "Dependencies may come from repositories", help: "Otherwise all of them come with the step, or are there.", kind: "yes" }],
  },
  {
    id: "godwit/files:1",
    title: "Replace a folder",
    says: "Unpacks an archive beside a folder and exchanges both at once; the earlier one comes back when the health command fails.",
    files: { least: 1, most: 1, says: "One tar archive: plain, .zst, .gz or .xz." },
    properties: [
      { name: "target", label: "Folder to replace", help: "Absolute, at least two deep, such as /opt/app; three in the system's own folders, such as /usr/lib/app.", kind: "text", isNeeded: true, pattern: /^\/[^/]+(\/[^/]+)+$/, shape: "an absolute path at least two deep, such as /opt/app, without / at its end" },
      NEEDED_CRITERIA,
      { name: "restartCommand", label: "Restart command", help: "Run after the exchange, without a shell. Words with blanks between them, or a JSON array.", kind: "words" },
      { name: "healthCommand", label: "Health command", help: "Repeated until it succeeds; if it never does, the earlier folder comes back.", kind: "words" },
      { name: "healthTimeoutSeconds", label: "It must succeed within, seconds", help: "Empty: 60.", kind: "number", low: 1, high: 3600 },
      { name: "sizeLimitBytes", label: "Most bytes unpacked", help: "Empty: 1 GiB.", kind: "number", low: 1, high: 2 ** 40 },
    ],
  },
  {
    id: "godwit/image:1",
    title: "Whole image on the other side (A/B)",
    says: "Writes an image onto the side that does not run, tries it at the next start, and goes back when it is not healthy.",
    files: { least: 1, most: 10, says: "The image, a file of block hashes or the index of a streamed image if there is one, and what comes for the pairs." },
    properties: [
      { name: "imageFile", label: "Image", help: "Which of the step's files is the image.", kind: "file", isNeeded: true },
      { name: "compression", label: "Packed with", help: "zstd with a window of at most 8 MiB.", kind: "choice", options: ["none", "gzip", "zstd"] },
      { name: "imageSize", label: "Bytes of the unpacked image", help: "Found here for an image that is not packed with zstd; else: stat -c %s root.img", kind: "number", isNeeded: true, low: 1, high: Number.MAX_SAFE_INTEGER },
      { name: "imageSha256", label: "SHA-256 of the unpacked image", help: "64 hexadecimal digits. Found here for an image that is not packed with zstd; else: sha256sum root.img", kind: "text", isNeeded: true, pattern: /^[0-9a-fA-F]{64}$/, shape: "64 hexadecimal digits" },
      { name: "blockHashesFile", label: "Block hashes", help: "A file with 32 bytes of SHA-256 for each block: a wrong block is found before it is written.", kind: "file" },
      { name: "versionFloor", label: "Refuse versions below", help: "Once this image is confirmed, updates below that version are refused for ever. Empty: none is.", kind: "text", pattern: /^\d+(\.\d+){1,3}$/, shape: "a version such as 2.1.0" },
      { name: "indexFile", label: "Index of a streamed image", help: "Which of the step's files it is, as godwit image pack made it beside the image: the image is then fetched in pieces while it is written.", kind: "file", isRare: true },
      { name: "blockSize", label: "Bytes of a block", help: "A power of two from 4,096. Empty: 1,048,576.", kind: "number", low: 4096, high: 2 ** 20, isRare: true },
      { name: "verityRootHash", label: "dm-verity root hash", help: "Of an image that carries such a tree: what veritysetup format printed, 64 hexadecimal digits.", kind: "text", pattern: /^[0-9a-fA-F]{64}$/, shape: "64 hexadecimal digits", isRare: true },
      { name: "verityHashOffset", label: "Where the tree begins, byte", help: "The --hash-offset of veritysetup, a multiple of 4,096.", kind: "number", low: 4096, high: Number.MAX_SAFE_INTEGER, isRare: true },
      { name: "pairs", label: "Files for pairs of the device", help: "What switches together with the side, one on each line: kernel=vmlinuz.zst. Unpacked by the end of the name: .zst, .gz. A pair that is not named here is copied from the side that runs.", kind: "lines", element: pairOf, isObject: true, most: 8, shape: "a name of at most 32 lower case letters, digits and “-”, and one of the step's files: kernel=vmlinuz.zst", isRare: true },
    ],
    rule: imageRule,
    adds: ({ indexFile, imageFile }) => (indexFile ? { streamedFile: imageFile } : {}),
  },
  {
    id: "godwit/container:1",
    title: "Container as a service (podman)",
    says: "Runs an image that comes along with the podman of the device; the former container comes back when the new one is not healthy.",
    files: { least: 1, most: 10, says: "An image archive, plain or gzip: podman save --format oci-archive -o web.tar web:1.0" },
    properties: CONTAINER,
    rule: containerRule,
  },
  { id: "microsoft/swupdate:1", title: "SWUpdate image", says: "One signed .swu image, installed by the swupdate program of the device.", files: { least: 1, most: 1, says: "One .swu image.", pattern: /\.swu$/ }, properties: [NEEDED_CRITERIA] },
  {
    id: "microsoft/swupdate:2",
    title: "SWUpdate image by a script",
    says: "A script of the update that gets a .swu image.",
    files: { least: 2, most: 10, says: "The image, the script, and what it needs." },
    properties: [{ name: "swuFileName", label: "Image", help: "Which of the step's files the script gets as --swu-file.", kind: "file", isNeeded: true }, ...SCRIPT],
  },
  {
    id: "microsoft/simulator:1",
    title: "Rehearsal (simulator)",
    says: "Answers what a data file says and changes nothing: to try a deployment.",
    files: { least: 1, most: 10, says: "du-simulator-data.json, or any file when the devices have their own data." },
    properties: [CRITERIA, { name: "simulatorDataFile", label: "Data file on the device", help: "Empty: /tmp/du-simulator-data.json. A du-simulator-data.json of this step goes before it.", kind: "text", pattern: /^\//, shape: "an absolute path" }],
  },
];
/** Any other handler: its id and its properties as JSON. */
export const OTHER: Handler = { id: "", title: "Another handler", says: "A handler of your own, by its id.", files: { least: 1, most: 10, says: "What the handler needs." }, properties: [] };
export const handlerOf = (id: string) => HANDLERS.find((one) => one.id === id) ?? OTHER;
