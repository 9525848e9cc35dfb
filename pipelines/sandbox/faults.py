"""Misbehaviour on request: what Flickr does on a bad day, as often as one asks for it, repeatable from a seed.

`PUT /sandbox/faults` takes `{"seed": 0, "rules": [{"kind": "bad_gateway", "rate": 0.1}, …]}`; an empty list ends it.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import asdict, dataclass, replace

from features.errors import InvalidInputError

# kind → what the client meets
KINDS = {
    "too_many_requests": "HTTP 429 with Retry-After",
    "bad_gateway": "HTTP 502 with a page of HTML",
    "hang": "the call is carried out, its answer comes `seconds` later",
    "html": "HTTP 200 with a page of HTML",
    "truncated_json": "the call is carried out, its answer breaks off in the middle",
    "fail": "`stat: fail` with `code`",
    "expired_token": "`stat: fail`, code 98, for calls signed with a token",
    "short_pages": "favorites come in shorter pages than asked for and `pages` claims fewer than there are; `rate` is "
    "the share of users with such pages",
    "empty_page": "a page of favorites after the first, and not the last, comes empty",
    "bad_entry": "the first entry of a page of favorites lacks its owner",
    "wrong_total": "`total` and `pages` of favorites claim a third more than there is",
}
ONLY_FAVORITES = ("short_pages", "empty_page", "bad_entry", "wrong_total")


@dataclass(frozen=True)
class Fault:
    """One rule. `method` is a Flickr method such as `flickr.favorites.getPublicList`, "" for all."""

    kind: str
    rate: float = 1.0
    method: str = ""
    times: int | None = None  # how often yet, None for ever
    code: int = 105
    seconds: float = 60.0
    retry_after: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInputError(f"kind={self.kind!r}: must be one of {', '.join(KINDS)}", field="kind")
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float) or not 0 <= self.rate <= 1:
            raise InvalidInputError(f"rate={self.rate!r}: must be between 0 and 1", field="rate")
        if self.times is not None and (
            isinstance(self.times, bool) or not isinstance(self.times, int) or self.times < 0
        ):
            raise InvalidInputError(f"times={self.times!r}: must be a count or null", field="times")
        if not isinstance(self.method, str) or (self.method and not self.method.startswith("flickr.")):
            raise InvalidInputError(f"method={self.method!r}: must begin with flickr.", field="method")
        for name in ("code", "seconds", "retry_after"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise InvalidInputError(f"{name}={value!r}: must be a number from 0", field=name)


class Faults:
    """The rules in force, first that applies first."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self.seed = 0
        self._random = random.Random(0)  # noqa: S311 (no secret)

    def set(self, document: object) -> None:
        """Replaces all rules. Raises InvalidInputError that names the field; the rules in force stay then."""
        if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
            raise InvalidInputError('send {"rules": [{"kind": …}, …]}', field="rules")
        seed = document.get("seed", 0)
        if not isinstance(seed, int):
            raise InvalidInputError(f"seed={seed!r}: must be an integer", field="seed")
        rules = []
        for rule in document["rules"]:
            try:
                rules.append(Fault(**rule))
            except TypeError as error:
                raise InvalidInputError(f"{rule!r} is no rule: {error}", field="rules") from None
        self.rules, self.seed = rules, seed
        self._random = random.Random(seed)  # noqa: S311

    def as_json(self) -> dict[str, object]:
        return {"seed": self.seed, "rules": [asdict(rule) for rule in self.rules]}

    def draw(self, method: str, *, subject: str = "", has_token: bool = False) -> Fault | None:
        """The fault that this call meets, or None. `subject` is the user whose favorites are listed."""
        for place, rule in enumerate(self.rules):
            if rule.method not in ("", method) or rule.times == 0:
                continue
            if rule.kind in ONLY_FAVORITES and not method.startswith("flickr.favorites.get"):
                continue
            if rule.kind == "expired_token" and not has_token:
                continue
            if rule.kind == "short_pages":  # all pages of a listing have to be cut alike, or some could never be read
                hit = zlib.crc32(f"{self.seed}{subject}".encode()) / 2**32 < rule.rate
            else:
                hit = self._random.random() < rule.rate
            if hit:
                if rule.times is not None:
                    self.rules[place] = replace(rule, times=rule.times - 1)
                return rule
        return None
