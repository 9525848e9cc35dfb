// Which photos are in the page: those near the screen, and those around the one that has the keyboard.

import { flushPromises } from "@vue/test-utils";
import { expect, it, vi } from "vitest";
import { defineComponent, h, ref } from "vue";

import { layOut } from "../../src/wall/layout";
import { placesWithin, useSpan, type Span } from "../../src/wall/span";
import { mountAt } from "../mounting";

const { boxes } = layOut(Array.from({ length: 10_000 }, (_, place) => 0.6 + (place % 7) * 0.2), 1_200, false);

it("are exactly those whose box reaches into the span, wherever it is", () => {
  for (let top = -5_000; top < 500_000; top += 7_919) {
    const span = { top, bottom: top + 4_500 };
    const reaching = boxes.flatMap((box, place) =>
      box.top + box.height >= span.top && box.top <= span.bottom ? [place] : [],
    );
    expect(placesWithin(boxes, span, -1)).toEqual(reaching);
  }
});

it("are few of ten thousand", () => {
  const places = placesWithin(boxes, { top: 300_000, bottom: 304_500 }, -1);
  expect(places.length).toBeGreaterThan(20);
  expect(places.length).toBeLessThan(100);
});

it("include the one that has the keyboard and its neighbors, in the order of the wall", () => {
  expect(placesWithin(boxes, { top: 0, bottom: 0 }, 5_000).slice(-3)).toEqual([4_999, 5_000, 5_001]);
  expect(placesWithin(boxes, { top: 1e7, bottom: 2e7 }, 9_999)).toEqual([9_998, 9_999]);
  const near = placesWithin(boxes, { top: 0, bottom: 100 }, 1);
  expect(near).toEqual([...new Set(near)].sort((one, other) => one - other));
});

it("change with every half screen that is scrolled, and not in between", async () => {
  let top = 0;
  vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockImplementation(() => new DOMRect(0, top, 1_200, 9_000));
  let span: Readonly<{ value: Span }> | undefined;
  const Long = defineComponent(() => {
    const root = ref<HTMLElement | null>(null);
    span = useSpan(root);
    return () => h("div", { ref: root });
  });
  await mountAt("/", Long);
  const screen = window.innerHeight;
  const first = { top: -2 * screen, bottom: 3 * screen };
  expect(span?.value).toEqual(first);
  const scroll = async (to: number) => {
    top = -to;
    window.dispatchEvent(new Event("scroll"));
    await flushPromises();
  };
  await scroll(0.4 * screen);
  expect(span?.value).toEqual(first);
  await scroll(screen);
  expect(span?.value).toEqual({ top: -screen, bottom: 4 * screen });
});
