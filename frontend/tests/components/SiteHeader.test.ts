// The header's ways to what is the person's own.

import { flushPromises } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it } from "vitest";

import SiteHeader from "../../src/components/SiteHeader.vue";
import { useSession } from "../../src/stores/session";
import { person } from "../examples";
import { byTestId, mountAt } from "../mounting";
import { startService } from "../service";

beforeEach(() => setActivePinia(createPinia()));

it("leads whoever is signed in to their wall and their account", async () => {
  startService({ user: person() });
  await useSession().load();
  const { page } = await mountAt("/wall/1@N01", SiteHeader);
  expect(page.get(byTestId("own-wall")).attributes("href")).toBe("/wall");
  expect(page.get(byTestId("account-link")).attributes("href")).toBe("/account");
  expect(page.find(byTestId("sign-in")).exists()).toBe(false);
});

it("offers a stranger to sign in, and no account", async () => {
  startService();
  await useSession().load();
  const { page } = await mountAt("/wall/1@N01", SiteHeader);
  await flushPromises();
  expect(page.find(byTestId("account-link")).exists()).toBe(false);
  expect(page.find(byTestId("sign-in")).exists()).toBe(true);
});
