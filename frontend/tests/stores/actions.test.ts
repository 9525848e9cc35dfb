// What a person does shows at once, is taken back when the service refuses it, and can be undone.

import { flushPromises } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { useActions } from "../../src/stores/actions";
import { useNotices, type Notice } from "../../src/stores/notices";
import { useSession } from "../../src/stores/session";
import { BEN, person, photo } from "../examples";
import { json, refusal, startService, unreachable, type Service } from "../service";

const FAVE = "PUT /me/favorites/1";
const UNFAVE = "DELETE /me/favorites/1";
const DISMISS = "PUT /me/dismissals/photos/1";
const UNDISMISS = "DELETE /me/dismissals/photos/1";
const DISMISS_BEN = "PUT /me/dismissals/people/47058503995%40N01";
const UNDISMISS_BEN = "DELETE /me/dismissals/people/47058503995%40N01";

let service: Service;
let actions: ReturnType<typeof useActions>;
let notices: ReturnType<typeof useNotices>;

beforeEach(async () => {
  setActivePinia(createPinia());
  service = startService({ user: person() });
  for (const route of [FAVE, UNFAVE, DISMISS, UNDISMISS, DISMISS_BEN, UNDISMISS_BEN]) service.on(route, () => json({}));
  actions = useActions();
  notices = useNotices();
  await useSession().load();
  service.calls.length = 0;
});

function onlyNotice(): Notice {
  expect(notices.notices).toHaveLength(1);
  return notices.notices[0] as Notice;
}

async function press(testId: string): Promise<void> {
  const action = notices.notices.flatMap((notice) => notice.actions).find((offered) => offered.testId === testId);
  expect(action, testId).toBeDefined();
  action?.run();
  await flushPromises();
}

describe("a fave", () => {
  it("shows before the service has answered, and counts once it has", async () => {
    const answer = service.hold(FAVE);
    const faving = actions.setFaved(photo(), true);
    expect(actions.faved.has("1")).toBe(true);
    expect(actions.accepted).toBe(0);
    await flushPromises();
    answer(json({}));
    await faving;
    expect(actions.accepted).toBe(1);
    expect(notices.announcement).toBe("Faved “Photo 1”.");
  });

  it("can be taken back", async () => {
    await actions.setFaved(photo(), true);
    await actions.setFaved(photo({ title: "" }), false);
    expect(actions.faved.has("1")).toBe(false);
    expect(service.routes()).toEqual([FAVE, UNFAVE]);
    expect(notices.announcement).toBe("No longer a favorite: this photo.");
  });

  it("that is refused vanishes again, with the service's words, and counts nothing", async () => {
    service.on(FAVE, () => refusal(502, "flickr", "Flickr does not answer."));
    await actions.setFaved(photo(), true);
    expect(actions.faved.has("1")).toBe(false);
    expect(actions.accepted).toBe(0);
    expect(onlyNotice()).toMatchObject({ tone: "error", message: "Flickr does not answer.", actions: [] });
    expect(notices.announcement).toBe("");
  });

  it("comes back when taking it back is refused", async () => {
    await actions.setFaved(photo(), true);
    service.on(UNFAVE, () => refusal(502, "flickr", "Flickr does not answer."));
    await actions.setFaved(photo(), false);
    expect(actions.faved.has("1")).toBe(true);
  });
});

describe("a change of mind", () => {
  it("leaves after what it changes has been answered", async () => {
    const answer = service.hold(FAVE);
    const faving = actions.setFaved(photo(), true);
    const takingBack = actions.setFaved(photo(), false);
    await flushPromises();
    expect(service.routes()).toEqual([FAVE]);
    answer(json({}));
    await Promise.all([faving, takingBack]);
    expect(service.routes()).toEqual([FAVE, UNFAVE]);
    expect(actions.faved.has("1")).toBe(false);
  });

  it("shows nothing faved when the service has heard of neither", async () => {
    service.on(FAVE, unreachable);
    service.on(UNFAVE, unreachable);
    await Promise.all([actions.setFaved(photo(), true), actions.setFaved(photo(), false)]);
    expect(actions.faved.has("1")).toBe(false);
  });

  it("back and forth shows what was wanted last, though the first wish was refused", async () => {
    service.hold(FAVE)(refusal(502, "flickr", "Flickr does not answer."));
    const wishes = [true, false, true].map((wanted) => actions.setFaved(photo(), wanted));
    await Promise.all(wishes);
    expect(service.routes()).toEqual([FAVE, UNFAVE, FAVE]);
    expect(actions.faved.has("1")).toBe(true);
  });
});

describe("a dismissal", () => {
  it("shows at once and says so, with ways on", async () => {
    const dismissing = actions.dismissPhoto(photo());
    expect(actions.dismissedPhotos.has("1")).toBe(true);
    expect(onlyNotice().message).toBe("You won’t see “Photo 1” again.");
    expect(onlyNotice().actions.map((action) => action.label)).toEqual(["Undo", "Nothing by Ben"]);
    await dismissing;
    expect(service.routes()).toEqual([DISMISS]);
  });

  it("is undone", async () => {
    await actions.dismissPhoto(photo());
    await press("undo");
    expect(actions.dismissedPhotos.has("1")).toBe(false);
    expect(service.routes()).toEqual([DISMISS, UNDISMISS]);
    expect(notices.announcement).toBe("Taken back.");
  });

  it("that is refused brings the photo back, and its notice goes", async () => {
    service.on(DISMISS, () => refusal(507, "storage_full", "The disk is full."));
    await actions.dismissPhoto(photo());
    expect(actions.dismissedPhotos.has("1")).toBe(false);
    expect(onlyNotice()).toMatchObject({ tone: "error", message: "The disk is full." });
  });

  it("stays when undoing it is refused", async () => {
    await actions.dismissPhoto(photo());
    service.on(UNDISMISS, () => refusal(507, "storage_full", "The disk is full."));
    await press("undo");
    expect(actions.dismissedPhotos.has("1")).toBe(true);
    expect(notices.announcement).toBe("");
  });

  it("undone before the service was found unreachable brings the photo back", async () => {
    service.on(DISMISS, unreachable);
    service.on(UNDISMISS, unreachable);
    const dismissing = actions.dismissPhoto(photo());
    await press("undo");
    await dismissing;
    expect(actions.dismissedPhotos.has("1")).toBe(false);
  });

  it("leads on to dismissing the photographer, which is undone by itself", async () => {
    await actions.dismissPhoto(photo());
    await press("dismiss-person");
    expect(actions.dismissedPeople.has(BEN)).toBe(true);
    expect(notices.notices.at(-1)?.message).toBe("You won’t see photos by Ben again.");
    notices.close(notices.notices[0]?.id ?? 0);
    await press("undo");
    expect(actions.dismissedPeople.has(BEN)).toBe(false);
    expect(actions.dismissedPhotos.has("1")).toBe(true);
    expect(service.routes()).toEqual([DISMISS, DISMISS_BEN, UNDISMISS_BEN]);
  });
});

it("a session that has ended is found out, and signing in is offered", async () => {
  const goTo = vi.spyOn(window.location, "assign").mockImplementation(() => undefined);
  service.on(FAVE, () => refusal(401, "not_signed_in", "Sign in first."));
  service.on("POST /session/login", () => json({ authorize_url: "https://flickr.example.org/" }));
  service.session.user = null;
  await actions.setFaved(photo(), true);
  await flushPromises();
  expect(useSession().user).toBeNull();
  await press("notice-sign-in");
  expect(service.callsOf("POST /session/login")[0]?.body).toEqual({ return_to: window.location.pathname });
  expect(goTo).toHaveBeenCalledWith("https://flickr.example.org/");
});

describe("undoing", () => {
  it("takes back what was done last, and then what was done before it", async () => {
    await actions.setFaved(photo(), true);
    await actions.dismissPhoto(photo());
    expect(actions.undoLast()).toBe("1");
    expect(actions.undoLast()).toBe("1");
    await flushPromises();
    expect(service.routes()).toEqual([FAVE, DISMISS, UNDISMISS, UNFAVE]);
    expect(actions.faved.has("1")).toBe(false);
    expect(actions.dismissedPhotos.has("1")).toBe(false);
  });

  it("closes the notice that offered it, and what the notice took back is not taken back again", async () => {
    await actions.dismissPhoto(photo());
    actions.undoLast();
    await flushPromises();
    expect(notices.notices).toEqual([]);
    await actions.dismissPhoto(photo());
    await press("undo");
    expect(actions.undoLast()).toBeNull();
    expect(notices.announcement).toBe("There is nothing to take back.");
  });

  it("passes over what was refused", async () => {
    await actions.setFaved(photo(), true);
    service.on(DISMISS, unreachable);
    await actions.dismissPhoto(photo());
    actions.undoLast();
    await flushPromises();
    expect(service.routes()).toEqual([FAVE, DISMISS, UNFAVE]);
  });

  it("brings a person's photos back, which are not one photo", async () => {
    await actions.dismissPerson({ user_id: BEN, name: "Ben" });
    expect(actions.undoLast()).toBeNull();
    await flushPromises();
    expect(actions.dismissedPeople.has(BEN)).toBe(false);
  });
});
