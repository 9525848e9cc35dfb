// Favorites that the model does not know yet: said to the wall's own person, and only where there are any.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it } from "vitest";

import StillLearning from "../../src/components/StillLearning.vue";
import { useSession } from "../../src/stores/session";
import { useWall } from "../../src/stores/wall";
import { ANNA, person, progress, recommendations } from "../examples";
import { byTestId, mountAt } from "../mounting";
import { json, startService } from "../service";

beforeEach(() => void setActivePinia(createPinia()));

async function shown(unlearned: number, signedIn = true): Promise<VueWrapper> {
  const service = startService({ user: signedIn ? person() : null });
  const photo = { title: "Fog", image_url: "https://live.example.org/1_z.jpg", page_url: "https://f.example.org/1/" };
  const answer = recommendations({ unlearned, unlearned_photos: [photo] });
  service.on(`GET /users/${encodeURIComponent(ANNA)}/recommendations`, () => json(answer));
  service.on(`POST /users/${encodeURIComponent(ANNA)}/pull`, () => json(progress({ stage: "done" }), 202));
  await useSession().load();
  await useWall().open(ANNA);
  const { page } = await mountAt("/", StillLearning);
  await flushPromises();
  return page;
}

it("says how many there are, with pictures that a screen reader passes over", async () => {
  const page = await shown(4);
  expect(page.get(byTestId("still-learning")).text()).toBe("Still learning from 4 newer favorites of yours");
  expect(page.get("img").attributes("alt")).toBe("");
});

it.each([
  ["there are none", 0, true],
  ["somebody else looks", 4, false],
])("says nothing where %s", async (_when, unlearned, signedIn) => {
  expect((await shown(unlearned, signedIn)).find(byTestId("still-learning")).exists()).toBe(false);
});
