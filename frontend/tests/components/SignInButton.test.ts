// The button that leads to Flickr's consent.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";

import SignInButton from "../../src/components/SignInButton.vue";
import { byTestId, mountAt } from "../mounting";
import { json, refusal, startService, type Service } from "../service";

let service: Service;

beforeEach(() => {
  setActivePinia(createPinia());
  service = startService();
  vi.stubGlobal("location", { ...window.location, assign: vi.fn() });
});

async function clickAt(path: string): Promise<VueWrapper> {
  const { page } = await mountAt(path, SignInButton);
  await page.get(byTestId("sign-in")).trigger("click");
  await flushPromises();
  return page;
}

it("comes back to the wall that it was clicked on", async () => {
  service.on("POST /session/login", () => json({ authorize_url: "https://www.flickr.com/oauth" }));
  await clickAt("/wall/1@N01");
  expect(service.callsOf("POST /session/login")[0]?.body).toEqual({ return_to: "/wall/1@N01" });
});

it("comes back to the account's page that it was clicked on", async () => {
  service.on("POST /session/login", () => json({ authorize_url: "https://www.flickr.com/oauth" }));
  await clickAt("/account");
  expect(service.callsOf("POST /session/login")[0]?.body).toEqual({ return_to: "/account" });
});

it("leads to one's own wall from anywhere else", async () => {
  service.on("POST /session/login", () => json({ authorize_url: "https://www.flickr.com/oauth" }));
  await clickAt("/");
  expect(service.callsOf("POST /session/login")[0]?.body).toEqual({ return_to: "/wall" });
});

it("can be clicked again when Flickr could not be asked", async () => {
  service.on("POST /session/login", () => refusal(502, "flickr_failed", "Flickr did not let the sign-in go on"));
  const page = await clickAt("/");
  expect(page.get(byTestId("sign-in")).attributes("disabled")).toBeUndefined();
});

it("can be clicked again after the browser's Back", async () => {
  service.on("POST /session/login", () => json({ authorize_url: "https://www.flickr.com/oauth" }));
  const page = await clickAt("/");
  expect(page.get(byTestId("sign-in")).attributes("disabled")).toBeDefined();
  window.dispatchEvent(new Event("pageshow"));
  await flushPromises();
  expect(page.get(byTestId("sign-in")).attributes("disabled")).toBeUndefined();
});
