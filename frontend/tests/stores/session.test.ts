// Who is signed in, asked of the service no more often than needed.

import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";

import { useSession } from "../../src/stores/session";
import { person } from "../examples";
import { json, refusal, startService, type Service } from "../service";

let service: Service;
let session: ReturnType<typeof useSession>;

beforeEach(() => {
  setActivePinia(createPinia());
  service = startService({ user: person(), sandbox: true });
  session = useSession();
});

it("is asked for once, however many want to know", async () => {
  expect(session.known).toBe(false);
  await Promise.all([session.load(), session.load()]);
  await session.load();
  expect(service.routes()).toEqual(["GET /session"]);
  expect(session).toMatchObject({ known: true, user: person(), sandbox: true, failure: "" });
});

it("is asked for again after a failure, which is told until then", async () => {
  service.on("GET /session", () => refusal(503, "unavailable", "The database is away."));
  await session.load();
  expect(session).toMatchObject({ known: false, failure: "The database is away." });
  service.on("GET /session", () => json(service.session));
  await session.load();
  expect(session).toMatchObject({ known: true, user: person(), failure: "" });
});

it("is asked for again when it may have changed", async () => {
  await session.load();
  service.session.user = null;
  await session.reload();
  expect(session.user).toBeNull();
});

it("begins on Flickr's page, which sends the person back to where they were", async () => {
  const goTo = vi.spyOn(window.location, "assign").mockImplementation(() => undefined);
  service.on("POST /session/login", () => json({ authorize_url: "https://flickr.example.org/authorize?x=1" }));
  await session.signIn("/wall/x");
  expect(service.callsOf("POST /session/login")[0]?.body).toEqual({ return_to: "/wall/x" });
  expect(goTo).toHaveBeenCalledExactlyOnceWith("https://flickr.example.org/authorize?x=1");
});

it("ends when the person signs out, and another begins", async () => {
  service.on("DELETE /session", () => {
    service.session = { user: null, csrf_token: "second-token", sandbox: true };
    return new Response(null, { status: 204 });
  });
  await session.load();
  await session.signOut();
  expect(session).toMatchObject({ known: true, user: null });
});

it("has ended even if nobody can tell what came after it", async () => {
  await session.load();
  service.on("DELETE /session", () => new Response(null, { status: 204 }));
  service.on("GET /session", () => refusal(503, "unavailable", "The database is away."));
  await session.signOut();
  expect(session).toMatchObject({ user: null, failure: "The database is away." });
});

it("goes on when signing out is refused", async () => {
  await session.load();
  service.on("DELETE /session", () => refusal(503, "unavailable", "The database is away."));
  await expect(session.signOut()).rejects.toThrow("The database is away.");
  expect(session.user).toEqual(person());
});
