// The account's page in each of its states, and what can be done on it.

import { flushPromises, type DOMWrapper, type VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";

import type { Account } from "../../src/api/types";
import AccountPage from "../../src/pages/AccountPage.vue";
import { useNotices } from "../../src/stores/notices";
import { account, ANNA, BEN, person, progress, unrankedPhoto } from "../examples";
import { byTestId, mountAt } from "../mounting";
import { json, refusal, startService, unreachable, type Service } from "../service";
import { watchStreams, type Stream } from "../streams";

const ANNA_IN_PATH = encodeURIComponent(ANNA);
const EXPIRED = (): Response => refusal(401, "not_signed_in", "sign in with Flickr first");

let service: Service;
let streams: Stream[];

beforeEach(() => {
  setActivePinia(createPinia());
  streams = watchStreams();
  service = startService({ user: person() });
  service.on(`GET /users/${ANNA_IN_PATH}/progress`, () => json(progress({ stage: "unknown" })));
  holds({});
});

function holds(changes: Partial<Account>): void {
  service.on("GET /me", () => json(account(changes)));
}

async function open(): Promise<VueWrapper> {
  const { page } = await mountAt("/account", AccountPage);
  await flushPromises();
  return page;
}

async function click(page: VueWrapper | DOMWrapper<Element>, testId: string): Promise<void> {
  await page.get(byTestId(testId)).trigger("click");
  await flushPromises();
}

/** The session ends on the service, as it does with a sign-out elsewhere. */
function endSession(): void {
  service.session = { ...service.session, user: null, csrf_token: "next-token" };
}

describe("its states", () => {
  it("is being looked up", async () => {
    const answer = service.hold("GET /me");
    const page = await open();
    expect(page.find(byTestId("account-loading")).attributes("aria-busy")).toBe("true");
    answer(json(account()));
    await flushPromises();
    expect(page.find(byTestId("account")).exists()).toBe(true);
  });

  it("asks a stranger to sign in, and asks the service for nothing", async () => {
    endSession();
    const page = await open();
    expect(page.get(byTestId("account-signed-out")).text()).toContain("Sign in to see what is kept on you");
    expect(page.find(byTestId("sign-in")).exists()).toBe(true);
    expect(service.routes()).toEqual(["GET /session"]);
  });

  it("says that the session has ended", async () => {
    service.on("GET /me", () => {
      endSession();
      return EXPIRED();
    });
    const page = await open();
    expect(page.get(byTestId("account-signed-out")).text()).toContain("Your session has ended");
  });

  it.each([
    ["the service can’t be reached", unreachable, "can't be reached"],
    ["a store is away", () => refusal(503, "dependency_failed", "The store is away."), "The store is away."],
  ])("says that %s, and tries again", async (_what, answer, words) => {
    service.on("GET /me", answer);
    const page = await open();
    expect(page.get(byTestId("account-error")).text()).toContain(words);
    holds({});
    await page.get(`${byTestId("account-error")} button`).trigger("click");
    await flushPromises();
    expect(page.find(byTestId("account")).exists()).toBe(true);
  });

  it("tells what is kept, in numbers", async () => {
    const page = await open();
    expect(page.get(byTestId("favorites")).text()).toContain("40 favorites of 12 photographers, and 7 people");
    expect(page.get(byTestId("kept")).text()).toContain("since January 15, 2026");
    expect(page.get(byTestId("kept")).text()).toContain("320 photos that your wall showed you");
  });

  it("counts nothing that was not read yet", async () => {
    holds({ favorites: 0, favorites_pulled_at: null, refresh_due_by: null });
    const page = await open();
    expect(page.find(byTestId("favorites")).exists()).toBe(false);
    expect(page.get(byTestId("last-read")).text()).toContain("not read yet");
  });

  it("says where dismissals would be, when there are none", async () => {
    const page = await open();
    expect(page.get(byTestId("dismissed-photos")).text()).toContain("None.");
    expect(page.get(byTestId("dismissed-people")).text()).toContain("Nobody.");
  });
});

describe("reading the favorites again", () => {
  it("shows how far it is, then what came of it", async () => {
    service.on(`POST /users/${ANNA_IN_PATH}/pull`, () => json(progress({ stage: "queued" }), 202));
    const page = await open();
    await click(page, "refresh-now");
    expect(page.find(byTestId("progress")).exists()).toBe(true);
    holds({ favorites: 41, refresh_possible_at: "2099-01-01T00:00:00Z" });
    streams[0]?.bring(progress({ stage: "done" }));
    await flushPromises();
    expect(page.find(byTestId("progress")).exists()).toBe(false);
    expect(page.get(byTestId("favorites")).text()).toContain("41 favorites");
    expect(page.get(byTestId("refresh-now")).attributes("disabled")).toBeDefined();
  });

  it("is not offered while they are fresh", async () => {
    holds({ refresh_possible_at: "2099-01-01T00:00:00Z" });
    const page = await open();
    expect(page.get(byTestId("refresh-now")).attributes("disabled")).toBeDefined();
    expect(page.text()).toContain("They are fresh. Possible again on January 1, 2099.");
  });

  it("is shown where it is under way already", async () => {
    service.on(`GET /users/${ANNA_IN_PATH}/progress`, () => json(progress({ stage: "neighbors" })));
    const page = await open();
    expect(page.get(byTestId("progress")).attributes("data-stage")).toBe("neighbors");
  });

  it("says why it did not work, and may be tried again", async () => {
    service.on(`POST /users/${ANNA_IN_PATH}/pull`, () => refusal(502, "flickr_unavailable", "Flickr does not answer."));
    const page = await open();
    await click(page, "refresh-now");
    expect(page.get(byTestId("reading-error")).text()).toContain("Flickr does not answer.");
    expect(page.get(byTestId("refresh-now")).text()).toBe("Try again");
  });

  it("says why it stopped", async () => {
    service.on(`POST /users/${ANNA_IN_PATH}/pull`, () => json(progress({ stage: "queued" }), 202));
    const page = await open();
    await click(page, "refresh-now");
    streams[0]?.bring(progress({ stage: "failed", error: "The favorites are private." }));
    await flushPromises();
    expect(page.get(byTestId("reading-error")).text()).toContain("The favorites are private.");
  });

  it("is no longer followed once the page is left", async () => {
    service.on(`POST /users/${ANNA_IN_PATH}/pull`, () => json(progress({ stage: "queued" }), 202));
    const page = await open();
    await click(page, "refresh-now");
    page.unmount();
    expect(streams[0]?.readyState).toBe(2);
  });
});

describe("taking it along", () => {
  it("saves what the service hands over", async () => {
    const saved: string[] = [];
    vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:here");
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
      saved.push(this.download);
    });
    service.on("GET /me/export", () => new Response("PK", { headers: { "Content-Type": "application/zip" } }));
    await click(await open(), "download");
    expect(saved).toEqual([`photo-recommender-${ANNA.replace("@", "-")}.zip`]);
    expect(useNotices().announcement).toBe("Your data is saved.");
  });

  it("says why it can’t, and may be tried again", async () => {
    service.on("GET /me/export", () => refusal(429, "too_often", "You have asked for this 6 times within an hour."));
    const page = await open();
    await click(page, "download");
    expect(useNotices().notices.map((notice) => notice.message)).toEqual([
      "You have asked for this 6 times within an hour.",
    ]);
    expect(page.get(byTestId("download")).attributes("disabled")).toBeUndefined();
  });
});

describe("taking dismissals back", () => {
  it("shows it at once, in place, and can be taken back in turn", async () => {
    holds({ dismissed_photos: [unrankedPhoto({ photo_id: "7" }), unrankedPhoto({ photo_id: "8" })] });
    for (const method of ["DELETE", "PUT"]) service.on(`${method} /me/dismissals/photos/7`, () => json({}));
    const page = await open();
    await click(page, "take-back");
    expect(page.findAll(byTestId("dismissed-photo"))).toHaveLength(2);
    expect(page.get(byTestId("take-back")).text()).toBe("Dismiss again");
    expect(useNotices().announcement).toBe("Photo 7 may return.");
    await click(page, "take-back");
    expect(service.routes().slice(-2)).toEqual(["DELETE /me/dismissals/photos/7", "PUT /me/dismissals/photos/7"]);
    expect(page.get(byTestId("take-back")).text()).toBe("Undo");
  });

  it("is as it was where the service refuses", async () => {
    holds({ dismissed_people: [person({ user_id: BEN, name: "Ben" })] });
    service.on(`DELETE /me/dismissals/people/${encodeURIComponent(BEN)}`, () => refusal(503, "database_gone", "The database is away."));
    const page = await open();
    await click(page, "take-back");
    expect(page.get(byTestId("take-back")).text()).toBe("Undo");
    expect(useNotices().notices[0]?.message).toBe("The database is away.");
  });

  it("turns pages of thirty", async () => {
    const ids = Array.from({ length: 65 }, (_, number) => `${100 + number}`);
    holds({ dismissed_photos: ids.map((photo_id) => unrankedPhoto({ photo_id })) });
    const page = await open();
    const shown = (): (string | undefined)[] =>
      page.findAll(byTestId("dismissed-photo")).map((card) => card.attributes("data-photo-id"));
    expect(shown()).toEqual(ids.slice(0, 30));
    expect(page.get(byTestId("newer")).attributes("disabled")).toBeDefined();
    await click(page, "older");
    await click(page, "older");
    expect(shown()).toEqual(ids.slice(60));
    expect(page.get(byTestId("older")).attributes("disabled")).toBeDefined();
    expect(useNotices().announcement).toBe("Dismissed photos 61–65 of 65.");
  });

  it("shows more people when asked", async () => {
    holds({ dismissed_people: Array.from({ length: 40 }, (_, n) => person({ user_id: `${n}@N01`, name: `P${n}` })) });
    const page = await open();
    expect(page.findAll(byTestId("dismissed-person"))).toHaveLength(30);
    await click(page, "more");
    expect(page.findAll(byTestId("dismissed-person"))).toHaveLength(40);
    expect(page.find(byTestId("more")).exists()).toBe(false);
  });
});

describe("leaving", () => {
  it("signs out", async () => {
    service.on("DELETE /session", () => {
      endSession();
      return new Response(null, { status: 204 });
    });
    const page = await open();
    await click(page, "account-sign-out");
    expect(page.get(byTestId("account-signed-out")).text()).not.toContain("has ended");
  });

  async function ask(): Promise<VueWrapper> {
    const page = await open();
    await click(page, "erase-me");
    await vi.dynamicImportSettled();
    await flushPromises();
    return page;
  }

  async function confirm(page: VueWrapper, name: string): Promise<void> {
    await page.get(byTestId("erase-name")).setValue(name);
    await page.get(`${byTestId("erase-dialog")} form`).trigger("submit");
    await flushPromises();
  }

  it("erases nothing before the own name is typed", async () => {
    const page = await ask();
    expect(page.get(byTestId("erase-dialog")).text()).toContain("favorites, comments and contacts there are not touched");
    const button = page.get(byTestId("erase-for-good"));
    expect(button.attributes("disabled")).toBeDefined();
    await confirm(page, "anna");
    expect(button.attributes("disabled")).toBeDefined();
    expect(service.routes()).not.toContain("DELETE /me");
    await page.get(byTestId("erase-name")).setValue("Anna");
    expect(button.attributes("disabled")).toBeUndefined();
  });

  it("can be thought better of", async () => {
    const page = await ask();
    await click(page, "erase-cancel");
    expect(page.find(byTestId("erase-dialog")).exists()).toBe(false);
    expect(page.find(byTestId("account")).exists()).toBe(true);
  });

  it("is not left while it is under way", async () => {
    const answer = service.hold("DELETE /me");
    const page = await ask();
    await confirm(page, "Anna");
    expect(page.get(byTestId("erase-cancel")).attributes("disabled")).toBeDefined();
    await page.get(byTestId("erase-dialog")).trigger("cancel");
    expect(page.find(byTestId("erase-dialog")).exists()).toBe(true);
    answer(refusal(429, "too_often", "Too often."));
    await flushPromises();
    expect(page.get(byTestId("erase-refused")).text()).toBe("Too often.");
  });

  it.each([
    [{}, true, "on looking again none was left"],
    [{ "lake interactions": 1 }, false, "goes within a day"],
  ])("tells what was removed and whether any is left: %o", async (left, complete, words) => {
    service.on("DELETE /me", () => {
      endSession();
      return json({ user_id: ANNA, complete, removed: { "sql accounts": 1, "lake interactions": 40 }, left });
    });
    const page = await ask();
    await confirm(page, " Anna ");
    expect(service.callsOf("DELETE /me")[0]?.body).toEqual({ confirm: " Anna " });
    expect(page.get(byTestId("erased")).text()).toContain("41 rows about you went");
    expect(page.get(byTestId("erased")).text()).toContain(words);
    expect(page.find(byTestId("erase-dialog")).exists()).toBe(false);
  });

  it("says so when it broke off halfway, though the session is over", async () => {
    service.on("DELETE /me", () => {
      endSession();
      return refusal(503, "dependency_failed", "not everything is erased yet (the bucket is away)");
    });
    const page = await ask();
    await confirm(page, "Anna");
    expect(page.get(byTestId("erasure-unfinished")).text()).toContain("the bucket is away");
  });

  it("says that the session has ended, when it has", async () => {
    service.on("DELETE /me", () => {
      endSession();
      return EXPIRED();
    });
    const page = await ask();
    await confirm(page, "Anna");
    expect(page.get(byTestId("account-signed-out")).text()).toContain("Your session has ended");
  });
});
