// Further photos come by themselves as the end of the wall comes near.

import { onBeforeUnmount, onMounted, watch, type Ref } from "vue";

import { useWall } from "../stores/wall";

/** How far ahead of the screen they are asked for. */
const AHEAD = "200% 0px";

/** `end` stands behind the last photo. After a failure, only the person asks again. */
export function useFurther(end: Readonly<Ref<HTMLElement | null>>): void {
  const wall = useWall();
  const observer = new IntersectionObserver(
    (entries) => {
      if (entries.at(-1)?.isIntersecting && wall.moreError === null) void wall.loadMore();
    },
    { rootMargin: AHEAD },
  );

  /** Whoever observes anew is told at once where it stands: what came may not have filled the screen. */
  function look(): void {
    observer.disconnect();
    if (end.value !== null) observer.observe(end.value);
  }

  onMounted(look);
  watch([end, () => wall.photos.length, () => wall.loadingMore], look, { flush: "post" });
  onBeforeUnmount(() => observer.disconnect());
}
