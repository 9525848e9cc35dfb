// The wall that is open: what is shown of it, whoever answers late, and what leaves it.

import { flushPromises } from "@vue/test-utils";
import { beforeEach, describe, expect, it } from "vitest";

import { useActions } from "../../src/stores/actions";
import { useNotices } from "../../src/stores/notices";
import { useSession } from "../../src/stores/session";
import { ANNA, BEN, person, photo, photos, progress, recommendations, recommendedPerson } from "../examples";
import { json, refusal } from "../service";
import { Stream } from "../streams";
import { beginAtWall, PULL, pulled, RANK, ranked, service, shown, stream, streams, wall } from "./openWall";

const RANK_BEN = "GET /users/47058503995%40N01/recommendations";
const PULL_BEN = "POST /users/47058503995%40N01/pull";

beginAtWall();

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
