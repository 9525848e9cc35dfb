// What was really visible: a photo of which half or more stays on the screen for a second is told to the service, once
// for each time that the wall is opened. Nobody is told when that fails; it is tried once more, with the next report.

import { onBeforeUnmount, onMounted, type Ref } from "vue";

import { reportShown } from "../api/client";
import { useWall, type Ranking } from "../stores/wall";

const VISIBLE_SHARE = 0.5;
const VISIBLE_MS = 1_000;
const REPORT_MS = 5_000;
/** The service takes no more at once. */
const MOST_AT_ONCE = 200;

interface Sight extends Ranking {
  photo_id: string;
  rank: number;
  retried: boolean;
}

/** Watches the photo cards below `root` for as long as the component that calls it is there. */
export function useImpressions(root: Readonly<Ref<HTMLElement | null>>): void {
  const wall = useWall();
  // What is told last is told when the next wall may be open already.
  const wallId = wall.userId;
  const observer = new IntersectionObserver(look, { threshold: VISIBLE_SHARE });
  /** Cards on the screen, each with the clock that runs for it; none runs on a hidden page. */
  const inView = new Map<Element, number | undefined>();
  const seen = new Set<string>();
  const waiting: Sight[] = [];
  let nextReport: number | undefined;

  /** Cards come and go as the wall is scrolled, without this component being drawn anew. */
  const changes = new MutationObserver(observe);

  function observe(): void {
    // One that is observed already is not observed twice.
    for (const card of root.value?.querySelectorAll("[data-photo-id]") ?? []) observer.observe(card);
  }

  function look(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting, intersectionRatio } of entries) {
      stopClock(target);
      if (!target.isConnected) observer.unobserve(target);
      else if (isIntersecting && intersectionRatio >= VISIBLE_SHARE && !seen.has(photoOf(target))) startClock(target);
    }
  }

  function startClock(card: Element): void {
    inView.set(card, document.hidden ? undefined : window.setTimeout(see, VISIBLE_MS, card));
  }

  function stopClock(card: Element): void {
    window.clearTimeout(inView.get(card));
    inView.delete(card);
  }

  function see(card: Element): void {
    inView.delete(card);
    const photoId = photoOf(card);
    const rank = wall.photos.findIndex((photo) => photo.photo_id === photoId);
    if (rank < 0 || seen.has(photoId)) return;
    seen.add(photoId);
    waiting.push({ photo_id: photoId, rank, ...wall.rankingOf(photoId), retried: false });
    nextReport ??= window.setTimeout(report, REPORT_MS);
  }

  function report(): void {
    window.clearTimeout(nextReport);
    const batch = waiting.splice(0, MOST_AT_ONCE);
    nextReport = waiting.length > 0 ? window.setTimeout(report, REPORT_MS) : undefined;
    const nameOf = (sight: Sight) => `${sight.model} ${sight.variant}`;
    const rankings = new Map(batch.map((sight) => [nameOf(sight), sight]));
    for (const [name, ranking] of rankings) void send(ranking, batch.filter((sight) => nameOf(sight) === name));
  }

  async function send(ranking: Ranking, sights: Sight[]): Promise<void> {
    try {
      await reportShown(wallId, ranking, sights.map(({ photo_id, rank }) => ({ photo_id, rank })));
    } catch {
      waiting.push(...sights.filter((sight) => !sight.retried).map((sight) => ({ ...sight, retried: true })));
    }
  }

  function pageShownOrHidden(): void {
    for (const [card, clock] of inView) {
      window.clearTimeout(clock);
      startClock(card);
    }
    if (document.hidden) report();
  }

  onMounted(() => {
    document.addEventListener("visibilitychange", pageShownOrHidden);
    window.addEventListener("pagehide", report);
    observe();
    if (root.value !== null) changes.observe(root.value, { childList: true, subtree: true });
  });
  onBeforeUnmount(() => {
    document.removeEventListener("visibilitychange", pageShownOrHidden);
    window.removeEventListener("pagehide", report);
    observer.disconnect();
    changes.disconnect();
    for (const clock of inView.values()) window.clearTimeout(clock);
    report();
    window.clearTimeout(nextReport);
  });
}

function photoOf(card: Element): string {
  return (card as HTMLElement).dataset.photoId ?? "";
}
