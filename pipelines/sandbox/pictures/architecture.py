"""Minimal architecture: a few planes of plaster and concrete in hard light against an empty sky.

Light comes from one side, so every form is the same solid in two or three tones of one colour.
"""

from __future__ import annotations

import math

from pipelines.sandbox.pictures.canvas import Canvas, Point, lines
from pipelines.sandbox.pictures.colour import lighten, mix, turn
from pipelines.sandbox.pictures.figures import place, walker
from pipelines.sandbox.pictures.sky import birds

# Upper sky, lower sky, wall in the light, wall in the shade, accent.
_PLASTERS = (
    ("#1d5fae", "#7db4e4", "#fbfaf6", "#a9b7cc", "#1f4f8f"),
    ("#f2c9bd", "#fbe9dc", "#e2725b", "#8f3240", "#f7e7d4"),
    ("#5fb6b8", "#c4e6dc", "#f4a6a0", "#a4557a", "#fff0dc"),
    ("#c9ced2", "#eef0f0", "#b9b4ad", "#605d5c", "#d8572e"),
    ("#2f74b8", "#a8d0ea", "#f0b24a", "#a8581f", "#ffffff"),
    ("#e9e2d6", "#f8f4ec", "#ded0bc", "#94806c", "#2e4a62"),
    ("#16233f", "#5a7fa8", "#eadfd0", "#59617a", "#e8a23c"),
    ("#f6d58a", "#fdf0cc", "#4f7f8c", "#1f3d50", "#f4efe2"),
    ("#b7a3d6", "#f3dcea", "#f6f0f4", "#9a86b8", "#5a3f86"),
    ("#0f4f8a", "#3f93cf", "#d9472f", "#7c1626", "#ffd9a0"),
)
_Tones = tuple[str, str, str]


def minimal_architecture(canvas: Canvas) -> None:
    """One building or a part of it, composed with much empty sky; sometimes one small person or a bird for scale."""
    rng = canvas.rng
    high, low, lit, shade, accent = (turn(colour, rng.gauss(0, 6)) for colour in rng.choice(_PLASTERS))
    canvas.fill(canvas.linear([(0, high), (1, low)], (0, 0), (rng.uniform(-0.3, 0.3), 1)))
    if rng.random() < 0.2:
        canvas.circle(
            canvas.w * rng.uniform(0.2, 0.8), canvas.h * rng.uniform(0.12, 0.3), 30, mix(low, "#ffffff", 0.7), 0.8
        )
    flip = rng.random() < 0.5
    with canvas.group(f'transform="translate({canvas.w} 0) scale(-1 1)"' if flip else 'transform="scale(1)"'):
        rng.choice((_corner, _corner, _stairs, _arches, _round_tower, _grid_facade))(canvas, (lit, shade, accent))
    if rng.random() < 0.25:
        birds(
            canvas, canvas.w * rng.uniform(0.3, 0.7), canvas.h * 0.16, rng.randint(1, 4), 17, mix(shade, "#101018", 0.5)
        )
    canvas.fill("#000000", 0.05, canvas.texture(260, 340, 3, -1, 2))
    canvas.vignette(0.16, mix(shade, "#000000", 0.5))


def _plane(canvas: Canvas, points: list[Point], colour: str, fade: float = 0.05) -> None:
    """A wall: nearly one tone, a little darker towards its foot."""
    canvas.path(
        lines(points, close=True), canvas.linear([(0, lighten(colour, fade * 0.4)), (1, lighten(colour, -fade))])
    )


def _corner(canvas: Canvas, tones: _Tones) -> None:
    """A tower's edge seen from below: a lit and a shaded side, floor slabs or windows that run to the vanishing
    points.
    """
    rng = canvas.rng
    lit, shade, accent = tones
    w, h = canvas.w, canvas.h
    x, top = w * rng.uniform(0.34, 0.66), h * rng.uniform(0.08, 0.3)
    drop_left, drop_right = rng.uniform(0.2, 0.55), rng.uniform(0.3, 0.75)
    end_left = w * rng.uniform(-0.1, 0.12)
    end_right = w * rng.uniform(0.86, 1.1)
    _plane(canvas, [(x, top), (end_left, top + (x - end_left) * drop_left), (end_left, h + 20), (x, h + 20)], lit)
    _plane(
        canvas,
        [(x, top), (end_right, top + (end_right - x) * drop_right), (end_right, h + 20), (x, h + 20)],
        shade,
        0.09,
    )
    floors = rng.randint(5, 9)
    balconies = rng.random() < 0.5
    for floor in range(floors):
        y = top + (h * 1.35 - top) * (floor + 0.55) / floors
        for end, drop, tone in ((end_left, drop_left, lit), (end_right, drop_right, shade)):
            flat = drop * (1 - 1.15 * (y - top) / h)
            _storey(canvas, (x, y), end, flat, h / floors, tone, accent, balconies)


def _storey(
    canvas: Canvas, edge: Point, end: float, slope: float, pitch: float, tone: str, accent: str, balconies: bool
) -> None:
    """One floor on one side of a tower: a slab with its shadow, or a row of windows."""
    x, y = edge
    span = end - x

    def at(share: float, down: float) -> Point:
        return (x + span * share, y + down + abs(span) * share * slope)

    if balconies:
        canvas.path(
            lines([at(0, 0), at(1, 0), at(1, pitch * 0.42), at(0, pitch * 0.42)], close=True), lighten(tone, -0.16)
        )
        canvas.path(
            lines([at(-0.03, 0), at(1, 0), at(1, -pitch * 0.2), at(-0.03, -pitch * 0.2)], close=True),
            lighten(tone, 0.05),
        )
        return
    panes, sills = [], []
    for column in range(5):
        a, b = (column + 0.3) / 5, (column + 0.74) / 5
        panes.append(lines([at(a, 0), at(b, 0), at(b, pitch * 0.5), at(a, pitch * 0.5)], close=True))
        sills.append(lines([at(a, 0), at(b, 0), at(b, pitch * 0.13), at(a, pitch * 0.13)], close=True))
    canvas.path("".join(panes), mix(lighten(tone, -0.3), accent, 0.25))
    canvas.path("".join(sills), lighten(tone, -0.42), 0.6)


def _stairs(canvas: Canvas, tones: _Tones) -> None:
    """Stairs that climb across plain walls, every riser in shadow; somebody on the way up, or nobody."""
    rng = canvas.rng
    lit, shade, accent = tones
    w, h = canvas.w, canvas.h
    _plane(
        canvas,
        [
            (w * 0.62, h * rng.uniform(-0.1, 0.22)),
            (w + 20, h * rng.uniform(-0.1, 0.1)),
            (w + 20, h + 20),
            (w * 0.62, h + 20),
        ],
        shade,
        0.08,
    )
    steps = rng.randint(8, 13)
    x0, y0 = w * rng.uniform(0.02, 0.12), h * rng.uniform(0.84, 0.94)
    run, rise = (w * rng.uniform(0.66, 0.8) - x0) / steps, h * rng.uniform(0.5, 0.62) / steps
    outline: list[Point] = [(x0, h + 20)]
    treads, risers = [], []
    for step in range(steps):
        x, y = x0 + run * step, y0 - rise * step
        outline += [(x, y), (x, y - rise), (x + run, y - rise)]
        treads.append(f"M{x:.0f} {y - rise:.0f}h{run:.0f}l46 -24h{-run:.0f}z")
        risers.append(f"M{x:.0f} {y:.0f}v{-rise:.0f}l46 -24v{rise:.0f}z")
    top = y0 - rise * steps
    outline += [(w * 0.9, top), (w * 0.9, h + 20)]
    canvas.path("".join(risers), lighten(shade, -0.06))
    canvas.path("".join(treads), lighten(lit, 0.06))
    _plane(canvas, [*outline], lit, 0.07)
    _plane(
        canvas,
        [(w * 0.9, top), (w * 0.9 + 46, top - 24), (w * 0.9 + 46, h + 20), (w * 0.9, h + 20)],
        lighten(shade, -0.08),
    )
    door_x, door_y = w * rng.uniform(0.66, 0.78), h * rng.uniform(0.72, 0.82)
    arch = f"M{door_x - 48:.0f} {h + 10}V{door_y:.0f}a48 48 0 0 1 96 0V{h + 10}z"
    canvas.path(arch, lighten(shade, -0.16))
    canvas.path(f"M{door_x - 10:.0f} {h + 10}V{door_y - 40:.0f}a48 48 0 0 1 58 40V{h + 10}z", mix(shade, accent, 0.35))
    shadow = lines([(w * 0.62, top - 10), (w * 0.62 - 260, h + 20), (w * 0.62, h + 20)], close=True)
    with canvas.group(canvas.clip(lines(outline, close=True))):
        canvas.path(shadow, shade, 0.5)
    if rng.random() < 0.6:
        step = rng.randint(2, steps - 2)
        place(
            canvas, walker(canvas), x0 + run * (step + 0.5), y0 - rise * (step + 1), 118, mix(accent, "#14141c", 0.75)
        )


def _arches(canvas: Canvas, tones: _Tones) -> None:
    """An arcade: the depth of each opening is a second arch in shadow."""
    rng = canvas.rng
    lit, shade, accent = tones
    w, h = canvas.w, canvas.h
    top = h * rng.uniform(0.16, 0.34)
    storeys, count = rng.randint(1, 2), rng.randint(3, 5)
    _plane(canvas, [(-10, top), (w + 10, top), (w + 10, h + 10), (-10, h + 10)], lit)
    canvas.rect(-10, top - 14, w + 20, 24, lighten(lit, 0.06))
    canvas.rect(-10, top + 10, w + 20, 12, shade, 0.5)
    pitch = w * 1.04 / count
    height = (h - top) / storeys
    for storey in range(storeys):
        foot = top + height * (storey + 1) - (0 if storey == storeys - 1 else 26)
        for index in range(count):
            x, r = -w * 0.02 + pitch * (index + 0.5), pitch * 0.33
            crown = foot - height * 0.78 + r
            opening = f"M{x - r:.0f} {foot + 20:.0f}V{crown:.0f}a{r:.0f} {r:.0f} 0 0 1 {2 * r:.0f} 0V{foot + 20:.0f}z"
            canvas.path(opening, canvas.linear([(0, lighten(shade, -0.12)), (1, lighten(shade, 0.05))]))
            with canvas.group(canvas.clip(opening)):
                deep = opening.replace(f"M{x - r:.0f}", f"M{x - r + r * 0.42:.0f}", 1)
                canvas.path(deep, lighten(shade, -0.22))
                canvas.path(
                    lines(
                        [(x - r, foot + 20), (x + r, foot + 20), (x + r, foot - r * 0.5), (x - r, foot - r * 0.05)],
                        close=True,
                    ),
                    mix(lit, shade, 0.3),
                    0.9,
                )
        canvas.rect(-10, foot, w + 20, 26, lighten(lit, 0.03))
        canvas.rect(-10, foot + 26, w + 20, 9, shade, 0.45)
    if rng.random() < 0.7:
        x = pitch * rng.randint(1, count - 1) - w * 0.02
        place(
            canvas,
            walker(canvas),
            x,
            h - 12,
            min(230.0, height * 0.42),
            mix(accent, "#14141c", 0.7),
            flip=rng.random() < 0.5,
        )


def _round_tower(canvas: Canvas, tones: _Tones) -> None:
    """A cylinder with bands or fins: the light turns around it."""
    rng = canvas.rng
    lit, shade, accent = tones
    w, h = canvas.w, canvas.h
    left, width, top = w * rng.uniform(0.12, 0.34), w * rng.uniform(0.42, 0.58), h * rng.uniform(0.14, 0.32)
    turned = canvas.linear(
        [
            (0, mix(lit, shade, 0.3)),
            (0.28, lighten(lit, 0.04)),
            (0.6, mix(lit, shade, 0.5)),
            (1, lighten(shade, -0.06)),
        ],
        (0, 0),
        (1, 0),
    )
    bow = width * 0.09
    canvas.path(f"M{left:.0f} {h + 10}V{top:.0f}q{width / 2:.0f} {-bow * 2:.0f} {width:.0f} 0V{h + 10}z", turned)
    bands = rng.randint(7, 15)
    if rng.random() < 0.5:
        for index in range(bands):
            y = top + (h - top) * (index + 0.5) / bands
            sag = bow * 2 * (1 - 1.6 * (y - top) / h)
            slab = (
                f"M{left - 16:.0f} {y:.0f}q{width / 2 + 16:.0f} {-sag:.0f} {width + 32:.0f} 0"
                f"v{(h - top) / bands * 0.36:.0f}q{-width / 2 - 16:.0f} {-sag:.0f} {-width - 32:.0f} 0z"
            )
            canvas.path(slab, "#000010", 0.16, f' transform="translate(0 {(h - top) / bands * 0.3:.0f})"')
            canvas.path(slab, turned)
    else:
        fins = []
        for index in range(1, 24):
            angle = math.pi * index / 24
            x = left + width / 2 - math.cos(angle) * width / 2
            fins.append(f"M{x:.0f} {top - math.sin(angle) * bow * 0.96:.0f}V{h + 10}")
        canvas.stroke("".join(fins), lighten(shade, -0.14), 9, 0.5)
        canvas.stroke("".join(fins), lighten(lit, 0.06), 2.5, 0.6, ' transform="translate(-6 0)"')
    canvas.rect(left + width * 0.8, h * 0.72, w, h * 0.3, canvas.linear([(0, lit), (1, mix(lit, shade, 0.3))]))
    canvas.rect(left + width * 0.8, h * 0.72, w, 14, mix(accent, lit, 0.3))


def _grid_facade(canvas: Canvas, tones: _Tones) -> None:
    """A facade as a grid of deep windows, a few with a blind in the accent colour; a great diagonal shadow lies
    over it.
    """
    rng = canvas.rng
    lit, shade, accent = tones
    w, h = canvas.w, canvas.h
    top, left = h * rng.uniform(0.12, 0.4), w * rng.uniform(-0.02, 0.25)
    wall: list[Point] = [
        (left, top),
        (w + 10, top - (w - left) * rng.uniform(0, 0.22)),
        (w + 10, h + 10),
        (left, h + 10),
    ]
    _plane(canvas, wall, lit)
    columns, rows = rng.randint(4, 7), rng.randint(4, 7)
    pitch_x, pitch_y = (w - left) / columns, (h - top) / rows * 1.04
    pane_w, pane_h = pitch_x * rng.uniform(0.42, 0.62), pitch_y * rng.uniform(0.46, 0.66)
    panes, reveals, blinds = [], [], []
    for row in range(-2, rows):
        for column in range(columns):
            x, y = left + pitch_x * (column + 0.5) - pane_w / 2, top + pitch_y * (row + 0.62) - pane_h / 2
            panes.append(f"M{x:.0f} {y:.0f}h{pane_w:.0f}v{pane_h:.0f}h{-pane_w:.0f}z")
            reveals.append(
                f"M{x:.0f} {y:.0f}h{pane_w:.0f}v{pane_h * 0.24:.0f}h{-pane_w * 0.8:.0f}v{pane_h * 0.76:.0f}"
                f"h{-pane_w * 0.2:.0f}z"
            )
            if rng.random() < 0.14:
                blinds.append(f"M{x:.0f} {y:.0f}h{pane_w:.0f}v{pane_h * rng.uniform(0.35, 0.8):.0f}h{-pane_w:.0f}z")
    inside: list[Point] = [(wall[0][0], wall[0][1] + 26), (wall[1][0], wall[1][1] + 26), *wall[2:]]
    with canvas.group(canvas.clip(lines(inside, close=True))):
        canvas.path("".join(panes), mix(shade, "#24324a", 0.45))
        canvas.path("".join(blinds), accent, 0.9)
        canvas.path("".join(reveals), lighten(shade, -0.25), 0.75)
        x = w * rng.uniform(0.4, 0.8)
        canvas.path(
            lines([(x, -20), (w + 20, -20), (w + 20, h + 20), (x - h * rng.uniform(0.3, 0.7), h + 20)], close=True),
            mix(shade, "#1a2038", 0.3),
            0.5,
        )
