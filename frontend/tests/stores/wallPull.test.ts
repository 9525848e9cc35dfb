// The pull that makes the wall better meanwhile.

import { flushPromises } from "@vue/test-utils";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { useActions } from "../../src/stores/actions";
import { ANNA, photo, photos, progress, recommendations } from "../examples";
import { json, refusal } from "../service";
import { beginAtWall, PULL, pulled, RANK, ranked, service, shown, stream, streams, wall } from "./openWall";

beginAtWall();

describe("a pull", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: 0 });
    pulled({ stage: "queued", coverage: 0 });
    return () => vi.useRealTimers();
  });

  it("is followed until it is done, and then the wall is ranked anew", async () => {
    await wall.open(ANNA);
    expect(wall.pulling).toBe(true);
    ranked({ photos: photos("7") });
    stream().bring(progress({ stage: "done", coverage: 1 }));
    await flushPromises();
    expect(wall.pulling).toBe(false);
    expect(shown()).toEqual(["7"]);
    expect(wall.newRanking).toBe(false);
  });

  it("that is already done is not followed", async () => {
    pulled({ stage: "done" });
    await wall.open(ANNA);
    expect(streams).toEqual([]);
  });

  it("ranks the wall anew as it grows, but at most every three seconds", async () => {
    await wall.open(ANNA);
    vi.setSystemTime(2_999);
    stream().bring(progress({ coverage: 0.1 }));
    expect(service.callsOf(RANK)).toHaveLength(1);
    vi.setSystemTime(3_000);
    stream().bring(progress({ coverage: 0.2 }));
    vi.setSystemTime(4_000);
    stream().bring(progress({ coverage: 0.3 }));
    vi.setSystemTime(6_000);
    stream().bring(progress({ coverage: 0.3 }));
    await flushPromises();
    expect(service.callsOf(RANK)).toHaveLength(2);
  });

  it("only offers the better ranking to somebody further down the page", async () => {
    await wall.open(ANNA);
    window.scrollTo({ top: 2_000 });
    ranked({ photos: photos("7") });
    stream().bring(progress({ stage: "done" }));
    await flushPromises();
    expect(wall.newRanking).toBe(true);
    expect(shown()).toEqual(["1", "2", "3"]);
    await wall.rank();
    expect(wall.newRanking).toBe(false);
    expect(shown()).toEqual(["7"]);
  });

  it("only offers the better ranking to somebody who has just faved, for it would take that photo away", async () => {
    service.on("PUT /me/favorites/1", () => json({}));
    await wall.open(ANNA);
    await useActions().setFaved(photo(), true);
    stream().bring(progress({ stage: "done" }));
    await flushPromises();
    expect(service.callsOf(RANK)).toHaveLength(1);
    expect(wall.newRanking).toBe(true);
  });

  it("still offers what it brought while a ranking was under way", async () => {
    await wall.open(ANNA);
    window.scrollTo({ top: 2_000 });
    const answer = service.hold(RANK);
    const ranking = wall.rank();
    stream().bring(progress({ stage: "done" }));
    answer(json(recommendations()));
    await ranking;
    expect(wall.newRanking).toBe(true);
  });

  it("that failed says why, and leaves the wall as it is", async () => {
    await wall.open(ANNA);
    stream().bring(progress({ stage: "failed", error: "The list is private." }));
    await flushPromises();
    expect(wall).toMatchObject({ pulling: false, pullFailure: "The list is private." });
    expect(service.callsOf(RANK)).toHaveLength(1);
    pulled({ stage: "queued" });
    await wall.pull();
    expect(wall).toMatchObject({ pulling: true, pullFailure: null });
  });

  it("that nobody may follow says why", async () => {
    vi.useFakeTimers({ now: 0 });
    service.on("GET /users/12037949754%40N01/progress", () => refusal(404, "not_found", "Nobody like that."));
    await wall.open(ANNA);
    stream().giveUp();
    expect(wall.streamLost).toBe(true);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(wall).toMatchObject({ pulling: false, pullFailure: "Nobody like that." });
  });

  it("that is refused says why, beside the wall", async () => {
    service.on(PULL, () => refusal(429, "rate_limited", "Too many pulls. Wait a minute."));
    await wall.open(ANNA);
    expect(wall).toMatchObject({ pulling: false, pullFailure: "Too many pulls. Wait a minute.", error: null });
    expect(shown()).toEqual(["1", "2", "3"]);
  });
});
