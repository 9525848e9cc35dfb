// Talking to the service: addresses, the CSRF token, and errors in the service's own words.

import { beforeEach, describe, expect, it, vi } from "vitest";

import { ANNA, person, recommendations, session } from "../examples";
import { json, refusal, startService, unreachable, type Service } from "../service";

const CHAMPION = { model: "7", variant: "champion" } as const;

let client: typeof import("../../src/api/client");
let service: Service;

beforeEach(async () => {
  // The module remembers the CSRF token: each test begins as a page that was just opened.
  vi.resetModules();
  client = await import("../../src/api/client");
  service = startService();
});

describe("the CSRF token", () => {
  beforeEach(() => {
    service.on("PUT /me/favorites/1", () => json({}));
    service.on("DELETE /session", () => new Response(null, { status: 204 }));
  });

  it("is fetched once, before the first change, and sent with every change", async () => {
    await client.setFavorite("1", true);
    await client.setFavorite("1", true);
    expect(service.routes()).toEqual(["GET /session", "PUT /me/favorites/1", "PUT /me/favorites/1"]);
    const tokens = service.callsOf("PUT /me/favorites/1").map((call) => call.headers.get("X-CSRF-Token"));
    expect(tokens).toEqual(["first-token", "first-token"]);
  });

  it("is not sent where nothing is changed", async () => {
    service.on("GET /users/lookup", () => json(person()));
    await client.getSession();
    await client.lookUp("anna");
    expect(service.calls.map((call) => call.headers.has("X-CSRF-Token"))).toEqual([false, false]);
  });

  it("is renewed once after a 403, and the change is sent again", async () => {
    await client.getSession();
    service.session = session({ csrf_token: "second-token" });
    await client.setFavorite("1", true);
    const tokens = service.callsOf("PUT /me/favorites/1").map((call) => call.headers.get("X-CSRF-Token"));
    expect(tokens).toEqual(["first-token", "second-token"]);
  });

  it("is not to blame for a 403 that it was right for: the change is not sent again", async () => {
    service.on("PUT /me/favorites/1", () => refusal(403, "not_allowed", "Flickr does not let you fave this."));
    await expect(client.setFavorite("1", true)).rejects.toMatchObject({ status: 403, code: "not_allowed" });
    expect(service.callsOf("PUT /me/favorites/1")).toHaveLength(1);
  });

  it("is renewed no second time when the new one is refused, too", async () => {
    await client.getSession();
    service.session = session({ csrf_token: "second-token" });
    service.on("GET /session", () => json(session({ csrf_token: "outdated-token" })));
    await expect(client.setFavorite("1", true)).rejects.toMatchObject({ status: 403, code: "cross_site" });
    expect(service.callsOf("PUT /me/favorites/1")).toHaveLength(2);
  });

  it("ends with the session: the next change asks for a new one", async () => {
    await client.signOut();
    service.session = session({ csrf_token: "second-token" });
    await client.setFavorite("1", true);
    expect(service.routes()).toEqual(["GET /session", "DELETE /session", "GET /session", "PUT /me/favorites/1"]);
  });
});

describe("the addresses", () => {
  it.each([
    ["PUT /me/favorites/1", () => client.setFavorite("1", true)],
    ["DELETE /me/favorites/1", () => client.setFavorite("1", false)],
    ["PUT /me/dismissals/photos/1", () => client.setPhotoDismissed("1", true)],
    ["DELETE /me/dismissals/photos/1", () => client.setPhotoDismissed("1", false)],
    ["PUT /me/dismissals/people/12037949754%40N01", () => client.setPersonDismissed(ANNA, true)],
    ["DELETE /me/dismissals/people/12037949754%40N01", () => client.setPersonDismissed(ANNA, false)],
    ["POST /photos/1/broken", () => client.reportBroken("1")],
    ["POST /me/impressions", () => client.reportShown(ANNA, CHAMPION, [{ photo_id: "1", rank: 0 }])],
    ["POST /users/12037949754%40N01/pull", () => client.requestPull(ANNA)],
    ["GET /users/12037949754%40N01/progress", () => client.getProgress(ANNA)],
  ])("%s", async (route, call) => {
    service.on(route, () => json({}));
    await call();
    expect(service.routes()).toContain(route);
  });

  it("cannot be left by an id with a slash in it", () => {
    expect(client.progressStreamAddress("../session?x")).toBe("/api/users/..%2Fsession%3Fx/progress");
  });

  it("ask for as many photos as Flickr's terms allow on a page, and for the page after a cursor", async () => {
    service.on("GET /users/12037949754%40N01/recommendations", () => json(recommendations()));
    await client.getRecommendations(ANNA, null);
    await client.getRecommendations(ANNA, "page 2&");
    const queries = service.calls.map((call) => Object.fromEntries(call.query));
    expect(queries).toEqual([{ limit: "30" }, { limit: "30", cursor: "page 2&" }]);
  });

  it("carry what a person typed, unharmed", async () => {
    service.on("GET /users/lookup", () => json(person()));
    await client.lookUp("https://www.flickr.com/photos/a&b/?x=ü");
    expect(service.calls[0]?.query.get("q")).toBe("https://www.flickr.com/photos/a&b/?x=ü");
  });

  it("take a body as JSON", async () => {
    service.on("POST /session/login", () => json({ authorize_url: "https://flickr.example.org/" }));
    await client.signIn("/wall");
    const [call] = service.callsOf("POST /session/login");
    expect(call?.body).toEqual({ return_to: "/wall" });
    expect(call?.headers.get("Content-Type")).toBe("application/json");
  });
});

describe("an error", () => {
  async function errorOf(answer: () => Response): Promise<unknown> {
    service.on("GET /users/lookup", answer);
    return await client.lookUp("anna").catch((error: unknown) => error);
  }

  it("has the service's own code, message and field", async () => {
    const error = await errorOf(() => refusal(422, "invalid_input", "That is no Flickr address.", "q"));
    expect(error).toBeInstanceOf(client.ApiError);
    expect(error).toMatchObject({
      status: 422,
      code: "invalid_input",
      message: "That is no Flickr address.",
      field: "q",
    });
  });

  it.each([
    ["a proxy's HTML", () => new Response("<h1>Bad gateway</h1>", { status: 502 })],
    ["an empty body", () => new Response(null, { status: 502 })],
    ["JSON of another shape", () => json({ detail: "no" }, 502)],
    ["JSON that is no object", () => json(["no"], 502)],
    ["an error without words", () => json({ error: { code: 7, message: "", field: 0 } }, 502)],
  ])("from %s still says something to a person", async (_what, answer) => {
    expect(await errorOf(answer)).toMatchObject({
      status: 502,
      code: "unknown",
      message: "The service answered with an error (502). Try again in a moment.",
      field: null,
    });
  });

  it("says that the service is unreachable when nothing answers", async () => {
    expect(await errorOf(unreachable)).toMatchObject({ status: 0, code: "unreachable", field: null });
  });

  it("says so when an answer can't be read", async () => {
    expect(await errorOf(() => new Response('{"user_id": '))).toMatchObject({ status: 200, code: "unreadable" });
  });
});

describe("words", () => {
  it("are an error's message, or whatever was thrown", () => {
    expect(client.messageOf(new Error("The disk is full."))).toBe("The disk is full.");
    expect(client.messageOf("stopped")).toBe("stopped");
  });

  it("name a person without a name by the id", () => {
    expect(client.nameOf(person({ name: "Anna" }))).toBe("Anna");
    expect(client.nameOf(person({ name: "" }))).toBe(ANNA);
  });
});
