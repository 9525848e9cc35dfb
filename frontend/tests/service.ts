// A service behind `fetch`: it answers as told, and by itself checks the CSRF token and says who is signed in, as the
// real one does.

import { expect, onTestFinished, vi } from "vitest";

import type { Session } from "../src/api/types";
import { session } from "./examples";

export interface Call {
  /** Method and path without `/api` and without the query: "PUT /me/favorites/1". */
  route: string;
  query: URLSearchParams;
  headers: Headers;
  body: unknown;
  /** The browser goes on with the call when the page is left. */
  keepalive: boolean;
}

type Answer = (call: Call) => Response | Promise<Response>;

export interface Service {
  session: Session;
  calls: Call[];
  /** Answers this route from now on. */
  on: (route: string, answer: Answer) => void;
  /** Answers this route's next call when the test says so. */
  hold: (route: string) => (response: Response) => void;
  routes: () => string[];
  callsOf: (route: string) => Call[];
}

export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
}

export function refusal(status: number, code: string, message: string, field: string | null = null): Response {
  return json({ error: { code, message, field } }, status);
}

export function unreachable(): never {
  throw new TypeError("Failed to fetch");
}

/** Starts a service in place of `fetch`, until the test ends. */
export function startService(changes: Partial<Session> = {}): Service {
  const answers = new Map<string, Answer>();
  const held = new Map<string, Answer[]>();
  const service: Service = {
    session: session(changes),
    calls: [],
    on: (route, answer) => void answers.set(route, answer),
    hold(route) {
      let release: (response: Response) => void = () => undefined;
      const answer = new Promise<Response>((resolve) => (release = resolve));
      held.set(route, [...(held.get(route) ?? []), () => answer]);
      return release;
    },
    routes: () => service.calls.map((call) => call.route),
    callsOf: (route) => service.calls.filter((call) => call.route === route),
  };
  answers.set("GET /session", () => json(service.session));
  // The site shows a missing answer as any other error: only here does a test hear that it forgot one.
  const unanswered: string[] = [];
  onTestFinished(() => expect(unanswered, "calls that the test told no answer to").toEqual([]));

  vi.stubGlobal("fetch", async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const { method, headers, keepalive } = request;
    const route = `${method} ${url.pathname.replace(/^\/api/, "")}`;
    const call: Call = { route, query: url.searchParams, headers, body: null, keepalive };
    service.calls.push(call);
    const text = await request.text();
    if (text !== "") call.body = JSON.parse(text);
    if (method !== "GET" && call.headers.get("X-CSRF-Token") !== service.session.csrf_token)
      return refusal(403, "cross_site", "X-CSRF-Token is missing or wrong.");
    const answer = held.get(call.route)?.shift() ?? answers.get(call.route);
    if (answer !== undefined) return await answer(call);
    unanswered.push(call.route);
    return refusal(501, "not_told", "The test told the service no answer to this.");
  });
  return service;
}
