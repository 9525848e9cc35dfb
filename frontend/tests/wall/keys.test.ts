// Keys that act by themselves, and when they must not.

import { beforeEach, expect, it } from "vitest";
import { defineComponent, h } from "vue";

import { shortcutsOn, turnShortcuts, useKeys } from "../../src/wall/keys";
import { mountAt } from "../mounting";

let pressed: string[];

const Page = defineComponent(() => {
  useKeys(() => ({
    j: (held) => pressed.push(held ? "j held" : "j"),
    Escape: () => pressed.push("Escape"),
  }));
  return () =>
    h("div", [
      h("a", { href: "#" }),
      h("input"),
      h("textarea"),
      h("select"),
      h("p", { contenteditable: "true" }),
      h("dialog", [h("button")]),
    ]);
});

beforeEach(() => {
  pressed = [];
  return () => turnShortcuts(true);
});

function press(target: Element, key: string, how: KeyboardEventInit = {}): KeyboardEvent {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...how });
  target.dispatchEvent(event);
  return event;
}

it("act wherever the focus is, and are told when they are held down", async () => {
  const { page } = await mountAt("/", Page);
  expect(press(page.get("a").element, "j").defaultPrevented).toBe(true);
  press(document.body, "j", { repeat: true });
  expect(press(document.body, "x").defaultPrevented).toBe(false);
  expect(pressed).toEqual(["j", "j held"]);
});

it.each(["input", "textarea", "select", "p", "dialog button"])("are left to %s", async (field) => {
  const { page } = await mountAt("/", Page);
  expect(press(page.get(field).element, "j").defaultPrevented).toBe(false);
  press(page.get(field).element, "Escape");
  expect(pressed).toEqual([]);
});

it.each([{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { isComposing: true }])(
  "do nothing with %o",
  async (how) => {
    await mountAt("/", Page);
    press(document.body, "j", how);
    expect(pressed).toEqual([]);
  },
);

it("do nothing any more when the page has gone", async () => {
  const { page } = await mountAt("/", Page);
  page.unmount();
  press(document.body, "j");
  expect(pressed).toEqual([]);
});

it("that are a character can be turned off, which this browser remembers", async () => {
  await mountAt("/", Page);
  turnShortcuts(false);
  press(document.body, "j");
  press(document.body, "Escape");
  expect(pressed).toEqual(["Escape"]);
  expect(shortcutsOn.value).toBe(false);
  expect(localStorage.getItem("single-key-shortcuts")).toBe("off");
  turnShortcuts(true);
  press(document.body, "j");
  expect(pressed).toEqual(["Escape", "j"]);
});
