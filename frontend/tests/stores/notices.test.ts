// Notices leave by themselves after a while, but not from under somebody's eyes.

import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";

import { NOTICE_MS, useNotices } from "../../src/stores/notices";

let notices: ReturnType<typeof useNotices>;

beforeEach(() => {
  vi.useFakeTimers();
  setActivePinia(createPinia());
  notices = useNotices();
  return () => vi.useRealTimers();
});

function messages(): string[] {
  return notices.notices.map((notice) => notice.message);
}

it("leave after a while, each in its own time", () => {
  notices.show("first");
  vi.advanceTimersByTime(NOTICE_MS - 1_000);
  notices.showError("second");
  expect(messages()).toEqual(["first", "second"]);
  vi.advanceTimersByTime(1_000);
  expect(messages()).toEqual(["second"]);
  vi.advanceTimersByTime(NOTICE_MS - 1_000);
  expect(messages()).toEqual([]);
});

it("stay while they are held, those that come meanwhile too", () => {
  notices.show("first");
  notices.hold();
  notices.show("second");
  vi.advanceTimersByTime(NOTICE_MS * 10);
  expect(messages()).toEqual(["first", "second"]);
});

it("have their whole time again once they are released", () => {
  notices.show("read");
  vi.advanceTimersByTime(NOTICE_MS - 1);
  notices.hold();
  notices.release();
  vi.advanceTimersByTime(NOTICE_MS - 1);
  expect(messages()).toEqual(["read"]);
  vi.advanceTimersByTime(1);
  expect(messages()).toEqual([]);
});

it("have their whole time again when they are released without having been held", () => {
  notices.show("read");
  vi.advanceTimersByTime(NOTICE_MS - 1);
  notices.release();
  vi.advanceTimersByTime(NOTICE_MS - 1);
  expect(messages()).toEqual(["read"]);
});

it("go at once when they are closed, and only they", () => {
  const first = notices.show("first");
  notices.show("second");
  notices.close(first);
  expect(messages()).toEqual(["second"]);
});

it("that only a screen reader hears are heard again when they are the same", () => {
  notices.announce("Taken back.");
  const heard = notices.announcement;
  notices.announce("Taken back.");
  expect(notices.announcement).not.toBe(heard);
  expect(notices.announcement.trim()).toBe("Taken back.");
});
