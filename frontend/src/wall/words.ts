// The ranking and the pull, said in plain words.

import type { Recommendations, Stage } from "../api/types";

const number = new Intl.NumberFormat("en");

export function count(value: number, one: string, many = `${one}s`): string {
  return `${number.format(value)} ${value === 1 ? one : many}`;
}

/** Whose wall it is, to the one who reads it. */
export interface Whose {
  name: string;
  own: boolean;
}

/** How the wall was ranked. */
export function strategyWords(
  standing: Pick<Recommendations, "strategy" | "degraded" | "coverage">,
  whose: Whose,
  pulling: boolean,
): string {
  switch (standing.strategy) {
    case "personalized":
      return standing.degraded
        ? `Ranked by ${possessive(whose)} taste, with a part of the ranking missing right now.`
        : `Ranked by ${possessive(whose)} taste, learned from ${whose.own ? "your" : "their"} favorites.`;
    case "neighbors":
      return `Ranked by the favorites of ${photographers(whose)}${coverageWords(standing.coverage)}.`;
    case "popular":
      if (pulling) return `Photos that many people fave, while ${possessive(whose)} favorites are being read.`;
      return standing.degraded
        ? `Photos that many people fave: ${possessive(whose)} ranking is out of reach right now.`
        : `Photos that many people fave: too little is known of ${possessive(whose)} taste.`;
  }
}

function coverageWords(coverage: number): string {
  const percent = Math.floor(coverage * 100);
  return percent > 0 && percent < 100 ? ` (${percent} % of them read so far)` : "";
}

export function stageWords(stage: Stage, whose: Whose): string {
  switch (stage) {
    case "unknown":
    case "queued":
      return "Waiting for a turn";
    case "favorites":
      return `Reading ${possessive(whose)} favorites`;
    case "neighbors":
      return `Reading the favorites of ${photographers(whose)}`;
    case "done":
      return "Everything is read";
    case "failed":
      return "Reading stopped";
  }
}

/** "about 20 seconds left", or nothing when nobody knows. */
export function timeLeft(seconds: number | null): string {
  if (seconds === null || seconds <= 0) return "";
  if (seconds < 60) return `about ${count(Math.max(Math.ceil(seconds / 5) * 5, 5), "second")} left`;
  return `about ${count(Math.round(seconds / 60), "minute")} left`;
}

function possessive(whose: Whose): string {
  return whose.own ? "your" : `${whose.name}’s`;
}

function photographers(whose: Whose): string {
  return whose.own ? "photographers you like" : `photographers ${whose.name} likes`;
}
