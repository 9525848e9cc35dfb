// The cards of the wall that are in the page: which has the keyboard, which are on the screen, and moving among them.

import type { Ref } from "vue";

export interface Cards {
  /** The card that has the keyboard, or holds what has it. */
  focused: () => HTMLElement | null;
  /** The first card of which half or more is on the screen. */
  firstOnScreen: () => HTMLElement | null;
  /** How many photos, from the wall's first on, are on the screen or above it, and the one behind them. */
  throughScreen: () => number;
  find: (photoId: string) => HTMLElement | null;
}

export function cardsIn(root: Readonly<Ref<HTMLElement | null>>): Cards {
  const all = (): HTMLElement[] => [...(root.value?.querySelectorAll<HTMLElement>("[data-photo-id]") ?? [])];

  return {
    focused: () => {
      const card = document.activeElement?.closest<HTMLElement>("[data-photo-id]") ?? null;
      return card !== null && root.value?.contains(card) ? card : null;
    },
    firstOnScreen: () =>
      all().find((card) => {
        const { top, height } = card.getBoundingClientRect();
        return top + height / 2 >= 0 && top < window.innerHeight;
      }) ?? null,
    // Which photo ends a row depends on the one behind it: that one stays, too.
    throughScreen: () => {
      const reached = all().filter((card) => card.getBoundingClientRect().top < window.innerHeight);
      return reached.length === 0 ? 0 : Math.max(...reached.map(placeOf)) + 1;
    },
    find: (photoId) => root.value?.querySelector<HTMLElement>(`[data-photo-id="${CSS.escape(photoId)}"]`) ?? null,
  };
}

/** From 1. */
function placeOf(card: HTMLElement): number {
  return Number(card.getAttribute("aria-posinset"));
}

/** Brings the card to the middle of the screen, or near enough that all of it is seen. */
export function bringIntoView(card: HTMLElement, block: ScrollLogicalPosition, smooth: boolean): void {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  card.scrollIntoView({ block, behavior: smooth && !still ? "smooth" : "instant" });
}
