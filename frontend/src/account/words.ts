// The account said in plain words: moments as a person would name them, and whether a name was typed as it is.

import type { Account, Person } from "../api/types";

const LOCALE = "en";
const clock = new Intl.DateTimeFormat(LOCALE, { hour: "numeric", minute: "2-digit", hourCycle: "h23" });
const weekday = new Intl.DateTimeFormat(LOCALE, { weekday: "long" });
const day = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "long" });
const dayOfYear = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "long", year: "numeric" });

/** "today at 14:05", "on Tuesday", "on 2 December", "on 15 January 2025". */
export function moment(at: Date, now: Date): string {
  const days = Math.round((midnight(at) - midnight(now)) / 86_400_000);
  const near: Record<number, string> = { [-1]: "yesterday", 0: "today", 1: "tomorrow" };
  if (days in near) return `${near[days]} at ${clock.format(at)}`;
  if (days > 1 && days < 7) return `on ${weekday.format(at)}`;
  return `on ${at.getFullYear() === now.getFullYear() ? day.format(at) : dayOfYear.format(at)}`;
}

export function date(at: Date): string {
  return dayOfYear.format(at);
}

/** When the favorites were read last. */
export function lastRead(account: Account, now: Date): string {
  const at = account.favorites_pulled_at;
  return at === null ? "Your favorites were not read yet." : `Your favorites were read ${moment(new Date(at), now)}.`;
}

/** When they will be read again without anybody asking. */
export function nextRead(account: Account, now: Date): string {
  if (account.favorites_pulled_at === null) return "They are, once you open your wall.";
  if (account.refresh_due_by === null) return "After a long absence they are read again when you open your wall.";
  const dueBy = new Date(account.refresh_due_by);
  if (dueBy <= now) return "It is their turn to be read again.";
  return `They are read again by themselves, ${moment(dueBy, now)} at the latest.`;
}

/** From when on reading again is no waste; null: now. */
export function possibleFrom(account: Account, now: Date): Date | null {
  if (account.refresh_possible_at === null) return null;
  const from = new Date(account.refresh_possible_at);
  return from <= now ? null : from;
}

/** Whether that is the person's own name, or NSID, spaces around it aside. */
export function namesPerson(typed: string, person: Person): boolean {
  const plain = typed.normalize("NFC").trim();
  return plain !== "" && (plain === person.name.normalize("NFC").trim() || plain === person.user_id);
}

function midnight(at: Date): number {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();
}
