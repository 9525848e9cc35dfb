// What covers the page has the keyboard to itself. Notices stay within reach: they offer to undo what is done there.

import { onBeforeUnmount, onMounted, type Ref } from "vue";

/** Everything of the page but what it says of what happened (App.vue). */
const BEHIND = "#app > :not([data-notices])";

/** While the component that calls it is there, `root` is the only thing of the page to look at. */
export function useModal(root: Readonly<Ref<HTMLElement | null>>): void {
  let behind: HTMLElement[] = [];

  onMounted(() => {
    behind = [...document.querySelectorAll<HTMLElement>(BEHIND)];
    for (const element of behind) element.inert = true;
    document.documentElement.style.overflow = "hidden";
    root.value?.focus({ preventScroll: true });
  });
  onBeforeUnmount(() => {
    for (const element of behind) element.inert = false;
    document.documentElement.style.overflow = "";
  });
}
