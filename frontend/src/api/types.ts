// The JSON of the web API: what its answers look like on the wire, field by field.

export interface Person {
  user_id: string;
  name: string;
  avatar_url: string | null;
}

export interface Session {
  user: Person | null;
  csrf_token: string;
  sandbox: boolean;
}

export interface FoundPerson extends Person {
  path_alias: string | null;
}

export interface SandboxPerson extends Person {
  favorites: number;
  visitor: boolean;
}

export type Stage = "unknown" | "queued" | "favorites" | "neighbors" | "done" | "failed";

export interface Progress {
  user_id: string;
  stage: Stage;
  made: number;
  finished: number;
  favorites: number;
  coverage: number;
  eta_seconds: number | null;
  error: string | null;
}

export interface ImageSize {
  url: string;
  width: number | null;
  height: number | null;
}

export interface Reason {
  photo_id: string;
  weight: number;
}

export interface ReasonPhoto {
  title: string;
  image_url: string;
  page_url: string;
}

export interface Photo {
  photo_id: string;
  owner_id: string;
  owner_name: string;
  title: string;
  image_url: string;
  /** Keyed by Flickr's size suffix: "m", "z", "l", … */
  sizes: Record<string, ImageSize>;
  width: number | null;
  height: number | null;
  page_url: string;
  score: number;
  /** On the viewer's own wall: no earlier visit of theirs showed it. */
  new: boolean;
  /** When their wall first showed it; null: never, or the viewer is somebody else. */
  first_recommended_at: string | null;
  reasons: Reason[];
  /** Who near in taste faved it, where that is why it is here; nearest first. */
  neighbors: string[];
}

export interface RecommendedPerson extends Person {
  score: number;
  favorites_in_common: number;
}

export type Strategy = "personalized" | "neighbors" | "popular";

export type Variant = "champion" | "challenger";

export interface Recommendations {
  user_id: string;
  user: Person;
  strategy: Strategy;
  degraded: boolean;
  coverage: number;
  model_version: string | null;
  /** Which of the models that share the walls ranked this one. */
  variant: Variant;
  generated_at: string;
  next_cursor: string | null;
  photos: Photo[];
  people: RecommendedPerson[];
  reason_photos: Record<string, ReasonPhoto>;
  reason_people: Record<string, Person>;
}

/** A photo that was visible; `rank` is its place on the wall, the first is 0. */
export interface ShownPhoto {
  photo_id: string;
  rank: number;
}

export interface ActionReceipt {
  action_id: string;
  kind: string;
  photo_id: string;
  owner_id: string;
}
