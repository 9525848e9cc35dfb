// How fresh everything is: the numbers, what is stale in words, and looking again while somebody looks.

import { flushPromises, type VueWrapper } from "@vue/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import type { Status } from "../../src/api/types";
import StatusPage from "../../src/pages/StatusPage.vue";
import { age, troubles } from "../../src/wall/freshness";
import { byTestId, mountAt } from "../mounting";
import { json, refusal, startService, type Service } from "../service";

const NOW = Date.parse("2026-11-25T12:00:00Z");
let service: Service;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ["Date", "setInterval", "clearInterval"] });
  service = startService();
});
afterEach(() => void vi.useRealTimers());

function status(changes: Partial<Status> = {}): Status {
  const share = { spent: 100, limit: 3600, left: 3400 };
  return {
    model: {
      version: "7",
      kind: "blend",
      retrieval: "exact",
      photos: 1200,
      loaded_at: "2026-11-25T10:00:00Z",
      trained_at: "2026-11-24T12:00:00Z",
      data_until: "2026-11-24T11:00:00Z",
    },
    challenger: null,
    model_error: null,
    features: { version: "f", built_at: "2026-11-25T09:00:00Z" },
    queue: { waiting: 4, leased: 1, dead: 0 },
    budget: { calls_per_hour: 3600, spent: 200, paused_seconds: 0, shares: { person: share } },
    workers: { worker: 2, scheduler: 1 },
    details: null,
    ...changes,
  };
}

async function pageOf(answer: Status): Promise<VueWrapper> {
  service.on("GET /status", () => json(answer));
  const { page } = await mountAt("/", StatusPage);
  await flushPromises();
  return page;
}

it("shows model, features, queue, workers and budget", async () => {
  const text = (await pageOf(status())).text();
  for (const part of ["7 (blend)", "24 hours ago", "1,200 photos", "3 hours ago", "200 of 3600 in the last hour"])
    expect(text).toContain(part);
  expect(text).toContain("Everything is as it should be.");
  expect(text).not.toContain("For operators");
});

it("says in words what is stale", async () => {
  const page = await pageOf(status({ features: { version: "f", built_at: "2026-11-22T12:00:00Z" } }));
  expect(page.get(byTestId("troubles")).text()).toBe("Features are 3 days old.");
});

it.each<[string, Partial<Status>]>([
  ["No model is served yet", { model: null }],
  ["A newer model is not served: it is broken.", { model_error: "it is broken" }],
  ["Features were never built.", { features: { version: null, built_at: null } }],
  ["No worker is at work", { workers: { worker: 0, scheduler: 1 } }],
  ["No scheduler is at work", { workers: { worker: 1, scheduler: 0 } }],
  ["2 readings of favorites could not be done.", { queue: { waiting: 0, leased: 0, dead: 2 } }],
  ["is not known right now", { budget: null }],
  ["for another 30 seconds", { budget: { calls_per_hour: 1, spent: 1, paused_seconds: 29.5, shares: {} } }],
])("says “%s” alone when that is the matter", (words, changes) => {
  const found = troubles(status(changes), NOW);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(words);
});

it("says how old things are in the largest unit that fits", () => {
  const of = (seconds: number): string => age(new Date(NOW - seconds * 1_000).toISOString(), NOW);
  expect([5, 60, 5_400, 7_200, 86_400, 3 * 86_400, -60].map(of)).toEqual([
    "a moment",
    "1 minute",
    "90 minutes",
    "2 hours",
    "24 hours",
    "3 days",
    "a moment",
  ]);
});

it("shows operators what the service tells them", async () => {
  const letter = { reason: "Flickr refuses it", buried_at: "2026-11-25T11:00:00Z" };
  const details = { paused_because: "Flickr asked to wait", dead_letters: [letter] };
  const text = (await pageOf(status({ details }))).get(byTestId("status-details")).text();
  expect(text).toContain("Flickr asked to wait");
  expect(text).toContain("Flickr refuses it");
});

it("looks again every ten seconds while it is visible, and no longer when it is left", async () => {
  const page = await pageOf(status());
  const visible = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  vi.advanceTimersByTime(60_000);
  expect(service.callsOf("GET /status")).toHaveLength(1);
  visible.mockReturnValue("visible");
  vi.advanceTimersByTime(20_000);
  await flushPromises();
  expect(service.callsOf("GET /status")).toHaveLength(3);
  page.unmount();
  vi.advanceTimersByTime(60_000);
  expect(service.callsOf("GET /status")).toHaveLength(3);
});

it("keeps what it knew while the service does not answer, and can be told to try again", async () => {
  const page = await pageOf(status());
  service.on("GET /status", () => refusal(503, "database_gone", "The database does not answer."));
  vi.advanceTimersByTime(10_000);
  await flushPromises();
  expect(page.get(byTestId("status-error")).text()).toContain("The database does not answer.");
  expect(page.text()).toContain("7 (blend)");
  service.on("GET /status", () => json(status()));
  await page.get("button").trigger("click");
  await flushPromises();
  expect(page.find(byTestId("status-error")).exists()).toBe(false);
});
