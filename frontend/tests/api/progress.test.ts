// Following a pull: until it is over, through broken connections, and no longer than somebody wants to know.

import { beforeEach, expect, it, vi } from "vitest";

import type { ApiError } from "../../src/api/client";
import { followProgress } from "../../src/api/progress";
import { ANNA, progress } from "../examples";
import { json, refusal, startService, unreachable, type Service } from "../service";
import { Stream, watchStreams } from "../streams";

const PLAIN = "GET /users/12037949754%40N01/progress";

let streams: Stream[];
let service: Service;
let told: string[];

beforeEach(() => {
  vi.useFakeTimers();
  streams = watchStreams();
  service = startService();
  told = [];
  return () => vi.useRealTimers();
});

function follow(): () => void {
  return followProgress(ANNA, {
    onProgress: ({ stage, finished }) => told.push(`${stage} ${finished}`),
    onLost: (lost) => told.push(lost ? "lost" : "found"),
    onRefused: (error: ApiError) => told.push(`refused: ${error.message}`),
  });
}

function newest(): Stream {
  const stream = streams.at(-1);
  if (stream === undefined) throw new Error("No stream was opened.");
  return stream;
}

it("tells each step that the stream brings", () => {
  follow();
  newest().bring(progress({ stage: "favorites", finished: 0 }));
  newest().bring(progress({ stage: "neighbors", finished: 5 }));
  expect(newest().url).toBe("/api/users/12037949754%40N01/progress");
  expect(told).toEqual(["found", "favorites 0", "found", "neighbors 5"]);
});

it.each(["done", "failed"] as const)("stops when the pull is %s", async (stage) => {
  follow();
  newest().bring(progress({ stage, finished: 20 }));
  newest().dispatchEvent(new Event("error"));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(["found", `${stage} 20`]);
  expect(newest().readyState).toBe(Stream.CLOSED);
  expect([streams.length, service.calls.length]).toEqual([1, 0]);
});

it("leaves a broken connection to the browser, and says that it is lost until it is back", async () => {
  follow();
  newest().breakOff();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(streams).toHaveLength(1);
  newest().bring(progress({ finished: 6 }));
  expect(told).toEqual(["lost", "found", "neighbors 6"]);
});

it("asks by plain JSON and opens a new stream when the browser gives up", async () => {
  service.on(PLAIN, () => json(progress({ finished: 7 })));
  follow();
  newest().giveUp();
  expect(told).toEqual(["lost"]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told).toEqual(["lost", "found", "neighbors 7"]);
  expect(streams).toHaveLength(2);
});

it("opens no new stream when the plain answer says that the pull is over", async () => {
  service.on(PLAIN, () => json(progress({ stage: "done", finished: 20 })));
  follow();
  newest().giveUp();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(["lost", "found", "done 20"]);
  expect(streams).toHaveLength(1);
});

it("waits longer from time to time while the service stays away, but never longer than 15 seconds", async () => {
  service.on(PLAIN, unreachable);
  follow();
  const pauses: number[] = [];
  for (let attempt = 0; attempt < 7; attempt++) {
    newest().giveUp();
    const opened = streams.length;
    let waited = 0;
    while (streams.length === opened && waited < 60_000) {
      await vi.advanceTimersByTimeAsync(500);
      waited += 500;
    }
    pauses.push(waited);
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
});

it("begins with short pauses again once a stream has brought something", async () => {
  service.on(PLAIN, unreachable);
  follow();
  newest().giveUp();
  await vi.advanceTimersByTimeAsync(1_000);
  newest().bring(progress());
  newest().giveUp();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(streams).toHaveLength(3);
});

it.each([401, 404, 422])("gives up, with the service's words, when it is refused with %i", async (status) => {
  service.on(PLAIN, () => refusal(status, "no", "Not for you."));
  follow();
  newest().giveUp();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(["lost", "refused: Not for you."]);
  expect([streams.length, service.calls.length]).toEqual([1, 1]);
});

it.each([429, 500, 503])("goes on trying after a passing error (%i)", async (status) => {
  service.on(PLAIN, () => refusal(status, "busy", "Try again."));
  follow();
  newest().giveUp();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told).toEqual(["lost"]);
  expect(streams).toHaveLength(2);
});

it("is silent once nobody wants to know any more", async () => {
  const answer = service.hold(PLAIN);
  const stop = follow();
  newest().giveUp();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(service.routes()).toEqual([PLAIN]);
  stop();
  answer(json(progress({ stage: "done" })));
  newest().bring(progress());
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(["lost"]);
  expect(streams).toHaveLength(1);
});

it("asks nothing more when it is stopped during a pause", async () => {
  const stop = follow();
  newest().giveUp();
  stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([streams.length, service.calls.length]).toEqual([1, 0]);
});
