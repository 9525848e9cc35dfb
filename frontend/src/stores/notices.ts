// Short messages at the edge of the page, each with what a person can do about it. They leave by themselves after
// a while, but never while somebody is reading or has the keyboard on them.

import { defineStore } from "pinia";
import { ref } from "vue";

export const NOTICE_MS = 10_000;

export interface NoticeAction {
  label: string;
  testId: string;
  run: () => void;
}

export interface Notice {
  id: number;
  tone: "plain" | "error";
  message: string;
  actions: NoticeAction[];
}

export const useNotices = defineStore("notices", () => {
  const notices = ref<Notice[]>([]);
  /** The newest thing that only a screen reader needs to be told. */
  const announcement = ref("");
  const timers = new Map<number, ReturnType<typeof setTimeout>>();
  let held = false;
  let lastId = 0;

  function show(message: string, actions: NoticeAction[] = [], tone: Notice["tone"] = "plain"): number {
    const id = ++lastId;
    notices.value.push({ id, tone, message, actions });
    if (!held) startTimer(id);
    return id;
  }

  function showError(message: string, actions: NoticeAction[] = []): number {
    return show(message, actions, "error");
  }

  function announce(message: string): void {
    // The same words twice in a row are no change, and a screen reader would stay silent.
    announcement.value = announcement.value === message ? `${message}\u00a0` : message;
  }

  function close(id: number): void {
    clearTimeout(timers.get(id));
    timers.delete(id);
    notices.value = notices.value.filter((notice) => notice.id !== id);
  }

  function hold(): void {
    held = true;
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
  }

  function release(): void {
    held = false;
    for (const notice of notices.value) startTimer(notice.id);
  }

  function startTimer(id: number): void {
    clearTimeout(timers.get(id));
    timers.set(
      id,
      setTimeout(() => close(id), NOTICE_MS),
    );
  }

  return { notices, announcement, show, showError, announce, close, hold, release };
});
