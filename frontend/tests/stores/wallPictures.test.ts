// A picture that does not load: whose fault it is, and what becomes of its photo.

import { flushPromises } from "@vue/test-utils";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { useNotices } from "../../src/stores/notices";
import { ANNA, photo } from "../examples";
import { unreachable } from "../service";
import { beginAtWall, service, shown, wall } from "./openWall";

beginAtWall();

describe("a picture that does not load", () => {
  const REPORT = "POST /photos/2/broken";
  const loaded = (): void => wall.pictureLoaded();
  const broken = (id: string): void => wall.pictureBroken(photo({ photo_id: id }));

  beforeEach(async () => {
    service.on(REPORT, () => new Response(null, { status: 204 }));
    await wall.open(ANNA);
  });

  it("takes its photo off the wall and is reported once, when others do load", async () => {
    loaded();
    broken("2");
    broken("2");
    await flushPromises();
    expect(shown()).toEqual(["1", "3"]);
    expect(service.callsOf(REPORT)).toHaveLength(1);
  });

  it("before any has loaded is blamed on the connection, until one loads", async () => {
    broken("2");
    await flushPromises();
    expect(shown()).toEqual(["1", "2", "3"]);
    expect(service.callsOf(REPORT)).toEqual([]);
    loaded();
    await flushPromises();
    expect(shown()).toEqual(["1", "3"]);
    expect(service.callsOf(REPORT)).toHaveLength(1);
  });

  it("while the browser is offline is nobody's fault", async () => {
    loaded();
    vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);
    broken("2");
    await flushPromises();
    expect(shown()).toEqual(["1", "2", "3"]);
    expect(service.callsOf(REPORT)).toEqual([]);
  });

  it("stays off the wall when it is ranked anew", async () => {
    loaded();
    broken("2");
    await wall.rank();
    expect(shown()).toEqual(["1", "3"]);
  });

  it("is hidden though the report is refused, and nobody is bothered", async () => {
    service.on(REPORT, unreachable);
    loaded();
    broken("2");
    await flushPromises();
    expect(shown()).toEqual(["1", "3"]);
    expect(useNotices().notices).toEqual([]);
  });
});
