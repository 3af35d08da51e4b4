import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const SERVER = "http://127.0.0.1:8100";

// The built files are committed and served by the dashboard's own server, so that users need no Node.
export default defineConfig(({ command }) => ({
  plugins: [react()],
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
