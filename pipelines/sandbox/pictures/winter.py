"""Snow: white hills, laden spruces, a lone tree or a cabin whose window is warm.

It is apart from the other land because snow turns light around: the ground is brighter than the sky.
"""

from __future__ import annotations

from itertools import pairwise

from pipelines.sandbox.pictures.canvas import Canvas, Point, Stop, curve, dots, lines
from pipelines.sandbox.pictures.colour import mix, turn
from pipelines.sandbox.pictures.figures import DEER, place, walker
from pipelines.sandbox.pictures.noise import fractal_noise, positions, ridged_noise
from pipelines.sandbox.pictures.plants import bare_tree, conifer, small_conifers
from pipelines.sandbox.pictures.sky import mist

# Upper sky, lower sky, snow in the light, snow in the shade, trees.
_WINTERS = (
    ("#a9c3dc", "#eaf1f6", "#fdfeff", "#aac3dd", "#31465a"),
    ("#6d86b8", "#f7c9c0", "#fff3ee", "#9aa6d2", "#2f3a5c"),
    ("#24406e", "#8fb0d4", "#dce9f6", "#6487b8", "#14243f"),
    ("#cfd6db", "#f1f3f4", "#ffffff", "#c6cfd6", "#454e55"),
    ("#86a7b8", "#fde6c3", "#fffaf0", "#a5bccb", "#3a4a50"),
    ("#4a4f86", "#e9a9b8", "#fbe6ee", "#8288bd", "#24264a"),
)


def snow(canvas: Canvas) -> None:
    """A winter landscape in few colours; the story is a cabin, a tree, a deer or a track."""
    rng = canvas.rng
    high, low, lit, shade, tree = (turn(colour, rng.gauss(0, 5)) for colour in rng.choice(_WINTERS))
    horizon = canvas.h * rng.uniform(0.4, 0.56)
    canvas.rect(0, 0, canvas.w, canvas.h, canvas.linear([(0, high), (1, low)], (0, 0), (0, horizon), frame_units=True))
    light_x = canvas.w * rng.uniform(0.15, 0.85)
    canvas.glow(light_x, horizon * 0.9, 380, mix(low, "#fff6e6", 0.7), 0.8, 1.6)
    if rng.random() < 0.5:
        _white_mountains(canvas, horizon, mix(low, "#ffffff", 0.6), mix(shade, low, 0.35), mix(low, high, 0.3))
    _far_woods(canvas, horizon, tree, low)
    hills = [_hill(canvas, horizon, (index + 1) / 3, lit, shade, low) for index in range(3)]
    story = rng.random()
    middle = hills[1]
    spot = middle[rng.randint(len(middle) // 4, len(middle) * 3 // 4)]
    if story < 0.3:
        _cabin(canvas, spot[0], spot[1] + 16, tree, lit, shade)
    elif story < 0.55:
        _shadow(canvas, spot[0], spot[1] + 20, 300, shade, light_x)
        bare_tree(
            canvas,
            spot[0],
            spot[1] + 22,
            rng.uniform(330, 470),
            mix(tree, "#000000", 0.25),
            lean=rng.uniform(-0.1, 0.1),
        )
    elif story < 0.75:
        for index in range(rng.randint(1, 3)):
            place(
                canvas,
                DEER,
                spot[0] + index * rng.uniform(80, 130),
                spot[1] + 26,
                92,
                mix(tree, "#1a1210", 0.5),
                flip=rng.random() < 0.4,
            )
    else:
        place(canvas, walker(canvas), spot[0], spot[1] + 30, 104, mix(tree, "#000000", 0.4), flip=rng.random() < 0.5)
        _track(canvas, (spot[0], spot[1] + 30), shade)
    _laden_spruces(canvas, hills[2], tree, lit, shade)
    _snowfall(canvas)


def _white_mountains(canvas: Canvas, horizon: float, lit: str, shade: str, air: str) -> None:
    """Far snow mountains: a shaded body and lit flanks that follow the same crest."""
    rng = canvas.rng
    x = positions(canvas.w, 19, 12)
    crest = horizon - 40 - rng.uniform(150, 260) * ridged_noise(rng, x / rng.uniform(300, 460) + rng.uniform(0, 50), 6)
    ground: Point = (canvas.w + 12, horizon + 60)
    points = list(zip(x.tolist(), crest.tolist(), strict=True))
    canvas.path(lines([(-12, horizon + 60), *points, ground], close=True), canvas.linear([(0, shade), (1, air)]))
    flank = []
    for (x0, y0), (x1, y1) in pairwise(points):
        if y1 < y0 + 2:
            drop = rng.uniform(12, 60) + (horizon - y0) * 0.25
            flank.append(f"M{x0:.0f} {y0:.0f}L{x1:.0f} {y1:.0f}l{rng.uniform(-8, 18):.0f} {drop:.0f}z")
    canvas.path("".join(flank), canvas.linear([(0, lit), (1, lit, 0.1)]), 0.9)


def _far_woods(canvas: Canvas, horizon: float, tree: str, air: str) -> None:
    rng = canvas.rng
    for layer in range(2):
        x = positions(canvas.w, 19, 13)
        y = horizon + 14 + 26 * layer + 24 * fractal_noise(rng, x / 300 + rng.uniform(0, 50), 3)
        points = list(zip(x.tolist(), y.tolist(), strict=True))
        canvas.path(small_conifers(canvas, points, 64 + 34 * layer, 0.66), mix(tree, air, 0.74 - 0.28 * layer))
        mist(canvas, horizon + 20, 60, mix(air, "#ffffff", 0.5), 0.8)


def _hill(canvas: Canvas, horizon: float, near: float, lit: str, shade: str, air: str) -> list[Point]:
    """One soft snow hill, lit at the crest and blue below; its crest is returned."""
    rng = canvas.rng
    x = positions(canvas.w, 60, 60)
    y = (
        horizon
        + (canvas.h - horizon) * near**1.5 * 0.62
        + 20
        + (40 + 50 * near) * fractal_noise(rng, x / (380 + 160 * near) + rng.uniform(0, 50), 2)
    )
    crest = list(zip(x.tolist(), y.tolist(), strict=True))
    top = mix(lit, air, 0.35 * (1 - near))
    stops: list[Stop] = [(0, top), (0.25, mix(top, shade, 0.25)), (0.7, mix(lit, shade, 0.75)), (1, shade)]
    canvas.path(curve(crest) + f"L{canvas.w + 60} {canvas.h + 10}H-60z", canvas.linear(stops, (0.3, 0), (0.7, 1)))
    for _ in range(3):
        cx, cy = canvas.w * rng.random(), y.max() + rng.uniform(10, 130) * near
        canvas.glow(cx, cy, 40 + 40 * near, lit if rng.random() < 0.5 else shade, 0.45, rng.uniform(4, 8))
    return crest


def _shadow(canvas: Canvas, x: float, y: float, length: float, shade: str, light_x: float) -> None:
    side = 1 if x > light_x else -1
    canvas.ellipse(x + side * length * 0.5, y + 6, length * 0.6, 13, canvas.radial([(0, shade, 0.9), (1, shade, 0)]))


def _cabin(canvas: Canvas, x: float, y: float, tree: str, lit: str, shade: str) -> None:
    """A small house under a snow roof, light in its window and on the snow before it."""
    rng = canvas.rng
    wood = mix(tree, "#5a3420", 0.6)
    canvas.path(
        f"M{x - 74:.0f} {y:.0f}v-70l74 -62l74 62v70z", canvas.linear([(0, wood), (1, mix(wood, "#000000", 0.35))])
    )
    canvas.path(
        f"M{x - 96:.0f} {y - 58:.0f}l92 -84q4 -4 8 0l92 84q-8 16 -20 4l-76 -66l-76 66q-12 12 -20 -4z",
        canvas.linear([(0, lit), (1, mix(lit, shade, 0.5))]),
    )
    canvas.path(f"M{x + 34:.0f} {y - 116:.0f}v-36h22v56z", wood)
    canvas.ellipse(x + 45, y - 152, 15, 7, lit)
    for step in range(4):
        canvas.glow(x + 48 + step * 14, y - 178 - step * 40, 20 + 11 * step, mix(lit, shade, 0.3), 0.5 - 0.1 * step)
    for offset in (-46, 14):
        canvas.rect(x + offset, y - 56, 32, 34, canvas.radial([(0, "#fff2b8"), (1, "#ffb648")]))
        canvas.stroke(f"M{x + offset + 16:.0f} {y - 56:.0f}v34m-16 -17h32", wood, 3)
    canvas.glow(x, y - 30, 150, "#ffb85a", 0.5, 1.3)
    canvas.glow(x - 10, y + 18, 26, "#ffcf86", 0.75, 4.5)
    canvas.path(conifer(canvas, x + rng.choice((-150, 150)), y + 6, rng.uniform(190, 270), 0.42), tree)


def _track(canvas: Canvas, end: Point, shade: str) -> None:
    """Footprints from the viewer to ``end``."""
    rng = canvas.rng
    x0 = canvas.w * rng.uniform(0.3, 0.7)
    prints = []
    for step in range(26):
        t = (step / 26) ** 0.6
        x, y = x0 + (end[0] - x0) * t, canvas.h + (end[1] - canvas.h) * t
        size = 13 * (1 - t) + 2.5
        x += (size * 1.2 if step % 2 else -size * 1.2) + 30 * (t - t * t)
        prints.append(
            f"M{x - size:.0f} {y:.0f}q{size:.0f} {-size * 0.7:.0f} {2 * size:.0f} 0q{-size:.0f} "
            f"{size * 0.7:.0f} {-2 * size:.0f} 0"
        )
    canvas.path("".join(prints), mix(shade, "#2a4468", 0.25), 0.75)


def _laden_spruces(canvas: Canvas, crest: list[Point], tree: str, lit: str, shade: str) -> None:
    """Spruces in front, at the sides of the frame: dark below, snow on every tier."""
    rng = canvas.rng
    side = rng.choice((-1, 0, 1))
    for x, y in rng.sample(crest, 8):
        away = abs(x / canvas.w - 0.5) * 2
        if away < 0.45 or (side and (x - canvas.w / 2) * side < 0):
            continue
        height = rng.uniform(150, 380) * (0.5 + 0.5 * away)
        foot = y + rng.uniform(16, 60)
        canvas.ellipse(x, foot, height * 0.32, 14, canvas.radial([(0, shade, 0.9), (1, shade, 0)]))
        _laden_spruce(canvas, (x, foot), height, tree, lit, shade)


def _laden_spruce(canvas: Canvas, foot: Point, height: float, tree: str, lit: str, shade: str) -> None:
    """One spruce from its lowest tier upwards: each tier white above, dark at its ragged lower edge."""
    rng = canvas.rng
    x, y = foot
    canvas.rect(x - height * 0.018, y - height * 0.1, height * 0.036, height * 0.11, tree)
    paint = canvas.linear(
        [(0, lit), (0.45, lit), (0.72, mix(lit, shade, 0.8)), (0.8, mix(tree, shade, 0.3)), (1, tree)],
        (0.45, 0),
        (0.55, 1),
    )
    tiers = max(6, round(height / 42))
    for tier in range(tiers):
        t = tier / tiers
        half, thick = height * 0.23 * (1 - t) ** 0.9 + height * 0.016, height * 0.24 * (1 - 0.45 * t)
        bottom = y - height * 0.06 - height * 0.8 * t
        edge: list[Point] = []
        for step in range(7):
            u = step / 3 - 1
            sag = (1 - u * u) * thick * 0.12
            edge.append(
                (
                    x + half * u * rng.uniform(0.9, 1.08),
                    bottom + sag * 0.4 + (height * 0.028 if step % 2 else -height * 0.006) * rng.uniform(0.5, 1.3),
                )
            )
        canvas.path(lines([(x + rng.gauss(0, 2), bottom - thick), *edge], close=True), paint)


def _snowfall(canvas: Canvas) -> None:
    """Falling flakes, the nearest ones large and soft."""
    rng = canvas.rng
    if rng.random() < 0.25:
        return
    for count, size, opacity in ((105, 4, 0.75), (42, 8, 0.7)):
        canvas.stroke(
            dots((rng.uniform(0, canvas.w), rng.uniform(0, canvas.h)) for _ in range(count)), "#ffffff", size, opacity
        )
    flake = canvas.radial([(0, "#ffffff", 0.75), (0.5, "#ffffff", 0.45), (1, "#ffffff", 0)])
    for _ in range(rng.randint(0, 16)):
        canvas.circle(rng.uniform(0, canvas.w), rng.uniform(0, canvas.h), rng.uniform(12, 34), flake, 0.7)
