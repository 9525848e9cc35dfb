"""Skies that several styles share: the gradient, the sun and its light, clouds, stars and birds.

They are apart because a sky must be lit by the same mood as the land or the sea below it.
"""

from __future__ import annotations

import math

from pipelines.sandbox.pictures.canvas import Canvas, Stop, curve, dots
from pipelines.sandbox.pictures.colour import Mood, along, lighten, mix
from pipelines.sandbox.pictures.noise import fractal_noise, positions


def paint_sky(canvas: Canvas, mood: Mood, horizon: float) -> None:
    """Fill the frame with the mood's sky, its last colour at ``horizon`` (units from the top)."""
    last = len(mood.sky) - 1
    # The eye expects most of the change near the horizon, hence the power.
    stops: list[Stop] = [((index / last) ** 0.8, colour) for index, colour in enumerate(mood.sky)]
    canvas.rect(0, 0, canvas.w, canvas.h, canvas.linear(stops, (0, 0), (0, horizon), frame_units=True))


def sun(canvas: Canvas, mood: Mood, x: float, y: float, radius: float, *, halo: float = 9.0, disc: bool = True) -> None:
    """A sun (or moon) with its halo, ``halo`` radii wide."""
    canvas.glow(x, y, radius * halo, mood.sun, 0.38, 1.35)
    canvas.glow(x, y, radius * halo * 0.45, mood.sun, 0.55)
    if disc:
        canvas.circle(
            x, y, radius, canvas.radial([(0, "#ffffff"), (0.75, lighten(mood.sun, 0.03)), (1, mood.sun, 0.75)])
        )


def streak_clouds(
    canvas: Canvas, mood: Mood, top: float, bottom: float, count: int, light: tuple[float, float]
) -> None:
    """Thin, wind-drawn clouds between ``top`` and ``bottom``; those nearer to the ``light`` are brighter, as if
    lit from below.
    """
    rng = canvas.rng
    for _ in range(count):
        share = rng.random()
        y = top + (bottom - top) * share
        x = rng.uniform(-0.1, 1.1) * canvas.w
        length = rng.uniform(120, 420) * (1.2 - 0.5 * share)
        nearness = math.exp(-(((x - light[0]) / 520) ** 2) - ((y - light[1]) / 320) ** 2)
        dark = mix(along(mood.sky, y / max(1.0, light[1])), mood.shadow, 0.25)
        colour = mix(dark, mix(mood.sun, mood.horizon, 0.35), 0.15 + 0.8 * nearness)
        canvas.glow(x, y, length * rng.uniform(0.035, 0.085), colour, rng.uniform(0.35, 0.8), rng.uniform(9, 16))


def clouds(canvas: Canvas, mood: Mood, top: float, bottom: float, light: tuple[float, float], cover: float) -> None:
    """A torn cloud deck between ``top`` and ``bottom`` that glows where it is near the ``light``; ``cover`` 0 … 1
    is how much of the sky it takes.
    """
    rng = canvas.rng
    dark = mix(along(mood.sky, 0.3), mood.shadow, rng.uniform(0.1, 0.35))
    middle = mix(along(mood.sky, 0.72), mood.shadow, 0.12)
    stops: list[Stop] = [
        (0, dark),
        (0.55, mix(dark, middle, 0.7)),
        (0.85, mix(middle, mood.horizon, 0.6)),
        (1, mood.horizon, 0.4),
    ]
    down = rng.uniform(70, 170)
    across = down * rng.uniform(2.6, 6)
    shape = canvas.texture(across, down, 5.5, -3.1 + cover * 1.1, 4)
    canvas.rect(0, top, canvas.w, bottom - top, canvas.linear(stops), 0.92, shape)
    # The light on the clouds is torn by a noise of its own: a smooth glow would look like haze before them.
    reach = canvas.w * rng.uniform(0.45, 0.7)
    glow = canvas.radial([(0, mood.sun, 1), (0.35, mix(mood.sun, mood.horizon, 0.6), 0.85), (1, mood.horizon, 0)])
    rim = canvas.texture(across * 0.8, down * 0.7, 6, -3.2 + cover * 0.8, 4)
    high = min(light[1] - top, reach * 0.6)
    canvas.ellipse(light[0], light[1] - high * 0.3, reach, max(120.0, high), glow, 0.85, rim)


def stars(canvas: Canvas, count: int, bottom: float, colour: str = "#ffffff") -> None:
    """Stars above ``bottom``, in four magnitudes of falling number, thinning towards the horizon."""
    rng = canvas.rng
    for magnitude, (share, size, opacity) in enumerate(
        ((0.68, 1.6, 0.5), (0.22, 2.4, 0.75), (0.08, 3.6, 0.9), (0.02, 5.2, 1.0))
    ):
        many = max(2, round(count * share))
        places = [(rng.uniform(0, canvas.w), bottom * rng.random() ** 1.15) for _ in range(many)]
        tint = mix(colour, ("#bcd0ff", "#ffffff", "#ffe6c8", "#dfe9ff")[magnitude], 0.5)
        canvas.stroke(dots(places), tint, size, opacity)


def birds(canvas: Canvas, x: float, y: float, count: int, size: float, colour: str, opacity: float = 0.8) -> None:
    """A loose flock of gull wings around (x, y)."""
    rng = canvas.rng
    wings = []
    for _ in range(count):
        bx, by = x + rng.gauss(0, size * 5), y + rng.gauss(0, size * 2.2)
        s = size * rng.uniform(0.6, 1.2)
        lift = rng.uniform(0.25, 0.6)
        wings.append(
            f"M{bx - s:.0f} {by - s * lift:.0f}q{s * 0.6:.0f} {-s * 0.1:.0f} {s:.0f} {s * lift:.0f}"
            f"q{s * 0.4:.0f} {-s * (lift + 0.1):.0f} {s:.0f} {-s * lift:.0f}"
        )
    canvas.stroke("".join(wings), colour, size * 0.16, opacity)


def mist(canvas: Canvas, y: float, height: float, colour: str, opacity: float) -> None:
    """A band of mist over the whole width, densest at ``y``, uneven along it."""
    rng = canvas.rng
    paint = canvas.linear([(0, colour, 0), (0.55, colour, 1), (1, colour, 0)])
    torn = canvas.texture(rng.uniform(380, 700), rng.uniform(70, 150), 3.2, -1.0, 3)
    canvas.rect(0, y - height, canvas.w, height * 2, paint, opacity, torn)


def wavy(canvas: Canvas, y: float, amplitude: float, wavelength: float, step: float = 60) -> list[tuple[float, float]]:
    """Points of one soft horizontal line around ``y`` across the frame."""
    x = positions(canvas.w, step, step)
    heights = y + amplitude * fractal_noise(canvas.rng, x / wavelength + canvas.rng.uniform(0, 50), 2)
    return list(zip(x.tolist(), heights.tolist(), strict=True))


def soft_band(
    canvas: Canvas, upper: list[tuple[float, float]], lower: list[tuple[float, float]], paint: str, opacity: float = 1.0
) -> None:
    """The area between two soft lines."""
    canvas.path(curve([*upper, *reversed(lower)], close=True), paint, opacity)
