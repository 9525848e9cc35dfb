// One believable example of each thing that the service answers with; a test names only what it is about.

import type {
  Account,
  Person,
  Photo,
  Progress,
  Recommendations,
  RecommendedPerson,
  Session,
  UnrankedPhoto,
} from "../src/api/types";

export const ANNA = "12037949754@N01";
export const BEN = "47058503995@N01";

export function person(changes: Partial<Person> = {}): Person {
  return { user_id: ANNA, name: "Anna", avatar_url: null, ...changes };
}

export function session(changes: Partial<Session> = {}): Session {
  return { user: null, csrf_token: "first-token", sandbox: false, ...changes };
}

export function photo(changes: Partial<Photo> = {}): Photo {
  const id = changes.photo_id ?? "1";
  return {
    photo_id: id,
    owner_id: BEN,
    owner_name: "Ben",
    title: `Photo ${id}`,
    image_url: `https://live.example.org/${id}_z.jpg`,
    sizes: {},
    width: 1500,
    height: 1000,
    page_url: `https://flickr.example.org/photos/${BEN}/${id}/`,
    score: 0.5,
    new: false,
    first_recommended_at: null,
    reasons: [],
    neighbors: [],
    ...changes,
  };
}

export function photos(...ids: string[]): Photo[] {
  return ids.map((id) => photo({ photo_id: id }));
}

export function recommendedPerson(changes: Partial<RecommendedPerson> = {}): RecommendedPerson {
  return { ...person({ user_id: BEN, name: "Ben" }), score: 0.5, favorites_in_common: 3, ...changes };
}

export function recommendations(changes: Partial<Recommendations> = {}): Recommendations {
  return {
    user_id: ANNA,
    user: person(),
    strategy: "personalized",
    degraded: false,
    coverage: 1,
    model_version: "7",
    variant: "champion",
    generated_at: "2026-11-01T00:00:00Z",
    next_cursor: null,
    photos: photos("1", "2", "3"),
    people: [],
    reason_photos: {},
    reason_people: {},
    unlearned: 0,
    unlearned_photos: [],
    ...changes,
  };
}

export function progress(changes: Partial<Progress> = {}): Progress {
  return {
    user_id: ANNA,
    stage: "neighbors",
    made: 20,
    finished: 5,
    favorites: 40,
    coverage: 0.25,
    eta_seconds: null,
    error: null,
    ...changes,
  };
}

export function unrankedPhoto(changes: Partial<UnrankedPhoto> = {}): UnrankedPhoto {
  const { photo_id, owner_id, owner_name, title, image_url, sizes, width, height, page_url } = photo(changes);
  return { photo_id, owner_id, owner_name, title, image_url, sizes, width, height, page_url };
}

export function account(changes: Partial<Account> = {}): Account {
  return {
    ...person(),
    favorites: 40,
    favorite_owners: 12,
    contacts: 7,
    dismissed_photos: [],
    dismissed_people: [],
    shown: 320,
    since: "2026-01-15T08:30:00Z",
    favorites_pulled_at: "2026-11-01T10:00:00Z",
    refresh_due_by: "2026-11-08T10:00:00Z",
    refresh_possible_at: null,
    ...changes,
  };
}
