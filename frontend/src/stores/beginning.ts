// The page that somebody with few favorites begins on: how many they have, the groups, and each group's photos.

import { defineStore } from "pinia";
import { computed, ref, watch } from "vue";

import * as api from "../api/client";
import type { Account, Group, UnrankedPhoto } from "../api/types";
import { isEnough } from "../wall/beginning";
import { followPull } from "../wall/pull";
import { useActions } from "./actions";
import { useNotices } from "./notices";
import { useSession } from "./session";

/** Fewer photos than this are no answer: what is known already is left out of a page, which may leave it empty. */
const FEW_PHOTOS = 10;
/** Pages that are asked for at once to find some. */
const MOST_PAGES = 4;

/** A group's photos as far as they were asked for. `next` is null when there are no more. */
interface Shelf {
  photos: UnrankedPhoto[];
  next: number | null;
  loading: boolean;
  error: string | null;
}

export const useBeginning = defineStore("beginning", () => {
  const actions = useActions();
  const notices = useNotices();
  const session = useSession();

  const account = ref<Account | null>(null);
  const groups = ref<Group[] | null>(null);
  const error = ref<string | null>(null);
  const chosen = ref<string | null>(null);
  const shelves = ref<Record<string, Shelf>>({});
  const userId = computed(() => session.user?.user_id ?? "");
  const ready = computed(() => account.value !== null && isEnough(account.value));
  const shelf = computed(() => (chosen.value === null ? null : (shelves.value[chosen.value] ?? null)));
  const { pulling, pullFailure, pull, leavePull } = followPull(userId, () => void count());
  let visit = 0;
  let counts = 0;

  /** Shows the groups, and how much whoever is signed in has favored by now. */
  async function open(): Promise<void> {
    close();
    const thisVisit = visit;
    try {
      const [held, found] = await Promise.all([api.getAccount(), api.getGroups()]);
      if (thisVisit !== visit) return;
      account.value = held;
      groups.value = found;
      const first = found[0];
      if (first !== undefined) void choose(first.group_id);
      // Who has just signed in may have favorites that nobody has read yet.
      if (held.favorites_pulled_at === null) void pull();
    } catch (failure) {
      if (thisVisit === visit) fail(failure);
    }
  }

  function close(): void {
    visit++;
    leavePull();
    account.value = groups.value = error.value = chosen.value = null;
    shelves.value = {};
  }

  async function choose(groupId: string): Promise<void> {
    chosen.value = groupId;
    if (shelves.value[groupId] === undefined) await more(groupId);
  }

  /** Asks for further photos of the group, until there are some that are new to the person. */
  async function more(groupId: string): Promise<void> {
    const thisVisit = visit;
    shelves.value[groupId] ??= { photos: [], next: 1, loading: false, error: null };
    const onShelf = shelves.value[groupId];
    if (onShelf.loading || onShelf.next === null) return;
    onShelf.loading = true;
    onShelf.error = null;
    const shown = new Set(onShelf.photos.map((photo) => photo.photo_id));
    const enough = onShelf.photos.length + FEW_PHOTOS;
    try {
      for (let page = 0; page < MOST_PAGES && onShelf.next !== null && onShelf.photos.length < enough; page++) {
        const answer = await api.getGroupPhotos(groupId, onShelf.next);
        if (thisVisit !== visit) return;
        // What was added to the pool meanwhile moves the rest back, and the next page repeats some.
        onShelf.photos.push(...answer.photos.filter((photo) => !shown.has(photo.photo_id)));
        for (const photo of answer.photos) shown.add(photo.photo_id);
        onShelf.next = answer.next_page;
      }
    } catch (failure) {
      if (thisVisit === visit) onShelf.error = api.messageOf(failure);
    } finally {
      onShelf.loading = false;
    }
  }

  /** Leaves out a photo whose picture can't be loaded. */
  function leaveOut(photoId: string): void {
    if (shelf.value !== null) shelf.value.photos = shelf.value.photos.filter((photo) => photo.photo_id !== photoId);
  }

  /** Counts anew: what the service accepted is in its answer. */
  async function count(): Promise<void> {
    const [thisVisit, thisCount] = [visit, ++counts];
    const wasReady = ready.value;
    try {
      const held = await api.getAccount();
      if (thisVisit !== visit || thisCount !== counts) return;
      account.value = held;
      if (ready.value && !wasReady) notices.announce("Your wall is ready.");
    } catch (failure) {
      if (thisVisit === visit && thisCount === counts) notices.showError(api.messageOf(failure));
    }
  }

  function fail(failure: unknown): void {
    if (failure instanceof api.ApiError && failure.status === 401) void session.reload();
    else error.value = api.messageOf(failure);
  }

  watch(
    () => actions.accepted,
    () => {
      if (account.value !== null) void count();
    },
  );

  return {
    account,
    groups,
    error,
    chosen,
    shelf,
    ready,
    pulling,
    pullFailure,
    open,
    close,
    choose,
    more,
    leaveOut,
  };
});
