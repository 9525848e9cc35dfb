"""Long exposures: the sea has become silk, the clouds are drawn into rays, and only what stood still is sharp.

They are apart from the dusk seascapes because they need no waves and hardly any colour: all depends on soft tones.
"""

from __future__ import annotations

import math

from pipelines.sandbox.pictures.canvas import Canvas, Point, Stop, lines
from pipelines.sandbox.pictures.colour import mix, turn
from pipelines.sandbox.pictures.figures import place, walker
from pipelines.sandbox.pictures.noise import positions, ridged_noise


def long_exposure(canvas: Canvas) -> None:
    """Minutes on one frame: silk water, clouds drawn into rays, posts or a rock that stood still. Nearly without
    colour.
    """
    rng = canvas.rng
    tone = rng.choice(("#8fa3b3", "#9aa7a6", "#8b98b5", "#b3a59a", "#7fa2a8", "#a59bb0", "#9b9b9b", "#6f8aa0"))
    tone = turn(tone, rng.gauss(0, 10), rng.uniform(0.3, 1.5))
    dark_key = rng.random() < 0.4
    pale = mix(tone, "#ffffff", 0.55 if dark_key else 0.8)
    deep = mix(tone, "#0b1118", 0.8 if dark_key else 0.42)
    horizon = canvas.h * rng.uniform(0.38, 0.55)
    canvas.rect(
        0,
        0,
        canvas.w,
        canvas.h,
        canvas.linear([(0, deep), (0.6, mix(tone, pale, 0.3)), (1, pale)], (0, 0), (0, horizon), frame_units=True),
    )
    vanish = (canvas.w * rng.uniform(0.3, 0.7), horizon)
    _cloud_rays(canvas, vanish, pale, deep)
    stops: list[Stop] = [(0, pale), (0.18, mix(pale, tone, 0.35)), (0.65, mix(tone, deep, 0.45)), (1, deep)]
    canvas.rect(0, horizon, canvas.w, canvas.h - horizon, canvas.linear(stops))
    for _ in range(9):
        t = rng.random() ** 1.2
        y = horizon + (canvas.h - horizon) * t
        canvas.glow(
            canvas.w * rng.uniform(0, 1), y, 8 + 50 * t, pale if rng.random() < 0.65 else deep, 0.3, rng.uniform(8, 15)
        )
    canvas.glow(vanish[0], horizon, 130, "#ffffff", 0.55, 4.5)
    ink = mix(deep, "#05080c", 0.75)
    rng.choice((_posts, _posts, _pier, _sea_stack))(canvas, ink, pale, horizon)
    canvas.vignette(0.4 if dark_key else 0.28, mix(deep, "#000000", 0.5))


def _cloud_rays(canvas: Canvas, vanish: Point, pale: str, deep: str) -> None:
    """Clouds that the wind drew towards the vanishing point during the exposure."""
    rng = canvas.rng
    soft = {colour: canvas.radial([(0, colour, 0.8), (0.4, colour, 0.4), (1, colour, 0)]) for colour in (pale, deep)}
    for index in range(44):
        degrees = rng.uniform(188, 352)
        angle = math.radians(degrees)
        distance = rng.uniform(0.28, 1.05) * canvas.h
        x, y = vanish[0] + math.cos(angle) * distance * 1.3, vanish[1] + math.sin(angle) * distance
        length = distance * rng.uniform(0.35, 0.8)
        turned = f' transform="rotate({math.degrees(math.atan2(y - vanish[1], x - vanish[0])):.0f} {x:.0f} {y:.0f})"'
        canvas.ellipse(
            x,
            y,
            length,
            distance * rng.uniform(0.025, 0.09),
            soft[pale if index % 3 else deep],
            rng.uniform(0.2, 0.6),
            turned,
        )


def _posts(canvas: Canvas, ink: str, pale: str, horizon: float) -> None:
    """Old groyne posts in a row that runs into the sea, each with its soft reflection."""
    rng = canvas.rng
    count = rng.randint(6, 15)
    near_x, far_x = canvas.w * rng.uniform(0.08, 0.92), canvas.w * rng.uniform(0.4, 0.6)
    double = rng.random() < 0.45
    for step in range(count):
        t = (1 - step / count) ** 2.2
        y = horizon + 16 + (canvas.h * 0.86 - horizon) * t
        for side in (-1, 1) if double else (0,):
            x = far_x + (near_x - far_x) * t + side * (16 + 110 * t) + rng.gauss(0, 3)
            h, w = (24 + 190 * t) * rng.uniform(0.7, 1.15), 5 + 20 * t
            canvas.rect(x - w / 2, y, w, h * 0.8, canvas.linear([(0, ink, 0.6), (1, ink, 0)]))
            lean = rng.gauss(0, 0.04) * h
            canvas.path(
                lines(
                    [
                        (x - w / 2, y + 3),
                        (x - w / 2 + lean, y - h),
                        (x + w / 2 + lean, y - h + w * 0.25),
                        (x + w / 2, y + 3),
                    ],
                    close=True,
                ),
                canvas.linear([(0, mix(ink, pale, 0.2)), (1, ink)], (0, 0), (1, 0)),
            )
            canvas.glow(x, y + 2, 3 + 7 * t, pale, 0.8, 5)


def _pier(canvas: Canvas, ink: str, pale: str, horizon: float) -> None:
    """A pier on stilts across half of the frame, a hut or a lamp at its end."""
    rng = canvas.rng
    side = rng.choice((-1, 1))
    end = canvas.w * (0.5 + side * rng.uniform(-0.12, 0.05))
    edge = canvas.w + 20 if side > 0 else -20.0
    deck_end, deck_edge = horizon - 26, horizon - rng.uniform(40, 110)
    water_end, water_edge = horizon + 24, horizon + rng.uniform(90, 190)
    stilts = []
    for step in range(13):
        t = step / 12
        x = end + (edge - end) * t**1.15
        top, bottom = deck_end + (deck_edge - deck_end) * t, water_end + (water_edge - water_end) * t
        w = 4 + 8 * t
        stilts.append(f"M{x:.0f} {top:.0f}h{w:.0f}V{bottom:.0f}h{-w:.0f}z")
        canvas.rect(x, bottom, w, (bottom - top) * 0.9, canvas.linear([(0, ink, 0.45), (1, ink, 0)]))
    deck = lines(
        [(end - side * 8, deck_end), (edge, deck_edge), (edge, deck_edge + 22), (end - side * 8, deck_end + 9)],
        close=True,
    )
    canvas.path("".join(stilts) + deck, ink)
    canvas.stroke(lines([(end, deck_end - 24), (edge, deck_edge - 44)]), ink, 2.5)
    if rng.random() < 0.6:
        hut = end + side * 40
        canvas.path(f"M{hut - 40:.0f} {deck_end + 2:.0f}v-52h-10l50 -40l50 40h-10v52z", ink)
    else:
        canvas.stroke(f"M{end:.0f} {deck_end:.0f}v-96h{18 * side}", ink, 4.5)
        canvas.glow(end + 18 * side, deck_end - 92, 34, "#fff3d0", 0.9)
    canvas.glow((end + edge) / 2, water_end + 20, 26, pale, 0.6, 9)


def _sea_stack(canvas: Canvas, ink: str, pale: str, horizon: float) -> None:
    """A few rocks in the milk; the largest now and then carries somebody."""
    rng = canvas.rng
    centre = canvas.w * rng.uniform(0.3, 0.7)
    for index in range(rng.randint(1, 4)):
        size = rng.uniform(170, 300) / (1 + index * 0.9)
        x = positions(size * 1.5, 12)
        u = x / (size * 1.5) * 2 - 1
        top = size * (1 - abs(u) ** rng.uniform(1.4, 3)) * (0.6 + 0.5 * ridged_noise(rng, x / 90 + index * 7, 5, 0.55))
        y = horizon + (26 + 70 * rng.random()) * (1 + index * 0.9)
        left = centre - size * 0.75 + index * rng.choice((-1, 1)) * rng.uniform(150, 240)
        points: list[Point] = list(zip((x + left).tolist(), (y - top).tolist(), strict=True))
        canvas.ellipse(left + size * 0.75, y + 4, size * 0.7, size * 0.5, canvas.radial([(0, ink, 0.55), (1, ink, 0)]))
        canvas.path(
            lines([*points, (left + size * 1.5, y + 4), (left, y + 4)], close=True),
            canvas.linear([(0, mix(ink, pale, 0.25)), (0.7, ink)], (0.2, 0), (0.7, 1)),
        )
        canvas.glow(left + size * 0.75, y + 6, 17, pale, 0.95, size / 17)
        if index == 0 and rng.random() < 0.45:
            peak = min(points, key=lambda point: point[1])
            place(canvas, walker(canvas), peak[0], peak[1] + 4, 58, ink, flip=rng.random() < 0.5)
