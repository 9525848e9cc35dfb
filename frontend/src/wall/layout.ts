// Where each photo of the wall goes: rows of equal height that fill the width, each photo in its own proportions,
// with room below each for its caption. The rows are found by Flickr's own justified-layout.

import justifiedLayout from "justified-layout";

import type { Photo } from "../api/types";

/** Height of the two lines below a photo, in CSS pixels (PhotoCard.vue draws them). */
export const CAPTION_HEIGHT = 52;

const UNKNOWN_RATIO = 3 / 2;
const NARROWEST_RATIO = 0.45;
const WIDEST_RATIO = 3.2;

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface WallLayout {
  boxes: Box[];
  height: number;
}

/** Width ÷ height. Photos of unknown size count as 3:2. */
export function naturalRatio(photo: Pick<Photo, "width" | "height" | "sizes">): number {
  if (photo.width && photo.height) return photo.width / photo.height;
  const known = Object.values(photo.sizes).find((size) => size.width && size.height);
  return known?.width && known.height ? known.width / known.height : UNKNOWN_RATIO;
}

/** Width ÷ height on the wall, where extreme panoramas are cropped. */
export function aspectRatio(photo: Pick<Photo, "width" | "height" | "sizes">): number {
  return Math.min(Math.max(naturalRatio(photo), NARROWEST_RATIO), WIDEST_RATIO);
}

/** Row height in CSS pixels for a wall of this width: a phone shows a landscape a row, a 4K screen about seven. */
export function rowHeight(width: number): number {
  return Math.round(Math.min(Math.max(width / 6.2, 250), 420));
}

/** Boxes for photos of these aspect ratios, in order. With `wholeRows`, photos that do not fill a last row get none. */
export function layOut(ratios: number[], width: number, wholeRows: boolean): WallLayout {
  if (width <= 0 || ratios.length === 0) return { boxes: [], height: 0 };
  const gap = width < 600 ? 10 : 14;
  const { boxes } = justifiedLayout(ratios, {
    containerWidth: width,
    containerPadding: 0,
    boxSpacing: { horizontal: gap, vertical: CAPTION_HEIGHT + gap },
    targetRowHeight: rowHeight(width),
    showWidows: !wholeRows,
  });
  return { boxes, height: bottomOf(boxes.at(-1)) };
}

/** A `layOut` that remembers: of a wall that grew, or changed far down, only the rows from there on are found anew. */
export function rememberedLayOut(): typeof layOut {
  let before: { ratios: number[]; width: number; layout: WallLayout } | undefined;

  return (ratios, width, wholeRows) => {
    const { boxes } = before !== undefined && before.width === width ? before.layout : { boxes: [] };
    const changed = ratios.findIndex((ratio, place) => ratio !== before?.ratios[place]);
    const same = Math.min(changed < 0 ? ratios.length : changed, boxes.length);
    // Where a row ends depends on the photo behind it, so the row of the last one that is the same may change, too;
    // and an unfinished row is as high as the row before.
    const changing = rowStart(boxes, same - 1);
    const kept = boxes.slice(0, rowStart(boxes, changing - 1));
    const top = boxes[kept.length]?.top ?? 0;
    const further = layOut(ratios.slice(kept.length), width, wholeRows);
    const all = [...kept, ...further.boxes.map((box) => ({ ...box, top: box.top + top }))];
    before = { ratios, width, layout: { boxes: all, height: bottomOf(all.at(-1)) } };
    return before.layout;
  };
}

/** The place of the first box in the row of the box at `place`. */
function rowStart(boxes: Box[], place: number): number {
  let start = Math.max(place, 0);
  while (start > 0 && boxes[start - 1]?.top === boxes[start]?.top) start--;
  return start;
}

function bottomOf(last: Box | undefined): number {
  return last ? last.top + last.height + CAPTION_HEIGHT : 0;
}
