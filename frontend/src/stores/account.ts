// What is held on the signed-in person, and what they can have done with it: read again, handed over, erased.

import { defineStore } from "pinia";
import { computed, ref } from "vue";

import { saveFile } from "../account/saving";
import * as api from "../api/client";
import { followProgress, isFinished } from "../api/progress";
import type { Account, Erased, Progress } from "../api/types";
import { useNotices } from "./notices";
import { useSession } from "./session";

export const useAccount = defineStore("account", () => {
  const notices = useNotices();
  const session = useSession();

  const held = ref<Account | null>(null);
  const error = ref<string | null>(null);
  /** Somebody was signed in a moment ago: the page says so rather than greet a stranger. */
  const expired = ref(false);
  const progress = ref<Progress | null>(null);
  const readingError = ref<string | null>(null);
  const streamLost = ref(false);
  const downloading = ref(false);
  const erasing = ref(false);
  /** What became of the account, once it is erased. */
  const erased = ref<Erased | null>(null);
  /** Why not everything is erased yet, when it broke off halfway. */
  const unfinished = ref<string | null>(null);
  const reading = computed(() => progress.value !== null && !isFinished(progress.value));
  let stopFollowing = (): void => undefined;
  /** Answers to questions of an earlier opening are for nobody. */
  let opening = 0;

  /** Shows what is held on whoever is signed in, and a reading that is under way. */
  async function open(): Promise<void> {
    close();
    forgetEnd();
    const mine = opening;
    await load();
    if (mine !== opening || held.value === null) return;
    try {
      const now = await api.getProgress(held.value.user_id);
      if (mine === opening && now.stage !== "unknown" && !isFinished(now)) follow(now);
    } catch {
      // Whether something is being read is a detail; asking for it to be read says what is wrong.
    }
  }

  /** Forgets everything: the page is left, or somebody else signed in. */
  function close(): void {
    opening++;
    stopFollowing();
    held.value = null;
    error.value = null;
    progress.value = null;
    readingError.value = null;
    streamLost.value = false;
  }

  /** How the last account ended is of no interest any more. */
  function forgetEnd(): void {
    erased.value = null;
    unfinished.value = null;
    expired.value = false;
  }

  async function load(): Promise<void> {
    const mine = opening;
    error.value = null;
    try {
      const account = await api.getAccount();
      if (mine === opening) held.value = account;
    } catch (failure) {
      if (mine === opening && !ended(failure)) error.value = api.messageOf(failure);
    }
  }

  /** Has the favorites read again, and tells how far that is. */
  async function read(): Promise<void> {
    const userId = held.value?.user_id;
    if (userId === undefined) return;
    const mine = opening;
    readingError.value = null;
    try {
      const now = await api.requestPull(userId);
      if (mine === opening) follow(now);
    } catch (failure) {
      if (mine === opening && !ended(failure)) readingError.value = api.messageOf(failure);
    }
  }

  function follow(first: Progress): void {
    stopFollowing();
    if (isFinished(first)) {
      finish(first);
      return;
    }
    progress.value = first;
    stopFollowing = followProgress(first.user_id, {
      onProgress: (now) => (isFinished(now) ? finish(now) : (progress.value = now)),
      onLost: (lost) => (streamLost.value = lost),
      onRefused: (refusal) => {
        progress.value = null;
        readingError.value = refusal.message;
      },
    });
  }

  function finish(last: Progress): void {
    progress.value = null;
    streamLost.value = false;
    if (last.stage === "failed") readingError.value = last.error ?? "Flickr did not let the reading go on.";
    else notices.announce("Your favorites are read.");
    void load();
  }

  async function download(): Promise<void> {
    if (held.value === null) return;
    const name = `photo-recommender-${held.value.user_id.replace("@", "-")}.zip`;
    downloading.value = true;
    try {
      saveFile(await api.downloadAccount(), name);
      notices.announce("Your data is saved.");
    } catch (failure) {
      if (!ended(failure)) notices.showError(api.messageOf(failure));
    } finally {
      downloading.value = false;
    }
  }

  /** Erases the person; the service's words when it does not, or not everything. */
  async function erase(confirm: string): Promise<string | null> {
    erasing.value = true;
    try {
      const done = await api.eraseAccount(confirm);
      close();
      erased.value = done;
      await session.reload();
      return null;
    } catch (failure) {
      if (!ended(failure)) await session.reload();
      // What broke off halfway has ended the session, too.
      if (!expired.value && session.known && session.user === null) unfinished.value = api.messageOf(failure);
      return api.messageOf(failure);
    } finally {
      erasing.value = false;
    }
  }

  /** Whether the session is over, as the failure says; then everything that asks who is signed in is told. */
  function ended(failure: unknown): boolean {
    const over = failure instanceof api.ApiError && failure.status === 401;
    if (over) {
      expired.value = true;
      void session.reload();
    }
    return over;
  }

  return {
    held,
    error,
    expired,
    progress,
    reading,
    readingError,
    streamLost,
    downloading,
    erasing,
    erased,
    unfinished,
    open,
    close,
    forgetEnd,
    load,
    read,
    download,
    erase,
  };
});
