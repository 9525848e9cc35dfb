// The wall by keyboard: from photo to photo, and what is done about the one that has the focus.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";

import PhotoWall from "../../src/components/PhotoWall.vue";
import { useActions } from "../../src/stores/actions";
import { useSession } from "../../src/stores/session";
import { useWall } from "../../src/stores/wall";
import { ANNA, BEN, person, photos, progress, recommendations } from "../examples";
import { byTestId, mountAt, type Mounted } from "../mounting";
import { json, startService, type Service } from "../service";

const MANY = Array.from({ length: 300 }, (_, place) => String(place + 1));

let service: Service;
let scrolled: number;

beforeEach(() => {
  setActivePinia(createPinia());
  service = startService({ user: person() });
  scrolled = 0;
  vi.spyOn(HTMLElement.prototype, "scrollIntoView").mockImplementation(() => undefined);
  // Nothing is laid out in this document: the wall has room for three landscapes a row, and is scrolled by a test.
  vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockImplementation(function (this: HTMLElement) {
    const [, top = "0"] = /translate\(.*, (.*)px\)/.exec(this.style.transform) ?? [];
    return new DOMRect(0, Number(top) - scrolled, 1_200, 300);
  });
});

async function openWall(ids: string[], viewer = ANNA): Promise<Mounted> {
  service.session.user = person({ user_id: viewer });
  service.on("GET /users/12037949754%40N01/recommendations", () => json(recommendations({ photos: photos(...ids) })));
  service.on("POST /users/12037949754%40N01/pull", () => json(progress({ stage: "done" }), 202));
  await useSession().reload();
  await useWall().open(ANNA);
  const mounted = await mountAt(`/wall/${ANNA}`, PhotoWall, { because: "Because you faved" });
  await flushPromises();
  return mounted;
}

async function press(...keys: string[]): Promise<void> {
  for (const key of keys) {
    document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    await flushPromises();
  }
}

async function scroll(to: number): Promise<void> {
  scrolled = to;
  window.dispatchEvent(new Event("scroll"));
  await flushPromises();
}

function focused(): string | null {
  const link = document.activeElement?.closest("[data-testid=photo-link]");
  return link?.closest("[data-photo-id]")?.getAttribute("data-photo-id") ?? null;
}

function cards(page: VueWrapper): string[] {
  return page.findAll(byTestId("photo-card")).map((card) => card.attributes("data-photo-id") ?? "");
}

describe("the focus", () => {
  it("goes to the first photo on the screen, then to the next and back, and no further than the ends", async () => {
    await openWall(["1", "2", "3"]);
    await press("j");
    expect(focused()).toBe("1");
    await press("j", "j", "j");
    expect(focused()).toBe("3");
    await press("k");
    expect(focused()).toBe("2");
    await press("k", "k");
    expect(focused()).toBe("1");
  });

  it("begins at what is on the screen, though the wall is scrolled", async () => {
    await openWall(MANY);
    await scroll(10_000);
    await press("j");
    expect(Number(focused())).toBeGreaterThan(60);
  });

  it("is not lost by scrolling away, and goes on from where it was", async () => {
    const { page } = await openWall(MANY);
    await press("j", "j");
    await scroll(20_000);
    expect(cards(page)).toContain("190");
    expect(focused()).toBe("2");
    await press("j");
    expect(focused()).toBe("3");
  });

  it("comes back to the photo that was open last", async () => {
    const { router } = await openWall(["1", "2", "3"]);
    await press("j");
    await router.push({ query: { photo: "1" } });
    await router.replace({ query: { photo: "3" } });
    await flushPromises();
    await router.push({ query: {} });
    await flushPromises();
    expect(focused()).toBe("3");
  });
});

describe("of a long wall", () => {
  it("only what is near the screen is in the page, each with its place among all", async () => {
    const { page } = await openWall(MANY);
    await scroll(20_000);
    const there = cards(page);
    expect(there.length).toBeLessThan(60);
    expect(there).toEqual(there.toSorted((one, other) => Number(one) - Number(other)));
    const card = page.get(byTestId("photo-card"));
    expect(card.attributes("aria-posinset")).toBe(card.attributes("data-photo-id"));
    expect(card.attributes("aria-setsize")).toBe("300");
  });
});

describe("of the photo with the focus", () => {
  beforeEach(() => {
    for (const method of ["PUT", "DELETE"]) {
      service.on(`${method} /me/favorites/2`, () => json({}));
      service.on(`${method} /me/dismissals/photos/2`, () => json({}));
    }
  });

  it("f faves, and takes the fave back", async () => {
    await openWall(["1", "2", "3"]);
    await press("j", "j", "f");
    expect([...useActions().faved]).toEqual(["2"]);
    await press("f");
    expect([...useActions().faved]).toEqual([]);
  });

  it("d dismisses and goes on with the photo in its place, and u brings it back", async () => {
    const { page } = await openWall(["1", "2", "3"]);
    await press("j", "j", "d");
    expect(cards(page)).toEqual(["1", "3"]);
    expect(focused()).toBe("3");
    await press("u");
    expect(cards(page)).toEqual(["1", "2", "3"]);
    expect(focused()).toBe("2");
  });

  it("nothing is done when none has it, nor on somebody else's wall", async () => {
    await openWall(["1", "2", "3"]);
    await press("f", "d");
    expect(service.routes().filter((route) => route.startsWith("PUT"))).toEqual([]);
    await openWall(["1", "2", "3"], BEN);
    await press("j", "f", "d", "u");
    expect(service.routes().filter((route) => route.startsWith("PUT"))).toEqual([]);
  });

  it("keys are left to the photo that is open over the wall", async () => {
    const { router } = await openWall(["1", "2", "3"]);
    await press("j", "j");
    await router.push({ query: { photo: "2" } });
    await press("f", "j");
    expect([...useActions().faved]).toEqual([]);
    expect(focused()).toBe("2");
  });
});

it("after a fave, what is below the screen is ranked anew within two seconds, and nothing else moves", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  service.on("PUT /me/favorites/2", () => json({}));
  const { page } = await openWall(MANY);
  const before = cards(page);
  const ids = Array.from({ length: 30 }, (_, place) => String(1_000 + place));
  service.on("GET /users/12037949754%40N01/recommendations", () => json(recommendations({ photos: photos(...ids) })));
  await press("j", "j", "f");
  await vi.advanceTimersByTimeAsync(1_000);
  await flushPromises();
  const after = cards(page);
  const kept = after.filter((id) => before.includes(id));
  expect(kept).toEqual(before.slice(0, kept.length));
  expect(kept.length).toBeGreaterThan(6);
  expect(after[kept.length]).toBe("1000");
  expect(focused()).toBe("2");
  vi.useRealTimers();
});
