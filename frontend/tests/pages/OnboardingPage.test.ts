// Where somebody with few favorites begins, in each of its states.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";

import type { Account, Group, UnrankedPhoto } from "../../src/api/types";
import BeginningOffer from "../../src/components/BeginningOffer.vue";
import OnboardingPage from "../../src/pages/OnboardingPage.vue";
import { useNotices } from "../../src/stores/notices";
import { account, ANNA, person, progress, unrankedPhoto } from "../examples";
import { byTestId, mountAt } from "../mounting";
import { json, refusal, startService, unreachable, type Service } from "../service";
import { watchStreams, type Stream } from "../streams";

const SEAS: Group = { group_id: "1@N20", name: "Seas", description: "Only <seas>.\n\nOne a day.", icon_url: null, members: 7 };
const FOGS: Group = { ...SEAS, group_id: "2@N20", name: "Fogs", description: "" };
const PULL = `POST /users/${encodeURIComponent(ANNA)}/pull`;

let service: Service;
let streams: Stream[];
let favorites: string[];

beforeEach(() => {
  setActivePinia(createPinia());
  vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockReturnValue(new DOMRect(0, 0, 1_000, 600));
  streams = watchStreams();
  service = startService({ user: person() });
  favorites = [];
  holds({});
  service.on("GET /groups", () => json({ groups: [SEAS, FOGS] }));
  pool(SEAS, ids(1, 12));
  pool(FOGS, ids(101, 112));
});

function ids(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, place) => String(first + place));
}

/** Each photo is by a photographer of its own, unless told otherwise. */
function listed(photoId: string): UnrankedPhoto {
  return unrankedPhoto({ photo_id: photoId, owner_id: `${photoId}@N01` });
}

function pool(group: Group, ...pages: string[][]): void {
  service.on(`GET /groups/${encodeURIComponent(group.group_id)}/photos`, ({ query }) => {
    const page = Number(query.get("page"));
    const next_page = page < pages.length ? page + 1 : null;
    return json({ group_id: group.group_id, next_page, photos: (pages[page - 1] ?? []).map(listed) });
  });
}

/** What the service tells of the person: their faves here count. */
function holds(changes: Partial<Account>): void {
  const before = { favorites: 0, favorite_owners: 0, ...changes };
  service.on("GET /me", () =>
    json(
      account({
        ...before,
        favorites: before.favorites + favorites.length,
        favorite_owners: before.favorite_owners + favorites.length,
      }),
    ),
  );
}

function takesFaves(...photoIds: string[]): void {
  for (const photoId of photoIds) {
    const receipt = { action_id: photoId, kind: "favorite", photo_id: photoId, owner_id: `${photoId}@N01` };
    service.on(`PUT /me/favorites/${photoId}`, () => {
      favorites.push(photoId);
      return json(receipt);
    });
    service.on(`DELETE /me/favorites/${photoId}`, () => {
      favorites = favorites.filter((one) => one !== photoId);
      return json({ ...receipt, kind: "unfavorite" });
    });
  }
}

async function open(): Promise<VueWrapper> {
  const { page } = await mountAt("/begin", OnboardingPage);
  await flushPromises();
  return page;
}

function shown(page: VueWrapper): (string | undefined)[] {
  return page.findAll(byTestId("group-photo")).map((card) => card.attributes("data-photo-id"));
}

async function fave(page: VueWrapper, place: number): Promise<void> {
  await page.findAll(byTestId("group-fave"))[place]?.trigger("click");
  await flushPromises();
}

function text(page: VueWrapper, id: string): string {
  const found = page.find(byTestId(id));
  return found.exists() ? found.text() : "";
}

describe("its states", () => {
  it("asks a stranger to sign in, and asks the service for nothing", async () => {
    service.session = { ...service.session, user: null };
    const page = await open();
    expect(text(page, "begin-signed-out")).toContain("Sign in first");
    expect(page.find(byTestId("sign-in")).exists()).toBe(true);
    expect(service.routes()).toEqual(["GET /session"]);
  });

  it("is looking", async () => {
    const answer = service.hold("GET /groups");
    const page = await open();
    expect(page.find(byTestId("begin-loading")).exists()).toBe(true);
    answer(json({ groups: [SEAS] }));
    await flushPromises();
    expect(page.find(byTestId("begin-loading")).exists()).toBe(false);
  });

  it.each([
    ["GET /session", unreachable, "can't be reached"],
    ["GET /me", () => refusal(503, "database_gone", "The database does not answer."), "The database does not answer."],
    ["GET /groups", () => refusal(502, "flickr_unavailable", "Flickr does not answer."), "Flickr does not answer."],
  ])("says what is wrong with %s, and tries again", async (route, answer, words) => {
    const right = route === "GET /me" ? () => json(account()) : null;
    service.on(route, answer);
    const page = await open();
    expect(text(page, "begin-error")).toContain(words);
    if (route === "GET /session") service.on(route, () => json(service.session));
    if (route === "GET /groups") service.on(route, () => json({ groups: [SEAS] }));
    if (right) service.on(route, right);
    await page.get(`${byTestId("begin-error")} button`).trigger("click");
    await flushPromises();
    expect(shown(page).length).toBeGreaterThan(0);
  });

  it("asks whose session has ended to sign in", async () => {
    service.on("GET /me", () => {
      service.session = { ...service.session, user: null };
      return refusal(401, "not_signed_in", "sign in with Flickr first");
    });
    expect(text(await open(), "begin-signed-out")).toContain("Sign in first");
  });

  it("sends to Flickr where no groups are configured", async () => {
    service.on("GET /groups", () => json({ groups: [] }));
    const page = await open();
    expect(page.get(`${byTestId("begin-no-groups")} a`).attributes("href")).toContain("flickr.com");
  });
});

describe("the groups", () => {
  it("begin with the first, which shows its photos and what it says of itself, as text", async () => {
    const page = await open();
    expect(page.findAll(byTestId("group")).map((one) => one.attributes("aria-pressed"))).toEqual(["true", "false"]);
    expect(shown(page)).toEqual(ids(1, 12));
    expect(text(page, "group-description")).toBe("Only <seas>. One a day.");
  });

  it("are asked for when they are chosen, and once", async () => {
    const page = await open();
    const [seas, fogs] = page.findAll(byTestId("group"));
    await fogs?.trigger("click");
    await flushPromises();
    expect(shown(page)).toEqual(ids(101, 112));
    await seas?.trigger("click");
    await flushPromises();
    expect(shown(page)).toEqual(ids(1, 12));
    expect(service.routes().filter((route) => route.startsWith("GET /groups/"))).toHaveLength(2);
  });

  it("show more when asked, and no photo twice", async () => {
    pool(SEAS, ids(1, 12), ids(11, 24));
    const page = await open();
    await page.get(byTestId("group-more")).trigger("click");
    await flushPromises();
    expect(shown(page)).toEqual(ids(1, 24));
    expect(page.find(byTestId("group-more")).exists()).toBe(false);
  });

  it("are looked further into where a page has little that is new", async () => {
    pool(SEAS, [], ids(1, 3), ids(4, 15), ids(16, 30));
    expect(shown(await open())).toEqual(expect.arrayContaining(ids(1, 12)));
    expect(service.routes().filter((route) => route.startsWith("GET /groups/"))).toHaveLength(3);
  });

  it("say so where nothing is new", async () => {
    pool(SEAS, []);
    expect(text(await open(), "group-empty")).toContain("You know all of these already.");
  });

  it("say why there are no photos, and try again", async () => {
    const route = `GET /groups/${encodeURIComponent(SEAS.group_id)}/photos`;
    service.on(route, () => refusal(503, "budget_spent", "No call of Flickr is left."));
    const page = await open();
    expect(text(page, "group-error")).toBe("No call of Flickr is left.");
    pool(SEAS, ids(1, 12));
    await page.get(byTestId("group-more")).trigger("click");
    await flushPromises();
    expect(shown(page)).toEqual(ids(1, 12));
  });

  it("leave out a photo whose picture can't be loaded", async () => {
    const page = await open();
    await page.get(`${byTestId("group-photo")} img`).trigger("error");
    expect(shown(page)).toEqual(ids(2, 12));
  });
});

describe("a fave", () => {
  it("is one touch, counts, and can be taken back", async () => {
    takesFaves("1", "2");
    const page = await open();
    expect(text(page, "beginning-count")).toBe("0 of 5 favorites, 0 of 3 photographers");
    await fave(page, 0);
    await fave(page, 1);
    expect(text(page, "beginning-count")).toBe("2 of 5 favorites, 2 of 3 photographers");
    expect(page.get(byTestId("group-fave")).attributes()).toMatchObject({
      "aria-pressed": "true",
      "aria-label": "Fave Photo 1",
    });
    await fave(page, 0);
    expect(text(page, "beginning-count")).toBe("1 of 5 favorites, 1 of 3 photographers");
    expect(page.get(byTestId("group-fave")).attributes("aria-pressed")).toBe("false");
  });

  it("that Flickr refuses is taken back, does not count, and says why", async () => {
    service.on("PUT /me/favorites/1", () => refusal(502, "flickr_refused", "Flickr: no (code 2)"));
    const page = await open();
    await fave(page, 0);
    expect(page.get(byTestId("group-fave")).attributes("aria-pressed")).toBe("false");
    expect(text(page, "beginning-count")).toBe("0 of 5 favorites, 0 of 3 photographers");
    expect(useNotices().notices.map((notice) => notice.message)).toEqual(["Flickr: no (code 2)"]);
  });

  it("keeps the photo where it is", async () => {
    takesFaves("1");
    const page = await open();
    await fave(page, 0);
    expect(shown(page)).toEqual(ids(1, 12));
  });

  it("opens the way to the wall when there are enough, by enough photographers", async () => {
    holds({ favorites: 3, favorite_owners: 1 });
    takesFaves("1", "2");
    const page = await open();
    await fave(page, 0);
    expect(page.find(byTestId("to-wall")).exists()).toBe(false);
    await fave(page, 1);
    expect(page.get(byTestId("to-wall")).attributes("href")).toBe("/wall");
    expect(text(page, "beginning-count")).toBe("5 favorites, 3 photographers");
    expect(useNotices().announcement).toBe("Your wall is ready.");
  });

  it("leaves every photo with a link to its page and to its photographer", async () => {
    const page = await open();
    const links = page.findAll(`${byTestId("group-photo")} a`).map((link) => link.attributes("href"));
    expect(links.slice(0, 2)).toEqual([listed("1").page_url, "https://flickr.example.org/people/1%40N01/"]);
  });
});

describe("favorites on Flickr that nobody has read", () => {
  beforeEach(() => {
    holds({ favorites_pulled_at: null });
    service.on(PULL, () => json(progress({ stage: "favorites" }), 202));
  });

  it("are read meanwhile, and count when they are", async () => {
    const page = await open();
    expect(text(page, "begin-reading")).toContain("is being read, and counts, too");
    holds({ favorites: 400, favorite_owners: 90 });
    streams[0]?.bring(progress({ stage: "done" }));
    await flushPromises();
    expect(page.find(byTestId("begin-reading")).exists()).toBe(false);
    expect(text(page, "beginning-count")).toBe("400 favorites, 90 photographers");
    expect(page.find(byTestId("to-wall")).exists()).toBe(true);
  });

  it("say so when they can't be", async () => {
    service.on(PULL, () => refusal(503, "database_gone", "The database does not answer."));
    expect(text(await open(), "begin-unread")).toContain("The database does not answer.");
  });
});

describe("the offer on a wall", () => {
  async function offer(changes: Partial<Account>): Promise<string> {
    service.on("GET /me", () => json(account(changes)));
    const { page } = await mountAt("/", BeginningOffer);
    await flushPromises();
    return text(page, "beginning-offer");
  }

  it.each([
    [{ favorites: 4, favorite_owners: 4 }, "4 of 5 favorites, 4 photographers"],
    [{ favorites: 40, favorite_owners: 2 }, "40 favorites, 2 of 3 photographers"],
    [{ favorites: 1, favorite_owners: 1 }, "1 of 5 favorites, 1 of 3 photographers"],
  ])("is made to somebody with few favorites, or few photographers: %o", async (few, words) => {
    expect(await offer(few)).toContain(words);
  });

  it.each([
    { favorites: 5, favorite_owners: 3 },
    { favorites: 0, favorite_owners: 0, favorites_pulled_at: null },
  ])("is not made to who has enough, nor before their favorites are read: %o", async (changes) => {
    expect(await offer(changes)).toBe("");
  });

  it("is not made where nobody can tell", async () => {
    service.on("GET /me", unreachable);
    const { page } = await mountAt("/", BeginningOffer);
    await flushPromises();
    expect(page.find(byTestId("beginning-offer")).exists()).toBe(false);
  });
});
