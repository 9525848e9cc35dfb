// A wall to open: a service that ranks it and reads its favorites as a test says, and what is shown of it.

import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect } from "vitest";

import type { Progress, Recommendations } from "../../src/api/types";
import { useWall } from "../../src/stores/wall";
import { person, progress, recommendations } from "../examples";
import { json, startService, type Service } from "../service";
import { watchStreams, type Stream } from "../streams";

export const RANK = "GET /users/12037949754%40N01/recommendations";
export const PULL = "POST /users/12037949754%40N01/pull";

export let service: Service;
export let streams: Stream[];
export let wall: ReturnType<typeof useWall>;

/** Before each test: fresh stores, a wall that can be ranked, and a pull that is done. */
export function beginAtWall(): void {
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
}

export function ranked(changes: Partial<Recommendations>): void {
  service.on(RANK, () => json(recommendations(changes)));
}

export function pulled(changes: Partial<Progress>): void {
  service.on(PULL, () => json(progress(changes), 202));
}

export function shown(): string[] {
  return wall.photos.map((each) => each.photo_id);
}

export function stream(): Stream {
  expect(streams).not.toEqual([]);
  return streams.at(-1) as Stream;
}
