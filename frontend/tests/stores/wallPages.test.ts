// The wall page by page: ranked anew as a whole, and further photos.

import { beforeEach, describe, expect, it } from "vitest";

import { useActions } from "../../src/stores/actions";
import { useNotices } from "../../src/stores/notices";
import { useSession } from "../../src/stores/session";
import { ANNA, photo, photos, recommendations } from "../examples";
import { json, refusal, unreachable } from "../service";
import { beginAtWall, RANK, ranked, service, shown, wall } from "./openWall";

beginAtWall();

describe("ranking anew", () => {
  it("keeps what is shown until the answer is there", async () => {
    await wall.open(ANNA);
    const answer = service.hold(RANK);
    const ranking = wall.rank();
    expect(shown()).toEqual(["1", "2", "3"]);
    answer(json(recommendations({ photos: photos("5", "1") })));
    await ranking;
    expect(shown()).toEqual(["5", "1"]);
  });

  it("that fails keeps what is shown, and says so", async () => {
    await wall.open(ANNA);
    service.on(RANK, unreachable);
    await wall.rank();
    expect(shown()).toEqual(["1", "2", "3"]);
    expect(wall.error).toBeNull();
    expect(useNotices().notices.map((notice) => notice.tone)).toEqual(["error"]);
    expect(useNotices().notices[0]?.message).toContain("can't be reached");
  });

  it("is not offered because of a fave, which is learned from by itself", async () => {
    service.on("PUT /me/favorites/1", () => json({}));
    await useSession().load();
    await wall.open(ANNA);
    await useActions().setFaved(photo(), true);
    expect(wall.newRanking).toBe(false);
  });
});

describe("further photos", () => {
  beforeEach(async () => {
    ranked({ next_cursor: "page-2", photos: photos("1", "2") });
    await wall.open(ANNA);
  });

  it("are added behind those shown, none twice, with their reasons", async () => {
    const fog = { title: "Fog", image_url: "fog.jpg", page_url: "https://flickr.example.org/fog" };
    ranked({ photos: photos("2", "3"), reason_photos: { "70": fog } });
    await wall.loadMore();
    expect(service.callsOf(RANK).at(-1)?.query.get("cursor")).toBe("page-2");
    expect(shown()).toEqual(["1", "2", "3"]);
    expect(wall.reasonPhotos).toEqual({ "70": fog });
    expect(wall.hasMore).toBe(false);
  });

  it("are asked for once at a time, and not past the end", async () => {
    ranked({ photos: photos("3") });
    await Promise.all([wall.loadMore(), wall.loadMore()]);
    await wall.loadMore();
    expect(service.callsOf(RANK)).toHaveLength(2);
  });

  it("that could not be had can be asked for again", async () => {
    service.on(RANK, () => refusal(503, "unavailable", "Try again."));
    await wall.loadMore();
    expect(wall).toMatchObject({ moreError: "Try again.", hasMore: true, loadingMore: false });
    ranked({ photos: photos("3") });
    await wall.loadMore();
    expect(wall.moreError).toBeNull();
    expect(shown()).toEqual(["1", "2", "3"]);
  });

  it("of a ranking that was replaced meanwhile are not mixed into the new one", async () => {
    const answer = service.hold(RANK);
    const more = wall.loadMore();
    ranked({ next_cursor: "other-page-2", photos: photos("5", "6") });
    await wall.rank();
    answer(json(recommendations({ photos: photos("3") })));
    await more;
    expect(shown()).toEqual(["5", "6"]);
    expect(wall.hasMore).toBe(true);
  });

  it("of a ranking that was replaced meanwhile are not missed", async () => {
    const answer = service.hold(RANK);
    const more = wall.loadMore();
    ranked({ next_cursor: "other-page-2", photos: photos("5", "6") });
    await wall.rank();
    answer(refusal(410, "gone", "This page is no more."));
    await more;
    expect(wall.moreError).toBeNull();
  });
});
