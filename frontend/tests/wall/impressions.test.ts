// What counts as seen, and how it is told: half a photo for a second, once, in batches, and at the last moment.

import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";
import { defineComponent, h, ref } from "vue";

import type { Recommendations, ShownPhoto } from "../../src/api/types";
import { useActions } from "../../src/stores/actions";
import { useWall } from "../../src/stores/wall";
import { useImpressions } from "../../src/wall/impressions";
import { ANNA, BEN, photo, photos, progress, recommendations } from "../examples";
import { mountAt, type Mounted } from "../mounting";
import { json, refusal, startService, unreachable, type Service } from "../service";

const IMPRESSIONS = "POST /me/impressions";
const WALL = "GET /users/12037949754%40N01/recommendations";

/** Cards of the wall's photos, watched, and nothing else. */
const Cards = defineComponent(() => {
  const wall = useWall();
  const root = ref<HTMLElement | null>(null);
  useImpressions(root);
  const card = (id: string) => h("p", { key: id, "data-photo-id": id });
  return () => h("div", { ref: root }, wall.photos.map((photo) => card(photo.photo_id)));
});

/** An observer that sees what the test says. */
class Observer {
  static newest: Observer;
  readonly watched = new Set<Element>();

  constructor(readonly tell: (entries: Partial<IntersectionObserverEntry>[]) => void) {
    Observer.newest = this;
  }

  observe(element: Element): void {
    this.watched.add(element);
  }

  unobserve(element: Element): void {
    this.watched.delete(element);
  }

  disconnect(): void {
    this.watched.clear();
  }
}

let service: Service;
let hidden: boolean;

beforeEach(() => {
  setActivePinia(createPinia());
  vi.useFakeTimers();
  vi.stubGlobal("IntersectionObserver", Observer);
  hidden = false;
  vi.spyOn(document, "hidden", "get").mockImplementation(() => hidden);
  service = startService();
  service.on(IMPRESSIONS, () => new Response(null, { status: 204 }));
  return () => vi.useRealTimers();
});

async function openWall(changes: Partial<Recommendations> = {}): Promise<Mounted> {
  service.on(WALL, () => json(recommendations(changes)));
  service.on("POST /users/12037949754%40N01/pull", () => json(progress({ stage: "done" }), 202));
  await useWall().open(ANNA);
  return await mountAt(`/wall/${ANNA}`, Cards);
}

/** So much of these photos is on the screen from now on. */
function show(share: number, ...photoIds: string[]): void {
  const idOf = (card: Element) => (card as HTMLElement).dataset.photoId ?? "";
  const cards = [...Observer.newest.watched].filter((card) => photoIds.includes(idOf(card)));
  expect(cards).toHaveLength(photoIds.length);
  Observer.newest.tell(
    cards.map((target) => ({ target, intersectionRatio: share, isIntersecting: target.isConnected && share > 0 })),
  );
}

function turn(nowHidden: boolean): void {
  hidden = nowHidden;
  document.dispatchEvent(new Event("visibilitychange"));
}

async function pass(milliseconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds);
}

interface Report {
  wall: string;
  model_version: string;
  variant: string;
  shown: ShownPhoto[];
}

function reports(): Report[] {
  return service.callsOf(IMPRESSIONS).map((call) => call.body as Report);
}

function reported(): string[] {
  return reports().flatMap(({ shown }) => shown.map(({ photo_id }) => photo_id));
}

it("tells photos that stayed on the screen for a second, with place, wall and model, in one batch", async () => {
  await openWall();
  show(0.5, "2");
  await pass(2_000);
  show(1, "3");
  await pass(3_900);
  expect(reports()).toEqual([]);
  await pass(100);
  expect(reports()).toEqual([
    {
      wall: ANNA,
      model_version: "7",
      variant: "champion",
      shown: [
        { photo_id: "2", rank: 1 },
        { photo_id: "3", rank: 2 },
      ],
    },
  ]);
});

it("does not tell what was too little on the screen, too briefly, or not at all", async () => {
  await openWall();
  show(0.49, "1");
  show(1, "2");
  await pass(999);
  show(0.2, "2");
  await pass(60_000);
  show(1, "2");
  await pass(999);
  show(0, "2");
  await pass(60_000);
  expect(reports()).toEqual([]);
});

it("tells a photo once, however often it comes into view and whatever the ranking does", async () => {
  await openWall();
  show(1, "1");
  await pass(6_000);
  show(0, "1");
  show(1, "1");
  await pass(6_000);
  service.on(WALL, () => json(recommendations({ photos: photos("3", "1"), model_version: "8" })));
  await useWall().rank();
  await pass(0);
  show(1, "1", "3");
  await pass(6_000);
  expect(reports()).toEqual([
    { wall: ANNA, model_version: "7", variant: "champion", shown: [{ photo_id: "1", rank: 0 }] },
    { wall: ANNA, model_version: "8", variant: "champion", shown: [{ photo_id: "3", rank: 0 }] },
  ]);
});

it("tells it again when the wall is opened again", async () => {
  for (const version of ["7", "8"]) {
    const { page } = await openWall({ model_version: version });
    show(1, "1");
    await pass(6_000);
    page.unmount();
  }
  const shown = [{ photo_id: "1", rank: 0 }];
  const report = (version: string) => ({ wall: ANNA, model_version: version, variant: "champion", shown });
  expect(reports()).toEqual(["7", "8"].map(report));
});

it("tells which photos the challenger ranked", async () => {
  await openWall({ model_version: "9", variant: "challenger" });
  show(1, "1");
  await pass(6_000);
  expect(reports()).toEqual([
    { wall: ANNA, model_version: "9", variant: "challenger", shown: [{ photo_id: "1", rank: 0 }] },
  ]);
});

it("watches photos that come later, each told with the model that ranked it", async () => {
  await openWall({ next_cursor: "page-2" });
  service.on(WALL, () => json(recommendations({ photos: photos("3", "4"), model_version: "8" })));
  await useWall().loadMore();
  await pass(0);
  show(1, "3", "4");
  await pass(6_000);
  expect(reports()).toEqual([
    { wall: ANNA, model_version: "7", variant: "champion", shown: [{ photo_id: "3", rank: 2 }] },
    { wall: ANNA, model_version: "8", variant: "champion", shown: [{ photo_id: "4", rank: 3 }] },
  ]);
});

it("tells a wall that no model ranked without one", async () => {
  await openWall({ strategy: "popular", model_version: null });
  show(1, "1");
  await pass(6_000);
  expect(reports()).toEqual([{ wall: ANNA, model_version: "", variant: "champion", shown: [{ photo_id: "1", rank: 0 }] }]);
});

it("counts the places of the wall as it is, without what was dismissed", async () => {
  await openWall();
  useActions().dismissedPhotos.add("1");
  await pass(0);
  show(1, "3");
  await pass(6_000);
  expect(reports()[0]?.shown).toEqual([{ photo_id: "3", rank: 1 }]);
});

it("does not tell a photo that was dismissed within its second, and lets it go", async () => {
  await openWall();
  show(1, "1", "2");
  await pass(500);
  useActions().dismissedPhotos.add("1");
  await pass(0);
  show(0, "1");
  await pass(6_000);
  expect(reported()).toEqual(["2"]);
  expect([...Observer.newest.watched]).toHaveLength(2);
});

it.each([
  ["the page is hidden", () => turn(true)],
  ["the page is left", () => window.dispatchEvent(new Event("pagehide"))],
])("tells at once, for the browser to go on with, what waits when %s", async (_when, happen) => {
  await openWall();
  show(1, "1");
  await pass(1_000);
  happen();
  const [call] = service.callsOf(IMPRESSIONS);
  expect(call?.keepalive).toBe(true);
  expect(call?.headers.get("X-CSRF-Token")).toBe("first-token");
  await pass(60_000);
  expect(reported()).toEqual(["1"]);
});

it("tells what waits as seen on this wall when another is opened, and nothing after", async () => {
  const { page } = await openWall();
  show(1, "1");
  await pass(1_000);
  show(1, "2");
  await pass(500);
  useWall().userId = BEN;
  page.unmount();
  await pass(60_000);
  expect(reports()).toEqual([{ wall: ANNA, model_version: "7", variant: "champion", shown: [{ photo_id: "1", rank: 0 }] }]);
});

it("does not count the time of a hidden page, and begins anew when it is shown", async () => {
  await openWall();
  show(1, "1");
  await pass(900);
  turn(true);
  await pass(60_000);
  turn(false);
  await pass(900);
  turn(true);
  expect(reported()).toEqual([]);
  turn(false);
  await pass(6_000);
  expect(reported()).toEqual(["1"]);
});

it.each([
  ["is refused", () => refusal(503, "dependency_failed", "Nothing works.")],
  ["does not arrive", unreachable],
])("tries a report that %s once more, with the next one, and says nothing", async (_how, answer) => {
  await openWall();
  service.on(IMPRESSIONS, answer);
  show(1, "1");
  await pass(60_000);
  expect(reported()).toEqual(["1"]);
  show(1, "2");
  await pass(60_000);
  expect(reported()).toEqual(["1", "1", "2"]);
  service.on(IMPRESSIONS, () => new Response(null, { status: 204 }));
  show(1, "3");
  await pass(60_000);
  expect(reported()).toEqual(["1", "1", "2", "2", "3"]);
});

it("tells no more at once than the service takes", async () => {
  const many = Array.from({ length: 250 }, (_, place) => photo({ photo_id: String(place) }));
  await openWall({ photos: many });
  show(1, ...many.map((one) => one.photo_id));
  await pass(6_000);
  expect(reports().map(({ shown }) => shown.length)).toEqual([200]);
  await pass(5_000);
  expect(new Set(reported()).size).toBe(250);
});
