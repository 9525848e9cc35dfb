// When a person has favorites enough for a wall of their own, and how far they are.

import type { Account } from "../api/types";
import { count } from "./words";

export const ENOUGH_FAVORITES = 5;
export const ENOUGH_OWNERS = 3;

type Standing = Pick<Account, "favorites" | "favorite_owners">;

/** Enough to say what somebody likes: a few photos, and not all of one photographer. */
export function isEnough({ favorites, favorite_owners }: Standing): boolean {
  return favorites >= ENOUGH_FAVORITES && favorite_owners >= ENOUGH_OWNERS;
}

/** Whether to begin with groups. Somebody whose favorites were never read may have thousands. */
export function isBeginning(account: Standing & Pick<Account, "favorites_pulled_at">): boolean {
  return account.favorites_pulled_at !== null && !isEnough(account);
}

/** "3 of 5 favorites, 2 of 3 photographers". */
export function standingWords({ favorites, favorite_owners }: Standing): string {
  const of = (have: number, enough: number): string => (have < enough ? `${have} of ` : "");
  const photos = `${of(favorites, ENOUGH_FAVORITES)}${count(Math.max(favorites, ENOUGH_FAVORITES), "favorite")}`;
  const owners = Math.max(favorite_owners, ENOUGH_OWNERS);
  return `${photos}, ${of(favorite_owners, ENOUGH_OWNERS)}${count(owners, "photographer")}`;
}
