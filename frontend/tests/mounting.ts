// Mounts a component as the site does: in the document, with the stores and the site's addresses.

import { mount, type VueWrapper } from "@vue/test-utils";
import { getActivePinia } from "pinia";
import { onTestFinished } from "vitest";
import { defineComponent, h, type Component } from "vue";
import { createMemoryHistory, createRouter, type Router } from "vue-router";

const Page = defineComponent({ render: () => h("div") });

export interface Mounted {
  page: VueWrapper;
  router: Router;
}

export async function mountAt(path: string, component: Component, props: object = {}): Promise<Mounted> {
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: "/", name: "start", component: Page },
      { path: "/wall", name: "own-wall", component: Page },
      { path: "/begin", name: "begin", component: Page },
      { path: "/account", name: "account", component: Page },
      { path: "/wall/:userId", name: "wall", component: Page },
    ],
  });
  await router.push(path);
  const pinia = getActivePinia();
  const page = mount(component, {
    props,
    attachTo: document.body,
    global: { plugins: pinia === undefined ? [router] : [pinia, router] },
  });
  onTestFinished(() => page.unmount());
  return { page, router };
}

export function byTestId(id: string): string {
  return `[data-testid=${id}]`;
}
