"""The sheet a picture is drawn on: it collects gradients and shapes, and writes them as one compact SVG.

Coordinates are units of a frame whose shorter side is always 1000, so that a picture is composed once for its
aspect ratio and every size is the same drawing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from random import Random
from typing import Final

Point = tuple[float, float]
Stop = tuple[float, str] | tuple[float, str, float]

SHORT_SIDE: Final = 1000
# A photo's sizes round its sides to whole pixels; snapping to the usual ratios keeps all its sizes one drawing.
_RATIOS: Final = (1.0, 5 / 4, 4 / 3, 3 / 2, 16 / 9, 2.0, 2.4, 3.0)


def frame(width: int, height: int) -> tuple[int, int]:
    """The frame (width, height) in units for a picture of ``width`` × ``height`` pixels: the usual aspect ratio
    that is nearest.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a picture needs a positive width and height in pixels, not {width} × {height}")
    ratio = max(width, height) / min(width, height)
    nearest = min(_RATIOS, key=lambda known: abs(math.log(known / ratio)))
    long_side = round(SHORT_SIDE * nearest)
    return (long_side, SHORT_SIDE) if width >= height else (SHORT_SIDE, long_side)


def number(value: float) -> str:
    """A number as short as SVG allows, to a tenth of a unit."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def lines(points: Iterable[Point], *, close: bool = False) -> str:
    """Path data of straight lines through ``points``, in whole units and relative steps (half the bytes of
    absolute ones).
    """
    iterator = iter(points)
    x, y = (round(value) for value in next(iterator))
    parts = [f"M{x} {y}l"]
    for point in iterator:
        next_x, next_y = round(point[0]), round(point[1])
        parts.append(f"{next_x - x} {next_y - y} ")
        x, y = next_x, next_y
    return "".join(parts).rstrip() + ("z" if close else "")


def curve(points: Sequence[Point], *, close: bool = False) -> str:
    """Path data of a smooth curve through ``points``: Catmull–Rom splines written as relative cubic Béziers in
    whole units.
    """
    count = len(points)
    x, y = round(points[0][0]), round(points[0][1])
    parts = [f"M{x} {y}c"]
    for i in range(count if close else count - 1):
        if close:
            before, start, end, after = points[i - 1], points[i], points[(i + 1) % count], points[(i + 2) % count]
        else:
            before, start, end, after = points[max(0, i - 1)], points[i], points[i + 1], points[min(count - 1, i + 2)]
        next_x, next_y = round(end[0]), round(end[1])
        parts.append(
            f"{start[0] + (end[0] - before[0]) / 6 - x:.0f} {start[1] + (end[1] - before[1]) / 6 - y:.0f} "
            f"{end[0] - (after[0] - start[0]) / 6 - x:.0f} {end[1] - (after[1] - start[1]) / 6 - y:.0f} "
            f"{next_x - x} {next_y - y} "
        )
        x, y = next_x, next_y
    return "".join(parts).rstrip() + ("z" if close else "")


def dots(points: Iterable[Point]) -> str:
    """Path data of dots (drawn by a round line cap): thousands of stars or flakes in one element."""
    return "".join(f"M{x:.0f} {y:.0f}h0" for x, y in points)


class Canvas:
    """A picture in the making; ``w`` and ``h`` are the frame's sides in units, ``rng`` the one source of chance."""

    def __init__(self, w: int, h: int, rng: Random) -> None:
        self.w = w
        self.h = h
        self.rng = rng
        self._definitions: dict[str, str] = {}
        self._body: list[str] = []

    def _define(self, markup: str) -> str:
        """The id of a definition; ``markup`` has ``@`` where the id goes, equal ones are shared."""
        if markup not in self._definitions:
            self._definitions[markup] = f"d{len(self._definitions):x}"
        return self._definitions[markup]

    def _paint(self, markup: str) -> str:
        return f"url(#{self._define(markup)})"

    def linear(
        self, stops: Sequence[Stop], start: Point = (0, 0), end: Point = (0, 1), *, frame_units: bool = False
    ) -> str:
        """Paint of a linear gradient, downwards by default; positions are shares of the shape, or frame units."""
        units = ' gradientUnits="userSpaceOnUse"' if frame_units else ""
        places = zip(("x1", "y1", "x2", "y2"), (*start, *end), ("0", "0", "1", "0"), strict=True)
        written = "".join(f' {name}="{value:.4g}"' for name, value, default in places if f"{value:.4g}" != default)
        return self._paint(f'<linearGradient id="@"{units}{written}>{_stops(stops)}</linearGradient>')

    def radial(self, stops: Sequence[Stop], focus: Point | None = None) -> str:
        """Paint of a radial gradient over the shape's box, from its middle outwards; ``focus`` moves the middle of
        the light.
        """
        place = f' fx="{focus[0]:.3g}" fy="{focus[1]:.3g}"' if focus else ""
        return self._paint(f'<radialGradient id="@"{place}>{_stops(stops)}</radialGradient>')

    def light(self, stops: Sequence[Stop], centre: Point, reach: float) -> str:
        """Paint of a radial gradient in frame units: everything painted with it is lit from ``centre``."""
        place = f'gradientUnits="userSpaceOnUse" cx="{centre[0]:.0f}" cy="{centre[1]:.0f}" r="{reach:.0f}"'
        return self._paint(f'<radialGradient id="@" {place}>{_stops(stops)}</radialGradient>')

    def clip(self, shape: str, also: str = "") -> str:
        """Attribute that clips to the path data ``shape``, and to what the markup ``also`` covers."""
        area = self._paint(f'<clipPath id="@"><path d="{shape}"/>{also}</clipPath>')
        return f' clip-path="{area}"'

    def blur(self, deviation: float) -> str:
        """Attribute that blurs by a standard deviation in units. Dear in a browser: for few and small shapes only."""
        markup = (
            f'<filter id="@" x="-50%" y="-50%" width="200%" height="200%"><feGaussianBlur stdDe'
            f'viation="{number(deviation)}"/></filter>'
        )
        return f' filter="{self._paint(markup)}"'

    def texture(self, across: float, down: float, gain: float, offset: float, octaves: int = 3) -> str:
        """Attribute that lets a shape show only through fractal noise: clouds, mist, grain.

        ``across`` and ``down`` are the noise's features in units, the share of the shape that stays is ``gain`` ×
        noise + ``offset``, noise about 0.5 ± 0.2.
        """
        noise = (
            f'<feTurbulence type="fractalNoise" baseFrequency="{1 / across:.2g} {1 / down:.2g}" numOcta'
            f'ves="{octaves}" seed="{self.rng.randint(0, 9999)}"/>'
        )
        alpha = f'<feColorMatrix values="0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {gain:.3g} {offset:.3g}" result="a"/>'
        composed = '<feComposite operator="in" in="SourceGraphic" in2="a"/>'
        box = 'x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB"'
        filtered = self._paint(f'<filter id="@" {box}>{noise}{alpha}{composed}</filter>')
        return f' filter="{filtered}"'

    def symbol(self, markup: str) -> str:
        """Id of a group that `use` draws again and again."""
        return self._define(f'<g id="@">{markup}</g>')

    def add(self, markup: str) -> None:
        self._body.append(markup)

    def use(self, name: str, transform: str, extra: str = "") -> None:
        self.add(f'<use href="#{name}" transform="{transform}"{extra}/>')

    def fill(self, paint: str, opacity: float = 1.0, extra: str = "") -> None:
        """Paint over the whole frame."""
        self.rect(0, 0, self.w, self.h, paint, opacity, extra)

    def rect(self, x: float, y: float, w: float, h: float, paint: str, opacity: float = 1.0, extra: str = "") -> None:
        place = f'x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}"'
        self.add(f'<rect {place} fill="{paint}"{_opacity(opacity)}{extra}/>')

    def circle(self, x: float, y: float, r: float, paint: str, opacity: float = 1.0, extra: str = "") -> None:
        place = f'cx="{number(x)}" cy="{number(y)}" r="{number(r)}"'
        self.add(f'<circle {place} fill="{paint}"{_opacity(opacity)}{extra}/>')

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, paint: str, opacity: float = 1.0, extra: str = ""
    ) -> None:
        place = f'cx="{number(x)}" cy="{number(y)}" rx="{number(rx)}" ry="{number(ry)}"'
        self.add(f'<ellipse {place} fill="{paint}"{_opacity(opacity)}{extra}/>')

    def path(self, data: str, paint: str, opacity: float = 1.0, extra: str = "") -> None:
        self.add(f'<path d="{data}" fill="{paint}"{_opacity(opacity)}{extra}/>')

    def stroke(self, data: str, paint: str, width: float, opacity: float = 1.0, extra: str = "") -> None:
        """A line with round caps and joins."""
        shape = (
            f'fill="none" stroke="{paint}" stroke-width="{number(width)}" stroke-linecap="round" stroke-'
            f'linejoin="round"'
        )
        self.add(f'<path d="{data}" {shape}{_opacity(opacity, "stroke-opacity")}{extra}/>')

    @contextmanager
    def group(self, attributes: str) -> Iterator[None]:
        self.add(f"<g {attributes.strip()}>")
        yield
        self.add("</g>")

    def glow(self, x: float, y: float, r: float, colour: str, opacity: float = 1.0, stretch: float = 1.0) -> None:
        """Soft light without a filter: a radial gradient that fades like a Gaussian; ``stretch`` widens it."""
        stops: list[Stop] = [
            (0, colour, 1),
            (0.25, colour, 0.72),
            (0.5, colour, 0.32),
            (0.75, colour, 0.08),
            (1, colour, 0),
        ]
        self.ellipse(x, y, r * stretch, r, self.radial(stops), opacity)

    def vignette(self, strength: float, colour: str = "#000000") -> None:
        """Darken the corners as a lens does; ``strength`` is the opacity in the corners."""
        stops: list[Stop] = [(0.5, colour, 0), (0.75, colour, strength * 0.3), (1, colour, strength)]
        self.fill(self._paint(f'<radialGradient id="@" r=".72">{_stops(stops)}</radialGradient>'))

    def grain(self, strength: float, colour: str = "#000000") -> None:
        """Film grain: fine noise over the frame. One octave only, it is computed for every pixel."""
        self.fill(colour, strength, self.texture(2.2, 2.2, 4, -1.6, 1))

    def svg(self, width: int, height: int, title: str) -> str:
        """The finished picture, ``width`` × ``height`` pixels; the title is escaped."""
        definitions = "".join(markup.replace("@", name, 1) for markup, name in self._definitions.items())
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {self.w} {self.h}" '
            f'preserveAspectRatio="xMidYMid slice" role="img"><title>{escape(title)}</title>'
            f"<defs>{definitions}</defs>{''.join(self._body)}</svg>"
        )


def _opacity(value: float, name: str = "opacity") -> str:
    return "" if value >= 0.995 else f' {name}="{max(0.0, value):.2g}"'


def _stops(stops: Sequence[Stop]) -> str:
    parts = []
    for stop in stops:
        opacity = f' stop-opacity="{stop[2]:.2g}"' if len(stop) == 3 else ""
        parts.append(f'<stop offset="{stop[0]:.3g}" stop-color="{stop[1]}"{opacity}/>')
    return "".join(parts)
