// Which file of a photo is offered, and where its photographer is found.

import { expect, it } from "vitest";

import { altText, personPage, sourceSet } from "../../src/wall/images";
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
