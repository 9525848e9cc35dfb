"""Flowers through a macro lens: a few petals drawn once, then set in rings of changing size and light.

They are a module of their own because a flower is built around its heart, as no landscape is.
"""

from __future__ import annotations

import math

from pipelines.sandbox.pictures.canvas import Canvas, Point, Stop, dots
from pipelines.sandbox.pictures.colour import lighten, mix, turn

# Petal's base, petal's tip, heart, background in the light and in the dark.
_FLOWERS = (
    ("#8c1048", "#ff8fb4", "#ffd257", "#7fae6a", "#16301f"),
    ("#d0420e", "#ffc247", "#7a2a0c", "#c9b25a", "#2c2a12"),
    ("#4b1d8f", "#c9a6ff", "#ffe08a", "#8fa6c9", "#151a3a"),
    ("#d98aa6", "#fff1f4", "#e8c14a", "#b8d0b0", "#3c5a4c"),
    ("#a80f1f", "#ff6a52", "#1d1015", "#6f8a4a", "#111c12"),
    ("#cfae3a", "#fff6c8", "#b8701a", "#9cc3a0", "#1f4036"),
    ("#1f4fa8", "#a8d4ff", "#fff2b0", "#a5c4c0", "#122a40"),
    ("#b0527a", "#ffd9c2", "#f0a850", "#d8b0a8", "#4a2a3c"),
    ("#e6e2ee", "#ffffff", "#f2c230", "#5f8a78", "#0f2422"),
    ("#6a0f4a", "#f06fc0", "#ffc9a0", "#3f5a4a", "#0c1412"),
)


def macro_petals(canvas: Canvas) -> None:
    """One flower, very near: petals in rings from dark to light, the garden behind it dissolved."""
    rng = canvas.rng
    base, tip, heart, bright, dark = (turn(colour, rng.gauss(0, 8)) for colour in rng.choice(_FLOWERS))
    _dissolved_garden(canvas, bright, dark, tip)
    x, y = canvas.w * rng.uniform(0.32, 0.68), canvas.h * rng.uniform(0.38, 0.62)
    radius = rng.uniform(390, 640)
    tilt = f"translate({x:.0f} {y:.0f}) rotate({rng.uniform(-35, 35):.0f}) scale(1 {rng.uniform(0.66, 1.0):.2f})"
    canvas.ellipse(
        x, y + radius * 0.25, radius * 1.15, radius, canvas.radial([(0, dark, 0.8), (0.6, dark, 0.5), (1, dark, 0)])
    )
    with canvas.group(f'transform="{tilt}"'):
        rng.choice((_dahlia, _dahlia, _daisy, _anemone))(canvas, radius, base, tip, heart)
    light = (canvas.w * rng.choice((0.05, 0.95)), -40.0)
    canvas.glow(*light, 900, mix(tip, "#fff6e0", 0.7), 0.3)
    canvas.vignette(0.38, mix(dark, "#000000", 0.5))


def _dissolved_garden(canvas: Canvas, bright: str, dark: str, tip: str) -> None:
    rng = canvas.rng
    canvas.fill(canvas.linear([(0, mix(bright, dark, 0.25)), (1, dark)], (rng.random(), 0), (rng.random(), 1)))
    for _ in range(11):
        colour = rng.choice((bright, lighten(bright, 0.08), dark, mix(tip, bright, 0.45)))
        canvas.glow(
            rng.uniform(-0.05, 1.05) * canvas.w,
            rng.uniform(-0.05, 1.05) * canvas.h,
            rng.uniform(150, 420),
            colour,
            0.65,
            rng.uniform(0.8, 1.5),
        )
    disc = canvas.radial([(0, "#ffffff", 0.12), (0.9, "#ffffff", 0.18), (1, "#ffffff", 0)])
    for _ in range(rng.randint(0, 14)):
        canvas.circle(rng.uniform(0, canvas.w), rng.uniform(0, canvas.h) * 0.7, rng.uniform(18, 75), disc)
    for _ in range(rng.randint(0, 3)):
        x = canvas.w * rng.uniform(0, 1)
        blade = (
            f"M{x:.0f} {canvas.h + 40}q{rng.uniform(-60, 60):.0f} -400 {rng.uniform(-240, 240):.0f} "
            f"{-rng.uniform(500, 900):.0f}"
        )
        canvas.stroke(blade, mix(bright, dark, 0.55), rng.uniform(20, 50), 0.3)


def _petal(length: float, width: float, point: float, wave: float = 0.0) -> str:
    """Path data of a petal that points upwards from the origin; ``point`` 0 (round) … 1 (pointed)."""
    w, tip = width / 2, width / 2 * (1 - point) * 0.7
    return (
        f"M0 0C{-w * 0.7:.0f} {-length * 0.12:.0f} {-w * 1.25 + wave:.0f} {-length * 0.72:.0f} "
        f"{-tip:.0f} {-length * 0.965:.0f}"
        f"Q{wave * 0.5:.0f} {-length * 1.03:.0f} {tip:.0f} {-length * 0.965:.0f}"
        f"C{w * 1.25 + wave:.0f} {-length * 0.72:.0f} {w * 0.7:.0f} {-length * 0.12:.0f} 0 0z"
    )


def _petal_symbol(canvas: Canvas, length: float, width: float, point: float, stops: list[Stop], crease: str) -> str:
    """One shaded petal: colour along it, one half darker, a lit crease, a thin bright edge."""
    shape = _petal(length, width, point, canvas.rng.uniform(-0.06, 0.06) * width)
    paint = canvas.linear(stops, (0, 0), (0, -length), frame_units=True)
    w = width / 2
    # A fold along the middle: light on one side of it, shadow on the other.
    fold = canvas.linear(
        [
            (0, "#ffffff", 0.02),
            (0.49, "#ffffff", 0.16),
            (0.51, "#180008", 0.2),
            (0.8, "#180008", 0.03),
            (1, "#180008", 0.14),
        ],
        (-w, 0),
        (w, 0),
        frame_units=True,
    )
    veins = "".join(
        f"M0 {-length * 0.1:.0f}Q{side * w * 0.5:.0f} {-length * 0.5:.0f} {side * w * 0.42:.0f} {-length * 0.86:.0f}"
        for side in (-1, -0.45, 0.45, 1)
    )
    return canvas.symbol(
        f'<path d="{shape}" fill="{paint}" stroke="{crease}" stroke-opacity=".35" stroke-width="1.5"/>'
        f'<path d="{shape}" fill="{fold}"/><path d="{veins}" fill="none" stroke="{crease}" stroke-opacity=".22" '
        f'stroke-width="{max(1.2, width * 0.012):.1f}"/>'
    )


def _ring(canvas: Canvas, symbols: list[str], count: int, offset: float, jitter: float) -> None:
    rng = canvas.rng
    order = list(range(count))
    rng.shuffle(order)
    for index in order:
        angle = offset + 360 / count * index + rng.gauss(0, jitter)
        canvas.use(
            rng.choice(symbols), f"rotate({angle:.0f}) scale({rng.uniform(0.9, 1.1):.2f} {rng.uniform(0.93, 1.06):.2f})"
        )


def _dahlia(canvas: Canvas, radius: float, base: str, tip: str, heart: str) -> None:
    """Ring within ring of petals, each shorter and nearer to the heart's colour."""
    rng = canvas.rng
    rings, count, point = rng.randint(6, 9), rng.randint(11, 17), rng.random()
    core = mix(base, heart, rng.choice((0.0, 0.35, 0.6)))
    for ring in range(rings):
        t = ring / (rings - 1)
        length = radius * (1 - t) ** 0.85 + radius * 0.07
        body, end = mix(base, core, t), mix(tip, mix(base, tip, 0.5), t * 0.8)
        stops: list[Stop] = [
            (0, lighten(body, -0.22)),
            (0.45, lighten(body, -0.06)),
            (0.72, mix(body, end, 0.5)),
            (1, end),
        ]
        many = max(7, round(count * (1 - 0.35 * t)))
        symbols = [
            _petal_symbol(canvas, length, length * math.tau / many * 0.95 + 12, point, stops, lighten(end, 0.06))
        ]
        _ring(canvas, symbols, many, ring * 180 / count + ring * 7, 2.2)
    canvas.circle(0, 0, radius * 0.09, canvas.radial([(0, lighten(core, 0.05)), (0.7, core), (1, core, 0)]))


def _daisy(canvas: Canvas, radius: float, base: str, tip: str, heart: str) -> None:
    """Two rings of narrow petals around a disc whose florets stand in Vogel's spiral (golden angle)."""
    rng = canvas.rng
    count = rng.randint(15, 24)
    for ring, shade in ((0, 0.14), (1, 0.0)):
        stops: list[Stop] = [
            (0, lighten(base, -0.1 - shade)),
            (0.4, lighten(mix(base, tip, 0.45), -shade)),
            (1, lighten(tip, -shade * 0.7)),
        ]
        length = radius * (1.0 - 0.08 * ring)
        symbols = [
            _petal_symbol(
                canvas,
                length,
                radius * 4.6 / count * rng.uniform(0.9, 1.15),
                rng.uniform(0, 0.5),
                stops,
                lighten(tip, 0.05),
            )
            for _ in range(2)
        ]
        _ring(canvas, symbols, count, ring * 180 / count, 2.5)
    disc = radius * rng.uniform(0.24, 0.33)
    canvas.circle(0, 0, disc * 1.22, canvas.radial([(0.7, "#1a0a10", 0.5), (1, "#1a0a10", 0)]))
    canvas.circle(
        0,
        0,
        disc,
        canvas.radial(
            [(0, lighten(heart, -0.18)), (0.55, heart), (0.9, lighten(heart, -0.12)), (1, lighten(heart, -0.3))],
            (0.42, 0.36),
        ),
    )
    florets: list[list[Point]] = [[], [], []]
    for index in range(210):
        r, angle = disc * math.sqrt(index / 210) * 0.98, index * math.radians(137.508)
        florets[index % 3].append((math.cos(angle) * r, math.sin(angle) * r))
    for points, lift, size in zip(florets, (-0.2, 0.08, 0.16), (0.075, 0.06, 0.035), strict=True):
        canvas.stroke(dots(points), lighten(heart, lift), disc * size, 0.75)


def _anemone(canvas: Canvas, radius: float, base: str, tip: str, heart: str) -> None:
    """Few broad, silky petals around a dark eye with a crown of stamens."""
    rng = canvas.rng
    count = rng.randint(5, 8)
    for ring in range(2):
        stops: list[Stop] = [
            (0, lighten(base, -0.2)),
            (0.22, base),
            (0.6, mix(base, tip, 0.55 + 0.2 * ring)),
            (1, lighten(tip, -0.05 * (1 - ring))),
        ]
        width = radius * 5.6 / count
        symbols = [
            _petal_symbol(
                canvas, radius * (1 - 0.12 * ring), width * rng.uniform(0.9, 1.1), 0.0, stops, lighten(tip, 0.04)
            )
            for _ in range(2)
        ]
        _ring(canvas, symbols, count, ring * 180 / count, 4)
    eye = mix(lighten(base, -0.35), "#0c0a14", 0.6)
    canvas.circle(0, 0, radius * 0.42, canvas.radial([(0, eye, 0.85), (0.5, eye, 0.4), (1, eye, 0)]))
    tips, threads = [], []
    for _ in range(90):
        angle, r = rng.uniform(0, math.tau), radius * rng.uniform(0.15, 0.33)
        tips.append((math.cos(angle) * r, math.sin(angle) * r))
        threads.append(f"M0 0L{tips[-1][0]:.0f} {tips[-1][1]:.0f}")
    canvas.stroke("".join(threads), mix(eye, heart, 0.35), 1.8, 0.7)
    canvas.stroke(dots(tips), mix(heart, "#ffffff", 0.1), 11)
    canvas.stroke(dots(tips[:45]), eye, 9, 0.8)
    canvas.circle(0, 0, radius * 0.13, canvas.radial([(0, mix(eye, tip, 0.35)), (1, eye)], (0.4, 0.35)))
