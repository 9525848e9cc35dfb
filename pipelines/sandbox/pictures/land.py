"""Wide land: misty mountain ridges and desert dunes.

Both live from layers that mix towards the light of the horizon, which is why they share a module.
"""

from __future__ import annotations

import math

import numpy as np

from pipelines.sandbox.pictures.canvas import Canvas, Point, Stop, curve, lines
from pipelines.sandbox.pictures.colour import Mood, lighten, mix, pick_mood, turn
from pipelines.sandbox.pictures.figures import CAMEL, place, walker
from pipelines.sandbox.pictures.noise import fractal_noise, positions, ridged_noise, smooth_noise
from pipelines.sandbox.pictures.plants import conifer, tree_line
from pipelines.sandbox.pictures.sky import birds, clouds, mist, paint_sky, streak_clouds, sun


def misty_ridges(canvas: Canvas) -> None:
    """Mountains behind mountains, each paler than the one before it, fog between them."""
    rng = canvas.rng
    mood = pick_mood(
        rng, "golden", "ember", "blue", "pastel", "rose", "teal", "violet", "silver", "mint", "amber", "storm"
    )
    horizon = canvas.h * rng.uniform(0.3, 0.5)
    paint_sky(canvas, mood, horizon * 1.12)
    light = (canvas.w * rng.uniform(0.2, 0.8), horizon * rng.uniform(0.5, 1.0))
    streak_clouds(canvas, mood, horizon * 0.1, horizon * 0.85, rng.randint(0, 9), light)
    sun(canvas, mood, *light, rng.uniform(20, 46), halo=rng.uniform(8, 13), disc=rng.random() < 0.75)
    if rng.random() < 0.4:
        clouds(canvas, mood, 0, horizon, light, rng.uniform(0.1, 0.6))
    count, sharpness = rng.randint(6, 8), rng.random()
    haze = mix(mood.horizon, mood.sky[-2], rng.uniform(0.3, 0.7))
    foggy = rng.uniform(0.2, 0.95)
    for layer in range(count):
        near = (layer + 1) / count
        _ridge(canvas, mood, haze, horizon, near, sharpness)
        if layer < count - 1:
            # Light spills over the ridges that stand before the sun.
            canvas.glow(light[0], horizon + 60 * layer, 330 * (1 - near) + 60, mood.sun, 0.3 * (1 - near), 2.2)
            if layer % 2 or layer == count - 2:
                mist(
                    canvas,
                    horizon + (canvas.h - horizon) * (near**1.15 + 0.08),
                    90 + 80 * near,
                    mix(haze, mood.sun, 0.25),
                    foggy,
                )
    if rng.random() < 0.4:
        birds(
            canvas,
            canvas.w * rng.uniform(0.25, 0.75),
            horizon * rng.uniform(0.45, 0.8),
            rng.randint(4, 9),
            13,
            mood.shadow,
            0.7,
        )
    canvas.vignette(rng.uniform(0.2, 0.45))


def _ridge(canvas: Canvas, mood: Mood, haze: str, horizon: float, near: float, sharpness: float) -> None:
    """One ridge; ``near`` is 0 at the horizon and 1 in front."""
    rng = canvas.rng
    base = horizon + (canvas.h * 0.93 - horizon) * near**1.15
    x = positions(canvas.w, 14, 10)
    offset, length = rng.uniform(0, 50), 210 + 330 * near
    rolling = fractal_noise(rng, (x - canvas.w / 2) / length + offset, 4, 0.45) * 0.5 + 0.5
    sharp = sharpness * (1.15 - 0.75 * near)
    jagged = ridged_noise(rng, (x - canvas.w / 2) / length + offset, 5, 0.5)
    height = (110 + 230 * math.sin(math.pi * min(1.0, near * 0.9 + 0.12))) * rng.uniform(0.6, 1.45)
    y = base - height * (rolling * (1 - sharp) + jagged * sharp)
    colour = mix(haze, mood.shadow, 0.08 + 0.9 * near**1.5)
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    foot = base + 40 + 110 * near
    valley = 0.95 * (1 - near**2)
    stops: list[Stop] = [
        (0, colour),
        (0.3, mix(colour, haze, valley * 0.15)),
        (0.7, mix(colour, haze, valley * 0.65)),
        (1, mix(colour, haze, valley)),
    ]
    paint = canvas.linear(stops, (0, min(y)), (0, foot), frame_units=True)
    trees = ""
    if near > 0.99 and rng.random() < 0.8:
        trees = "".join(
            conifer(canvas, px, py + 6, rng.uniform(60, 190), 0.34) for px, py in points[::2] if rng.random() < 0.19
        )
    elif near > 0.75:
        trees = tree_line(canvas, points, 24 * near**2)
    canvas.path(lines([(-10, canvas.h + 5), *points, (canvas.w + 10, canvas.h + 5)], close=True) + trees, paint)


# Lit sand, shaded sand, upper sky, lower sky.
_SANDS = (
    ("#f0a860", "#5b2a3c", "#3f74a8", "#cfe0e4"),
    ("#f4dcc0", "#8d7f93", "#7fa6cf", "#f0e4dc"),
    ("#d9663a", "#4a1526", "#5aa0a8", "#f6dfba"),
    ("#f2b7a0", "#6c4a74", "#8a86bd", "#f8cfc4"),
    ("#e3a24a", "#2a1712", "#1c2438", "#8a6a5c"),
    ("#f6efe4", "#7b92ac", "#35639a", "#b9d4e6"),
    ("#e9c27c", "#6e4a34", "#d9b98c", "#f7ead0"),
    ("#c98a6a", "#2d2340", "#2b2a5e", "#e58a7c"),
)


def dunes(canvas: Canvas) -> None:
    """Sand dunes in raking light: one sinuous crest between a lit and a shaded face, again and again into the
    distance.
    """
    rng = canvas.rng
    lit, shade, high, low = (
        lighten(turn(colour, rng.gauss(0, 5)), rng.gauss(0, 0.015)) for colour in rng.choice(_SANDS)
    )
    horizon = canvas.h * rng.uniform(0.26, 0.44)
    canvas.rect(
        0, 0, canvas.w, canvas.h, canvas.linear([(0, high), (1, low)], (0, 0), (0, horizon * 1.1), frame_units=True)
    )
    side = rng.choice((-1, 1))
    if rng.random() < 0.45:
        x, y = canvas.w * (0.5 - side * rng.uniform(0.05, 0.3)), horizon * rng.uniform(0.25, 0.7)
        canvas.glow(x, y, 300, "#fff6e0", 0.45)
        canvas.circle(x, y, rng.uniform(26, 70), "#fffaf0", 0.9)
    count = rng.randint(3, 5)
    crests = [_dune(canvas, (lit, shade, low), horizon, (layer + 1) / count, side) for layer in range(count)]
    _travellers(canvas, crests[max(0, count - 3)], mix(shade, "#100a10", 0.6), 1 / count)
    canvas.vignette(rng.uniform(0.15, 0.35), mix(shade, "#000000", 0.6))


def _dune(canvas: Canvas, colours: tuple[str, str, str], horizon: float, near: float, side: int) -> list[Point]:
    """One dune with its shaded face; the crest's points from left to right are returned."""
    rng = canvas.rng
    lit, shade, air = colours
    far = 1 - near
    base = horizon + (canvas.h - horizon) * near**1.5 * 0.72
    peak_x = canvas.w * rng.uniform(0.22, 0.78)
    height = (70 + 190 * near) * rng.uniform(0.8, 1.25)
    x = positions(canvas.w, 60, 60)
    slope = abs(x - peak_x) / (canvas.w * rng.uniform(0.36, 0.6))
    profile = height / (1 + slope**1.7 * 1.6) + 26 * fractal_noise(rng, x / 420 + rng.uniform(0, 40), 2)
    crest = list(zip(x.tolist(), (base - profile).tolist(), strict=True))
    light = mix(lit, air, far * 0.6)
    dark = mix(shade, air, far * 0.6)
    stops: list[Stop] = [(0, lighten(light, 0.04)), (0.45, light), (1, mix(light, dark, 0.55))]
    start = (0.1, 0.0) if side < 0 else (0.9, 0.0)
    outline = curve(crest) + f"L{canvas.w + 60} {canvas.h + 20}H-60z"
    canvas.path(outline, canvas.linear(stops, start, (0.5, 0.9)))
    if near > 0.7:
        _ripples(canvas, base, near, mix(light, dark, 0.5), outline)
    top = min(range(len(crest)), key=lambda index: crest[index][1])
    _shaded_face(canvas, crest, top, dark, light, side, near)
    return crest


def _shaded_face(canvas: Canvas, crest: list[Point], top: int, dark: str, light: str, side: int, near: float) -> None:
    """The face away from the light, between the crest and the winding edge that runs down from its highest point."""
    rng = canvas.rng
    px, py = crest[top]
    depth = canvas.h * 1.05 - py
    sway, phase = rng.uniform(60, 190) * (0.4 + near), rng.uniform(0.0, 1.6)
    edge: list[Point] = []
    for step in range(1, 10):
        t = step / 9
        drift = -side * rng.uniform(0.0, 0.04) * canvas.w + side * t**1.4 * canvas.w * 0.12
        edge.append(
            (
                px + drift + sway * math.sin(phase + t * 4.4) * t**0.8 - sway * math.sin(phase) * t * 0.3,
                py + depth * t**1.25,
            )
        )
    beyond = crest[top:] if side > 0 else crest[: top + 1][::-1]
    far_x = canvas.w + 80 if side > 0 else -80
    stops: list[Stop] = [(0, dark), (0.35, mix(dark, light, 0.14)), (1, mix(dark, light, 0.32 if near < 0.9 else 0.1))]
    data = curve([*reversed(edge), *beyond]) + f"L{far_x} {canvas.h + 40}z"
    canvas.path(data, canvas.linear(stops))
    canvas.stroke(curve([*reversed(edge), crest[top]]), lighten(light, 0.08), 2.2, 0.4)


def _ripples(canvas: Canvas, base: float, near: float, colour: str, outline: str) -> None:
    """The wind's ripples, clipped to the dune: nearly parallel lines that widen towards the viewer."""
    rng = canvas.rng
    x = positions(canvas.w, 190, 60)
    swing = 34 * fractal_noise(rng, x / 380 + rng.uniform(0, 9), 2) + (x - canvas.w / 2) * rng.uniform(-0.12, 0.12)
    row = np.arange(18)
    gap = 9.0 * 1.075**row
    wobble = gap[:, None] * 1.1 * smooth_noise(rng, x[None, :] / 190 + row[:, None] * 0.31)
    heights = (base - 40 + np.cumsum(gap))[:, None] + swing[None, :] + wobble
    rows = [curve(list(zip(x.tolist(), line, strict=True))) for line in heights.tolist()]
    with canvas.group(canvas.clip(outline)):
        canvas.stroke("".join(rows), colour, 3 + 2 * near, 0.22)


def _travellers(canvas: Canvas, crest: list[Point], colour: str, far: float) -> None:
    """Now and then somebody on the crest: a lone walker or a small caravan."""
    rng = canvas.rng
    chance = rng.random()
    start = rng.randint(len(crest) // 5, len(crest) * 3 // 5)
    if chance < 0.4:
        x, y = crest[start]
        place(canvas, walker(canvas), x, y + 3, 46 + 20 * far, colour, flip=rng.random() < 0.5)
    elif chance < 0.65:
        (x, y), (next_x, next_y) = crest[start], crest[start + 1]
        for animal in range(rng.randint(3, 5)):
            share = animal * 0.9 + rng.uniform(-0.1, 0.1)
            place(canvas, CAMEL, x + (next_x - x) * share, y + (next_y - y) * share + 5, 58, colour)
