// A comment on a photo: sent once, and told what became of it.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it } from "vitest";

import CommentForm from "../../src/components/CommentForm.vue";
import { useNotices } from "../../src/stores/notices";
import { person, photo } from "../examples";
import { byTestId, mountAt } from "../mounting";
import { json, refusal, startService, unreachable, type Service } from "../service";

const ROUTE = "POST /me/photos/7/comments";
const WRITTEN = { comment_id: "12037949754-7-72157000000000001", photo_id: "7" };

let service: Service;
let page: VueWrapper;

beforeEach(async () => {
  setActivePinia(createPinia());
  service = startService({ user: person() });
  service.on(ROUTE, () => json(WRITTEN, 201));
  ({ page } = await mountAt("/", CommentForm, { photo: photo({ photo_id: "7" }) }));
});

function field(): HTMLTextAreaElement {
  return page.get<HTMLTextAreaElement>(byTestId("comment-text")).element;
}

function words(id: string): string {
  const found = page.find(byTestId(id));
  return found.exists() ? found.text() : "";
}

async function send(text: string): Promise<void> {
  await page.get(byTestId("comment-text")).setValue(text);
  await page.get("form").trigger("submit");
  await flushPromises();
}

it("is sent without the blanks around it, and leads to where it can be seen", async () => {
  await send("  The light!\n");
  expect(service.callsOf(ROUTE).map((call) => call.body)).toEqual([{ text: "The light!" }]);
  expect(words("comment-written")).toContain("Your comment is on Flickr.");
  const link = page.get(`${byTestId("comment-written")} a`).attributes("href");
  expect(link).toBe(`${photo({ photo_id: "7" }).page_url}#comment72157000000000001`);
  expect(useNotices().announcement).toBe("Your comment is on Flickr.");
  expect(field().value).toBe("");
});

it("is labelled, for who hears the page rather than sees it", () => {
  expect(page.get("label").attributes("for")).toBe(field().id);
  const described = (page.get(byTestId("comment-text")).attributes("aria-describedby") ?? "").split(" ");
  expect(described.every((id) => document.getElementById(id) !== null)).toBe(true);
});

it("says that it is being sent, and is sent once however often that is asked for", async () => {
  const answer = service.hold(ROUTE);
  await send("Once.");
  const button = page.get(byTestId("comment-send"));
  expect(button.text()).toBe("Sending…");
  expect(button.attributes("disabled")).toBeDefined();
  await page.get("form").trigger("submit");
  await page.get(byTestId("comment-text")).trigger("keydown", { key: "Enter", ctrlKey: true });
  answer(json(WRITTEN, 201));
  await flushPromises();
  expect(service.callsOf(ROUTE)).toHaveLength(1);
  expect(button.text()).toBe("Send");
});

it.each([{ ctrlKey: true }, { metaKey: true }])("is sent by the keyboard, with %o and Enter", async (modifier) => {
  await page.get(byTestId("comment-text")).setValue("By key.");
  await page.get(byTestId("comment-text")).trigger("keydown", { key: "Enter", ...modifier });
  await flushPromises();
  expect(service.callsOf(ROUTE)).toHaveLength(1);
});

it("asks for words before it asks the service", async () => {
  await send("  \n ");
  expect(words("comment-refused")).toBe("Write something first.");
  expect(service.calls).toEqual([]);
  expect(document.activeElement).toBe(field());
});

describe("a long one", () => {
  it.each([
    ["x".repeat(1_799), "", true],
    ["x".repeat(1_800), "200 left", true],
    [`  ${"x".repeat(2_000)}  `, "0 left", true],
    ["\u{1f4f7}".repeat(2_000), "0 left", true],
    ["x".repeat(2_001), "Too long by 1 character.", false],
    ["x".repeat(2_017), "Too long by 17 characters.", false],
  ])("%.0s is told how much room is left, and is sent while there is any", async (text, room, sent) => {
    await send(text);
    if (!sent) expect(words("comment-room")).toBe(room);
    expect(service.callsOf(ROUTE)).toHaveLength(sent ? 1 : 0);
    await page.get(byTestId("comment-text")).setValue(text);
    expect(words("comment-room")).toBe(room);
    expect(page.get(byTestId("comment-text")).attributes("aria-invalid")).toBe(String(!sent));
  });
});

describe("refused", () => {
  it.each([
    [() => refusal(502, "flickr_refused", "Flickr: User is posting comments too fast. (code 9)"), "too fast"],
    [() => refusal(404, "not_found", "Flickr: Photo not found (code 1)"), "Photo not found"],
    [unreachable, "can't be reached"],
  ])("it says why, in the service's words, and keeps what was written", async (answer, why) => {
    service.on(ROUTE, answer);
    await send("Please.");
    expect(words("comment-refused")).toContain(why);
    expect(page.get(byTestId("comment-refused")).attributes("role")).toBe("alert");
    expect(field().value).toBe("Please.");
    expect(document.activeElement).toBe(field());
    expect(page.find(byTestId("comment-written")).exists()).toBe(false);
  });

  it("takes the reason back when it is tried again", async () => {
    service.on(ROUTE, () => refusal(502, "flickr_refused", "Flickr: no"));
    await send("Please.");
    service.on(ROUTE, () => json(WRITTEN, 201));
    await send("Please.");
    expect(words("comment-refused")).toBe("");
    expect(words("comment-written")).toContain("on Flickr");
  });

  it("asks who is no longer signed in to sign in", async () => {
    service.on(ROUTE, () => refusal(401, "not_signed_in", "Your consent at Flickr has ended; sign in again."));
    await send("It is me.");
    expect(words("comment-refused")).toContain("sign in again");
    expect(page.find(byTestId("sign-in")).exists()).toBe(true);
    expect(field().value).toBe("It is me.");
  });
});

describe("what comes back", () => {
  it("is never taken for markup", async () => {
    service.on(ROUTE, () => refusal(502, "flickr_refused", '<img src=x onerror="alert(1)"> <script>alert(1)</script>'));
    await send("<b>fine</b>");
    expect(service.callsOf(ROUTE)[0]?.body).toEqual({ text: "<b>fine</b>" });
    expect(words("comment-refused")).toContain("<script>alert(1)</script>");
    expect(page.find("script").exists()).toBe(false);
    expect(page.find(`${byTestId("comment-refused")} img`).exists()).toBe(false);
  });
});

describe("another photo", () => {
  it("begins with nothing written", async () => {
    service.on(ROUTE, () => refusal(502, "flickr_refused", "Flickr: no"));
    await send("For the first.");
    await page.setProps({ photo: photo({ photo_id: "8" }) });
    expect(field().value).toBe("");
    expect(words("comment-refused")).toBe("");
  });

  it("is not told what became of the last one's comment as if it were its own", async () => {
    const answer = service.hold(ROUTE);
    await send("For the first.");
    await page.setProps({ photo: photo({ photo_id: "8" }) });
    answer(refusal(502, "flickr_refused", "Flickr: no"));
    await flushPromises();
    expect(words("comment-refused")).toBe("");
    expect(useNotices().notices.map((notice) => notice.message)).toEqual(["Flickr: no"]);
  });
});
