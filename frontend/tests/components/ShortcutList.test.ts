// The list of keys, and doing without them.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { beforeEach, expect, it } from "vitest";

import ShortcutList from "../../src/components/ShortcutList.vue";
import { shortcutsOn, turnShortcuts } from "../../src/wall/keys";
import { byTestId, mountAt } from "../mounting";

beforeEach(() => () => turnShortcuts(true));

async function list(own = true): Promise<VueWrapper> {
  return (await mountAt("/", ShortcutList, { own })).page;
}

async function press(key: string): Promise<void> {
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  await flushPromises();
}

function isOpen(page: VueWrapper): boolean {
  return page.get<HTMLDialogElement>(byTestId("shortcuts")).element.open;
}

it("opens by ? and by its button, and closes by its own", async () => {
  const page = await list();
  expect(isOpen(page)).toBe(false);
  await press("?");
  expect(isOpen(page)).toBe(true);
  await page.get("[aria-label=Close]").trigger("click");
  expect(isOpen(page)).toBe(false);
  await page.get(byTestId("open-shortcuts")).trigger("click");
  expect(isOpen(page)).toBe(true);
});

it("names what can be done on one's own wall there alone", async () => {
  for (const own of [true, false]) {
    const page = await list(own);
    await page.get(byTestId("open-shortcuts")).trigger("click");
    expect(page.text().includes("Dismiss")).toBe(own);
    expect(page.text()).toContain("Next photo");
  }
});

it("turns the letters off, after which ? opens nothing, but the button does", async () => {
  const page = await list();
  await page.get(byTestId("open-shortcuts")).trigger("click");
  await page.get(byTestId("shortcuts-on")).setValue(false);
  expect(shortcutsOn.value).toBe(false);
  await page.get("[aria-label=Close]").trigger("click");
  await press("?");
  expect(isOpen(page)).toBe(false);
  await page.get(byTestId("open-shortcuts")).trigger("click");
  expect(isOpen(page)).toBe(true);
});
