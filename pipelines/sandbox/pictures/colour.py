"""Colour arithmetic in OKLab and the moods (sky, sun, shadow) that the landscapes share.

It is apart from the drawing so that a picture's light is chosen once and every layer mixes towards it: that is
what makes distance believable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

Lab = tuple[float, float, float]


def _linear(channel: int) -> float:
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


_LINEAR = tuple(_linear(channel) for channel in range(256))


@lru_cache(maxsize=4096)
def to_lab(colour: str) -> Lab:
    """OKLab of a ``#rrggbb`` colour (Björn Ottosson, 2020: https://bottosson.github.io/posts/oklab/)."""
    number = int(colour[1:], 16)
    r, g, b = _LINEAR[number >> 16], _LINEAR[number >> 8 & 255], _LINEAR[number & 255]
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _encoded(value: float) -> int:
    if value <= 0.0031308:
        return max(0, round(value * 12.92 * 255))
    bent: float = 1.055 * value ** (1 / 2.4) - 0.055
    return min(255, round(bent * 255))


def from_lab(lab: Lab) -> str:
    """The ``#rrggbb`` colour nearest to an OKLab colour; channels outside sRGB are clipped."""
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = _encoded(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short)
    green = _encoded(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short)
    blue = _encoded(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short)
    return f"#{red << 16 | green << 8 | blue:06x}"


def mix(start: str, end: str, share: float) -> str:
    """The colour at ``share`` (0 to 1) of the straight way from ``start`` to ``end`` in OKLab."""
    first, second = to_lab(start), to_lab(end)
    keep = 1 - share
    return from_lab(
        (
            first[0] * keep + second[0] * share,
            first[1] * keep + second[1] * share,
            first[2] * keep + second[2] * share,
        )
    )


def lighten(colour: str, amount: float) -> str:
    """The colour with its OKLab lightness moved by ``amount`` (negative: darker), clipped to 0 … 1."""
    lightness, a, b = to_lab(colour)
    return from_lab((min(1.0, max(0.0, lightness + amount)), a, b))


def turn(colour: str, degrees: float, chroma: float = 1.0) -> str:
    """The colour with its hue turned by ``degrees`` and its chroma multiplied by ``chroma``."""
    lightness, a, b = to_lab(colour)
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle) * chroma, math.sin(angle) * chroma
    return from_lab((lightness, a * cosine - b * sine, a * sine + b * cosine))


def along(colours: Sequence[str], share: float) -> str:
    """The colour at ``share`` (0 to 1) of a row of evenly spaced colours."""
    position = min(1.0, max(0.0, share)) * (len(colours) - 1)
    index = min(int(position), len(colours) - 2)
    return mix(colours[index], colours[index + 1], position - index)


@dataclass(frozen=True)
class Mood:
    """The light of one picture: ``sky`` from zenith to horizon, the ``sun``, and the ``shadow`` of what stands
    before it.
    """

    name: str
    sky: tuple[str, ...]
    sun: str
    shadow: str

    @property
    def horizon(self) -> str:
        return self.sky[-1]

    @property
    def zenith(self) -> str:
        return self.sky[0]


MOODS: dict[str, Mood] = {
    mood.name: mood
    for mood in (
        Mood("golden", ("#33507f", "#7f86a8", "#e9b184", "#ffd391"), "#fff4d2", "#231c2b"),
        Mood("ember", ("#1c1638", "#5f2555", "#cc4a43", "#ff9d4f"), "#ffe3a6", "#140c1c"),
        Mood("blue", ("#0a1a3c", "#1f3f73", "#5585b4", "#bcd3e2"), "#f3f4ee", "#07101f"),
        Mood("pastel", ("#86a8cf", "#bcbcdc", "#f1c6d0", "#ffe8d6"), "#fffaf0", "#3d3f5c"),
        Mood("violet", ("#221a49", "#5a3b84", "#bb6592", "#ffb98c"), "#ffe7c4", "#130f28"),
        Mood("storm", ("#1f272f", "#3b4851", "#6c7c83", "#b3bdb9"), "#eef1ea", "#0d1216"),
        Mood("teal", ("#0e3346", "#2c6f7d", "#8dbcab", "#f6e2b1"), "#fff6da", "#081a20"),
        Mood("rose", ("#4c5f93", "#9c89b7", "#eba9ab", "#ffe2c2"), "#fff3e0", "#252542"),
        Mood("silver", ("#65717e", "#929eaa", "#bfc8ce", "#e9ecea"), "#fdfdf8", "#1d252c"),
        Mood("amber", ("#5e4630", "#a8743c", "#e7ab55", "#ffe09a"), "#fff6d8", "#22160c"),
        Mood("crimson", ("#170d20", "#451636", "#982a3c", "#f0683f"), "#ffd08a", "#0d0610"),
        Mood("mint", ("#5b93a8", "#94bfc0", "#cfe3d0", "#fdf3d8"), "#fffdf0", "#21424a"),
    )
}


def pick_mood(rng: Random, *names: str) -> Mood:
    """One of the named moods with its hues turned and its light shifted a little, so that no two seeds share a
    palette.
    """
    mood = MOODS[rng.choice(names)]
    degrees, lift, chroma = rng.gauss(0, 7), rng.gauss(0, 0.02), rng.uniform(0.85, 1.12)

    def shifted(colour: str) -> str:
        return lighten(turn(colour, degrees, chroma), lift)

    return Mood(mood.name, tuple(shifted(colour) for colour in mood.sky), shifted(mood.sun), shifted(mood.shadow))
