import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";

import { limitFirstLoad } from "./firstLoad.ts";

// The service answers the built page from its own folder; in development its API is proxied.
export default defineConfig({
  plugins: [vue(), limitFirstLoad()],
  build: {
    outDir: "../serving/site",
    emptyOutDir: true,
    // The service's content security policy allows files of its own, and nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/api": process.env.PHOTO_RECOMMENDER_PUBLIC_URL ?? "http://localhost:3000" },
  },
  test: {
    environment: "happy-dom",
    // A browser of its own for each file takes five times as long as all tests; each test cleans up after itself.
    isolate: false,
    include: ["tests/**/*.test.ts"],
    restoreMocks: true,
    unstubGlobals: true,
  },
});
