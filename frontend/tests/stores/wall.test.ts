// The wall that is open: what was ranked for it, page by page, and the pull that makes it better meanwhile.

import { flushPromises } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";

import type { Progress, Recommendations } from "../../src/api/types";
import { useActions } from "../../src/stores/actions";
import { useNotices } from "../../src/stores/notices";
import { useSession } from "../../src/stores/session";
import { useWall } from "../../src/stores/wall";
import { ANNA, BEN, person, photo, photos, progress, recommendations, recommendedPerson } from "../examples";
import { json, refusal, startService, unreachable, type Service } from "../service";
import { Stream, watchStreams } from "../streams";

const RANK = "GET /users/12037949754%40N01/recommendations";
const PULL = "POST /users/12037949754%40N01/pull";
const RANK_BEN = "GET /users/47058503995%40N01/recommendations";
const PULL_BEN = "POST /users/47058503995%40N01/pull";

let service: Service;
let streams: Stream[];
let wall: ReturnType<typeof useWall>;

beforeEach(() => {
  setActivePinia(createPinia());
  service = startService({ user: person() });
  streams = watchStreams();
  ranked({});
  pulled({ stage: "done" });
  wall = useWall();
  window.scrollTo({ top: 0 });
  return () => wall.close();
});

function ranked(changes: Partial<Recommendations>): void {
  service.on(RANK, () => json(recommendations(changes)));
}

function pulled(changes: Partial<Progress>): void {
  service.on(PULL, () => json(progress(changes), 202));
}

function shown(): string[] {
  return wall.photos.map((each) => each.photo_id);
}

function stream(): Stream {
  expect(streams).not.toEqual([]);
  return streams.at(-1) as Stream;
}

describe("opening a wall", () => {
  it("shows what is known now, and asks for a pull meanwhile", async () => {
    const answer = service.hold(RANK);
    const opening = wall.open(ANNA);
    expect(wall.loading).toBe(true);
    await flushPromises();
    expect(service.routes()).toEqual(expect.arrayContaining([RANK, PULL]));
    answer(json(recommendations({ user: person({ name: "Anna" }), strategy: "popular" })));
    await opening;
    expect(shown()).toEqual(["1", "2", "3"]);
    expect(wall.person?.name).toBe("Anna");
    expect(wall.standing?.strategy).toBe("popular");
    expect(wall.loading).toBe(false);
  });

  it("is one's own only for the person who is signed in", async () => {
    await wall.open(ANNA);
    expect(wall.own).toBe(false);
    await useSession().load();
    expect(wall.own).toBe(true);
    service.session.user = person({ user_id: BEN });
    await useSession().reload();
    expect(wall.own).toBe(false);
  });

  it("that the service refuses says why, and tries again", async () => {
    service.on(RANK, () => refusal(404, "not_found", "Flickr knows nobody like that."));
    await wall.open(ANNA);
    expect(wall.error).toMatchObject({ status: 404, message: "Flickr knows nobody like that." });
    ranked({});
    await wall.open(ANNA);
    expect(wall.error).toBeNull();
    expect(shown()).toEqual(["1", "2", "3"]);
  });

  it("forgets the wall before it", async () => {
    ranked({ next_cursor: "2", people: [recommendedPerson()] });
    await wall.open(ANNA);
    service.hold(RANK_BEN);
    service.on(PULL_BEN, () => json(progress({ stage: "done" }), 202));
    void wall.open(BEN);
    expect(wall).toMatchObject({ userId: BEN, person: null, standing: null, photos: [], people: [], hasMore: false });
  });
});

describe("an answer that comes late", () => {
  beforeEach(() => {
    service.on(RANK_BEN, () => json(recommendations({ user: person({ name: "Ben" }), photos: photos("8", "9") })));
    service.on(PULL_BEN, () => json(progress({ stage: "done" }), 202));
  });

  it("to an earlier wall's ranking changes nothing", async () => {
    const answer = service.hold(RANK);
    const earlier = wall.open(ANNA);
    await wall.open(BEN);
    answer(json(recommendations()));
    await earlier;
    expect(shown()).toEqual(["8", "9"]);
    expect(wall.person?.name).toBe("Ben");
  });

  it("as an error, to an earlier wall's ranking, says nothing", async () => {
    const answer = service.hold(RANK);
    const earlier = wall.open(ANNA);
    await wall.open(BEN);
    answer(refusal(500, "internal", "Something went wrong."));
    await earlier;
    expect(wall.error).toBeNull();
    expect(useNotices().notices).toEqual([]);
  });

  it("to an earlier wall's further page changes nothing", async () => {
    const sameCursor = { next_cursor: "page-2" };
    ranked(sameCursor);
    service.on(RANK_BEN, () => json(recommendations({ photos: photos("8", "9"), ...sameCursor })));
    await wall.open(ANNA);
    const answer = service.hold(RANK);
    const more = wall.loadMore();
    await wall.open(BEN);
    answer(json(recommendations({ photos: photos("4") })));
    await more;
    expect(shown()).toEqual(["8", "9"]);
    expect(wall.loadingMore).toBe(false);
  });

  it("to an earlier wall's pull follows nothing", async () => {
    const answer = service.hold(PULL);
    const earlier = wall.open(ANNA);
    await wall.open(BEN);
    answer(json(progress({ stage: "queued" }), 202));
    await earlier;
    expect(streams).toEqual([]);
    expect(wall.pulling).toBe(false);
  });

  it("from a ranking that was asked for before the one on show changes nothing", async () => {
    await wall.open(ANNA);
    const answer = service.hold(RANK);
    const earlier = wall.rank();
    ranked({ photos: photos("5", "6") });
    await wall.rank();
    answer(json(recommendations({ photos: photos("1", "2") })));
    await earlier;
    expect(shown()).toEqual(["5", "6"]);
    expect(wall.loading).toBe(false);
  });

  it("from a stream of a wall that was left changes nothing", async () => {
    pulled({ stage: "queued" });
    await wall.open(ANNA);
    wall.close();
    expect(stream().readyState).toBe(Stream.CLOSED);
    stream().bring(progress({ stage: "neighbors" }));
    expect(wall.progress).toBeNull();
  });
});

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

  it("is offered on one's own wall after a fave, until it is done", async () => {
    service.on("PUT /me/favorites/1", () => json({}));
    await useSession().load();
    await wall.open(ANNA);
    await useActions().setFaved(photo(), true);
    expect(wall.newRanking).toBe(true);
    await wall.rank();
    expect(wall.newRanking).toBe(false);
  });

  it("is not offered on somebody else's wall, which no fave of mine changes", async () => {
    service.on("PUT /me/favorites/1", () => json({}));
    service.session.user = person({ user_id: BEN });
    await useSession().load();
    await wall.open(ANNA);
    await useActions().setFaved(photo(), true);
    expect(wall.newRanking).toBe(false);
  });

  it("is still offered when the fave came while a ranking was under way", async () => {
    service.on("PUT /me/favorites/1", () => json({}));
    await useSession().load();
    await wall.open(ANNA);
    const answer = service.hold(RANK);
    const ranking = wall.rank();
    await useActions().setFaved(photo(), true);
    answer(json(recommendations()));
    await ranking;
    expect(wall.newRanking).toBe(true);
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

describe("a dismissal", () => {
  beforeEach(async () => {
    service.hold("PUT /me/dismissals/photos/1");
    service.hold("PUT /me/dismissals/people/47058503995%40N01");
    const others = photo({ photo_id: "2", owner_id: "9@N00", owner_name: "Cleo" });
    ranked({
      photos: [photo({ photo_id: "1" }), others, photo({ photo_id: "3" })],
      people: [recommendedPerson({ user_id: BEN }), recommendedPerson({ user_id: "9@N00", name: "Cleo" })],
    });
    await wall.open(ANNA);
  });

  it("takes the photo off the wall at once", () => {
    void useActions().dismissPhoto(photo({ photo_id: "1" }));
    expect(shown()).toEqual(["2", "3"]);
  });

  it("takes a person's every photo off the wall at once, and the person", () => {
    void useActions().dismissPerson({ user_id: BEN, name: "Ben" });
    expect(shown()).toEqual(["2"]);
    expect(wall.people.map((someone) => someone.user_id)).toEqual(["9@N00"]);
  });
});

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

describe("a picture that does not load", () => {
  const REPORT = "POST /photos/2/broken";
  const loaded = (): void => wall.pictureLoaded();
  const broken = (id: string): void => wall.pictureBroken(photo({ photo_id: id }));

  beforeEach(async () => {
    service.on(REPORT, () => new Response(null, { status: 204 }));
    await wall.open(ANNA);
  });

  it("takes its photo off the wall and is reported once, when others do load", async () => {
    loaded();
    broken("2");
    broken("2");
    await flushPromises();
    expect(shown()).toEqual(["1", "3"]);
    expect(service.callsOf(REPORT)).toHaveLength(1);
  });

  it("before any has loaded is blamed on the connection, until one loads", async () => {
    broken("2");
    await flushPromises();
    expect(shown()).toEqual(["1", "2", "3"]);
    expect(service.callsOf(REPORT)).toEqual([]);
    loaded();
    await flushPromises();
    expect(shown()).toEqual(["1", "3"]);
    expect(service.callsOf(REPORT)).toHaveLength(1);
  });

  it("while the browser is offline is nobody's fault", async () => {
    loaded();
    vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);
    broken("2");
    await flushPromises();
    expect(shown()).toEqual(["1", "2", "3"]);
    expect(service.callsOf(REPORT)).toEqual([]);
  });

  it("stays off the wall when it is ranked anew", async () => {
    loaded();
    broken("2");
    await wall.rank();
    expect(shown()).toEqual(["1", "3"]);
  });

  it("is hidden though the report is refused, and nobody is bothered", async () => {
    service.on(REPORT, unreachable);
    loaded();
    broken("2");
    await flushPromises();
    expect(shown()).toEqual(["1", "3"]);
    expect(useNotices().notices).toEqual([]);
  });
});
