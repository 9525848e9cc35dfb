// Where each photo of the wall goes. What must always hold is tried on many walls, drawn from a seed.

import { describe, expect, it } from "vitest";

import { aspectRatio, CAPTION_HEIGHT, layOut, rememberedLayOut, rowHeight, type Box } from "../../src/wall/layout";
import { photo } from "../examples";

const PHONE = 360;

/** Numbers between 0 and 1, always the same ones for a seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const walls = Array.from({ length: 60 }, (_, seed) => {
  const random = randomNumbers(seed);
  const width = Math.round(280 + random() * 3_600);
  const size = () => ({ width: Math.ceil(random() * 6_000), height: Math.ceil(random() * 6_000) });
  const ratios = Array.from({ length: Math.ceil(random() * 90) }, () => aspectRatio(photo(size())));
  return { name: `seed ${seed}: ${ratios.length} photos on ${width} pixels`, width, ratios };
});

function rowsOf(boxes: Box[]): Box[][] {
  const tops = [...new Set(boxes.map((box) => box.top))];
  return tops.map((top) => boxes.filter((box) => box.top === top));
}

/** How far apart their edges are, at most. */
function distance(one: Box, other: Box | undefined): number {
  const sides = ["left", "top", "width", "height"] as const;
  return other ? Math.max(...sides.map((side) => Math.abs(one[side] - other[side]))) : Infinity;
}

function right(box: Box | undefined): number {
  return (box?.left ?? NaN) + (box?.width ?? NaN);
}

function bottom(box: Box | undefined): number {
  return (box?.top ?? NaN) + (box?.height ?? NaN);
}

describe("whatever the photos and the width, the layout", () => {
  it("has a place for each photo, in the order of the ranking", () => {
    for (const { name, width, ratios } of walls) {
      const { boxes } = layOut(ratios, width, false);
      expect(boxes, name).toHaveLength(ratios.length);
      expect(boxes, name).toEqual(boxes.toSorted((one, other) => one.top - other.top || one.left - other.left));
    }
  });

  it("fills the width with every row but the last, which stays within it", () => {
    for (const { name, width, ratios } of walls) {
      const { boxes } = layOut(ratios, width, false);
      for (const row of rowsOf(boxes).slice(0, -1)) {
        expect(row[0]?.left, name).toBe(0);
        expect(right(row.at(-1)), name).toBeCloseTo(width, 3);
      }
      expect(right(boxes.at(-1)), name).toBeLessThanOrEqual(width + 0.001);
    }
  });

  it("lets no photo touch its neighbor, and none the caption above it", () => {
    for (const { name, width, ratios } of walls) {
      const layout = layOut(ratios, width, false);
      const rows = rowsOf(layout.boxes);
      for (const [place, row] of rows.entries()) {
        const above = place === 0 ? -CAPTION_HEIGHT - 10 : Math.max(...(rows[place - 1] ?? []).map(bottom));
        for (const [column, box] of row.entries()) {
          expect(box.left, name).toBeGreaterThanOrEqual(column === 0 ? 0 : right(row[column - 1]) + 9.999);
          expect(box.top, name).toBeGreaterThanOrEqual(above + CAPTION_HEIGHT + 9.999);
        }
      }
      expect(layout.height, name).toBeCloseTo(bottom(layout.boxes.at(-1)) + CAPTION_HEIGHT, 3);
    }
  });

  it("has the same rows, less an unfinished one, when only whole rows are wanted", () => {
    for (const { name, width, ratios } of walls) {
      const { boxes } = layOut(ratios, width, false);
      const whole = layOut(ratios, width, true);
      expect(whole.boxes, name).toEqual(boxes.slice(0, whole.boxes.length));
      expect(rowsOf(boxes).length - rowsOf(whole.boxes).length, name).toBeLessThanOrEqual(1);
      for (const row of rowsOf(whole.boxes)) expect(right(row.at(-1)), name).toBeCloseTo(width, 3);
    }
  });
});

it("a wall that grows, changes, or gets other room is laid out as if it had always been so", () => {
  for (const [seed, { name, width, ratios }] of walls.entries()) {
    const random = randomNumbers(1_000 + seed);
    const remembered = rememberedLayOut();
    let now = ratios;
    for (let change = 0; change < 8; change++) {
      const place = Math.floor(random() * (now.length + 1));
      const others = walls[Math.floor(random() * walls.length)]?.ratios ?? [];
      now = [...now.slice(0, place), ...others.slice(0, Math.floor(random() * 40)), ...now.slice(place + 1)];
      const [room, whole] = [random() < 0.8 ? width : width + 100, random() < 0.5];
      const [found, expected] = [remembered(now, room, whole), layOut(now, room, whole)];
      expect(found.boxes.length, name).toBe(expected.boxes.length);
      expect(found.height, name).toBeCloseTo(expected.height, 3);
      const apart = expected.boxes.map((box, index) => distance(box, found.boxes[index]));
      expect(Math.max(0, ...apart), name).toBeLessThan(0.001);
    }
  }
});

describe("the layout", () => {
  it("keeps photos in their proportions", () => {
    const ratios = [1.5, 0.67, 1.33, 1, 1.5, 0.75, 1.78, 1.5];
    for (const [place, box] of layOut(ratios, 1_400, false).boxes.entries())
      expect(box.width / box.height).toBeCloseTo(ratios[place] ?? NaN, 1);
  });

  it("is empty without photos and without room", () => {
    expect(layOut([], 1_000, false)).toEqual({ boxes: [], height: 0 });
    expect(layOut([1.5, 1], 0, false)).toEqual({ boxes: [], height: 0 });
  });

  it("shows a single photo, unless only whole rows are wanted", () => {
    expect(layOut([1], 1_400, false).boxes).toHaveLength(1);
    expect(layOut([1], 1_400, true)).toEqual({ boxes: [], height: 0 });
  });

  it("gives a phone one landscape photo a row, over the whole width", () => {
    const { boxes } = layOut([1.5, 1.5, 1.5], PHONE, false);
    expect(boxes.map((box) => [box.left, box.width])).toEqual([
      [0, PHONE],
      [0, PHONE],
      [0, PHONE],
    ]);
  });
});

describe("the height of a row", () => {
  it.each([
    [PHONE, 250],
    [1_860, 300],
    [3_840, 420],
  ])("at a width of %i is %i", (width, height) => {
    expect(rowHeight(width)).toBe(height);
  });
});

describe("an aspect ratio", () => {
  it("is the width over the height", () => {
    expect(aspectRatio(photo({ width: 800, height: 1_000 }))).toBe(0.8);
  });

  it("is taken from one of the files when the photo's own size is unknown", () => {
    const sizes = {
      m: { url: "m.jpg", width: null, height: 240 },
      z: { url: "z.jpg", width: 640, height: 480 },
    };
    expect(aspectRatio(photo({ width: null, height: null, sizes }))).toBeCloseTo(4 / 3);
  });

  it.each([
    ["unknown", null, null],
    ["half known", 1_000, null],
    ["nonsense", 0, 0],
  ])("is 3:2 when the size is %s", (_what, width, height) => {
    expect(aspectRatio(photo({ width, height }))).toBe(1.5);
  });

  it("of a panorama, lying or standing, is cut to what a wall can show", () => {
    expect(aspectRatio(photo({ width: 10_000, height: 500 }))).toBe(3.2);
    expect(aspectRatio(photo({ width: 500, height: 10_000 }))).toBe(0.45);
  });
});
