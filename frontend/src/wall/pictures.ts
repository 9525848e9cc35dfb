// Pictures that do not load: their photos are left out of the wall and reported, once it is clear that the connection
// is not to blame.

import { ref, type Ref } from "vue";

import { reportBroken } from "../api/client";
import type { Photo } from "../api/types";

export interface Pictures {
  /** Ids of photos whose picture did not load though others did. */
  brokenPhotos: Ref<Set<string>>;
  /** A picture did load, so what did not is to blame itself. */
  pictureLoaded: () => void;
  pictureBroken: (photo: Photo) => void;
}

export function watchPictures(): Pictures {
  const brokenPhotos = ref(new Set<string>());
  /** Photos whose picture did not load before any did: as likely the connection as the photo. */
  const suspects = new Set<string>();
  let anyPicture = false;

  function pictureLoaded(): void {
    if (anyPicture) return;
    anyPicture = true;
    for (const photoId of suspects) leaveOut(photoId);
    suspects.clear();
  }

  function pictureBroken(photo: Photo): void {
    if (!navigator.onLine) return;
    if (anyPicture) leaveOut(photo.photo_id);
    else suspects.add(photo.photo_id);
  }

  function leaveOut(photoId: string): void {
    if (brokenPhotos.value.has(photoId)) return;
    brokenPhotos.value.add(photoId);
    // Whoever looks at the wall can do nothing about a report that fails; the service verifies photos by itself, too.
    reportBroken(photoId).catch(() => undefined);
  }

  return { brokenPhotos, pictureLoaded, pictureBroken };
}
