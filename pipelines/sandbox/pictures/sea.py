"""The sea at dusk: burning clouds, a path of light on the waves, and something dark in front.

It is apart from the long exposures, which show the same sea without waves, warmth or movement.
"""

from __future__ import annotations

import math

from pipelines.sandbox.pictures.canvas import Canvas, Point, Stop, curve, lines
from pipelines.sandbox.pictures.colour import Mood, lighten, mix, pick_mood
from pipelines.sandbox.pictures.figures import LIGHTHOUSE, ROWBOAT, SAILBOAT, place, walker
from pipelines.sandbox.pictures.noise import fractal_noise, positions, ridged_noise
from pipelines.sandbox.pictures.sky import birds, clouds, paint_sky, soft_band, streak_clouds, sun, wavy


def dusk_seascape(canvas: Canvas) -> None:
    """The sun goes down over the sea: burning clouds, a path of light on the waves, something dark in front."""
    rng = canvas.rng
    mood = pick_mood(rng, "golden", "ember", "violet", "crimson", "rose", "teal", "amber", "golden", "ember")
    horizon = canvas.h * rng.uniform(0.46, 0.66)
    light = (canvas.w * rng.uniform(0.24, 0.76), horizon - rng.uniform(-12, 130))
    paint_sky(canvas, mood, horizon)
    canvas.glow(light[0], horizon, 420, mix(mood.sun, mood.horizon, 0.4), 0.6, 1.9)
    sun(canvas, mood, *light, rng.uniform(26, 52))
    if rng.random() < 0.75:
        clouds(canvas, mood, 0, horizon, light, rng.uniform(0.1, 0.9))
    else:
        streak_clouds(canvas, mood, horizon * 0.08, horizon * 0.9, rng.randint(8, 18), light)
    _water(canvas, mood, horizon, light)
    if rng.random() < 0.5:
        _headland(canvas, mood, horizon)
    _foreground(canvas, mood, horizon, light)
    if rng.random() < 0.5:
        birds(
            canvas,
            canvas.w * rng.uniform(0.2, 0.8),
            horizon * rng.uniform(0.3, 0.7),
            rng.randint(3, 8),
            14,
            mood.shadow,
        )
    canvas.vignette(rng.uniform(0.25, 0.45))


def _water(canvas: Canvas, mood: Mood, horizon: float, light: Point) -> None:
    """The sea below the horizon with dark swell, bright facets and the sun's path."""
    rng = canvas.rng
    depth = canvas.h - horizon
    near = mix(mood.zenith, mood.shadow, 0.45)
    stops: list[Stop] = [
        (0, mix(mood.horizon, mood.sky[-2], 0.35)),
        (0.12, mix(mood.sky[-2], mood.sky[1], 0.45)),
        (0.5, mix(mood.sky[1], near, 0.4)),
        (1, near),
    ]
    canvas.rect(0, horizon, canvas.w, depth + 1, canvas.linear(stops))
    swell: list[str] = []
    facets: list[str] = []
    path = []
    for _ in range(84):
        t = rng.random() ** 1.5
        y = horizon + 3 + depth * t
        length = (18 + 210 * t) * rng.uniform(0.4, 1.3)
        (swell if rng.random() < 0.6 else facets).append(
            _lens(rng.uniform(-0.05, 1.05) * canvas.w, y, length, 1.6 + 9 * t)
        )
    for _ in range(98):
        t = rng.random() ** 1.35
        y = horizon + 2 + depth * t
        width = (26 + 200 * t) * (0.55 + 0.45 * math.sin(t * 9) ** 2)
        path.append(_lens(rng.gauss(light[0], width * 0.5), y, (16 + 90 * t) * rng.uniform(0.45, 1.3), 1.8 + 6 * t))
    canvas.path("".join(swell), mix(near, mood.shadow, 0.5), 0.5)
    canvas.path("".join(facets), mix(mood.sky[-2], mood.horizon, 0.5), 0.28)
    canvas.glow(light[0], horizon, depth * 0.95, mood.horizon, 0.5, 0.5)
    bright = canvas.linear([(0, mood.sun), (1, mix(mood.sun, mood.horizon, 0.7))])
    canvas.path("".join(path), bright, 0.8)
    canvas.rect(0, horizon - 2, canvas.w, 4, mix(mood.horizon, mood.sky[-2], 0.6), 0.5)


def _lens(x: float, y: float, length: float, thickness: float) -> str:
    """Path data of a flat wave facet."""
    half = length / 2
    return (
        f"M{x - half:.0f} {y:.0f}q{half:.0f} {-thickness:.0f} {length:.0f} 0q{-half:.0f} "
        f"{thickness:.0f} {-length:.0f} 0"
    )


def _headland(canvas: Canvas, mood: Mood, horizon: float) -> None:
    """Far land on one side of the horizon, now and then with a lighthouse."""
    rng = canvas.rng
    left = rng.random() < 0.5
    reach = canvas.w * rng.uniform(0.2, 0.45)
    x = positions(reach, 14)
    height = rng.uniform(30, 120) * (1 - x / reach) ** 0.6 * (0.75 + 0.5 * fractal_noise(rng, x / 120, 4))
    xs = x if left else canvas.w - x
    colour = mix(mood.shadow, mood.sky[-2], 0.3)
    canvas.path(
        lines([(xs[0], horizon + 2), *zip(xs, horizon + 2 - height, strict=True), (xs[-1], horizon + 3)], close=True),
        colour,
    )
    if rng.random() < 0.5:
        spot = len(x) // 2
        place(canvas, LIGHTHOUSE, xs[spot], horizon + 4 - height[spot], 80, colour, flip=left)
        canvas.glow(xs[spot], horizon - 71 - height[spot], 22, "#fff0c0", 0.9)


def _foreground(canvas: Canvas, mood: Mood, horizon: float, light: Point) -> None:
    """What stands before the sea: rocks, a beach with somebody on it, a sailing boat, a jetty."""
    rng = canvas.rng
    dark = mix(mood.shadow, "#000000", 0.25)
    chance = rng.random()
    if chance < 0.32:
        _rocks(canvas, mood, dark)
    elif chance < 0.6:
        _beach(canvas, mood, dark, light)
    elif chance < 0.85:
        x = canvas.w * rng.uniform(0.2, 0.8)
        y = horizon + rng.uniform(0.06, 0.3) * (canvas.h - horizon)
        size = 90 + (y - horizon) * 0.55
        place(canvas, SAILBOAT if rng.random() < 0.75 else ROWBOAT, x, y, size, dark, flip=rng.random() < 0.5)
        with canvas.group(f'transform="translate(0 {2 * y:.0f}) scale(1 -1)"'):
            place(
                canvas,
                '<path stroke="none" d="M-30 -6h62l-10 -26l-16 -30l-12 30z"/>',
                x,
                y,
                size * 0.8,
                dark,
                opacity=0.3,
            )
    else:
        _jetty(canvas, dark, horizon)


def _rocks(canvas: Canvas, mood: Mood, dark: str) -> None:
    """Wet rocks in the lower corners, rim-lit."""
    rng = canvas.rng
    for side in rng.sample((-1, 1), rng.randint(1, 2)):
        x = positions(canvas.w, 20, 20)
        away = (x if side < 0 else canvas.w - x) / (canvas.w * rng.uniform(0.4, 0.75))
        mass = canvas.h * rng.uniform(0.16, 0.3) * (1 - away).clip(0) ** 0.8
        top = canvas.h - mass * (0.45 + 0.75 * ridged_noise(rng, x / 210 + rng.uniform(0, 30), 5, 0.55)) + 25 * away
        points = list(zip(x.tolist(), top.tolist(), strict=True))
        canvas.path(
            lines([(-20, canvas.h + 90), *points, (canvas.w + 20, canvas.h + 90)], close=True),
            canvas.linear([(0, mix(dark, mood.sky[-2], 0.22)), (0.3, dark)]),
        )
        canvas.stroke(lines(points), mood.horizon, 2.5, 0.3)


def _beach(canvas: Canvas, mood: Mood, dark: str, light: Point) -> None:
    """Wet sand that mirrors the sky, edged with foam; maybe someone walks there."""
    rng = canvas.rng
    edge = canvas.h * rng.uniform(0.8, 0.9)
    upper = wavy(canvas, edge, 46, 500, 130)
    floor: list[Point] = [(-200, canvas.h + 60), (canvas.w + 200, canvas.h + 60)]
    sand = canvas.linear([(0, mix(mood.sky[-2], dark, 0.35)), (1, mix(dark, mood.sky[1], 0.1))])
    soft_band(canvas, upper, floor, sand)
    canvas.glow(light[0], edge + 70, 90, mood.horizon, 0.5, 2.4)
    for lift, width, opacity in ((0, 9, 0.75), (-12, 4, 0.4), (16, 3, 0.35)):
        canvas.stroke(
            curve([(x, y + lift + rng.uniform(-5, 5)) for x, y in upper]), lighten(mood.sun, 0.02), width, opacity
        )
    if rng.random() < 0.6:
        x = canvas.w * rng.uniform(0.2, 0.8)
        for _ in range(rng.randint(1, 2)):
            height = canvas.h * 0.01 + rng.uniform(105, 135)
            foot = canvas.h * 0.93
            body = walker(canvas)
            place(canvas, body, x, foot, height, dark)
            with canvas.group(f'transform="translate(0 {2 * foot:.0f}) scale(1 -1)"'):
                place(canvas, body, x, foot, height * 0.7, dark, opacity=0.25)
            x += rng.uniform(48, 70)


def _jetty(canvas: Canvas, dark: str, horizon: float) -> None:
    """A wooden jetty that runs out towards the horizon."""
    rng = canvas.rng
    foot, end = canvas.w * rng.uniform(0.3, 0.7), canvas.w * rng.uniform(0.4, 0.6)
    y0, y1 = canvas.h + 20.0, horizon + (canvas.h - horizon) * 0.16
    half0, half1 = 240.0, 24.0
    canvas.path(
        lines([(foot - half0, y0), (end - half1, y1), (end + half1, y1), (foot + half0, y0)], close=True),
        canvas.linear([(0, mix(dark, "#8a7a78", 0.25)), (1, dark)]),
    )
    posts: list[str] = []
    for step in range(11):
        t = (step / 10) ** 0.55
        half, x, y = half0 + (half1 - half0) * t, foot + (end - foot) * t, y0 + (y1 - y0) * t
        h, w = 150 * (1 - t) + 14, 15 * (1 - t) + 2
        posts.extend(
            f"M{x + side * half - w:.0f} {y + h * 0.5:.0f}v{-h * 1.2:.0f}h{2 * w:.0f}v{h * 1.2:.0f}z"
            for side in (-1, 1)
        )
        canvas.rect(x - half, y, 2 * half, 2 + 5 * (1 - t), "#000000", 0.35)
    canvas.path("".join(posts), dark)
