// How far the reading of somebody's favorites is, for the eye and for a screen reader.

import type { VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it } from "vitest";

import type { Progress } from "../../src/api/types";
import PullProgress from "../../src/components/PullProgress.vue";
import { useNotices } from "../../src/stores/notices";
import { progress } from "../examples";
import { byTestId, mountAt } from "../mounting";

beforeEach(() => void setActivePinia(createPinia()));

async function bar(changes: Partial<Progress>, lost = false): Promise<VueWrapper> {
  return (
    await mountAt("/", PullProgress, { progress: progress(changes), whose: { name: "Anna", own: false }, lost })
  ).page;
}

function details(page: VueWrapper): string[] {
  return page.findAll(".words span").map((detail) => detail.text());
}

it("fills with the photographers that are read", async () => {
  const page = await bar({ stage: "neighbors", made: 1_200, finished: 300, favorites: 1, eta_seconds: 60 });
  expect(page.get(byTestId("progress")).attributes("data-stage")).toBe("neighbors");
  expect(page.get("strong").text()).toBe("Reading the favorites of photographers Anna likes");
  expect(details(page)).toEqual(["1 favorite", "300 of 1,200 photographers", "about 1 minute left"]);
  expect(page.get("[role=progressbar]").attributes("aria-valuenow")).toBe("25");
  expect(page.get<HTMLElement>(".fill").element.style.width).toBe("25%");
});

it.each([
  ["before the photographers are known", { stage: "favorites", made: 0, finished: 0 }],
  ["while the favorites are read again", { stage: "favorites", made: 20, finished: 5 }],
  ["with no photographers to read", { stage: "neighbors", made: 0, finished: 0 }],
] as const)("shows no share %s", async (_when, changes) => {
  const page = await bar({ ...changes, favorites: 0 });
  expect(page.get("[role=progressbar]").attributes("aria-valuenow")).toBeUndefined();
  expect(page.get(".fill").classes()).toContain("unknown");
  expect(details(page)).toEqual([]);
});

it("says that the connection is lost", async () => {
  expect(details(await bar({ stage: "queued", favorites: 0 }, true))).toEqual([
    "the connection is lost, trying again",
  ]);
});

it("tells a screen reader each new stage, and not each step", async () => {
  const page = await bar({ stage: "favorites" });
  const notices = useNotices();
  expect(notices.announcement).toBe("Reading Anna’s favorites");
  notices.announce("something else");
  await page.setProps({ progress: progress({ stage: "favorites", favorites: 80 }) });
  expect(notices.announcement).toBe("something else");
  await page.setProps({ progress: progress({ stage: "neighbors" }) });
  expect(notices.announcement).toBe("Reading the favorites of photographers Anna likes");
});
