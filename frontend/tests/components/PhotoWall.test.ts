// The wall as a whole: its rows, the people in between, and where the keyboard goes after a dismissal.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";

import type { Recommendations } from "../../src/api/types";
import PhotoWall from "../../src/components/PhotoWall.vue";
import { useSession } from "../../src/stores/session";
import { useWall } from "../../src/stores/wall";
import { ANNA, person, photos, progress, recommendations, recommendedPerson } from "../examples";
import { byTestId, mountAt } from "../mounting";
import { json, startService, type Service } from "../service";

const IDS = ["1", "2", "3", "4", "5", "6", "7"];

let service: Service;

beforeEach(() => {
  setActivePinia(createPinia());
  service = startService({ user: person() });
  for (const id of IDS) service.on(`PUT /me/dismissals/photos/${id}`, () => json({}));
  // Nothing is laid out in this document: the wall is told that it has room for three landscapes a row.
  vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockReturnValue(new DOMRect(0, 0, 1_200, 0));
});

async function openWall(changes: Partial<Recommendations>): Promise<VueWrapper> {
  service.on("GET /users/12037949754%40N01/recommendations", () => json(recommendations(changes)));
  service.on("POST /users/12037949754%40N01/pull", () => json(progress({ stage: "done" }), 202));
  await useSession().load();
  await useWall().open(ANNA);
  const { page } = await mountAt(`/wall/${ANNA}`, PhotoWall, { because: "Because you faved" });
  await flushPromises();
  return page;
}

function cards(page: VueWrapper): (string | undefined)[] {
  return page.findAll(byTestId("photo-card")).map((card) => card.attributes("data-photo-id"));
}

it("shows every photo once there are no more to come, in the order of the ranking", async () => {
  const page = await openWall({ photos: photos(...IDS) });
  expect(cards(page)).toEqual(IDS);
});

it("keeps back the photos of an unfinished row while there are more to come", async () => {
  const page = await openWall({ photos: photos(...IDS), next_cursor: "page-2" });
  expect(cards(page)).toEqual(IDS.slice(0, 6));
});

it("shows a few photos that fill no row, though more are to come", async () => {
  const page = await openWall({ photos: photos("1"), next_cursor: "page-2" });
  expect(cards(page)).toEqual(["1"]);
});

it("shows people worth following behind the first page's photos", async () => {
  const page = await openWall({ photos: photos(...IDS), people: [recommendedPerson({ favorites_in_common: 3 })] });
  const order = page.findAll(`${byTestId("photo-card")}, ${byTestId("person")}`);
  expect(order.map((item) => item.attributes("data-testid")).slice(-2)).toEqual(["photo-card", "person"]);
  expect(page.get(byTestId("person")).text()).toContain("3 favorites in common");
});

it("puts the keyboard onto the photo that takes the place of a dismissed one", async () => {
  const page = await openWall({ photos: photos(...IDS) });
  await page.get("[data-photo-id='2'] [data-testid=dismiss]").trigger("click");
  await flushPromises();
  expect(cards(page)).toEqual(["1", "3", "4", "5", "6", "7"]);
  expect(document.activeElement?.closest("[data-photo-id]")?.getAttribute("data-photo-id")).toBe("3");
});

it("puts the keyboard onto the last photo when the one behind it was dismissed", async () => {
  const page = await openWall({ photos: photos(...IDS) });
  await page.get("[data-photo-id='7'] [data-testid=dismiss]").trigger("click");
  await flushPromises();
  expect(document.activeElement?.closest("[data-photo-id]")?.getAttribute("data-photo-id")).toBe("6");
});

it("closes up where a picture does not load though others do", async () => {
  service.on("POST /photos/2/broken", () => new Response(null, { status: 204 }));
  const page = await openWall({ photos: photos(...IDS) });
  await page.get("[data-photo-id='1'] img").trigger("load");
  await page.get("[data-photo-id='2'] img").trigger("error");
  await flushPromises();
  expect(cards(page)).toEqual(["1", "3", "4", "5", "6", "7"]);
  expect(service.callsOf("POST /photos/2/broken")).toHaveLength(1);
});
