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

/** Width ÷ height. Photos of unknown size count as 3:2; extreme panoramas are cropped. */
export function aspectRatio(photo: Pick<Photo, "width" | "height" | "sizes">): number {
  const known = [photo, ...Object.values(photo.sizes)].find((size) => size.width && size.height);
  if (!known?.width || !known.height) return UNKNOWN_RATIO;
  return Math.min(Math.max(known.width / known.height, NARROWEST_RATIO), WIDEST_RATIO);
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
  const last = boxes.at(-1);
  return { boxes, height: last ? last.top + last.height + CAPTION_HEIGHT : 0 };
}
