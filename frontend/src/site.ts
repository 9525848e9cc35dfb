// What the site is called, and what the browser's tab says.

export const SITE_NAME = "photo-recommender";

export function setTitle(page: string): void {
  document.title = page === "" ? SITE_NAME : `${page} · ${SITE_NAME}`;
}
