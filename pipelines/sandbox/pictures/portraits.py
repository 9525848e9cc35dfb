"""Faces in profile, as photos and as the small pictures of people.

One outline serves both: a head that looks to the right, its features moved a little by the seed.
"""

from __future__ import annotations

import math
from random import Random

from pipelines.sandbox.pictures.canvas import Canvas, Point, Stop, curve, dots, lines
from pipelines.sandbox.pictures.colour import MOODS, lighten, mix, pick_mood, turn
from pipelines.sandbox.pictures.noise import fractal_noise, positions, ridged_noise
from pipelines.sandbox.pictures.plants import bare_tree, small_conifers
from pipelines.sandbox.pictures.sky import birds, paint_sky, stars, sun

# Backlight, background's dark, rim of the first light, rim of the second light, shadow of the skin.
_STUDIOS = (
    ("#f2a65a", "#3a1422", "#ffd9a0", "#ff7a5a", "#120a10"),
    ("#4fa3b8", "#071a2a", "#bff0ff", "#ff9a6a", "#050c14"),
    ("#c9c4bc", "#3d3a38", "#ffffff", "#d8d2c8", "#0f0e0e"),
    ("#b04a8a", "#1a0a2e", "#ffb0d8", "#6ab8ff", "#0c0616"),
    ("#e8c07a", "#5a3a1c", "#fff0c4", "#f0a050", "#1a0f08"),
    ("#7fa08a", "#14241e", "#e4ffe8", "#e8c888", "#08100c"),
    ("#8f9fd0", "#1c2044", "#e8ecff", "#ffc0d0", "#0a0c1c"),
    ("#d8604a", "#2a0c10", "#ffc8a8", "#ffe0a0", "#14060a"),
)


def _face(rng: Random) -> list[Point]:
    """Points of the face from the hairline to the chest, in units of a head about 75 units tall."""
    nose, brow, chin, lips = rng.gauss(0, 1.3), rng.gauss(0, 0.8), rng.gauss(0, 1.2), rng.gauss(0, 0.5)
    tilt = rng.gauss(0, 0.7)
    return [
        (54, 5), (60.5, 10), (64.5 + brow * 0.4, 17), (66 + brow, 24), (65 + brow * 0.6, 28.5), (67 + nose * 0.4, 33.5),
        (70.6 + nose * 0.8, 39.5), (73.6 + nose, 43.6 - tilt), (72.9 + nose, 46), (69 + nose * 0.3, 47.6),
        (67.8, 48.6), (68.2, 51), (70.2 + lips, 53.2), (69.9 + lips, 55), (67.8, 56.2), (69.4 + lips, 58),
        (68.8 + lips, 60.4), (66.6 + chin * 0.4, 62.6), (67.6 + chin, 66.5), (66.4 + chin, 70.8), (62, 73.8),
        (55, 75.5), (50.5, 79), (49.5, 85), (52.5, 91.5), (61, 97), (76, 105), (92, 130),
    ]  # fmt: skip


def _back() -> list[Point]:
    """Points from the back's foot up the nape and over the skull."""
    return [
        (-52, 130),
        (-44, 112),
        (-22, 102),
        (-2, 96),
        (11, 90),
        (17, 81),
        (16.5, 71),
        (12, 60),
        (9, 48),
        (9.5, 35),
        (14, 22),
        (23, 11),
        (35, 4),
        (46, 2.5),
    ]


def _hair(rng: Random) -> str:
    """Path data of one of nine kinds of hair or headgear that lies over the outline."""
    kind = rng.randrange(9)
    crown = "M64 19C62 8 52 0 38 0C20 0 7 12 6 34"
    if kind == 0:
        return crown + "C5 50 10 66 19 78C26 70 24 56 33 50C36 46 40 40 41 32C50 30 58 26 64 19z"
    if kind == 1:
        return crown + "C5 56 0 78 4 104C8 112 22 110 28 102C34 88 27 66 34 52C37 44 41 38 42 30C51 29 59 26 64 19z"
    if kind == 2:
        return (
            "M64 18C62 7 52 0 38 0C30 0 23 2 18 6C10 -6 -8 0 -6 14C-5 23 4 25 9 22C6 32 8 46 14 58C18 60 "
            "24 58 28 52C34 48 39 40 41 31C50 29 59 25 64 18z"
        )
    if kind == 3:
        return crown + (
            "C4 40 2 44 -4 50C-14 62 -14 80 -4 100C2 92 -2 76 8 64C12 60 18 60 24 54C33 48 38 40 40 30"
            "C50 29 59 26 64 19z"
        )
    if kind == 4:
        bumps = "".join(
            f"M{36 + math.cos(a) * 24 - 13:.0f} {22 + math.sin(a) * 22:.0f}a13 13 0 1 0 26 0a13 13 0 1 0 -26 0"
            for a in (0.2 - index * 0.52 for index in range(9))
        )
        return "M58 22C56 0 8 -4 8 44C16 58 30 52 34 44C44 38 56 32 58 22z" + bumps
    if kind == 5:
        return "M60 12C52 0 36 -3 22 7C12 15 7 28 9 44C13 52 20 52 25 46C28 36 34 30 40 26C48 24 58 22 60 12z"
    if kind == 6:
        return (
            "M72 15Q78 18 70 20L8 27C4 27 2 25 6 23L14 20C14 2 28 -7 42 -6C54 -5 60 2 62 13zM10 26C8 40 "
            "12 54 18 62C24 60 26 50 30 44L36 24z"
        )
    if kind == 7:
        return (
            "M66 14C62 2 50 -4 36 -3C16 -2 3 14 4 36C4 60 12 76 4 100C14 110 40 106 50 92C46 84 44 78 47 "
            "72C40 60 44 38 52 26C58 22 64 20 66 14z"
        )
    return (
        "M62 14C56 2 44 -2 30 3C16 9 8 24 9 42C12 56 20 62 26 58C28 66 34 74 44 76C54 79 64 78 68 70"
        "C68 66 64 64 60 66C52 66 46 58 42 50C38 44 40 36 44 30C52 26 62 24 62 14z"
    )


def profiles(canvas: Canvas) -> None:
    """A face in profile: rim light before a glow, light from the front, or a double exposure with a landscape."""
    rng = canvas.rng
    glow, dark, rim, second, skin = (turn(colour, rng.gauss(0, 8)) for colour in rng.choice(_STUDIOS))
    flip = rng.random() < 0.5
    size = min(canvas.h / 108, canvas.w / 98) * rng.uniform(0.9, 1.04)
    x = canvas.w * rng.uniform(0.4, 0.54) - 40 * size
    y = canvas.h - rng.uniform(95, 102) * size
    double = rng.random() < 0.38
    canvas.fill(
        canvas.linear([(0, mix(glow, dark, 0.55)), (1, dark)], (0, 0), (0.4, 1))
        if not double
        else mix(rim, "#ffffff", 0.55)
    )
    with canvas.group(f'transform="translate({canvas.w} 0) scale(-1 1)"' if flip else 'transform="scale(1)"'):
        face_x = x + 78 * size
        if not double:
            canvas.glow(face_x, y + 44 * size, canvas.h * 0.62, glow, 0.95, 1.1)
            canvas.glow(face_x + 60, y + 36 * size, canvas.h * 0.3, rim, 0.5)
        else:
            canvas.glow(canvas.w / 2, canvas.h * 0.4, canvas.h * 0.8, "#ffffff", 0.9, 1.3)
        face = [(x + px * size, y + py * size) for px, py in _face(rng)]
        back = [(x + px * size, y + py * size) for px, py in _back()]
        outline = curve([*face, *back], close=True)
        hair = _hair(rng)
        on_head = f' transform="translate({x:.1f} {y:.1f}) scale({size:.3f})"'
        if double:
            _double_exposure(canvas, canvas.clip(outline, f'<path{on_head} d="{hair}"/>'))
        else:
            _lit_head(canvas, (outline, curve(face), hair, on_head), (face_x, y, size), (skin, rim, second))
    canvas.vignette(0.4 if not double else 0.12, mix(dark, "#000000", 0.5))
    canvas.grain(0.03 if double else 0.08, mix(dark, "#000000", 0.6))


def _lit_head(
    canvas: Canvas, shapes: tuple[str, str, str, str], where: tuple[float, float, float], colours: tuple[str, str, str]
) -> None:
    """The head as a dark form: light creeps around the face and the hair from the front, a second colour from
    behind.
    """
    rng = canvas.rng
    outline, face, hair, on_head = shapes
    face_x, y, size = where
    skin, rim, second = colours
    reach = rng.uniform(0.06, 0.3)
    warm = mix(skin, rim, 0.62)
    stops: list[Stop] = [(0, skin), (1 - reach * 2.2, skin), (1 - reach, mix(skin, warm, 0.35)), (1, warm)]
    canvas.path(
        outline, canvas.linear(stops, (face_x - 80 * size, y), (face_x - 4 * size, y - 14 * size), frame_units=True)
    )
    with canvas.group(canvas.clip(outline)):
        # The blurred stroke inside the edge is light that wraps around the face.
        canvas.stroke(face, rim, size * rng.uniform(4, 9), 0.5, canvas.blur(size * 3))
        canvas.stroke(face, rim, size * 1.3, 0.45)
        canvas.stroke(face, rim, size * 0.55, 0.95)
        canvas.glow(face_x - 14.5 * size, y + 31 * size, 4.4 * size, skin, 0.8, 1.5)
    lash = (
        f"M{face_x - 16 * size:.0f} {y + 31.5 * size:.0f}q{3 * size:.0f} {2.2 * size:.0f} "
        f"{5.4 * size:.0f} {0.6 * size:.0f}"
    )
    canvas.stroke(lash, mix(skin, "#000000", 0.4), size * 0.7, 0.9)
    shine = mix(skin, second, 0.55)
    paint = canvas.linear(
        [(0, shine), (0.16, mix(skin, second, 0.22)), (0.5, skin), (1, mix(skin, rim, 0.2))], (0, 0.2), (1, 0.5)
    )
    canvas.path(hair, paint, extra=on_head)


def _double_exposure(canvas: Canvas, head: str) -> None:
    """A landscape inside the head: sky and sun, ridges with trees, birds that leave it."""
    rng = canvas.rng
    mood = pick_mood(rng, "golden", "violet", "teal", "rose", "ember", "blue", "storm")
    shade = mix(mood.shadow, mood.zenith, 0.3)
    with canvas.group(head):
        paint_sky(canvas, mood, canvas.h * 0.62)
        if mood.name in ("violet", "blue", "ember"):
            stars(canvas, 150, canvas.h * 0.5)
        sun(canvas, mood, canvas.w * rng.uniform(0.38, 0.6), canvas.h * rng.uniform(0.4, 0.55), rng.uniform(26, 48))
        for layer in range(4):
            near = (layer + 1) / 4
            x = positions(canvas.w, 13, 10)
            base = canvas.h * (0.58 + 0.11 * layer)
            crest = base - (150 - 60 * near) * ridged_noise(rng, x / 290 + rng.uniform(0, 50), 5)
            points = list(zip(x.tolist(), crest.tolist(), strict=True))
            tone = mix(mood.horizon, shade, 0.25 + 0.72 * near)
            trees = small_conifers(canvas, points, 40 + 34 * near, 0.55) if near > 0.3 else ""
            paint = canvas.linear([(0, tone), (1, mix(tone, mood.horizon, 0.5 * (1 - near)))])
            canvas.path(lines([(-10, canvas.h + 5), *points, (canvas.w + 10, canvas.h + 5)], close=True) + trees, paint)
    if rng.random() < 0.45:
        bare_tree(canvas, canvas.w * rng.uniform(0.3, 0.42), canvas.h * 0.9, canvas.h * 0.5, shade, depth=6)
    birds(canvas, canvas.w * 0.3, canvas.h * 0.16, rng.randint(3, 7), 15, shade, 0.85)


def draw_avatar(seed: int, size: int) -> str:
    """A person's small square picture as SVG text, ``size`` pixels wide: a face in profile or a motif the person likes.

    Raises ValueError for a size below one pixel.
    """
    if size < 1:
        raise ValueError(f"a picture needs a positive size in pixels, not {size}")
    canvas = Canvas(1000, 1000, Random(f"avatar:{seed}"))  # noqa: S311 - a picture, not a secret
    rng = canvas.rng
    mood = pick_mood(rng, *MOODS)
    if rng.random() < 0.7:
        _avatar_head(canvas, mood.sky[-2], mood.horizon, mix(mood.shadow, mood.zenith, rng.uniform(0, 0.5)))
    else:
        paint_sky(canvas, mood, 640)
        sun(canvas, mood, rng.uniform(300, 700), rng.uniform(300, 520), rng.uniform(70, 130), halo=4)
        for layer in range(3):
            x = positions(1000, 25)
            crest = 560 + 120 * layer + 110 * fractal_noise(rng, x / 260 + rng.uniform(0, 50), 4)
            tone = mix(mood.horizon, mood.shadow, 0.35 + 0.3 * layer)
            canvas.path(lines([(0, 1000), *zip(x, crest, strict=True), (1000, 1000)], close=True), tone)
        if rng.random() < 0.4:
            canvas.stroke(dots((rng.uniform(0, 1000), rng.uniform(0, 400)) for _ in range(26)), "#ffffff", 9, 0.7)
    return canvas.svg(size, size, "avatar")


def _avatar_head(canvas: Canvas, upper: str, lower: str, skin: str) -> None:
    """A head that fills the square, large enough for 24 pixels."""
    rng = canvas.rng
    canvas.fill(canvas.linear([(0, lighten(upper, 0.03)), (1, lower)]))
    canvas.glow(680, 420, 480, "#ffffff", 0.45)
    size = 8.3
    x, y = 150.0, 110.0
    with canvas.group('transform="translate(1000 0) scale(-1 1)"' if rng.random() < 0.5 else 'transform="scale(1)"'):
        points = [(x + px * size, y + py * size) for px, py in [*_face(rng), *_back()]]
        canvas.path(
            curve(points, close=True), canvas.linear([(0, skin), (1, mix(skin, lower, 0.35))], (0, 0), (1, 0.3))
        )
        canvas.path(_hair(rng), mix(skin, "#000000", 0.4), extra=f' transform="translate({x} {y}) scale({size})"')
