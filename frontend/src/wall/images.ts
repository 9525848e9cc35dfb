// The right file for each photo at each size of screen, and the way to its photographer.

import type { Photo } from "../api/types";

/** The `srcset` of a photo: every size with a known width, smallest first; square crops are no use on a wall. */
export function sourceSet(photo: Pick<Photo, "sizes">): string {
  return Object.entries(photo.sizes)
    .filter(([suffix, size]) => size.width && suffix !== "sq" && suffix !== "q" && suffix !== "s")
    .sort(([, one], [, other]) => (one.width ?? 0) - (other.width ?? 0))
    .map(([, size]) => `${size.url} ${size.width}w`)
    .join(", ");
}

/** A user's page on the Flickr (or the sandbox) that this photo's page is on. */
export function personPage(userId: string, photoPage: string | undefined): string {
  return new URL(`/people/${encodeURIComponent(userId)}/`, photoPage ?? "https://www.flickr.com").href;
}

/** Alternative text: the title, or whose photo it is when it has none. */
export function altText(photo: Pick<Photo, "title" | "owner_name">): string {
  return photo.title || `Untitled photo by ${photo.owner_name}`;
}
