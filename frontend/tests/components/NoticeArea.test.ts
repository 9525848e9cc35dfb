// Notices at the foot of the page: read, acted upon, closed, and held while somebody is at them.

import type { VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { nextTick } from "vue";

import NoticeArea from "../../src/components/NoticeArea.vue";
import { NOTICE_MS, useNotices } from "../../src/stores/notices";
import { byTestId, mountAt } from "../mounting";

let notices: ReturnType<typeof useNotices>;
let page: VueWrapper;

beforeEach(async () => {
  vi.useFakeTimers();
  setActivePinia(createPinia());
  notices = useNotices();
  ({ page } = await mountAt("/", NoticeArea));
  return () => vi.useRealTimers();
});

function messages(): string[] {
  return page.findAll(".message").map((message) => message.text());
}

async function wait(milliseconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds);
}

it("shows each notice, an error as an alert", async () => {
  notices.show("You are signed out.");
  notices.showError("The disk is full.");
  await nextTick();
  expect(messages()).toEqual(["You are signed out.", "The disk is full."]);
  expect(page.find(`${byTestId("notice")} [role]`).exists()).toBe(false);
  expect(page.get(`${byTestId("error-notice")} [role=alert]`).text()).toBe("The disk is full.");
});

it("keeps a place that only a screen reader reads", async () => {
  notices.announce("Taken back.");
  await nextTick();
  expect(page.get(byTestId("announcement")).text()).toBe("Taken back.");
  expect(page.get(byTestId("announcement")).attributes("aria-live")).toBe("polite");
  expect(messages()).toEqual([]);
});

it("does what a notice offers, once: the notice goes", async () => {
  const undo = vi.fn();
  notices.show("Dismissed.", [{ label: "Undo", testId: "undo", run: undo }]);
  await nextTick();
  await page.get(byTestId("undo")).trigger("click");
  expect(undo).toHaveBeenCalledOnce();
  expect(messages()).toEqual([]);
});

it("closes a notice without doing what it offers", async () => {
  const undo = vi.fn();
  notices.show("Dismissed.", [{ label: "Undo", testId: "undo", run: undo }]);
  await nextTick();
  await page.get("[aria-label='Close this notice']").trigger("click");
  expect(undo).not.toHaveBeenCalled();
  expect(messages()).toEqual([]);
});

describe("a notice stays", () => {
  beforeEach(async () => {
    notices.show("first", [{ label: "Undo", testId: "undo", run: () => undefined }]);
    notices.show("second");
    await nextTick();
  });

  it.each([
    ["the pointer is", "mouseenter", "mouseleave"],
    ["the keyboard is", "focusin", "focusout"],
  ])("while %s on it, and leaves some time after", async (_what, come, go) => {
    await page.get("[role=region]").trigger(come);
    await wait(NOTICE_MS * 10);
    expect(messages()).toEqual(["first", "second"]);
    await page.get("[role=region]").trigger(go);
    await wait(NOTICE_MS - 1);
    expect(messages()).toEqual(["first", "second"]);
    await wait(1);
    expect(messages()).toEqual([]);
  });

  it("while the keyboard is on it, though the pointer has come and gone", async () => {
    await page.get("[role=region]").trigger("focusin");
    await page.get("[role=region]").trigger("mouseenter");
    await page.get("[role=region]").trigger("mouseleave");
    await wait(NOTICE_MS * 10);
    expect(messages()).toEqual(["first", "second"]);
  });

  it("no longer because of one that was taken from under the pointer", async () => {
    await page.get("[role=region]").trigger("mouseenter");
    await page.get("[role=region]").trigger("focusin");
    await page.get(byTestId("undo")).trigger("click");
    expect(messages()).toEqual(["second"]);
    await wait(NOTICE_MS);
    expect(messages()).toEqual([]);
  });
});
