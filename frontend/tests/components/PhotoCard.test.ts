// One photo on the wall, and what its viewer can do about it.

import type { VueWrapper } from "@vue/test-utils";
import { describe, expect, it } from "vitest";

import PhotoCard from "../../src/components/PhotoCard.vue";
import { ANNA, BEN, person, photo } from "../examples";
import { byTestId, mountAt } from "../mounting";

const FOG = { title: "Fog", image_url: "https://live.example.org/70.jpg", page_url: "https://flickr.example.org/70/" };
const UNTITLED = { ...FOG, title: "", page_url: "https://flickr.example.org/71/" };

async function card(changes: object = {}): Promise<VueWrapper> {
  const props = {
    photo: photo({ photo_id: "1", title: "Sea", sizes: { m: { url: "m.jpg", width: 240, height: 160 } } }),
    box: { left: 14, top: 28, width: 300.4, height: 200 },
    reasonPhotos: {},
    reasonPeople: {},
    faved: false,
    own: true,
    because: "Because you faved",
    first: false,
    place: 4,
    total: -1,
    ...changes,
  };
  return (await mountAt("/", PhotoCard, props)).page;
}

function explainedCard(changes: object = {}): Promise<VueWrapper> {
  const reasons = ["70", "71", "72"].map((photo_id) => ({ photo_id, weight: 0.3 }));
  return card({ photo: photo({ title: "Sea", reasons }), reasonPhotos: { "70": FOG, "71": UNTITLED }, ...changes });
}

describe("a photo", () => {
  it("links to its page and to its photographer", async () => {
    const page = await card();
    expect(page.get(byTestId("photo-link")).attributes("href")).toBe(photo({ photo_id: "1" }).page_url);
    const owner = page.get(byTestId("photo-owner"));
    expect(owner.text()).toBe("Ben");
    expect(owner.attributes("href")).toBe("https://flickr.example.org/people/47058503995%40N01/");
  });

  it("lets the browser choose the file for the room it has", async () => {
    const image = (await card()).get("img");
    expect(image.attributes()).toMatchObject({ srcset: "m.jpg 240w", sizes: "300px", alt: "Sea" });
  });

  it("that no earlier visit showed is called new, and others are not", async () => {
    expect((await card({ photo: photo({ new: true }) })).get(byTestId("new")).text()).toBe("New");
    expect((await card()).find(byTestId("new")).exists()).toBe(false);
  });

  it("is loaded at once only when it is among the first", async () => {
    expect((await card({ first: true })).get("img").attributes("loading")).toBe("eager");
    expect((await card({ first: false })).get("img").attributes("loading")).toBe("lazy");
  });

  it("that can't be loaded is replaced by words, with its link", async () => {
    const page = await card();
    await page.get("img").trigger("error");
    expect(page.get(byTestId("photo-link")).text()).toContain("This picture can’t be shown right now.");
    expect(page.emitted("broken")).toHaveLength(1);
  });
});

describe("a click on the picture", () => {
  it("opens it here", async () => {
    const page = await card();
    const click = new MouseEvent("click", { bubbles: true, cancelable: true });
    page.get(byTestId("photo-link")).element.dispatchEvent(click);
    expect(page.emitted("open")).toHaveLength(1);
    expect(click.defaultPrevented).toBe(true);
  });

  it.each([{ ctrlKey: true }, { metaKey: true }, { shiftKey: true }, { button: 1 }])(
    "that wants a tab of its own (%o) leads to Flickr",
    async (how) => {
      const page = await card();
      const click = new MouseEvent("click", { bubbles: true, cancelable: true, ...how });
      page.element.addEventListener("click", (heard: Event) => {
        expect(heard.defaultPrevented).toBe(false);
        heard.preventDefault();
      });
      page.get(byTestId("photo-link")).element.dispatchEvent(click);
      expect(page.emitted("open")).toBeUndefined();
      expect.assertions(2);
    },
  );
});

describe("the picture", () => {
  it("fades in once it is there, and not again when the card comes back", async () => {
    const changes = { photo: photo({ photo_id: "901" }) };
    const page = await card(changes);
    expect(page.get("img").classes()).not.toContain("there");
    await page.get("img").trigger("load");
    expect(page.get("img").classes()).toContain("there");
    expect((await card(changes)).get("img").classes()).toContain("there");
  });
});

it("tells a screen reader its place on the wall, of which only a part is in the page", async () => {
  const page = await card({ place: 41, total: 90 });
  expect(page.get("li").attributes()).toMatchObject({ "aria-posinset": "41", "aria-setsize": "90" });
});

describe("the tools", () => {
  it("are on one's own wall only", async () => {
    expect((await card({ own: true })).findAll(`${byTestId("fave")}, ${byTestId("dismiss")}`)).toHaveLength(2);
    const page = await explainedCard({ own: false });
    await page.get(byTestId("why")).trigger("click");
    const tools = ["fave", "dismiss", "dismiss-owner"].map((id) => page.find(byTestId(id)).exists());
    expect(tools).toEqual([false, false, false]);
  });

  it.each([
    [false, true, "Fave"],
    [true, false, "Take the fave back"],
  ])("turn a fave (%s) into its opposite, and say so", async (faved, wanted, title) => {
    const page = await card({ faved });
    const fave = page.get(byTestId("fave"));
    expect(fave.attributes()).toMatchObject({ "aria-pressed": String(faved), title, "aria-label": "Fave Sea" });
    await fave.trigger("click");
    expect(page.emitted("fave")).toEqual([[wanted]]);
  });

  it("dismiss the photo", async () => {
    const page = await card();
    await page.get(byTestId("dismiss")).trigger("click");
    expect(page.emitted("dismiss")).toHaveLength(1);
    expect(page.emitted("dismissPerson")).toBeUndefined();
  });

  it("are buttons, reached by the keyboard and named after their photo", async () => {
    const buttons = (await explainedCard()).findAll("button");
    expect(buttons.map((button) => button.attributes("aria-label"))).toEqual([
      "Fave Sea",
      "Dismiss Sea",
      "Because you faved Fog, an untitled photo",
    ]);
    expect(buttons.map((button) => button.attributes("type"))).toEqual(["button", "button", "button"]);
  });
});

describe("the reasons", () => {
  it("are not offered when none of them can be shown", async () => {
    const page = await card({ photo: photo({ reasons: [{ photo_id: "70", weight: 1 }] }), reasonPhotos: {} });
    expect(page.find(byTestId("why")).exists()).toBe(false);
  });

  it("open and close, and show what is known of them with a link to each", async () => {
    const page = await explainedCard();
    const why = page.get(byTestId("why"));
    expect(why.attributes("aria-expanded")).toBe("false");
    await why.trigger("click");
    const reasons = page.get(byTestId("reasons"));
    expect(why.attributes()).toMatchObject({ "aria-expanded": "true", "aria-controls": reasons.attributes("id") });
    expect(reasons.get("p").text()).toBe("Because you faved");
    expect(reasons.findAll("a").map((link) => link.attributes("href"))).toEqual([FOG.page_url, UNTITLED.page_url]);
    expect(reasons.findAll("img").map((image) => image.attributes("alt"))).toEqual(["Fog", "Untitled photo"]);
    await why.trigger("click");
    expect(page.find(byTestId("reasons")).exists()).toBe(false);
  });

  it("are the people who faved it, where it is here for them", async () => {
    const page = await card({
      photo: photo({ neighbors: [ANNA, "47@N00", BEN] }),
      reasonPeople: { [ANNA]: person(), [BEN]: person({ user_id: BEN, name: "Ben" }) },
    });
    const why = page.get(byTestId("why"));
    expect(why.attributes("aria-label")).toBe("Faved by Anna, Ben");
    await why.trigger("click");
    const reasons = page.get(byTestId("reasons"));
    expect(reasons.get("p").text().replace(/\s+/g, " ")).toBe("Faved by Anna, Ben");
    expect(reasons.findAll("a").map((link) => link.attributes("href"))).toEqual([
      "https://flickr.example.org/people/12037949754%40N01/",
      "https://flickr.example.org/people/47058503995%40N01/",
    ]);
  });

  it("are closed by Escape, and the keyboard goes back to what opened them", async () => {
    const page = await explainedCard();
    await page.get(byTestId("why")).trigger("click");
    const link = page.get<HTMLAnchorElement>(`${byTestId("reasons")} a`);
    link.element.focus();
    await link.trigger("keydown", { key: "Escape" });
    expect(page.find(byTestId("reasons")).exists()).toBe(false);
    expect(document.activeElement).toBe(page.get(byTestId("why")).element);
  });

  it("that are closed leave the keyboard alone when Escape is pressed", async () => {
    const page = await explainedCard();
    const dismiss = page.get<HTMLButtonElement>(byTestId("dismiss"));
    dismiss.element.focus();
    await dismiss.trigger("keydown", { key: "Escape" });
    expect(document.activeElement).toBe(dismiss.element);
  });

  it("offer to see nothing more by the photographer", async () => {
    const page = await explainedCard();
    await page.get(byTestId("why")).trigger("click");
    await page.get(byTestId("dismiss-owner")).trigger("click");
    expect(page.emitted("dismissPerson")).toHaveLength(1);
  });
});
