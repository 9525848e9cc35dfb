// The right file for each photo at each size of screen, and the way to its photographer.

import type { Photo } from "../api/types";
import { naturalRatio } from "./layout";

/** The `srcset` of a photo: every size with a known width, smallest first; square crops are no use on a wall. */
export function sourceSet(photo: Pick<Photo, "sizes">): string {
  return Object.entries(photo.sizes)
    .filter(([suffix, size]) => size.width && suffix !== "sq" && suffix !== "q" && suffix !== "s")
    .sort(([, one], [, other]) => (one.width ?? 0) - (other.width ?? 0))
    .map(([, size]) => `${size.url} ${size.width}w`)
    .join(", ");
}

/** The greatest enlargement of a photo's largest file: beyond it, a small picture looks better small. */
const MOST_ENLARGED = 2;

/** Width and height, in CSS pixels, in which the whole photo is as large as the room allows. */
export function fit(
  photo: Pick<Photo, "width" | "height" | "sizes">,
  room: { width: number; height: number },
): { width: number; height: number } {
  const known = Object.values(photo.sizes).flatMap(({ width, height }) => (width && height ? [{ width, height }] : []));
  const largest = known.sort((one, other) => other.width - one.width)[0];
  const ratio = largest ? largest.width / largest.height : naturalRatio(photo);
  const widest = largest ? largest.width * MOST_ENLARGED : Infinity;
  const width = Math.max(Math.floor(Math.min(room.width, room.height * ratio, widest)), 0);
  return { width, height: Math.floor(width / ratio) };
}

/** A user's page on the Flickr (or the sandbox) that this photo's page is on. */
export function personPage(userId: string, photoPage: string | undefined): string {
  return new URL(`/people/${encodeURIComponent(userId)}/`, photoPage ?? "https://www.flickr.com").href;
}

/** Alternative text: the title, or whose photo it is when it has none. */
export function altText(photo: Pick<Photo, "title" | "owner_name">): string {
  return photo.title || `Untitled photo by ${photo.owner_name}`;
}

/** A hue for the ground that stands where a photo's picture will be: always the same one for a photo. */
export function groundHue(photoId: string): number {
  let mixed = 0;
  for (const digit of photoId) mixed = (mixed * 31 + digit.charCodeAt(0)) % 360;
  return mixed;
}
