import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const SERVER = "http://127.0.0.1:8100";

/** Writes the digest of the sources beside the built files: a test compares it, so that no build is forgotten. */
const digest: Plugin = {
  name: "digest-of-sources",
  generateBundle() {
    const hash = createHash("sha256");
    const files = readdirSync("src", { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile() && !one.name.includes(".test."))
      .map((one) => `${one.parentPath}/${one.name}`);
    for (const file of files.sort()) hash.update(`${file}\0`).update(readFileSync(file));
    this.emitFile({ type: "asset", fileName: "sources.txt", source: hash.digest("hex") });
  },
};

// The built files are committed and served by the dashboard's own server, so that users need no Node.
export default defineConfig(({ command }) => ({
  plugins: [react(), digest],
  base: command === "build" ? "/static/app/" : "/",
  build: {
    outDir: "../static/app",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    target: "es2022",
    rolldownOptions: { input: ["index.html", "docs.html"] },
  },
  server: { port: 3000, proxy: { "/api": SERVER, "/static": SERVER, "/health": SERVER } },
}));
