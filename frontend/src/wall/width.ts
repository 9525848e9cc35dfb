// The room that an element has as it is now: what stands in it is laid out anew whenever that changes.

import { computed, onBeforeUnmount, onMounted, readonly, ref, type Ref } from "vue";

export interface Room {
  width: number;
  height: number;
}

export function useRoom(element: Readonly<Ref<HTMLElement | null>>): Readonly<Ref<Room>> {
  const room = ref<Room>({ width: 0, height: 0 });
  const observer = new ResizeObserver(measure);

  function measure(): void {
    const { width, height } = element.value?.getBoundingClientRect() ?? room.value;
    room.value = { width: Math.floor(width), height: Math.floor(height) };
  }

  onMounted(() => {
    measure();
    if (element.value !== null) observer.observe(element.value);
  });
  onBeforeUnmount(() => observer.disconnect());
  return readonly(room);
}

export function useWidth(element: Readonly<Ref<HTMLElement | null>>): Readonly<Ref<number>> {
  const room = useRoom(element);
  return computed(() => room.value.width);
}
