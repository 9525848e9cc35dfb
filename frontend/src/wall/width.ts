// The width of an element as it is now: the wall is laid out anew whenever its room changes.

import { onBeforeUnmount, onMounted, readonly, ref, type Ref } from "vue";

export function useWidth(element: Readonly<Ref<HTMLElement | null>>): Readonly<Ref<number>> {
  const width = ref(0);
  const observer = new ResizeObserver(measure);

  function measure(): void {
    width.value = Math.floor(element.value?.getBoundingClientRect().width ?? 0);
  }

  onMounted(() => {
    measure();
    if (element.value !== null) observer.observe(element.value);
  });
  onBeforeUnmount(() => observer.disconnect());
  return readonly(width);
}
