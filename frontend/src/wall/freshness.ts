// How old things are, in words, and what is older or fewer than it should be.

import type { Status } from "../api/types";
import { count } from "./words";

const HOUR = 3_600;
const DAY = 24 * HOUR;
/** Features are built daily; a model is trained anew after 30 days at the latest. */
const FEATURES_STALE = 2 * DAY;
const MODEL_STALE = 31 * DAY;

/** "3 days", "20 minutes": how long ago that was. */
export function age(moment: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(moment)) / 1_000);
  if (seconds < 60) return "a moment";
  if (seconds < 2 * HOUR) return count(Math.round(seconds / 60), "minute");
  if (seconds < 2 * DAY) return count(Math.round(seconds / HOUR), "hour");
  return count(Math.round(seconds / DAY), "day");
}

/** What is not as it should be, a sentence each; nothing when all is well. */
export function troubles(status: Status, now: number): string[] {
  const { model, features, queue, budget, workers } = status;
  const older = (moment: string | null, seconds: number): moment is string =>
    moment !== null && now - Date.parse(moment) > seconds * 1_000;
  const found: string[] = [];
  if (model === null) found.push("No model is served yet: walls show what is popular, or what neighbors favorited.");
  else if (older(model.trained_at, MODEL_STALE)) found.push(`The model is ${age(model.trained_at, now)} old.`);
  if (status.model_error !== null) found.push(`A newer model is not served: ${status.model_error}.`);
  if (features.built_at === null) found.push("Features were never built.");
  else if (older(features.built_at, FEATURES_STALE))
    found.push(`Features are ${age(features.built_at, now)} old.`);
  if (!workers.worker) found.push("No worker is at work: nobody’s favorites are being read.");
  if (!workers.scheduler) found.push("No scheduler is at work: nothing is refreshed by itself.");
  if (queue.dead) found.push(`${count(queue.dead, "reading")} of favorites could not be done.`);
  if (budget === null) found.push("How many calls of Flickr are left is not known right now.");
  else if (budget.paused_seconds > 0)
    found.push(`Nobody calls Flickr for another ${count(Math.ceil(budget.paused_seconds), "second")}.`);
  return found;
}
