// What lies below the screen after a fave or dismissal: ranked anew, without touching what is on the screen.

import { flushPromises } from "@vue/test-utils";
import { beforeEach, expect, it } from "vitest";

import { useActions } from "../../src/stores/actions";
import { useNotices } from "../../src/stores/notices";
import { useSession } from "../../src/stores/session";
import { ANNA, photo, photos, recommendations } from "../examples";
import { json, unreachable } from "../service";
import { beginAtWall, RANK, ranked, service, shown, wall } from "./openWall";

beginAtWall();

const pages = {
  first: { photos: photos("1", "2", "3"), next_cursor: "page-2" },
  second: { photos: photos("4", "5", "6"), next_cursor: "page-3" },
};

beforeEach(async () => {
  await useSession().load();
  ranked(pages.first);
  await wall.open(ANNA);
  ranked(pages.second);
  await wall.loadMore();
});

function cursors(): (string | null)[] {
  return service.callsOf(RANK).map((call) => call.query.get("cursor"));
}

it("is replaced by the new ranking, and what is on the screen or above it stays", async () => {
  ranked({ photos: photos("7", "1", "8"), next_cursor: "new-2" });
  await wall.learn(() => 2);
  expect(shown()).toEqual(["1", "2", "7", "8"]);
  expect(cursors()).toEqual([null, "page-2", null]);
});

it("is asked for from the last page's end above, so that nothing above comes again", async () => {
  ranked({ photos: photos("7", "4", "8"), next_cursor: "new-3" });
  await wall.learn(() => 4);
  expect(shown()).toEqual(["1", "2", "3", "4", "7", "8"]);
  expect(cursors().at(-1)).toBe("page-2");
  ranked({ photos: photos("9", "3") });
  await wall.loadMore();
  expect(cursors().at(-1)).toBe("new-3");
  expect(shown()).toEqual(["1", "2", "3", "4", "7", "8", "9"]);
});

it("is replaced once more from where the new ranking begins", async () => {
  ranked({ photos: photos("7", "8", "9"), next_cursor: "new-2" });
  await wall.learn(() => 3);
  ranked({ photos: photos("10"), next_cursor: "new-3" });
  await wall.learn(() => 5);
  expect(cursors().slice(2)).toEqual(["page-2", "page-2"]);
  expect(shown()).toEqual(["1", "2", "3", "7", "8", "10"]);
});

it("begins where the person is when the answer comes, though they scrolled on meanwhile", async () => {
  let reached = 2;
  const answer = service.hold(RANK);
  const learning = wall.learn(() => reached);
  reached = 5;
  await flushPromises();
  answer(json(recommendations({ photos: photos("7", "8"), next_cursor: "new-2" })));
  await learning;
  expect(shown()).toEqual(["1", "2", "3", "4", "5", "7", "8"]);
});

it("begins behind photos that were dismissed above, which stay where an undo brings them back", async () => {
  service.on("PUT /me/dismissals/photos/1", () => json({}));
  service.on("DELETE /me/dismissals/photos/1", () => json({}));
  await useActions().dismissPhoto(photo());
  ranked({ photos: photos("7"), next_cursor: "new-2" });
  await wall.learn(() => 2);
  expect(shown()).toEqual(["2", "3", "7"]);
  useActions().undoLast();
  expect(shown()).toEqual(["1", "2", "3", "7"]);
});

it("is left alone when all of the wall is on the screen", async () => {
  await wall.learn(() => 6);
  await wall.learn(() => 7);
  expect(service.callsOf(RANK)).toHaveLength(2);
});

it("that can't be ranked stays as it is, and the new ranking is offered until there is one", async () => {
  service.on(RANK, unreachable);
  await wall.learn(() => 2);
  expect(shown()).toEqual(["1", "2", "3", "4", "5", "6"]);
  expect(useNotices().notices).toEqual([]);
  expect(wall.newRanking).toBe(true);
  ranked(pages.first);
  await wall.rank();
  expect(wall.newRanking).toBe(false);
});

it("is not replaced by an answer that a newer ranking has overtaken", async () => {
  const answer = service.hold(RANK);
  const learning = wall.learn(() => 2);
  ranked({ photos: photos("11", "12") });
  await wall.rank();
  answer(json(recommendations({ photos: photos("7", "8") })));
  await learning;
  expect(shown()).toEqual(["11", "12"]);
  expect(wall.loading).toBe(false);
});
