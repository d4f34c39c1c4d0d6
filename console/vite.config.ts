import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Puts x.gz beside each text file, which is what godwitd sends to browsers. */
function zipped(): Plugin {
  let folder = ""; // "": nothing is written
  return {
    name: "zipped",
    apply: "build",
    configResolved: (config) => {
      folder = config.build.write ? config.build.outDir : "";
    },
    closeBundle() {
      if (!folder) return;
      for (const name of readdirSync(folder, { recursive: true }) as string[])
        if (/\.(js|css|html|svg)$/.test(name)) writeFileSync(join(folder, name + ".gz"), gzipSync(readFileSync(join(folder, name)), { level: 9 }));
    },
  };
}

export default defineConfig({
  base: "/console/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: { outDir: "dist", target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  worker: { format: "es" },
  plugins: [zipped()],
});
