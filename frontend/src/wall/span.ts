// Which part of a long element is on the screen or near it: the rest need not be in the page.

import { onBeforeUnmount, onMounted, readonly, ref, type Ref } from "vue";

import type { Box } from "./layout";

/** So many screens above and below stay in the page. */
const SCREENS_AROUND = 2;
/** Moved by less than this part of a screen, the span stays as it is: scrolling draws nothing anew in between. */
const TOLERATED = 0.5;

/** From `top` to `bottom`, in CSS pixels from the element's own top. */
export interface Span {
  top: number;
  bottom: number;
}

export function useSpan(element: Readonly<Ref<HTMLElement | null>>): Readonly<Ref<Span>> {
  const span = ref<Span>({ top: 0, bottom: 0 });
  const observer = new ResizeObserver(measure);

  function measure(): void {
    if (element.value === null) return;
    const screen = window.innerHeight;
    const top = -element.value.getBoundingClientRect().top - SCREENS_AROUND * screen;
    const bottom = top + (2 * SCREENS_AROUND + 1) * screen;
    const moved = Math.max(Math.abs(top - span.value.top), Math.abs(bottom - span.value.bottom));
    if (moved > TOLERATED * screen) span.value = { top, bottom };
  }

  onMounted(() => {
    measure();
    window.addEventListener("scroll", measure, { passive: true });
    window.addEventListener("resize", measure);
    // What stands above the element may grow or go.
    observer.observe(document.body);
  });
  onBeforeUnmount(() => {
    window.removeEventListener("scroll", measure);
    window.removeEventListener("resize", measure);
    observer.disconnect();
  });
  return readonly(span);
}

/** Places of the boxes, sorted from top to bottom, that reach into the span, and of those around the kept one. */
export function placesWithin(boxes: Box[], span: Span, kept: number): number[] {
  const within = (box: Box | undefined): boolean =>
    box !== undefined && box.top + box.height >= span.top && box.top <= span.bottom;
  const first = boxes.findIndex(within);
  const places = new Set<number>();
  for (let place = first; place >= 0 && within(boxes[place]); place++) places.add(place);
  for (let place = kept - 1; kept >= 0 && place <= kept + 1; place++) if (boxes[place] !== undefined) places.add(place);
  return [...places].sort((one, other) => one - other);
}
