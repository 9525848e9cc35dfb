// @vitest-environment node
// The build of a small site of the test's own, by Vite itself.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { build } from "vite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { firstLoadOf, limitFirstLoad, type FirstLoad } from "../firstLoad";

let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "site-"));
  // What is loaded later is large, and differs from line to line, so that it stays large when compressed.
  const words = Array.from({ length: 2_000 }, (_, line) => `"${(line * 2654435761).toString(36)}"`);
  writeFileSync(join(root, "later.js"), `export const words = [${words.join()}];`);
  writeFileSync(join(root, "main.css"), `body { margin: 0; background: url("data:image/png;base64,${"A7b".repeat(40)}"); }`);
  writeFileSync(
    join(root, "main.js"),
    'import "./main.css"; addEventListener("click", async () => console.log((await import("./later.js")).words));',
  );
  writeFileSync(join(root, "index.html"), '<!doctype html><div></div><script type="module" src="/main.js"></script>');
});

afterEach(() => rmSync(root, { recursive: true }));

function buildWith(limits: FirstLoad): Promise<unknown> {
  return build({ root, configFile: false, logLevel: "silent", plugins: [limitFirstLoad(limits)] });
}

describe("the build", () => {
  it("counts what the first page loads, and not what is loaded later", async () => {
    await buildWith({ javascript: 2_000, css: 200 });
    expect(existsSync(join(root, "dist/index.html"))).toBe(true);
  });

  it.each([
    { limits: { javascript: 20, css: 200 }, words: /javascript is \d+ bytes compressed, and may be 20/ },
    { limits: { javascript: 2_000, css: 20 }, words: /css is \d+ bytes compressed, and may be 20/ },
  ])("is refused, and writes nothing, past $limits", async ({ limits, words }) => {
    await expect(buildWith(limits)).rejects.toThrow(words);
    expect(existsSync(join(root, "dist/index.html"))).toBe(false);
  });
});

describe("the first load", () => {
  it("is scripts and what is preloaded with them, beside style sheets", () => {
    const page = `
      <link rel="icon" href="/favicon.svg" />
      <script type="module" crossorigin src="/a.js"></script>
      <link rel="modulepreload" crossorigin href="/b.js">
      <link rel="stylesheet" crossorigin href="/c.css">`;
    const read: string[] = [];
    const loaded = firstLoadOf(page, (path) => {
      read.push(path);
      return "";
    });
    expect(read).toEqual(["a.js", "b.js", "c.css"]);
    // An empty file is twenty bytes when compressed.
    expect(loaded).toEqual({ javascript: 40, css: 20 });
  });
});
