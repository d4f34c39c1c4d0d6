// What the bundle consists of: built once more without writing it, each package's share of a file by its length before it is made small.
// Prints one JSON object: {files: {name: zipped bytes}, packages: {name: zipped bytes, by share}}.
import { gzipSync } from "node:zlib";
import { build } from "vite";

const nameOf = (id) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? (/src\/pages\//.test(id) ? "console: pages" : /\/src\//.test(id) ? "console: the rest" : "build");

const made = await build({ logLevel: "error", build: { write: false } });
const files = {};
const packages = {};
for (const part of [made].flat().flatMap((one) => one.output)) {
  const zipped = gzipSync(part.type === "chunk" ? part.code : part.source, { level: 9 }).length;
  const name = part.fileName.replace(/^assets\//, "").replace(/-[\w-]{8}\./, ".");
  files[name] = zipped;
  if (part.type !== "chunk") continue;
  const modules = Object.entries(part.modules).filter(([, one]) => one.renderedLength);
  const whole = modules.reduce((sum, [, one]) => sum + one.renderedLength, 0);
  for (const [id, one] of modules) packages[nameOf(id)] = (packages[nameOf(id)] ?? 0) + (zipped * one.renderedLength) / whole;
}
console.log(JSON.stringify({ files, packages }));
