// The made-up people of the sandbox.

import { flushPromises } from "@vue/test-utils";
import { beforeEach, expect, it } from "vitest";

import SandboxPeople from "../../src/components/SandboxPeople.vue";
import { ANNA, BEN, person } from "../examples";
import { byTestId, mountAt } from "../mounting";
import { json, refusal, startService, type Service } from "../service";

const PEOPLE = [
  { ...person({ user_id: ANNA, name: "Anna" }), favorites: 1_240, visitor: false },
  { ...person({ user_id: BEN, name: "" }), favorites: 1, visitor: true },
];

let service: Service;

beforeEach(() => {
  service = startService({ sandbox: true });
});

it("each lead to a wall, and say how much they faved and who is new", async () => {
  service.on("GET /sandbox/people", () => json({ people: PEOPLE }));
  const { page, router } = await mountAt("/", SandboxPeople);
  await flushPromises();
  const cards = page.findAll(byTestId("person-card"));
  expect(cards.map((card) => card.get(".name").text())).toEqual(["Anna", BEN]);
  expect(cards.map((card) => card.get(".more").text())).toEqual(["1,240 faves", "New here 1 fave"]);
  expect(cards.map((card) => card.attributes("data-visitor"))).toEqual(["false", "true"]);
  await cards[1]?.trigger("click");
  await flushPromises();
  expect(router.currentRoute.value).toMatchObject({ name: "wall", params: { userId: BEN } });
});

it("can be asked for again when they could not be had", async () => {
  service.on("GET /sandbox/people", () => refusal(502, "flickr", "The sandbox is not running."));
  const { page } = await mountAt("/", SandboxPeople);
  await flushPromises();
  expect(page.get("[role=alert]").text()).toContain("The sandbox is not running.");
  service.on("GET /sandbox/people", () => json({ people: PEOPLE }));
  await page.get("[role=alert] button").trigger("click");
  await flushPromises();
  expect(page.find("[role=alert]").exists()).toBe(false);
  expect(page.findAll(byTestId("person-card"))).toHaveLength(2);
});
