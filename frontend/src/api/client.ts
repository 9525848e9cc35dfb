// The one place that talks to the service: addresses, the CSRF header, and errors with the service's own words.

import type {
  ActionReceipt,
  FoundPerson,
  Person,
  Progress,
  Recommendations,
  SandboxPerson,
  Session,
  ShownPhoto,
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

type Method = "GET" | "PUT" | "POST" | "DELETE";

let csrfToken: string | null = null;

export async function getSession(): Promise<Session> {
  const session = await call<Session>("GET", "/session");
  csrfToken = session.csrf_token;
  return session;
}

export function signIn(returnTo: string): Promise<{ authorize_url: string }> {
  return call("POST", "/session/login", { return_to: returnTo });
}

export async function signOut(): Promise<void> {
  await call("DELETE", "/session");
  // The session ended, and its token with it; the next change asks for a new one.
  csrfToken = null;
}

export function lookUp(query: string): Promise<FoundPerson> {
  return call("GET", `/users/lookup?${new URLSearchParams({ q: query })}`);
}

export async function getSandboxPeople(limit: number): Promise<SandboxPerson[]> {
  const answer = await call<{ people: SandboxPerson[] }>("GET", `/sandbox/people?limit=${limit}`);
  return answer.people;
}

export function getRecommendations(userId: string, cursor: string | null): Promise<Recommendations> {
  const query = new URLSearchParams({ limit: String(PHOTOS_A_PAGE) });
  if (cursor !== null) query.set("cursor", cursor);
  return call("GET", `/users/${part(userId)}/recommendations?${query}`);
}

export function requestPull(userId: string): Promise<Progress> {
  return call("POST", `/users/${part(userId)}/pull`);
}

export function getProgress(userId: string): Promise<Progress> {
  return call("GET", `/users/${part(userId)}/progress`);
}

export function progressStreamAddress(userId: string): string {
  return `/api/users/${part(userId)}/progress`;
}

export function setFavorite(photoId: string, favorite: boolean): Promise<ActionReceipt> {
  return call(favorite ? "PUT" : "DELETE", `/me/favorites/${part(photoId)}`);
}

export function setPhotoDismissed(photoId: string, dismissed: boolean): Promise<ActionReceipt> {
  return call(dismissed ? "PUT" : "DELETE", `/me/dismissals/photos/${part(photoId)}`);
}

export function setPersonDismissed(userId: string, dismissed: boolean): Promise<ActionReceipt> {
  return call(dismissed ? "PUT" : "DELETE", `/me/dismissals/people/${part(userId)}`);
}

/** Says that the photo's picture did not load; the service asks Flickr whether it is still there. */
export function reportBroken(photoId: string): Promise<void> {
  return call("POST", `/photos/${part(photoId)}/broken`);
}

/** Says which photos of one ranking were really visible on `wall`; it arrives though the page is being left. */
export function reportShown(
  wall: string,
  ranking: { model: string; variant: Variant },
  shown: ShownPhoto[],
): Promise<void> {
  const { model, variant } = ranking;
  return call("POST", "/me/impressions", { wall, model_version: model, variant, shown }, true);
}

/** The person's words for whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function nameOf(person: Person): string {
  return person.name || person.user_id;
}

function part(text: string): string {
  return encodeURIComponent(text);
}

/** With `keepalive`, the browser goes on with the call when the page is left. */
async function call<T>(method: Method, path: string, body?: unknown, keepalive = false): Promise<T> {
  if (method === "GET") return await read<T>(await send(method, path, body, keepalive));
  if (csrfToken === null) await getSession();
  const usedToken = csrfToken;
  let response = await send(method, path, body, keepalive);
  if (response.status === 403) {
    // Signing in or out in another tab replaces the session and its token. Every change may be repeated safely.
    await getSession();
    if (csrfToken !== usedToken) response = await send(method, path, body, keepalive);
  }
  return await read<T>(response);
}

async function send(method: Method, path: string, body: unknown, keepalive: boolean): Promise<Response> {
  const headers = new Headers({ Accept: "application/json" });
  if (method !== "GET" && csrfToken !== null) headers.set("X-CSRF-Token", csrfToken);
  if (body !== undefined) headers.set("Content-Type", "application/json");
  try {
    const text = body === undefined ? null : JSON.stringify(body);
    return await fetch(`/api${path}`, { method, headers, body: text, keepalive });
  } catch {
    throw new ApiError(0, "unreachable", "The service can't be reached. Check your connection and try again.");
  }
}

async function read<T>(response: Response): Promise<T> {
  if (!response.ok) throw await errorFrom(response);
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError(response.status, "unreadable", "The service gave an answer that can't be read. Try again.");
  }
}

async function errorFrom(response: Response): Promise<ApiError> {
  const fallback = `The service answered with an error (${response.status}). Try again in a moment.`;
  const body: unknown = await response.json().catch(() => null);
  const error = isRecord(body) && isRecord(body.error) ? body.error : {};
  return new ApiError(
    response.status,
    typeof error.code === "string" ? error.code : "unknown",
    typeof error.message === "string" && error.message !== "" ? error.message : fallback,
    typeof error.field === "string" ? error.field : null,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
