"""Night: the sky full of stars, and the city thrown out of focus.

Both are lights on darkness, the one in points and the other in discs.
"""

from __future__ import annotations

import math

from pipelines.sandbox.pictures.canvas import Canvas, Point, Stop, curve, dots, lines
from pipelines.sandbox.pictures.colour import lighten, mix, turn
from pipelines.sandbox.pictures.figures import CABIN, TENT, place, walker
from pipelines.sandbox.pictures.noise import fractal_noise, positions, ridged_noise
from pipelines.sandbox.pictures.plants import bare_tree, conifer, small_conifers
from pipelines.sandbox.pictures.sky import stars

# Zenith, middle, air glow at the horizon, the milky way's core.
_NIGHTS = (
    ("#050914", "#11214a", "#35608c", "#e9c9b4"),
    ("#04070f", "#0f1c33", "#3f5f6a", "#d9d2c4"),
    ("#0a0618", "#2a1650", "#8a4a86", "#f0b8c8"),
    ("#020b12", "#06303c", "#2f8a78", "#cfe8d8"),
    ("#06061a", "#1a1d52", "#5a66ac", "#cdd4ff"),
    ("#0b0810", "#2b1d2c", "#c07a4a", "#f2cfa0"),
)


def night_sky(canvas: Canvas) -> None:
    """A clear night: the milky way or star trails over a dark land, sometimes with a lit tent, a cabin or somebody
    looking up.
    """
    rng = canvas.rng
    top, middle, low, core = (turn(colour, rng.gauss(0, 8)) for colour in rng.choice(_NIGHTS))
    horizon = canvas.h * rng.uniform(0.7, 0.84)
    canvas.rect(
        0,
        0,
        canvas.w,
        canvas.h,
        canvas.linear([(0, top), (0.55, middle), (1, low)], (0, 0), (0, horizon), frame_units=True),
    )
    kind = rng.random()
    if kind < 0.62:
        _milky_way(canvas, core, mix(low, core, 0.4), top, horizon)
        stars(canvas, 360, horizon)
    elif kind < 0.8:
        _star_trails(canvas, horizon, core)
    else:
        _aurora(canvas, horizon)
        stars(canvas, 260, horizon)
    canvas.glow(canvas.w * rng.uniform(0.1, 0.9), horizon, 190, mix(low, "#ffd9a0", 0.35), 0.55, 3.5)
    if rng.random() < 0.3:
        x, y = canvas.w * rng.uniform(0.2, 0.8), horizon * rng.uniform(0.15, 0.5)
        trail = lines([(x, y), (x + rng.uniform(90, 200), y + rng.uniform(40, 110))])
        canvas.stroke(trail, canvas.linear([(0, "#ffffff", 0), (1, "#ffffff", 0.9)], (0, 0), (1, 0.2)), 3)
    _dark_land(canvas, horizon, mix(top, "#000000", 0.45), mix(middle, low, 0.35))
    canvas.vignette(0.4)


def _milky_way(canvas: Canvas, core: str, arm: str, dust: str, horizon: float) -> None:
    """The galaxy's band from the horizon upwards: a glow torn by noise, a bright core, dust lanes and crowded stars."""
    rng = canvas.rng
    lean = rng.uniform(12, 48) * rng.choice((-1, 1))
    x, y = canvas.w * rng.uniform(0.38, 0.62), horizon * 0.52
    reach, width = horizon * 0.95, rng.uniform(150, 220)
    turned = f' transform="rotate({lean:.0f} {x:.0f} {y:.0f})"'
    canvas.ellipse(x, y, width * 1.7, reach, canvas.radial([(0, arm, 0.5), (0.5, arm, 0.22), (1, arm, 0)]), 0.9, turned)
    with canvas.group(turned):
        band = canvas.radial([(0, core, 1), (0.45, mix(core, arm, 0.5), 0.7), (1, arm, 0)], (0.5, 0.68))
        canvas.ellipse(x, y, width, reach, band, 0.85, canvas.texture(120, 190, 4.2, -1.65, 4))
        canvas.ellipse(x, y + reach * 0.2, width * 0.5, reach * 0.5, canvas.radial([(0, core, 0.75), (1, core, 0)]))
        lane = canvas.radial([(0, dust, 1), (0.6, dust, 0.7), (1, dust, 0)])
        canvas.ellipse(
            x + width * 0.1, y + reach * 0.1, width * 0.42, reach * 0.9, lane, 0.8, canvas.texture(70, 200, 7, -3.3, 4)
        )
        crowd = [(rng.gauss(x, width * 0.45), rng.gauss(y, reach * 0.42)) for _ in range(330)]
        canvas.stroke(dots(crowd), "#ffffff", 1.5, 0.7)
        canvas.stroke(dots(crowd[:60]), "#ffe9d2", 2.8, 0.8)


def _star_trails(canvas: Canvas, horizon: float, core: str) -> None:
    """An hour of the earth's turning: arcs around the pole."""
    rng = canvas.rng
    px, py = canvas.w * rng.uniform(0.35, 0.65), horizon * rng.uniform(0.25, 0.6)
    sweep = rng.uniform(0.35, 1.1)
    tints = ("#ffffff", "#cfe0ff", "#ffe3c2", core)
    arcs: list[list[str]] = [[] for _ in tints]
    reach = math.hypot(canvas.w, canvas.h) * 0.6
    for _ in range(250):
        r, start = reach * rng.random() ** 0.7 + 6, rng.uniform(0, math.tau)
        end = start + sweep * rng.uniform(0.8, 1.0)
        x0, y0, x1, y1 = (
            px + math.cos(start) * r,
            py + math.sin(start) * r,
            px + math.cos(end) * r,
            py + math.sin(end) * r,
        )
        if min(y0, y1) < horizon:
            rng.choice(arcs).append(f"M{x0:.0f} {y0:.0f}A{r:.0f} {r:.0f} 0 0 1 {x1:.0f} {y1:.0f}")
    for tint, data in zip(tints, arcs, strict=True):
        canvas.stroke("".join(data), tint, rng.uniform(1.2, 2.4), 0.6)


def _aurora(canvas: Canvas, horizon: float) -> None:
    """Curtains of northern lights: a winding lower edge from which rays fade upwards."""
    rng = canvas.rng
    base = rng.choice(("#4dffa6", "#62f5c4", "#8dff7a"))
    crown = rng.choice(("#7a5cff", "#d05cff", "#3aa0ff"))
    for _ in range(rng.randint(2, 3)):
        x = positions(canvas.w, 50, 60)
        edge = horizon * rng.uniform(0.5, 0.85) + 130 * fractal_noise(rng, x / 430 + rng.uniform(0, 50), 2)
        height = horizon * rng.uniform(0.35, 0.6)
        bottom = list(zip(x.tolist(), edge.tolist(), strict=True))
        top = [(px + 20, py - height) for px, py in reversed(bottom)]
        paint = canvas.linear(
            [
                (0, crown, 0),
                (0.45, mix(crown, base, 0.45), 0.35),
                (0.86, base, 0.85),
                (0.93, lighten(base, 0.1), 0.7),
                (1, base, 0),
            ]
        )
        canvas.path(curve(bottom) + "L" + curve(top)[1:] + "z", paint, 0.75, canvas.texture(46, 900, 3.4, -1.0, 2))
    canvas.glow(canvas.w / 2, horizon, 260, base, 0.35, 3.6)


def _dark_land(canvas: Canvas, horizon: float, ink: str, haze: str) -> None:
    rng = canvas.rng
    x = positions(canvas.w, 13, 10)
    far = horizon - rng.uniform(50, 170) * ridged_noise(rng, x / rng.uniform(260, 420) + rng.uniform(0, 50), 6)
    canvas.path(
        lines([(-10, canvas.h), *zip(x, far + 20, strict=True), (canvas.w + 10, canvas.h)], close=True),
        canvas.linear([(0, mix(ink, haze, 0.55)), (1, mix(ink, haze, 0.25))]),
    )
    x = positions(canvas.w, 20, 20)
    ground = horizon + canvas.h * 0.09 + 34 * fractal_noise(rng, x / 330 + rng.uniform(0, 50), 4)
    points: list[Point] = list(zip(x.tolist(), ground.tolist(), strict=True))
    trees = small_conifers(canvas, points, 70, 0.35)
    story = rng.random()
    spot = points[rng.randint(len(points) // 5, len(points) * 4 // 5)]
    if story < 0.3:
        trees = "".join(
            conifer(canvas, px, py + 8, rng.uniform(110, 330), 0.3)
            for px, py in points
            if abs(px - canvas.w / 2) > canvas.w * 0.28 and rng.random() < 0.5
        )
    canvas.path(lines([(-20, canvas.h + 5), *points, (canvas.w + 20, canvas.h + 5)], close=True) + trees, ink)
    if story < 0.5:
        place(canvas, TENT, spot[0], spot[1] + 5, 78, canvas.radial([(0, "#ffe9a8"), (0.6, "#f2a13c"), (1, "#9a4a18")]))
        canvas.glow(spot[0], spot[1] - 10, 130, "#ffb85a", 0.5, 1.6)
    elif story < 0.65:
        place(canvas, CABIN, spot[0], spot[1] + 5, 110, ink)
        for offset in (-34, 16):
            canvas.rect(spot[0] + offset, spot[1] - 40, 20, 24, "#ffcf70")
        canvas.glow(spot[0], spot[1] - 24, 110, "#ffb85a", 0.45, 1.5)
    elif story < 0.82:
        bare_tree(canvas, spot[0], spot[1] + 5, rng.uniform(300, 420), ink, depth=7)
    else:
        canvas.glow(spot[0], spot[1] - 40, 150, haze, 0.9, 1.5)
        place(canvas, walker(canvas), spot[0], spot[1] + 4, 104, ink)
        beam = canvas.linear([(0, "#fff7dc", 0), (1, "#fff7dc", 0.75)])
        canvas.path(f"M{spot[0] + 4:.0f} {spot[1] - 98:.0f}l70 -{spot[1] - 98:.0f}h90z", beam, 0.6)


_CITIES = (
    ("#120d1e", "#3a1d33", ("#ffb347", "#ff7a3c", "#ffd98a", "#ff5a5a", "#fff0cc")),
    ("#071420", "#123a52", ("#57d1ff", "#ffb15c", "#8ce0d0", "#ff6f91", "#e8f6ff")),
    ("#150a26", "#43145a", ("#ff4fa3", "#8f6bff", "#41c7ff", "#ffd36b", "#ff8a5c")),
    ("#0a1512", "#1c4038", ("#ffd166", "#5fe0a0", "#f4f1bb", "#ff9f6b", "#b8f2e6")),
    ("#16100c", "#4a2c16", ("#ffcf7a", "#ffa94d", "#fff1cf", "#ff6b4a", "#e0b070")),
    ("#0c0e1c", "#232a5c", ("#a8b8ff", "#ff8fb0", "#ffe08a", "#6fd3ff", "#ffffff")),
)


def city_bokeh(canvas: Canvas) -> None:
    """The city at night with the lens wide open: discs of light in rows and heaps, wet streets below, somebody
    sharp in front.
    """
    rng = canvas.rng
    dark, middle, bulbs = rng.choice(_CITIES)
    lamps = tuple(turn(bulb, rng.gauss(0, 6)) for bulb in bulbs)
    street = canvas.h * rng.uniform(0.58, 0.72)
    stops: list[Stop] = [(0, dark), (0.5, middle), (0.62, mix(middle, lamps[0], 0.16)), (1, dark)]
    canvas.fill(canvas.linear(stops))
    for _ in range(6):
        canvas.glow(
            rng.uniform(0, 1) * canvas.w,
            street + rng.gauss(-60, 120),
            rng.uniform(160, 330),
            rng.choice(lamps),
            0.22,
            1.3,
        )
    discs = [
        canvas.radial(
            [(0, lamp, 0.42), (0.82, lamp, 0.55), (0.93, lighten(lamp, 0.05), 0.95), (0.97, lamp, 0.6), (1, lamp, 0)]
        )
        for lamp in lamps
    ]
    _facades(canvas, dark, street, lamps)
    if rng.random() < 0.6:
        _avenue(canvas, discs, street)
    scale = rng.uniform(0.75, 1.35)
    for index in range(62):
        t = index / 62
        r = (14 + 62 * t**1.7) * scale * rng.uniform(0.75, 1.25)
        y = rng.gauss(street - 130 - 90 * t, 150)
        canvas.circle(
            rng.uniform(-0.03, 1.03) * canvas.w, min(y, street - r * 0.2), r, rng.choice(discs), rng.uniform(0.35, 0.9)
        )
    _wet_street(canvas, discs, lamps, dark, street)
    story = rng.random()
    if story < 0.5:
        x = canvas.w * rng.uniform(0.25, 0.75)
        ink = mix(dark, "#000000", 0.55)
        for _ in range(rng.randint(1, 2)):
            place(canvas, walker(canvas, umbrella=0.6), x, canvas.h * 0.93, 290, ink, flip=rng.random() < 0.5)
            x += rng.uniform(110, 170)
    elif story < 0.8:
        _window_rain(canvas)
    canvas.vignette(0.5)


def _facades(canvas: Canvas, dark: str, street: float, lamps: tuple[str, ...]) -> None:
    """Blurred house fronts, their windows small soft dots."""
    rng = canvas.rng
    x = -40.0
    while x < canvas.w:
        wide, high = rng.uniform(110, 240), rng.uniform(0.25, 0.95) * street
        canvas.rect(
            x, street - high, wide, high, canvas.linear([(0, dark, 0.1), (0.3, dark, 0.75), (1, dark, 0.2)]), 0.8
        )
        windows = [(x + wide * rng.random(), street - high * rng.uniform(0.1, 0.85)) for _ in range(7)]
        canvas.stroke(dots(windows), rng.choice(lamps), rng.uniform(9, 15), rng.uniform(0.12, 0.35))
        x += wide * rng.uniform(0.8, 1.2)


def _avenue(canvas: Canvas, discs: list[str], street: float) -> None:
    """Two rows of lamps that shrink towards the vanishing point."""
    rng = canvas.rng
    vanish = canvas.w * rng.uniform(0.35, 0.65)
    for side in (-1, 1):
        disc = rng.choice(discs)
        for step in range(9):
            t = (1 - step / 9) ** 2.1
            canvas.circle(vanish + side * (40 + canvas.w * 0.62 * t), street - 60 - 420 * t, 15 + 74 * t, disc, 0.85)


def _wet_street(canvas: Canvas, discs: list[str], lamps: tuple[str, ...], dark: str, street: float) -> None:
    """The lights again on wet asphalt: long soft streaks and small discs of cars."""
    rng = canvas.rng
    depth = canvas.h - street
    canvas.rect(0, street, canvas.w, depth, canvas.linear([(0, dark, 0), (0.25, dark, 0.65), (1, dark, 0.95)]))
    for _ in range(26):
        lamp = rng.choice(lamps)
        x, length = rng.uniform(0, 1) * canvas.w, depth * rng.uniform(0.3, 0.95)
        paint = canvas.radial([(0, lamp, 0.6), (0.5, lamp, 0.22), (1, lamp, 0)])
        canvas.ellipse(x, street + length * 0.55, rng.uniform(12, 38), length * 0.6, paint, rng.uniform(0.3, 0.85))
    for _ in range(9):
        x, r = rng.uniform(0.05, 0.95) * canvas.w, rng.uniform(12, 34)
        disc = rng.choice(discs)
        for twin in (-1, 1):
            canvas.circle(x + twin * r * 1.3, street + rng.uniform(0, 24), r, disc, 0.8)


def _window_rain(canvas: Canvas) -> None:
    """Drops on a window pane, in focus: each a small lens with a dark rim and a glint."""
    rng = canvas.rng
    drop = canvas.radial(
        [(0, "#ffffff", 0.5), (0.45, "#ffffff", 0.14), (0.8, "#0a0a14", 0.3), (1, "#0a0a14", 0.55)], (0.6, 0.75)
    )
    name = canvas.symbol(
        f'<ellipse rx="9" ry="10.5" fill="{drop}"/><circle cx="-3" cy="-4" r="1.8" fill="#fff" opacity=".9"/>'
    )
    for _ in range(44):
        size = 0.35 + 1.9 * rng.random() ** 3
        canvas.use(name, f"translate({rng.uniform(0, canvas.w):.0f} {rng.uniform(0, canvas.h):.0f}) scale({size:.2f})")
