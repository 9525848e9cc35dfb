// The addresses of the site, with the one that depends on who is signed in.

import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it } from "vitest";
import { createMemoryHistory, createRouter, type Router } from "vue-router";

import { routes } from "../src/router";
import { ANNA, person } from "./examples";
import { refusal, startService } from "./service";

let router: Router;

beforeEach(() => {
  setActivePinia(createPinia());
  router = createRouter({ history: createMemoryHistory(), routes });
});

it("leads from /wall to the wall of the person who is signed in", async () => {
  startService({ user: person() });
  await router.push("/wall");
  expect(router.currentRoute.value).toMatchObject({ name: "wall", params: { userId: ANNA } });
});

it("leads from /wall to the start when nobody is signed in", async () => {
  startService({ user: null });
  await router.push("/wall");
  expect(router.currentRoute.value.name).toBe("start");
});

it("leads from /wall to the start, which says what is wrong, when nobody can tell who is signed in", async () => {
  startService().on("GET /session", () => refusal(503, "unavailable", "The database is away."));
  await router.push("/wall");
  expect(router.currentRoute.value.name).toBe("start");
});

it("shows anybody's wall without asking who is signed in", async () => {
  const service = startService();
  await router.push(`/wall/${ANNA}`);
  expect(router.currentRoute.value).toMatchObject({ name: "wall", params: { userId: ANNA } });
  expect(service.calls).toEqual([]);
});

it("shows the account's page to anybody, who is asked there to sign in", async () => {
  const service = startService();
  await router.push("/account");
  expect(router.currentRoute.value.name).toBe("account");
  expect(service.calls).toEqual([]);
});

it("knows that it has no such page", async () => {
  await router.push("/walls/of/sound");
  expect(router.currentRoute.value.name).toBe("not-found");
});
