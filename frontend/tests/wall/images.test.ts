// Which file of a photo is offered, and where its photographer is found.

import { describe, expect, it } from "vitest";

import { altText, fit, groundHue, personPage, sourceSet } from "../../src/wall/images";
import { BEN, photo } from "../examples";

function size(url: string, width: number | null): { url: string; width: number | null; height: number | null } {
  return { url, width, height: null };
}

it("offers the browser every size of known width, smallest first", () => {
  const sizes = { l: size("l.jpg", 1024), m: size("m.jpg", 240), o: size("o.jpg", null), z: size("z.jpg", 640) };
  expect(sourceSet({ sizes })).toBe("m.jpg 240w, z.jpg 640w, l.jpg 1024w");
});

it("offers no square crop, which would show another picture", () => {
  const sizes = { s: size("s.jpg", 75), sq: size("sq.jpg", 75), q: size("q.jpg", 150), m: size("m.jpg", 240) };
  expect(sourceSet({ sizes })).toBe("m.jpg 240w");
});

it("offers nothing of a photo without sizes", () => {
  expect(sourceSet({ sizes: {} })).toBe("");
});

it("finds a person on the Flickr that the photo is on", () => {
  expect(personPage(BEN, "http://localhost:5000/photos/x/1/")).toBe("http://localhost:5000/people/47058503995%40N01/");
  expect(personPage(BEN, undefined)).toBe("https://www.flickr.com/people/47058503995%40N01/");
});

it("describes a photo by its title, or by whose it is", () => {
  expect(altText(photo({ title: "Fog" }))).toBe("Fog");
  expect(altText(photo({ title: "", owner_name: "Ben" }))).toBe("Untitled photo by Ben");
});

describe("the largest picture that fits", () => {
  const room = { width: 1_000, height: 600 };
  const size = (width: number, height: number) => ({ url: "b.jpg", width, height });

  it.each([
    ["a landscape, by its width", size(3_000, 1_500), { width: 1_000, height: 500 }],
    ["a portrait, by its height", size(1_000, 2_000), { width: 300, height: 600 }],
    ["a small one, at most twice its size", size(320, 160), { width: 640, height: 320 }],
    ["a panorama, uncropped", size(8_000, 800), { width: 1_000, height: 100 }],
  ])("is, for %s", (_what, b, expected) => {
    expect(fit(photo({ width: 1, height: 1, sizes: { b } }), room)).toEqual(expected);
  });

  it("goes by the photo's own size when no file's is known", () => {
    expect(fit(photo({ width: 400, height: 400, sizes: {} }), room)).toEqual({ width: 600, height: 600 });
  });
});

it("the ground where a picture will be has a color of its own, always the same", () => {
  const hues = Array.from({ length: 100 }, (_, id) => groundHue(String(52_000_000_000 + id)));
  expect(hues.every((hue) => Number.isInteger(hue) && hue >= 0 && hue < 360)).toBe(true);
  expect(new Set(hues).size).toBeGreaterThan(50);
  expect(groundHue("52000000000")).toBe(hues[0]);
});
