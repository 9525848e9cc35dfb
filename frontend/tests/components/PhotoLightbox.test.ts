// One photo over the wall: what it shows, what can be done there, and where it goes on to.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { defineComponent, h } from "vue";

import type { Recommendations } from "../../src/api/types";
import PhotoLightbox from "../../src/components/PhotoLightbox.vue";
import { useActions } from "../../src/stores/actions";
import { useSession } from "../../src/stores/session";
import { useWall } from "../../src/stores/wall";
import { useOpenPhoto } from "../../src/wall/openPhoto";
import { ANNA, BEN, person, photo, photos, progress, recommendations } from "../examples";
import { byTestId, mountAt, type Mounted } from "../mounting";
import { json, refusal, startService, type Service } from "../service";

const RANK = "GET /users/12037949754%40N01/recommendations";

/** The page as far as a lightbox needs it: open when the address says so. */
const Page = defineComponent(() => {
  const { id, open, close } = useOpenPhoto();
  return () =>
    id.value && h(PhotoLightbox, { photoId: id.value, because: "Because you faved", onShow: open, onClose: close });
});

let service: Service;

beforeEach(() => {
  setActivePinia(createPinia());
  service = startService({ user: person() });
  for (const id of ["1", "2", "3", "4", "7"]) similar(id, []);
  vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockReturnValue(new DOMRect(0, 0, 1_000, 800));
});

function similar(id: string, ids: string[]): void {
  const answer = { photo_id: id, model_version: "7", degraded: false, photos: photos(...ids) };
  service.on(`GET /photos/${id}/similar`, () => json(answer));
}

async function openAt(
  photoId: string,
  changes: Partial<Recommendations> = {},
  viewer = ANNA,
  further = recommendations({ photos: [] }),
): Promise<Mounted> {
  service.session.user = person({ user_id: viewer });
  service.on(RANK, ({ query }) => json(query.has("cursor") ? further : recommendations(changes)));
  service.on("POST /users/12037949754%40N01/pull", () => json(progress({ stage: "done" }), 202));
  await useSession().load();
  await useWall().open(ANNA);
  const mounted = await mountAt(`/wall/${ANNA}?photo=${photoId}`, Page);
  await flushPromises();
  return mounted;
}

async function press(key: string): Promise<void> {
  document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  await flushPromises();
}

function title(page: VueWrapper): string {
  return page.get(byTestId("lightbox-title")).text();
}

describe("an open photo", () => {
  it("is shown large, with its title, its photographer and the way to Flickr", async () => {
    const sizes = { b: { url: "b.jpg", width: 2_000, height: 1_000 }, m: { url: "m.jpg", width: 240, height: 120 } };
    const { page } = await openAt("1", { photos: [photo({ title: "Sea", sizes })] });
    expect(page.get(byTestId("large")).attributes()).toMatchObject({
      srcset: "m.jpg 240w, b.jpg 2000w",
      sizes: "1000px",
      alt: "Sea",
    });
    expect(title(page)).toBe("Sea");
    expect(page.get(byTestId("lightbox-owner")).text()).toBe("Ben");
    expect(page.get(byTestId("lightbox-flickr")).attributes("href")).toBe(photo().page_url);
  });

  it("tells why it is on the wall", async () => {
    const fog = { title: "Fog", image_url: "fog.jpg", page_url: "https://flickr.example.org/fog" };
    const reasons = [{ photo_id: "70", weight: 1 }];
    const { page } = await openAt("1", { photos: [photo({ reasons })], reason_photos: { "70": fog } });
    const part = page.get(byTestId("lightbox-reasons"));
    expect(part.text()).toContain("Because you faved");
    expect(part.get("a").attributes("href")).toBe(fog.page_url);
  });

  it("has the keyboard, is named by its title, and leaves nothing of the page behind it within reach", async () => {
    document.body.insertAdjacentHTML("beforeend", "<div id=app><main></main><div data-notices></div></div>");
    const [main, notices] = ["#app main", "#app [data-notices]"].map((each) => document.querySelector(each));
    const { page } = await openAt("1");
    const dialog = page.get(byTestId("lightbox"));
    expect(document.activeElement).toBe(dialog.element);
    expect(dialog.attributes()).toMatchObject({ role: "dialog", "aria-labelledby": "lightbox-title" });
    expect([main, notices].map((each) => (each as HTMLElement).inert)).toEqual([true, false]);
    await press("Escape");
    expect((main as HTMLElement).inert).toBe(false);
    document.querySelector("#app")?.remove();
  });

  it("that is not on the wall is looked up, for whoever was sent a link to it", async () => {
    service.on("GET /photos/7", () => json(photo({ photo_id: "7", title: "Elsewhere" })));
    const { page } = await openAt("7");
    expect(title(page)).toBe("Elsewhere");
  });

  it("that no wall may show says so", async () => {
    service.on("GET /photos/9", () => refusal(404, "not_found", "No wall shows a photo '9'."));
    const { page } = await openAt("9");
    expect(page.get("[role=alert]").text()).toBe("No wall shows a photo '9'.");
  });
});

describe("going on", () => {
  it.each([
    ["ArrowRight", "3"],
    ["j", "3"],
    ["ArrowLeft", "1"],
    ["k", "1"],
  ])("by %s leads to photo %s, which the address says", async (key, id) => {
    const { page, router } = await openAt("2");
    await press(key);
    expect(title(page)).toBe(`Photo ${id}`);
    expect(router.currentRoute.value.query.photo).toBe(id);
  });

  it("ends where the wall ends", async () => {
    const { page } = await openAt("3");
    expect(page.find(byTestId("next")).exists()).toBe(false);
    await press("ArrowRight");
    expect(title(page)).toBe("Photo 3");
  });

  it("loads more of the wall before its end is reached", async () => {
    const page2 = recommendations({ photos: photos("4") });
    const { page } = await openAt("3", { next_cursor: "page-2" }, ANNA, page2);
    await press("ArrowRight");
    expect(title(page)).toBe("Photo 4");
  });

  it("to a similar photo, and from there along the wall, as if one had never left it", async () => {
    similar("1", ["7"]);
    const { page } = await openAt("1");
    await page.get(byTestId("similar-photo")).trigger("click");
    await flushPromises();
    expect(title(page)).toBe("Photo 7");
    await press("ArrowLeft");
    expect(title(page)).toBe("Photo 1");
    await page.get(byTestId("similar-photo")).trigger("click");
    await flushPromises();
    await press("ArrowRight");
    expect(title(page)).toBe("Photo 2");
  });

  it("keeps the keyboard in the dialog when what had it has gone", async () => {
    similar("1", ["7"]);
    const { page } = await openAt("1");
    const link = page.get<HTMLAnchorElement>(byTestId("similar-photo"));
    link.element.focus();
    await link.trigger("click");
    await flushPromises();
    expect(page.get(byTestId("lightbox")).element.contains(document.activeElement)).toBe(true);
  });
});

describe("similar photos", () => {
  it("are none where no model knows the photo", async () => {
    service.on("GET /photos/1/similar", () => refusal(404, "not_found", "Model 7 knows no photo '1'."));
    const { page } = await openAt("1");
    expect(page.find(byTestId("similar")).exists()).toBe(false);
  });

  it("do not hold what was dismissed", async () => {
    similar("1", ["7", "8"]);
    const { page } = await openAt("1");
    expect(page.findAll(byTestId("similar-photo"))).toHaveLength(2);
    useActions().dismissedPhotos.add("8");
    await flushPromises();
    expect(page.findAll(byTestId("similar-photo"))).toHaveLength(1);
  });
});

describe("what can be done", () => {
  beforeEach(() => {
    service.on("PUT /me/favorites/2", () => json({}));
    service.on("PUT /me/dismissals/photos/2", () => json({}));
    service.on("DELETE /me/dismissals/photos/2", () => json({}));
    service.on("PUT /me/dismissals/people/47058503995%40N01", () => json({}));
  });

  it("is to fave, by key or button", async () => {
    const { page } = await openAt("2");
    await press("f");
    expect(useActions().faved.has("2")).toBe(true);
    expect(page.get(byTestId("lightbox-fave")).attributes("aria-pressed")).toBe("true");
  });

  it("is to dismiss, which goes on with the photo that takes the place, and to undo, which comes back", async () => {
    const { page } = await openAt("2");
    await press("d");
    expect(title(page)).toBe("Photo 3");
    await press("u");
    expect(title(page)).toBe("Photo 2");
  });

  it("is to see nothing more by the photographer; when that was all, the lightbox closes", async () => {
    const other = photo({ photo_id: "4", owner_id: "9@N00", owner_name: "Cleo" });
    const { page, router } = await openAt("2", { photos: [...photos("1", "2"), other] });
    await page.get(byTestId("lightbox-dismiss-owner")).trigger("click");
    await flushPromises();
    expect(title(page)).toBe("Photo 4");
    useActions().dismissedPeople.add("9@N00");
    await flushPromises();
    expect(router.currentRoute.value.query.photo).toBeUndefined();
  });

  it("is nothing but looking on somebody else's wall", async () => {
    const { page } = await openAt("2", {}, BEN);
    const offered = ["fave", "dismiss", "dismiss-owner"].map((id) => page.find(byTestId(`lightbox-${id}`)).exists());
    expect(offered).toEqual([false, false, false]);
    await press("f");
    await press("d");
    expect(service.routes().filter((route) => route.startsWith("PUT"))).toEqual([]);
  });
});
