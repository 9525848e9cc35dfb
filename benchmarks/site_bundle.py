"""What a browser fetches before the site's first page works: JavaScript and CSS that index.html names, compressed.

The build refuses what is above the bars by itself (frontend/firstLoad.ts); this measures what was built, from outside.
"""

from __future__ import annotations

import gzip
from html.parser import HTMLParser
from pathlib import Path

from _reporting import finish

SITE = Path(__file__).parents[1] / "serving" / "site"
BARS = {"javascript": 90.0, "css": 20.0}
"""kB of 1,000 bytes."""


class Loaded(HTMLParser):
    """The files that a page loads at once, by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, list[str]] = {"javascript": [], "css": []}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and given.get("src"):
            self.files["javascript"].append(str(given["src"]))
        elif tag == "link" and given.get("rel") == "modulepreload":
            self.files["javascript"].append(str(given["href"]))
        elif tag == "link" and given.get("rel") == "stylesheet":
            self.files["css"].append(str(given["href"]))


def kilobytes(paths: list[Path]) -> float:
    """Of all these files, each compressed by itself, as it is sent."""
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths) / 1_000


def main() -> None:
    page = SITE / "index.html"
    if not page.exists():
        raise SystemExit(f"error: {page} is missing: run make site")
    loaded = Loaded()
    loaded.feed(page.read_text(encoding="utf-8"))
    first = {kind: kilobytes([SITE / name.lstrip("/") for name in names]) for kind, names in loaded.files.items()}
    every = {kind: kilobytes(sorted(SITE.rglob(ending))) for kind, ending in (("javascript", "*.js"), ("css", "*.css"))}
    details = {
        "first_load_kb": {kind: round(size, 2) for kind, size in first.items()},
        "at_most_kb": BARS,
        "whole_site_kb": {kind: round(size, 2) for kind, size in every.items()},
        "files": loaded.files,
    }
    ok = all(0 < first[kind] <= bar for kind, bar in BARS.items())
    finish("site_bundle", first["javascript"], "kB", "lower", BARS["javascript"], details, ok=ok)


if __name__ == "__main__":
    main()
