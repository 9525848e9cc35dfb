// Keys that do something by themselves: never while somebody types, never with Ctrl, Alt or ⌘, and those that are a
// character only as long as the person has not turned them off (WCAG 2.1.4), which this browser remembers.

import { onBeforeUnmount, onMounted, readonly, ref } from "vue";

const STORED = "single-key-shortcuts";

const on = ref(stored());

/** Whether keys that are a character do something. */
export const shortcutsOn = readonly(on);

export function turnShortcuts(wanted: boolean): void {
  on.value = wanted;
  try {
    localStorage.setItem(STORED, wanted ? "on" : "off");
  } catch (refusal) {
    // A browser that keeps nothing for the site forgets this with the page.
    console.warn("The choice is not kept.", refusal);
  }
}

/** What to do at which key; undefined: nothing now. `repeated`: the key is held down. */
export type Keys = Partial<Record<string, (repeated: boolean) => void>>;

/** Listens for as long as the component that calls it is there; `keys` is asked at each. */
export function useKeys(keys: () => Keys): void {
  function press(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && isElsewhere(event.target)) return;
    if (event.key.length === 1 && !on.value) return;
    const act = keys()[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act(event.repeat);
  }

  onMounted(() => document.addEventListener("keydown", press));
  onBeforeUnmount(() => document.removeEventListener("keydown", press));
}

/** A field, where keys are text, or a dialog before all, which has its own. */
function isElsewhere(target: Element): boolean {
  return target.closest("input, textarea, select, dialog, [contenteditable]:not([contenteditable=false])") !== null;
}

function stored(): boolean {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true;
  }
}
