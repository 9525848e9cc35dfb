// Which photo is open over the wall: the address says it (`?photo=…`), so that it can be shared, and closed by the
// browser's way back.

import { computed, type ComputedRef } from "vue";
import { useRoute, useRouter } from "vue-router";

/** A click that wants no tab or window of its own. */
export function isPlain(click: MouseEvent): boolean {
  return click.button === 0 && !click.ctrlKey && !click.metaKey && !click.shiftKey && !click.altKey;
}

export interface OpenPhoto {
  id: ComputedRef<string | null>;
  open: (photoId: string) => void;
  close: () => void;
}

export function useOpenPhoto(): OpenPhoto {
  const route = useRoute();
  const router = useRouter();
  const id = computed(() => {
    const asked = route.query.photo;
    return typeof asked === "string" && /^\d{1,20}$/.test(asked) ? asked : null;
  });

  /** From one open photo to another, the way back stays one step to the wall. */
  function open(photoId: string): void {
    const address = { query: { ...route.query, photo: photoId } };
    void (id.value === null ? router.push(address) : router.replace(address));
  }

  function close(): void {
    if (id.value === null) return;
    const before = router.options.history.state.back;
    if (typeof before === "string" && isThisWall(before)) router.back();
    else void router.replace({ query: { ...route.query, photo: undefined } });
  }

  function isThisWall(address: string): boolean {
    const { path, query } = router.resolve(address);
    return path === route.path && query.photo === undefined;
  }

  return { id, open, close };
}
