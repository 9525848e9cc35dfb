// The wall that is open: its photos and people as the service ranked them, and the pull behind it. What the person
// dismissed is left out at once; the next ranking leaves it out by itself.

import { defineStore } from "pinia";
import { computed, ref } from "vue";

import * as api from "../api/client";
import { followProgress, isFinished } from "../api/progress";
import type { Person, Photo, Progress, ReasonPhoto, Recommendations, RecommendedPerson, Variant } from "../api/types";
import { useActions } from "./actions";
import { useNotices } from "./notices";
import { useSession } from "./session";

type Standing = Pick<Recommendations, "strategy" | "degraded" | "coverage">;

/** While a pull runs, the wall is ranked anew at most this often. */
const LIVE_REFRESH_MS = 3_000;

/** What a page was ranked with; `model` is empty when no model was. */
export interface Ranking {
  model: string;
  variant: Variant;
}

export const useWall = defineStore("wall", () => {
  const actions = useActions();
  const notices = useNotices();
  const session = useSession();

  const userId = ref("");
  const person = ref<Person | null>(null);
  const standing = ref<Standing | null>(null);
  const rankedPhotos = ref<Photo[]>([]);
  const rankedPeople = ref<RecommendedPerson[]>([]);
  const reasonPhotos = ref<Record<string, ReasonPhoto>>({});
  const reasonPeople = ref<Record<string, Person>>({});
  /** Photos whose picture did not load though others did: left out from then on, and reported. */
  const brokenPhotos = ref(new Set<string>());
  const cursor = ref<string | null>(null);
  const loading = ref(false);
  const loadingMore = ref(false);
  const error = ref<api.ApiError | null>(null);
  const moreError = ref<string | null>(null);
  const progress = ref<Progress | null>(null);
  const pullError = ref<string | null>(null);
  const streamLost = ref(false);
  /** How often the pull brought something better than what is shown, and how much of that is ranked by now. */
  const improvements = ref(0);
  const improvementsRanked = ref(0);
  const actionsRanked = ref(0);

  const own = computed(() => session.user !== null && session.user.user_id === userId.value);
  const photos = computed(() =>
    rankedPhotos.value.filter(
      (photo) =>
        !actions.dismissedPhotos.has(photo.photo_id) &&
        !actions.dismissedPeople.has(photo.owner_id) &&
        !brokenPhotos.value.has(photo.photo_id),
    ),
  );
  const people = computed(() => rankedPeople.value.filter((someone) => !actions.dismissedPeople.has(someone.user_id)));
  const pulling = computed(() => progress.value !== null && !isFinished(progress.value));
  const pullFailure = computed(() => {
    if (progress.value?.stage !== "failed") return pullError.value;
    return progress.value.error ?? "Nobody knows why.";
  });
  const hasMore = computed(() => cursor.value !== null);
  /** A better ranking can be had: the pull brought something, or the person faved or dismissed. */
  const newRanking = computed(
    () => improvements.value > improvementsRanked.value || (own.value && actions.accepted > actionsRanked.value),
  );

  /** Photos whose picture did not load before any did: as likely the connection as the photo. */
  const suspects = new Set<string>();
  /** The model that ranked each photo: a page may come from a newer one than the page before it. */
  const rankedBy = new Map<string, Ranking>();
  let anyPicture = false;
  let visit = 0;
  let lastRanking = 0;
  let shownRanking = 0;
  let rankedAt = 0;
  let stopFollowing = (): void => undefined;

  /** Opens somebody's wall: shows what is known of them now, and asks for a pull meanwhile. */
  async function open(id: string): Promise<void> {
    close();
    userId.value = id;
    await Promise.all([rank(), pull()]);
  }

  /** Leaves the wall: forgets it and stops following the pull. */
  function close(): void {
    visit++;
    stopFollowing();
    userId.value = "";
    person.value = null;
    standing.value = null;
    rankedPhotos.value = [];
    rankedBy.clear();
    rankedPeople.value = [];
    reasonPhotos.value = {};
    reasonPeople.value = {};
    cursor.value = null;
    loading.value = loadingMore.value = false;
    error.value = moreError.value = null;
    progress.value = pullError.value = null;
    streamLost.value = false;
    improvements.value = improvementsRanked.value = 0;
  }

  /** Reads the first page anew. What is shown stays until the answer is there. */
  async function rank(): Promise<void> {
    const thisVisit = visit;
    const thisRanking = ++lastRanking;
    const accepted = actions.accepted;
    const improved = improvements.value;
    // Of two rankings under way at once, the one asked for later is the better one, whichever is answered first.
    const outdated = (): boolean => thisVisit !== visit || thisRanking < shownRanking;
    loading.value = true;
    rankedAt = Date.now();
    try {
      const answer = await api.getRecommendations(userId.value, null);
      if (outdated()) return;
      shownRanking = thisRanking;
      error.value = moreError.value = null;
      improvementsRanked.value = improved;
      actionsRanked.value = accepted;
      person.value = answer.user;
      standing.value = answer;
      rankedPhotos.value = answer.photos;
      rememberModel(answer.photos, answer);
      rankedPeople.value = answer.people;
      reasonPhotos.value = answer.reason_photos;
      reasonPeople.value = answer.reason_people;
      cursor.value = answer.next_cursor;
    } catch (failure) {
      if (outdated()) return;
      if (standing.value === null) error.value = asApiError(failure);
      else notices.showError(api.messageOf(failure));
    } finally {
      if (thisRanking === lastRanking) loading.value = false;
    }
  }

  function rememberModel(ranked: Photo[], answer: Recommendations): void {
    const ranking = { model: answer.model_version ?? "", variant: answer.variant };
    for (const photo of ranked) rankedBy.set(photo.photo_id, ranking);
  }

  /** Which model ranked the photo. */
  function rankingOf(photoId: string): Ranking {
    return rankedBy.get(photoId) ?? { model: "", variant: "champion" };
  }

  async function loadMore(): Promise<void> {
    if (cursor.value === null || loadingMore.value) return;
    const thisVisit = visit;
    const asked = cursor.value;
    loadingMore.value = true;
    try {
      const answer = await api.getRecommendations(userId.value, asked);
      // A ranking that arrived meanwhile has a cursor of its own, and this page does not belong to it.
      if (thisVisit !== visit || asked !== cursor.value) return;
      moreError.value = null;
      const shown = new Set(rankedPhotos.value.map((photo) => photo.photo_id));
      const further = answer.photos.filter((photo) => !shown.has(photo.photo_id));
      rankedPhotos.value.push(...further);
      rememberModel(further, answer);
      Object.assign(reasonPhotos.value, answer.reason_photos);
      Object.assign(reasonPeople.value, answer.reason_people);
      cursor.value = answer.next_cursor;
    } catch (failure) {
      if (thisVisit === visit && asked === cursor.value) moreError.value = api.messageOf(failure);
    } finally {
      if (thisVisit === visit) loadingMore.value = false;
    }
  }

  /** Asks the service to read this person's favorites from Flickr, and follows it. */
  async function pull(): Promise<void> {
    const thisVisit = visit;
    pullError.value = null;
    try {
      const begun = await api.requestPull(userId.value);
      if (thisVisit !== visit) return;
      progress.value = begun;
      if (isFinished(begun)) return;
      stopFollowing();
      stopFollowing = followProgress(userId.value, {
        onProgress: takeProgress,
        onLost: (lost) => (streamLost.value = lost),
        onRefused: (refusal) => {
          progress.value = null;
          pullError.value = refusal.message;
        },
      });
    } catch (failure) {
      if (thisVisit === visit) pullError.value = api.messageOf(failure);
    }
  }

  function takeProgress(next: Progress): void {
    const before = progress.value;
    progress.value = next;
    if (next.stage === "done") {
      improve();
      return;
    }
    const grown = before === null || next.coverage > before.coverage;
    if (next.stage === "neighbors" && grown && Date.now() - rankedAt >= LIVE_REFRESH_MS) improve();
  }

  /** Shows a better ranking at once to somebody at the top of the page; further down, offers it. */
  function improve(): void {
    if (window.scrollY < window.innerHeight / 3 && actions.accepted === actionsRanked.value) void rank();
    else improvements.value++;
  }

  /** A picture did load, so what did not is to blame itself. */
  function pictureLoaded(): void {
    if (anyPicture) return;
    anyPicture = true;
    for (const photoId of suspects) leaveOut(photoId);
    suspects.clear();
  }

  function pictureBroken(photo: Photo): void {
    if (!navigator.onLine) return;
    if (anyPicture) leaveOut(photo.photo_id);
    else suspects.add(photo.photo_id);
  }

  function leaveOut(photoId: string): void {
    if (brokenPhotos.value.has(photoId)) return;
    brokenPhotos.value.add(photoId);
    // Whoever looks at the wall can do nothing about a report that fails; the service verifies photos by itself, too.
    api.reportBroken(photoId).catch(() => undefined);
  }

  return {
    userId,
    person,
    standing,
    photos,
    people,
    reasonPhotos,
    reasonPeople,
    own,
    loading,
    loadingMore,
    hasMore,
    error,
    moreError,
    progress,
    pulling,
    pullFailure,
    streamLost,
    newRanking,
    open,
    close,
    rank,
    loadMore,
    pull,
    rankingOf,
    pictureLoaded,
    pictureBroken,
  };
});

function asApiError(failure: unknown): api.ApiError {
  return failure instanceof api.ApiError ? failure : new api.ApiError(0, "unexpected", api.messageOf(failure));
}
