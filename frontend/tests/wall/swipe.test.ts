// A finger that goes to the next photo, or the one before.

import { beforeEach, expect, it } from "vitest";

import { useSwipe, type Swipe } from "../../src/wall/swipe";

let gone: number[];
let swipe: Swipe;

beforeEach(() => {
  gone = [];
  swipe = useSwipe((step) => gone.push(step));
});

function finger(clientX: number, how: PointerEventInit = {}): PointerEvent {
  return new PointerEvent("pointermove", { pointerId: 1, pointerType: "touch", clientX, ...how });
}

it.each([
  [-80, [1]],
  [80, [-1]],
  [-40, []],
  [0, []],
])("moved by %i goes %j", (by, steps) => {
  swipe.begin(finger(200));
  swipe.move(finger(200 + by));
  expect(swipe.moved.value).toBe(by);
  swipe.end(finger(200 + by));
  expect(gone).toEqual(steps);
  expect(swipe.moved.value).toBe(0);
});

it("that the browser takes for scrolling goes nowhere", () => {
  swipe.begin(finger(200));
  swipe.move(finger(100));
  swipe.cancel();
  swipe.end(finger(100));
  expect(gone).toEqual([]);
});

it("is none with a mouse, nor with two fingers", () => {
  swipe.begin(finger(200, { pointerType: "mouse" }));
  swipe.move(finger(100, { pointerType: "mouse" }));
  swipe.end(finger(100, { pointerType: "mouse" }));
  swipe.begin(finger(200));
  swipe.begin(finger(300, { pointerId: 2 }));
  swipe.move(finger(100));
  swipe.end(finger(100));
  expect(gone).toEqual([]);
});
