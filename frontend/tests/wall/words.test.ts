// What the site says of the ranking and of the pull.

import { describe, expect, it } from "vitest";

import type { Stage, Strategy } from "../../src/api/types";
import { count, stageWords, strategyWords, timeLeft } from "../../src/wall/words";

const YOU = { name: "Anna", own: true };
const ANNA = { name: "Anna", own: false };

function standing(strategy: Strategy, changes: { degraded?: boolean; coverage?: number } = {}) {
  return { strategy, degraded: false, coverage: 1, ...changes };
}

it.each([
  [0, "0 favorites"],
  [1, "1 favorite"],
  [12_345, "12,345 favorites"],
])("counts %i", (number, words) => {
  expect(count(number, "favorite")).toBe(words);
});

it("counts what has a plural of its own", () => {
  expect(count(2, "person", "people")).toBe("2 people");
});

describe("the ranking", () => {
  it.each<[Strategy, string]>([
    ["personalized", "Ranked by your taste, learned from your favorites."],
    ["neighbors", "Ranked by the favorites of photographers you like."],
    ["popular", "Photos that many people fave: too little is known of your taste."],
  ])("of one's own wall is %s", (strategy, words) => {
    expect(strategyWords(standing(strategy), YOU, false)).toBe(words);
  });

  it.each<[Strategy, string]>([
    ["personalized", "Ranked by Anna’s taste, learned from their favorites."],
    ["neighbors", "Ranked by the favorites of photographers Anna likes."],
    ["popular", "Photos that many people fave: too little is known of Anna’s taste."],
  ])("of somebody else's wall is %s", (strategy, words) => {
    expect(strategyWords(standing(strategy), ANNA, false)).toBe(words);
  });

  it.each<[Strategy, string]>([
    ["personalized", "Ranked by your taste, with a part of the ranking missing right now."],
    ["popular", "Photos that many people fave: your ranking is out of reach right now."],
  ])("says what is missing from %s", (strategy, words) => {
    expect(strategyWords(standing(strategy, { degraded: true }), YOU, false)).toBe(words);
  });

  it("of popular photos waits for the favorites that are being read", () => {
    expect(strategyWords(standing("popular", { degraded: true }), YOU, true)).toBe(
      "Photos that many people fave, while your favorites are being read.",
    );
  });

  it.each([
    [0, ""],
    [0.004, ""],
    [0.426, " (42 % of them read so far)"],
    [0.999, " (99 % of them read so far)"],
    [1, ""],
  ])("by neighbors tells a coverage of %d", (coverage, words) => {
    const expected = `Ranked by the favorites of photographers you like${words}.`;
    expect(strategyWords(standing("neighbors", { coverage }), YOU, true)).toBe(expected);
  });
});

it.each<[Stage, string]>([
  ["unknown", "Waiting for a turn"],
  ["queued", "Waiting for a turn"],
  ["favorites", "Reading Anna’s favorites"],
  ["neighbors", "Reading the favorites of photographers Anna likes"],
  ["done", "Everything is read"],
  ["failed", "Reading stopped"],
])("tells the stage %s", (stage, words) => {
  expect(stageWords(stage, ANNA)).toBe(words);
});

it.each([
  [null, ""],
  [0, ""],
  [0.4, "about 5 seconds left"],
  [21, "about 25 seconds left"],
  [60, "about 1 minute left"],
  [200, "about 3 minutes left"],
])("tells that %d seconds are left", (seconds, words) => {
  expect(timeLeft(seconds)).toBe(words);
});
