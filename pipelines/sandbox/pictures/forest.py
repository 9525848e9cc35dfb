"""Light that falls into a forest: trunks in depth, mist between them, rays through the canopy.

It is a module of its own because here the light is in the middle of the picture and everything else stands before it.
"""

from __future__ import annotations

import math

import numpy as np

from pipelines.sandbox.pictures.canvas import Canvas, Point, Stop, lines
from pipelines.sandbox.pictures.colour import mix, turn
from pipelines.sandbox.pictures.figures import DEER, place, walker
from pipelines.sandbox.pictures.noise import fractal_noise
from pipelines.sandbox.pictures.plants import grass
from pipelines.sandbox.pictures.sky import mist

# Air in the light, leaves, bark and shade, the light itself, ground.
_WOODS = (
    ("#e6f0b8", "#5f9a3c", "#12200f", "#fffbe0", "#4c6a2a"),
    ("#ffe2a0", "#d08324", "#21130a", "#fff3cf", "#8a4f1c"),
    ("#cfe3e6", "#4f7f86", "#0b1a22", "#ffffff", "#35575a"),
    ("#bfe0b0", "#1f6a4a", "#05140f", "#f4ffd8", "#1d4a34"),
    ("#ffd0b0", "#b2442c", "#1f0c10", "#fff0dc", "#7a3022"),
    ("#dfe6d0", "#7d9a62", "#22291e", "#fffdf0", "#69784e"),
    ("#f6dc8c", "#8f9a2c", "#1a1a0a", "#fffadf", "#6a6420"),
    ("#c9c6ea", "#5a5f9c", "#12122a", "#fff4f8", "#44466e"),
)


def forest_light(canvas: Canvas) -> None:
    """Trunks in depth with light between them: rays through the canopy, a path or an animal in the clearing."""
    rng = canvas.rng
    air, leaf, bark, light, ground = (turn(colour, rng.gauss(0, 6)) for colour in rng.choice(_WOODS))
    floor = canvas.h * rng.uniform(0.64, 0.76)
    source = (canvas.w * rng.uniform(0.25, 0.75), canvas.h * rng.uniform(0.05, 0.42))
    canvas.fill(canvas.linear([(0, mix(leaf, air, 0.4)), (0.6, air), (1, mix(ground, air, 0.3))]))
    canvas.glow(*source, 620, light, 0.95)
    _forest_floor(canvas, floor, air, ground, bark, source[0])
    layers = 5
    for layer in range(layers):
        near = layer / (layers - 1)
        _trunks(canvas, floor, near, mix(air, bark, 0.16 + 0.84 * near**1.25), light, source[0])
        _canopy(canvas, near, mix(mix(air, leaf, 0.55), mix(leaf, bark, 0.65), near))
        if layer in (1, 3):
            mist(canvas, floor - 30, 190, mix(air, light, 0.5), 0.75 - 0.5 * near)
            _rays(canvas, source, light, 0.5 if layer == 1 else 0.32)
        if layer == 2 and rng.random() < 0.5:
            figure = DEER if rng.random() < 0.4 else walker(canvas)
            place(
                canvas,
                figure,
                canvas.w * rng.uniform(0.4, 0.6),
                floor + 62,
                104,
                mix(bark, air, 0.12),
                flip=rng.random() < 0.5,
            )
    canvas.glow(source[0], source[1] + 60, 330, light, 0.6)
    grass(canvas, canvas.h * 0.97, canvas.h * 1.06, 90, 150, mix(bark, leaf, 0.3), 0.95)
    canvas.vignette(0.42, mix(bark, "#000000", 0.4))


def _forest_floor(canvas: Canvas, floor: float, air: str, ground: str, bark: str, light_x: float) -> None:
    rng = canvas.rng
    stops: list[Stop] = [
        (0, mix(ground, air, 0.75)),
        (0.3, mix(ground, air, 0.25)),
        (0.7, ground),
        (1, mix(ground, bark, 0.7)),
    ]
    canvas.rect(0, floor, canvas.w, canvas.h - floor, canvas.linear(stops))
    bend = rng.uniform(-260, 260)
    if rng.random() < 0.6:
        foot = canvas.w * rng.uniform(0.35, 0.65)
        path = (
            f"M{foot - 190:.0f} {canvas.h + 10}C{foot - 120 + bend:.0f} {canvas.h - 130:.0f} "
            f"{light_x - bend:.0f} {floor + 90:.0f} {light_x - 12:.0f} {floor + 2:.0f}"
        )
        path += (
            f"h24C{light_x + 40 - bend:.0f} {floor + 100:.0f} {foot + 150 + bend:.0f} "
            f"{canvas.h - 120:.0f} {foot + 200:.0f} {canvas.h + 10}z"
        )
        canvas.path(
            path,
            canvas.linear([(0, mix(air, "#ffffff", 0.3)), (0.5, mix(air, ground, 0.55)), (1, mix(ground, bark, 0.45))]),
            0.85,
        )
    for _ in range(14):
        t = rng.random() ** 1.5
        y = floor + (canvas.h - floor) * t
        canvas.glow(rng.uniform(0, canvas.w), y, 7 + 24 * t, rng.choice((air, air, bark)), 0.45, rng.uniform(4, 9))


def _trunks(canvas: Canvas, floor: float, near: float, colour: str, light: str, light_x: float) -> None:
    """One depth of trunks: many thin ones far away, a few thick ones in front, lit on the side of the light."""
    rng = canvas.rng
    count = round(min(1.4, canvas.w / 1000) * (16 - 13.5 * near)) + 1
    width = 9 + 82 * near**1.6
    foot = floor + (canvas.h * 1.02 - floor) * near**1.5 + 8
    stems, branches = [], []
    steps = 3 + round(5 * near)
    along = np.linspace(0, 6, steps + 1)[None, :] + np.arange(count)[:, None] * 7.3
    wobble = 0.3 * fractal_noise(rng, along, 2)
    for index in range(count):
        x = canvas.w * (index + rng.uniform(0.1, 0.9)) / count
        if near > 0.7 and abs(x - light_x) < 150:
            x += 260 if x > light_x else -260
        half = width * rng.uniform(0.6, 1.2) / 2
        lean = rng.gauss(0, 0.035) * foot
        y = foot + rng.uniform(-10, 24) * (1 + near)
        left, right = [], []
        for step in range(steps + 1):
            t = step / steps
            girth = half * (1 - 0.35 * t) + half * (0.3 + 0.6 * near) * math.exp(-t * 22)
            middle = x + lean * t + half * wobble[index][step]
            left.append((middle - girth, y - (y + 20) * t))
            right.append((middle + girth, y - (y + 20) * t))
        stems.append(lines([*left, *reversed(right)], close=True))
        for _ in range(rng.randint(0, 3) if near > 0.4 else 0):
            t = rng.uniform(0.3, 0.75)
            side, reach = rng.choice((-1, 1)), half * rng.uniform(4, 9)
            bx, by = x + lean * t, y - y * t
            thick = half * 0.22
            branches.append(
                f"M{bx:.0f} {by:.0f}q{side * reach * 0.5:.0f} {-reach * 0.15:.0f} {side * reach:.0f} "
                f"{-reach * 0.55:.0f}q{-side * reach * 0.5:.0f} {reach * 0.4 + thick:.0f} {-side * reach:.0f} "
                f"{reach * 0.55 + thick * 2:.0f}z"
            )
    canvas.path("".join(branches), colour)
    stops: list[Stop] = [
        (0, mix(colour, light, 0.3 * (1 - near))),
        (0.55, colour),
        (1, mix(colour, "#000000", 0.2 * near)),
    ]
    canvas.path("".join(stems), canvas.linear(stops))


def _canopy(canvas: Canvas, near: float, colour: str) -> None:
    """Leaves overhead: noise where it hangs, and some sharp leaves where it is near."""
    rng = canvas.rng
    depth = canvas.h * rng.uniform(0.28, 0.5)
    if near in (0.25, 0.75):
        grainy = canvas.texture(50 + 60 * near, 46 + 50 * near, 7, -3.2, 4)
        canvas.rect(
            0, 0, canvas.w, depth, canvas.linear([(0, colour, 1), (0.5, colour, 0.85), (1, colour, 0)]), 0.95, grainy
        )
    elif near == 0.5:
        sharp = canvas.texture(26, 22, 9, -4.5, 2)
        canvas.rect(0, 0, canvas.w, depth * 0.8, canvas.linear([(0, colour, 1), (1, colour, 0)]), 0.9, sharp)


def _rays(canvas: Canvas, source: Point, light: str, strength: float) -> None:
    """Sunbeams that fan out from the light and fade on their way down."""
    rng = canvas.rng
    reach = canvas.h * 1.05
    paint = canvas.light([(0, light, 0.75), (0.45, light, 0.35), (1, light, 0)], source, reach)
    for _ in range(8):
        angle = math.radians(rng.gauss(90, 30))
        spread = rng.uniform(0.012, 0.06)
        ends = [
            (source[0] + math.cos(angle + turned) * reach, source[1] + math.sin(angle + turned) * reach)
            for turned in (-spread, spread)
        ]
        canvas.path(lines([source, *ends], close=True), paint, strength * rng.uniform(0.4, 1.0))
