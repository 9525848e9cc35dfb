// After a fave or dismissal on one's own wall, what lies below the screen is ranked anew; what is on the screen, or
// above it, stays as it is.

import { onBeforeUnmount, watch } from "vue";

import { useActions } from "../stores/actions";
import { useWall } from "../stores/wall";

/** Several at once are learned from together; new photos are there within two seconds all the same. */
const SETTLED_MS = 300;

/** `toKeep` says how many photos, from the wall's first on, must not move. */
export function useLearning(toKeep: () => number): void {
  const wall = useWall();
  const actions = useActions();
  let settled: ReturnType<typeof setTimeout> | undefined;

  watch(
    () => actions.accepted,
    () => {
      if (!wall.own) return;
      clearTimeout(settled);
      settled = setTimeout(() => void wall.learn(toKeep), SETTLED_MS);
    },
  );
  onBeforeUnmount(() => clearTimeout(settled));
}
