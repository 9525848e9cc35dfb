// The wall that is open: its photos and people as the service ranked them, and the pull behind it. What the person
// dismissed is left out at once; the next ranking leaves it out by itself.

import { defineStore } from "pinia";
import { computed, ref, shallowRef, toRaw } from "vue";

import * as api from "../api/client";
import type { Person, Photo, ReasonPhoto, Recommendations, RecommendedPerson, Variant } from "../api/types";
import { watchPictures } from "../wall/pictures";
import { followPull } from "../wall/pull";
import { useActions } from "./actions";
import { useNotices } from "./notices";
import { useSession } from "./session";

type Standing = Pick<Recommendations, "strategy" | "degraded" | "coverage" | "unlearned" | "unlearned_photos">;

/** While a pull runs, the wall is ranked anew at most this often. */
const LIVE_REFRESH_MS = 3_000;

/** What a page was ranked with; `model` is empty when no model was. */
export interface Ranking {
  model: string;
  variant: Variant;
}

/** Where a page of the ranking ended, and the cursor to what comes behind it. */
interface PageEnd {
  photos: number;
  cursor: string | null;
}

export const useWall = defineStore("wall", () => {
  const actions = useActions();
  const notices = useNotices();
  const session = useSession();

  const userId = ref("");
  const person = ref<Person | null>(null);
  const standing = ref<Standing | null>(null);
  const rankedPhotos = shallowRef<Photo[]>([]);
  const rankedPeople = ref<RecommendedPerson[]>([]);
  const reasonPhotos = ref<Record<string, ReasonPhoto>>({});
  const reasonPeople = ref<Record<string, Person>>({});
  const cursor = ref<string | null>(null);
  const loading = ref(false);
  const loadingMore = ref(false);
  const error = ref<api.ApiError | null>(null);
  const moreError = ref<string | null>(null);
  /** How often the pull brought something better than what is shown, and how much of that is ranked by now. */
  const improvements = ref(0);
  const improvementsRanked = ref(0);
  const actionsRanked = ref(0);
  /** What lies below the screen could not be ranked anew after a fave or dismissal. */
  const learnFailed = ref(false);

  const { brokenPhotos, pictureLoaded, pictureBroken } = watchPictures();
  const { progress, pulling, pullFailure, streamLost, pull, leavePull } = followPull(userId, (isDone) => {
    if (isDone || Date.now() - rankedAt >= LIVE_REFRESH_MS) improve();
  });

  const own = computed(() => session.user !== null && session.user.user_id === userId.value);
  const photos = computed(() => {
    const [photoIds, ownerIds] = [asOne(actions.dismissedPhotos), asOne(actions.dismissedPeople)];
    const broken = asOne(brokenPhotos.value);
    return rankedPhotos.value.filter(
      ({ photo_id, owner_id }) => !photoIds.has(photo_id) && !ownerIds.has(owner_id) && !broken.has(photo_id),
    );
  });
  const people = computed(() => rankedPeople.value.filter((someone) => !actions.dismissedPeople.has(someone.user_id)));
  const hasMore = computed(() => cursor.value !== null);
  /** A better ranking can be had: the pull brought something, or what the person did could not be learned from. */
  const newRanking = computed(() => improvements.value > improvementsRanked.value || (own.value && learnFailed.value));

  /** The model that ranked each photo: a page may come from a newer one than the page before it. */
  const rankedBy = new Map<string, Ranking>();
  /** From the wall's beginning on, where what was asked for ended. */
  let ends: PageEnd[] = [];
  let visit = 0;
  let lastRanking = 0;
  let shownRanking = 0;
  let rankedAt = 0;

  /** Opens somebody's wall: shows what is known of them now, and asks for a pull meanwhile. */
  async function open(id: string): Promise<void> {
    close();
    userId.value = id;
    await Promise.all([rank(), pull()]);
  }

  /** Leaves the wall: forgets it and stops following the pull. */
  function close(): void {
    visit++;
    leavePull();
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
    learnFailed.value = false;
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
      learnFailed.value = false;
      person.value = answer.user;
      standing.value = answer;
      ends = [{ photos: 0, cursor: null }];
      append([], answer);
      rankedPeople.value = answer.people;
    } catch (failure) {
      if (outdated()) return;
      if (standing.value === null) error.value = asApiError(failure);
      else notices.showError(api.messageOf(failure));
    } finally {
      if (thisRanking === lastRanking) loading.value = false;
    }
  }

  /** Puts an answer's photos behind those kept, none twice, with its reasons and the way on. */
  function append(kept: Photo[], answer: Recommendations): void {
    const known = new Set(kept.map((photo) => photo.photo_id));
    const further = answer.photos.filter((photo) => !known.has(photo.photo_id));
    const ranking = { model: answer.model_version ?? "", variant: answer.variant };
    for (const photo of further) rankedBy.set(photo.photo_id, ranking);
    rankedPhotos.value = [...kept, ...further];
    const first = kept.length === 0;
    reasonPhotos.value = first ? answer.reason_photos : { ...reasonPhotos.value, ...answer.reason_photos };
    reasonPeople.value = first ? answer.reason_people : { ...reasonPeople.value, ...answer.reason_people };
    cursor.value = answer.next_cursor;
    ends.push({ photos: rankedPhotos.value.length, cursor: answer.next_cursor });
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
      append(rankedPhotos.value, answer);
    } catch (failure) {
      if (thisVisit === visit && asked === cursor.value) moreError.value = api.messageOf(failure);
    } finally {
      if (thisVisit === visit) loadingMore.value = false;
    }
  }

  /**
   * Ranks anew what comes behind the first photos of the wall, without touching those. `toKeep` says how many they are,
   * and is asked again when the answer is there: the person may have scrolled on.
   */
  async function learn(toKeep: () => number): Promise<void> {
    const end = ends.findLast(({ photos: before }) => before <= ranked(toKeep()));
    if (end === undefined || ranked(toKeep()) >= rankedPhotos.value.length) return;
    const thisVisit = visit;
    const thisRanking = ++lastRanking;
    const outdated = (): boolean => thisVisit !== visit || thisRanking < shownRanking;
    try {
      const answer = await api.getRecommendations(userId.value, end.cursor);
      if (outdated()) return;
      shownRanking = thisRanking;
      learnFailed.value = false;
      const kept = rankedPhotos.value.slice(0, Math.max(ranked(toKeep()), end.photos));
      ends = ends.slice(0, ends.indexOf(end) + 1);
      if (end.photos === 0) standing.value = answer;
      append(kept, answer);
    } catch {
      // Nobody asked for it: the person is told that a new ranking can be had, and what went wrong when it is wanted.
      if (!outdated()) learnFailed.value = true;
    } finally {
      if (thisRanking === lastRanking) loading.value = false;
    }
  }

  /** How many photos were ranked up to the wall's n-th, those that have left it included. */
  function ranked(shown: number): number {
    const last = photos.value[shown - 1];
    if (last !== undefined) return rankedPhotos.value.indexOf(last) + 1;
    return shown <= 0 ? 0 : rankedPhotos.value.length;
  }

  /** Shows a better ranking at once to somebody at the top of the page; further down, offers it. */
  function improve(): void {
    if (window.scrollY < window.innerHeight / 3 && actions.accepted === actionsRanked.value) void rank();
    else improvements.value++;
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
    learn,
    pull,
    rankingOf,
    pictureLoaded,
    pictureBroken,
  };
});

function asApiError(failure: unknown): api.ApiError {
  return failure instanceof api.ApiError ? failure : new api.ApiError(0, "unexpected", api.messageOf(failure));
}

/** The set as one thing to watch: to watch each of its ids takes longer than to look at all photos anew. */
function asOne(ids: Set<string>): ReadonlySet<string> {
  void ids.size;
  return toRaw(ids);
}
