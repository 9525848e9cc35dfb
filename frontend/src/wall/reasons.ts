// Why a photo is on the wall: the favorites that speak for it, or the people near in taste who faved it.

import { nameOf } from "../api/client";
import type { Person, Photo, ReasonPhoto } from "../api/types";

export interface ShownReason extends ReasonPhoto {
  photo_id: string;
}

export interface ShownReasons {
  photos: ShownReason[];
  /** Where no favorite speaks for the photo, the people who faved it do. */
  people: Person[];
}

/** What of a photo's reasons can be shown. A photo that was not ranked, like a similar one, has none. */
export function shownReasons(
  photo: Partial<Pick<Photo, "reasons" | "neighbors">>,
  reasonPhotos: Record<string, ReasonPhoto>,
  reasonPeople: Record<string, Person>,
): ShownReasons {
  const photos = (photo.reasons ?? []).flatMap(({ photo_id }) => {
    const known = reasonPhotos[photo_id];
    return known ? [{ ...known, photo_id }] : [];
  });
  return { photos, people: (photo.neighbors ?? []).flatMap((userId) => reasonPeople[userId] ?? []) };
}

export function hasReasons({ photos, people }: ShownReasons): boolean {
  return photos.length + people.length > 0;
}

/** The reasons as a sentence. */
export function reasonWords({ photos, people }: ShownReasons, because: string): string {
  return photos.length > 0
    ? `${because} ${photos.map((reason) => reason.title || "an untitled photo").join(", ")}`
    : `Faved by ${people.map(nameOf).join(", ")}`;
}
