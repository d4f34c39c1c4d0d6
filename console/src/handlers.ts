// The handlers that the form for import manifests knows, as rows of one table: what each property means and what it may be.
// docs/reference/handlers.md is the source; a handler that is not here is written as JSON.
export interface Property {
  name: string;
  label: string;
  help: string;
  /** text; file: one of the step's files; number; words: an array of words; yes: true or left out; choice: one of `options` */
  kind: "text" | "file" | "number" | "words" | "yes" | "choice";
  isNeeded?: boolean;
  options?: string[];
  low?: number;
  high?: number;
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
}

const CRITERIA: Property = { name: "installedCriteria", label: "Installed criteria", help: "A text that says that this step is done, often the version. A device that has it already skips the step.", kind: "text" };
const NEEDED_CRITERIA: Property = { ...CRITERIA, isNeeded: true };
const SCRIPT: Property[] = [
  { name: "scriptFileName", label: "Script", help: "Which of the step's files is run, as root, in a folder with all of them.", kind: "file", isNeeded: true },
  { name: "apiVersion", label: "How it is called", help: "1.1: --action install; 1.0: --action-install, as older scripts expect.", kind: "choice", options: ["1.1", "1.0"] },
  { name: "arguments", label: "Arguments", help: "Split at blanks, without quoting; handed to each call.", kind: "text" },
  CRITERIA,
];
const APT_LOCK: Property = { name: "lockTimeoutSeconds", label: "Wait for other apt runs, seconds", help: "Empty: 600.", kind: "number", low: 1, high: 86_400 };

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
      { name: "target", label: "Folder to replace", help: "Absolute, at least two deep, such as /opt/app.", kind: "text", isNeeded: true, pattern: /^\/[^/]+(\/[^/]+)+$/, shape: "an absolute path at least two deep, such as /opt/app, without / at its end" },
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
    files: { least: 1, most: 2, says: "The image, and a file of block hashes if there is one." },
    properties: [
      { name: "imageFile", label: "Image", help: "Which of the step's files is the image.", kind: "file", isNeeded: true },
      { name: "compression", label: "Packed with", help: "zstd with a window of at most 8 MiB.", kind: "choice", options: ["none", "gzip", "zstd"] },
      { name: "imageSize", label: "Bytes of the unpacked image", help: "Found here for an image that is not packed with zstd; else: stat -c %s root.img", kind: "number", isNeeded: true, low: 1, high: Number.MAX_SAFE_INTEGER },
      { name: "imageSha256", label: "SHA-256 of the unpacked image", help: "64 hexadecimal digits. Found here for an image that is not packed with zstd; else: sha256sum root.img", kind: "text", isNeeded: true, pattern: /^[0-9a-fA-F]{64}$/, shape: "64 hexadecimal digits" },
      { name: "blockHashesFile", label: "Block hashes", help: "A file with 32 bytes of SHA-256 for each block: a wrong block is found before it is written.", kind: "file" },
      { name: "versionFloor", label: "Refuse versions below", help: "Once this image is confirmed, updates below that version are refused for ever. Empty: none is.", kind: "text", pattern: /^\d+(\.\d+){1,3}$/, shape: "a version such as 2.1.0" },
    ],
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
