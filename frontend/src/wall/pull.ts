// The pull behind a wall: asked for, followed until it is over, and what became of it.

import { computed, ref, type ComputedRef, type Ref } from "vue";

import * as api from "../api/client";
import { followProgress, isFinished } from "../api/progress";
import type { Progress } from "../api/types";

export interface Pull {
  progress: Ref<Progress | null>;
  pulling: ComputedRef<boolean>;
  /** Why the favorites could not be read; null when nothing is wrong. */
  pullFailure: ComputedRef<string | null>;
  streamLost: Ref<boolean>;
  /** Asks the service to read this person's favorites from Flickr, and follows it. */
  pull: () => Promise<void>;
  /** Stops following, and forgets. */
  leavePull: () => void;
}

/** `better` is called when the pull has brought something to rank by; with true when it is over. */
export function followPull(userId: Ref<string>, better: (isDone: boolean) => void): Pull {
  const progress = ref<Progress | null>(null);
  const pullError = ref<string | null>(null);
  const streamLost = ref(false);
  const pulling = computed(() => progress.value !== null && !isFinished(progress.value));
  const pullFailure = computed(() => {
    if (progress.value?.stage !== "failed") return pullError.value;
    return progress.value.error ?? "Nobody knows why.";
  });
  let visit = 0;
  let stopFollowing = (): void => undefined;

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
    const grown = before === null || next.coverage > before.coverage;
    if (next.stage === "done") better(true);
    else if (next.stage === "neighbors" && grown) better(false);
  }

  function leavePull(): void {
    visit++;
    stopFollowing();
    progress.value = pullError.value = null;
    streamLost.value = false;
  }

  return { progress, pulling, pullFailure, streamLost, pull, leavePull };
}
