// What a browser fetches before it has run any of the site, and the limits to which the build holds it. What index.html
// names is counted, compressed as a server would send it; what pages load when they are opened is not.

import { gzipSync } from "node:zlib";

import type { Plugin } from "vite";

/** In bytes, compressed. */
export interface FirstLoad {
  javascript: number;
  css: number;
}

export const LIMITS: FirstLoad = { javascript: 90_000, css: 20_000 };

const TAG = /<(?:script|link)\b[^>]*>/g;
const ATTRIBUTES = /([a-z]+)="([^"]*)"/g;

/** The size of what the page loads at once; `read` gives a file by its path below the page's folder. */
export function firstLoadOf(page: string, read: (path: string) => string | Uint8Array): FirstLoad {
  const loaded = { javascript: 0, css: 0 };
  for (const [tag] of page.matchAll(TAG)) {
    const attributes = new Map(Array.from(tag.matchAll(ATTRIBUTES), ([, name, value]) => [name, value]));
    const path = attributes.get("src") ?? attributes.get("href") ?? "";
    const kind = tag.startsWith("<script") ? "modulepreload" : attributes.get("rel");
    if (kind === "modulepreload") loaded.javascript += compressed(read(path.slice(1)));
    else if (kind === "stylesheet") loaded.css += compressed(read(path.slice(1)));
  }
  return loaded;
}

/** Ends the build, before anything is written, when the first load is larger than that. */
export function limitFirstLoad(limits: FirstLoad = LIMITS): Plugin {
  return {
    name: "first-load",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const source = (path: string): string | Uint8Array => {
          const file = bundle[path];
          if (file === undefined) this.error(`index.html loads ${path}, which is no file of the build`);
          return file.type === "chunk" ? file.code : file.source;
        };
        const loaded = firstLoadOf(source("index.html").toString(), source);
        for (const kind of ["javascript", "css"] as const) {
          if (loaded[kind] > limits[kind])
            this.error(
              `the first load's ${kind} is ${loaded[kind]} bytes compressed, and may be ${limits[kind]}: ` +
                "load what the first page can do without when it is needed, by import(…)",
            );
        }
      },
    },
  };
}

function compressed(content: string | Uint8Array): number {
  return gzipSync(content, { level: 9 }).length;
}
