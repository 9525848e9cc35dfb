// The one field of the start page.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { beforeEach, expect, it } from "vitest";
import type { Router } from "vue-router";

import StartForm from "../../src/components/StartForm.vue";
import { ANNA, person } from "../examples";
import { byTestId, mountAt } from "../mounting";
import { json, refusal, startService, unreachable, type Service } from "../service";

let service: Service;
let page: VueWrapper;
let router: Router;

beforeEach(async () => {
  service = startService();
  ({ page, router } = await mountAt("/", StartForm));
});

async function submit(text: string): Promise<void> {
  await page.get(byTestId("start-field")).setValue(text);
  await page.get("form").trigger("submit");
  await flushPromises();
}

function error(): string {
  return page.get(byTestId("start-error")).text();
}

it("leads to the wall of whoever was found", async () => {
  service.on("GET /users/lookup", () => json({ ...person(), path_alias: "anna", has_favorites: true }));
  await submit("  flickr.com/photos/anna ");
  expect(service.calls[0]?.query.get("q")).toBe("flickr.com/photos/anna");
  expect(router.currentRoute.value).toMatchObject({ name: "wall", params: { userId: ANNA } });
});

it("asks for words before it asks the service", async () => {
  await submit("   ");
  expect(error()).toBe("Enter a Flickr address, a name or an ID.");
  expect(service.calls).toEqual([]);
});

it("says whom Flickr does not know, and puts the keyboard back into the field", async () => {
  service.on("GET /users/lookup", () => refusal(404, "not_found", "Flickr knows nobody called “nobody”", "q"));
  await submit("nobody");
  expect(error()).toBe("Flickr knows nobody called “nobody”");
  expect(document.activeElement).toBe(page.get(byTestId("start-field")).element);
  expect(page.get(byTestId("start-field")).attributes("aria-invalid")).toBe("true");
  expect(router.currentRoute.value.name).toBe("start");
});

it("says of whom no favorites can be seen, and leads on for all that", async () => {
  service.on("GET /users/lookup", () => json({ ...person(), path_alias: null, has_favorites: false }));
  await submit("anna");
  const told = page.get(byTestId("start-unseen"));
  expect(told.text()).toContain("Flickr shows no favorites of Anna: there are none yet, or they are private.");
  expect(router.currentRoute.value.name).toBe("start");
  await told.get("a").trigger("click");
  await flushPromises();
  expect(router.currentRoute.value).toMatchObject({ name: "wall", params: { userId: ANNA } });
});

it("says to wait who looks people up too often", async () => {
  service.on("GET /users/lookup", () => refusal(429, "too_often", "Try again in 20 s."));
  await submit("anna");
  expect(error()).toBe("Try again in 20 s.");
});

it("says what is wrong in the service's own words", async () => {
  service.on("GET /users/lookup", () => refusal(422, "invalid_input", "This is a photo's address.", "q"));
  await submit("flickr.com/photos/anna/1");
  expect(error()).toBe("This is a photo's address.");
});

it("takes an error back when it tries again", async () => {
  service.on("GET /users/lookup", unreachable);
  await submit("anna");
  expect(error()).toContain("can't be reached");
  service.hold("GET /users/lookup");
  await submit("anna");
  expect(error()).toBe("");
});

it("is not sent twice while it looks", async () => {
  const answer = service.hold("GET /users/lookup");
  await submit("anna");
  const button = page.get(byTestId("start-submit"));
  expect(button.text()).toBe("Looking…");
  expect(button.attributes("disabled")).toBeDefined();
  answer(refusal(404, "not_found", "no such user"));
  await flushPromises();
  expect(button.attributes("disabled")).toBeUndefined();
});
