// Moments as a person would name them, and names as a person types them.

import { describe, expect, it } from "vitest";

import { lastRead, moment, namesPerson, nextRead, possibleFrom } from "../../src/account/words";
import { account, ANNA, person } from "../examples";

const now = new Date(2026, 10, 25, 14, 30);

it.each([
  [new Date(2026, 10, 25, 9, 5), "today at 09:05"],
  [new Date(2026, 10, 25, 23, 59), "today at 23:59"],
  [new Date(2026, 10, 24, 23, 59), "yesterday at 23:59"],
  [new Date(2026, 10, 26, 0, 0), "tomorrow at 00:00"],
  [new Date(2026, 10, 28, 8, 0), "on Saturday"],
  [new Date(2026, 10, 23, 8, 0), "on November 23"],
  [new Date(2026, 11, 2, 8, 0), "on December 2"],
  [new Date(2025, 0, 15, 8, 0), "on January 15, 2025"],
])("names %s as %s", (at, words) => {
  expect(moment(at, now)).toBe(words);
});

describe("when the favorites are read", () => {
  const at = (date: Date): string => date.toISOString();

  it("says when that was, and by when it is again", () => {
    const held = account({
      favorites_pulled_at: at(new Date(2026, 10, 25, 9, 5)),
      refresh_due_by: at(new Date(2026, 10, 28, 9, 5)),
    });
    expect(lastRead(held, now)).toBe("Your favorites were read today at 09:05.");
    expect(nextRead(held, now)).toBe("They are read again by themselves, on Saturday at the latest.");
  });

  it("says so when it never was", () => {
    const held = account({ favorites_pulled_at: null, refresh_due_by: null });
    expect(lastRead(held, now)).toBe("Your favorites were not read yet.");
    expect(nextRead(held, now)).toContain("once you open your wall");
  });

  it("promises nothing to who was away for long, and no moment that is over", () => {
    expect(nextRead(account({ refresh_due_by: null }), now)).toContain("long absence");
    expect(nextRead(account({ refresh_due_by: at(new Date(2026, 10, 24)) }), now)).toContain("their turn");
  });

  it("may be asked for unless it was a moment ago", () => {
    const soon = new Date(2026, 10, 25, 14, 40);
    expect(possibleFrom(account({ refresh_possible_at: null }), now)).toBeNull();
    expect(possibleFrom(account({ refresh_possible_at: at(soon) }), now)).toEqual(soon);
    expect(possibleFrom(account({ refresh_possible_at: at(soon) }), soon)).toBeNull();
  });
});

describe("a name that is typed", () => {
  const anna = person({ name: "Anna Åström" });

  it.each(["Anna Åström", "  Anna Åström ", "Anna Åström".normalize("NFD"), ANNA])("is meant: %s", (typed) => {
    expect(namesPerson(typed, anna)).toBe(true);
  });

  it.each(["", " ", "anna åström", "Anna", "Anna Åström!", "12037949754"])("is not meant: %s", (typed) => {
    expect(namesPerson(typed, anna)).toBe(false);
  });

  it("is not meant when nothing is typed and the name is nothing either", () => {
    expect(namesPerson(" ", person({ name: " " }))).toBe(false);
    expect(namesPerson(ANNA, person({ name: " " }))).toBe(true);
  });
});
