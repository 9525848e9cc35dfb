// Dismissals that are taken back on a list of them. Each stays in its place until the list is made anew, so that nothing
// moves under the pointer, and a slip can be taken back, too.

import { ref, watch } from "vue";

import { useNotices } from "../stores/notices";

export interface TakingBack<Entry> {
  isBack: (entry: Entry) => boolean;
  /** Takes the dismissal back, or dismisses again; shown at once, and as it was where the service refuses. */
  toggle: (entry: Entry) => Promise<void>;
}

export function useTakingBack<Entry>(
  entries: () => Entry[],
  idOf: (entry: Entry) => string,
  nameOf: (entry: Entry) => string,
  setDismissed: (entry: Entry, dismissed: boolean) => Promise<boolean>,
): TakingBack<Entry> {
  const notices = useNotices();
  const back = ref(new Set<string>());

  watch(entries, () => back.value.clear());

  function put(id: string, isBack: boolean): void {
    if (isBack) back.value.add(id);
    else back.value.delete(id);
  }

  async function toggle(entry: Entry): Promise<void> {
    const id = idOf(entry);
    const wanted = !back.value.has(id);
    put(id, wanted);
    if (await setDismissed(entry, !wanted))
      notices.announce(wanted ? `${nameOf(entry)} may return.` : `${nameOf(entry)} is dismissed again.`);
    else put(id, !wanted);
  }

  return { isBack: (entry) => back.value.has(idOf(entry)), toggle };
}
