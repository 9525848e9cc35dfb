// A finger that moves to the side goes to the next photo or the one before; the picture follows it.

import { ref, type Ref } from "vue";

const FAR_ENOUGH = 56;

export interface Swipe {
  /** How far the finger has moved to the right, in CSS pixels; 0 when there is none. */
  moved: Readonly<Ref<number>>;
  begin: (event: PointerEvent) => void;
  move: (event: PointerEvent) => void;
  end: (event: PointerEvent) => void;
  cancel: () => void;
}

/** `go` is called with 1 for the next and −1 for the one before. A mouse does not swipe. */
export function useSwipe(go: (step: 1 | -1) => void): Swipe {
  const moved = ref(0);
  let from: { id: number; x: number } | null = null;

  function begin(event: PointerEvent): void {
    // A second finger pinches.
    from = from === null && event.pointerType !== "mouse" ? { id: event.pointerId, x: event.clientX } : null;
    moved.value = 0;
  }

  function move(event: PointerEvent): void {
    if (event.pointerId === from?.id) moved.value = event.clientX - from.x;
  }

  function end(event: PointerEvent): void {
    if (event.pointerId === from?.id && Math.abs(moved.value) >= FAR_ENOUGH) go(moved.value < 0 ? 1 : -1);
    cancel();
  }

  function cancel(): void {
    from = null;
    moved.value = 0;
  }

  return { moved, begin, move, end, cancel };
}
