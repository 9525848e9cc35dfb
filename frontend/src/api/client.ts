// The one place that talks to the service, by the client generated from its OpenAPI document: the CSRF header, and
// errors with the service's own words.

import createClient from "openapi-fetch";

import type { paths } from "./schema";
import type {
  Account,
  ActionReceipt,
  Comment,
  Erased,
  FoundPerson,
  Group,
  GroupPhotos,
  Person,
  Progress,
  Recommendations,
  SandboxPerson,
  Session,
  ShownPhoto,
  Status,
  SimilarPhotos,
  UnrankedPhoto,
  Variant,
} from "./types";

/** Flickr's terms: at most 30 photos of other people on a page of results. */
export const PHOTOS_A_PAGE = 30;

/** What went wrong, in words for a person. `status` is 0 when the service could not be reached. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field: string | null = null,
  ) {
    super(message);
  }
}

/** What the generated client answers with: `data` of a success, `error` as it was read of anything else. */
interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

let csrfToken: string | null = null;

const service = createClient<paths, "application/json">({
  baseUrl: window.location.origin,
  headers: { Accept: "application/json" },
  fetch: send,
});

export async function getSession(): Promise<Session> {
  const session = await read(service.GET("/api/session"));
  csrfToken = session.csrf_token;
  return session;
}

export function signIn(returnTo: string): Promise<{ authorize_url: string }> {
  return change(() => service.POST("/api/session/login", { body: { return_to: returnTo } }));
}

export async function signOut(): Promise<void> {
  await change(() => service.DELETE("/api/session"));
  // The session ended, and its token with it; the next change asks for a new one.
  csrfToken = null;
}

export function lookUp(query: string): Promise<FoundPerson> {
  return read(service.GET("/api/users/lookup", { params: { query: { q: query } } }));
}

/** How fresh model and features are, what waits, and what may still be asked of Flickr. */
export function getStatus(): Promise<Status> {
  return read(service.GET("/api/status"));
}

export async function getSandboxPeople(limit: number): Promise<SandboxPerson[]> {
  return (await read(service.GET("/api/sandbox/people", { params: { query: { limit } } }))).people;
}

export function getRecommendations(userId: string, cursor: string | null): Promise<Recommendations> {
  const query = cursor === null ? { limit: PHOTOS_A_PAGE } : { limit: PHOTOS_A_PAGE, cursor };
  return read(service.GET("/api/users/{user_id}/recommendations", { params: { path: { user_id: userId }, query } }));
}

export function requestPull(userId: string): Promise<Progress> {
  return change(() => service.POST("/api/users/{user_id}/pull", { params: { path: { user_id: userId } } }));
}

export function getProgress(userId: string): Promise<Progress> {
  return read(service.GET("/api/users/{user_id}/progress", { params: { path: { user_id: userId } } }));
}

export function progressStreamAddress(userId: string): string {
  return `/api/users/${encodeURIComponent(userId)}/progress`;
}

export function setFavorite(photoId: string, favorite: boolean): Promise<ActionReceipt> {
  const of = { params: { path: { photo_id: photoId } } };
  const address = "/api/me/favorites/{photo_id}";
  return change(() => (favorite ? service.PUT(address, of) : service.DELETE(address, of)));
}

export function setPhotoDismissed(photoId: string, dismissed: boolean): Promise<ActionReceipt> {
  const of = { params: { path: { photo_id: photoId } } };
  const address = "/api/me/dismissals/photos/{photo_id}";
  return change(() => (dismissed ? service.PUT(address, of) : service.DELETE(address, of)));
}

export function setPersonDismissed(userId: string, dismissed: boolean): Promise<ActionReceipt> {
  const of = { params: { path: { other_id: userId } } };
  const address = "/api/me/dismissals/people/{other_id}";
  return change(() => (dismissed ? service.PUT(address, of) : service.DELETE(address, of)));
}

export function getAccount(): Promise<Account> {
  return read(service.GET("/api/me"));
}

/** All that is held on the signed-in person, as the ZIP that the service makes of it. */
export function downloadAccount(): Promise<Blob> {
  return read(service.GET("/api/me/export", { parseAs: "blob" }));
}

/** Erases the signed-in person for good; `confirm` is their own name, as they typed it. */
export async function eraseAccount(confirm: string): Promise<Erased> {
  const erased = await change(() => service.DELETE("/api/me", { body: { confirm } }));
  // The session went with everything else; the next change begins another.
  csrfToken = null;
  return erased;
}

/** A photo by itself. */
export function getPhoto(photoId: string): Promise<UnrankedPhoto> {
  return read(service.GET("/api/photos/{photo_id}", { params: { path: { photo_id: photoId } } }));
}

export function getSimilarPhotos(photoId: string, limit: number): Promise<SimilarPhotos> {
  const of = { path: { photo_id: photoId }, query: { limit } };
  return read(service.GET("/api/photos/{photo_id}/similar", { params: of }));
}

/** Writes a comment on the photo's page at Flickr. */
export function addComment(photoId: string, text: string): Promise<Comment> {
  const of = { params: { path: { photo_id: photoId } }, body: { text } };
  return change(() => service.POST("/api/me/photos/{photo_id}/comments", of));
}

/** The groups that somebody with few favorites begins with. */
export async function getGroups(): Promise<Group[]> {
  return (await read(service.GET("/api/groups"))).groups;
}

export function getGroupPhotos(groupId: string, page: number): Promise<GroupPhotos> {
  const of = { path: { group_id: groupId }, query: { page } };
  return read(service.GET("/api/groups/{group_id}/photos", { params: of }));
}

/** Says that the photo's picture did not load; the service asks Flickr whether it is still there. */
export async function reportBroken(photoId: string): Promise<void> {
  await change(() => service.POST("/api/photos/{photo_id}/broken", { params: { path: { photo_id: photoId } } }));
}

/** Says which photos of one ranking were really visible on `wall`; it arrives though the page is being left. */
export async function reportShown(
  wall: string,
  ranking: { model: string; variant: Variant },
  shown: ShownPhoto[],
): Promise<void> {
  const { model, variant } = ranking;
  const body = { wall, model_version: model, variant, shown };
  await change(() => service.POST("/api/me/impressions", { body, keepalive: true }));
}

/** The person's words for whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function nameOf(person: Person): string {
  return person.name || person.user_id;
}

/** What a change is answered with; `ask` is called once more where the CSRF token was outdated. */
async function change<T>(ask: () => Promise<Answer<T>>): Promise<T> {
  if (csrfToken === null) await getSession();
  const usedToken = csrfToken;
  let answer = ask();
  const refused = await answer.catch(() => undefined);
  if (refused?.response.status === 403) {
    // Signing in or out in another tab replaces the session and its token. What was refused for it was not begun.
    await getSession();
    if (csrfToken !== usedToken) answer = ask();
  }
  return await read(answer);
}

async function read<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked.catch((failure: unknown) => {
    if (failure instanceof ApiError) throw failure;
    throw new ApiError(200, "unreadable", "The service gave an answer that can't be read. Try again.");
  });
  if (!response.ok) throw errorFrom(response.status, error);
  return data as T;
}

async function send(request: Request): Promise<Response> {
  if (request.method !== "GET" && csrfToken !== null) request.headers.set("X-CSRF-Token", csrfToken);
  try {
    return await fetch(request);
  } catch {
    throw new ApiError(0, "unreachable", "The service can't be reached. Check your connection and try again.");
  }
}

function errorFrom(status: number, body: unknown): ApiError {
  const fallback = `The service answered with an error (${status}). Try again in a moment.`;
  const error = isRecord(body) && isRecord(body.error) ? body.error : {};
  return new ApiError(
    status,
    typeof error.code === "string" ? error.code : "unknown",
    typeof error.message === "string" && error.message !== "" ? error.message : fallback,
    typeof error.field === "string" ? error.field : null,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
