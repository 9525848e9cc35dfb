"""Black-and-white street photography: small people, hard light, long shadows.

The street is geometry, the person is the accent: every scene leaves one bright place for somebody to walk through.
"""

from __future__ import annotations

from pipelines.sandbox.pictures.canvas import Canvas, Point, Stop, lines
from pipelines.sandbox.pictures.colour import mix
from pipelines.sandbox.pictures.figures import place, walker


def street_silhouettes(canvas: Canvas) -> None:
    """One of four situations in black and white with the grain of pushed film."""
    rng = canvas.rng
    ink = rng.choice(("#08090b", "#0c0a09", "#060606", "#0a0c10"))
    paper = rng.choice(("#f4f3ef", "#efefef", "#f6f1e6", "#e8ebee"))
    rng.choice((_canyon, _canyon, _lit_wall, _passage, _zebra))(canvas, ink, paper)
    canvas.vignette(0.5, ink)
    canvas.grain(0.17, ink)


def _person(
    canvas: Canvas, x: float, y: float, height: float, ink: str, *, shadow: float = 0.0, lean: float = 0.0
) -> None:
    """Somebody at (x, y); the shadow falls towards the viewer, ``shadow`` heights long, slanted by ``lean``."""
    rng = canvas.rng
    body, flip = walker(canvas, umbrella=0.3), rng.random() < 0.5
    if shadow:
        with canvas.group(f'transform="translate({x:.0f} {y:.0f}) matrix(1 0 {-lean:.2f} {-shadow:.2f} 0 0)"'):
            place(canvas, body, 0, 0, height, ink, flip=flip, opacity=0.62)
    place(canvas, body, x, y, height, ink, flip=flip)


def _canyon(canvas: Canvas, ink: str, paper: str) -> None:
    """A street between high houses that opens into glare; walkers come out of it with long shadows."""
    rng = canvas.rng
    w, h = canvas.w, canvas.h
    vx, vy = w * rng.uniform(0.38, 0.62), h * rng.uniform(0.5, 0.62)
    canvas.fill(canvas.linear([(0, mix(paper, ink, 0.3)), (0.5, paper), (0.62, paper), (1, mix(paper, ink, 0.72))]))
    canvas.glow(vx, vy, 520, "#ffffff", 0.95)
    for side in (-1, 1):
        edge = w if side > 0 else 0
        for depth in range(4):
            t = depth / 3
            x = vx + side * (50 + (w * 0.36) * t)
            roof = vy - (120 + (vy + 140) * t) * rng.uniform(0.8, 1.15)
            tone = mix(mix(paper, ink, 0.22), ink, t**0.8)
            ground = vy + 10 + (h - vy) * 0.62 * t**1.4
            far_x = edge + side * 40
            foot_edge = ground + abs(far_x - x) * 0.55
            shape = lines(
                [(x, roof), (far_x, roof - abs(far_x - x) * 0.5), (far_x, foot_edge), (x, ground)], close=True
            )
            canvas.path(shape, canvas.linear([(0, tone), (0.75, tone), (1, mix(tone, paper, 0.16 * (1 - t)))]))
            _windows(canvas, (x, far_x), (roof, ground), mix(tone, paper, 0.1 + 0.12 * (1 - t)), side)
    if rng.random() < 0.5:
        for step in range(4):
            y = vy - 60 - step * 95
            canvas.stroke(
                (
                    f"M-20 {y - 60 + rng.uniform(-40, 40):.0f}Q{vx:.0f} {y + 70:.0f} {w + 20} "
                    f"{y - 60 + rng.uniform(-40, 40):.0f}"
                ),
                ink,
                2.5,
                0.6,
            )
    canvas.glow(vx, vy + 20, 90, "#ffffff", 0.8, 2.6)
    sheen = canvas.linear([(0, "#ffffff", 0.75), (1, "#ffffff", 0)])
    canvas.path(
        lines([(vx - 46, vy + 14), (vx + 46, vy + 14), (vx + w * 0.2, h), (vx - w * 0.2, h)], close=True), sheen, 0.6
    )
    count = rng.randint(1, 4)
    for index in range(count):
        t = 0.12 + 0.5 * (index + rng.random()) / count
        y = vy + 14 + (h - vy) * t
        _person(
            canvas,
            vx + rng.gauss(0, 60 + 130 * t),
            y,
            60 + 390 * t,
            mix(ink, paper, 0.25 * (1 - t) ** 3),
            shadow=1.1,
            lean=rng.uniform(-0.25, 0.25),
        )


def _windows(canvas: Canvas, span: tuple[float, float], rows: tuple[float, float], tone: str, side: int) -> None:
    near, far = span
    panes = []
    for column in range(5):
        x = near + (far - near) * (column + 0.5) / 5
        for row in range(6):
            y = rows[0] + (rows[1] - rows[0]) * (row + 0.4) / 7 - abs(x - near) * (0.5 - row * 0.15)
            panes.append(f"M{x:.0f} {y:.0f}l{side * 16} -7v34l{-side * 16} 5z")
    canvas.path("".join(panes), tone, 0.6)


def _lit_wall(canvas: Canvas, ink: str, paper: str) -> None:
    """A wall cut by light: somebody crosses the bright patch, the shadow beside them on the wall."""
    rng = canvas.rng
    w, h = canvas.w, canvas.h
    floor = h * rng.uniform(0.76, 0.86)
    canvas.fill(canvas.linear([(0, mix(ink, paper, 0.06)), (1, mix(ink, paper, 0.14))]))
    x = w * rng.uniform(0.3, 0.7)
    slant = rng.uniform(-260, 260)
    width = rng.uniform(240, 420)
    patch: list[Point] = [
        (x - width + slant, -10),
        (x + width * 0.7 + slant, -10),
        (x + width, floor),
        (x - width * 0.7, floor),
    ]
    canvas.path(lines(patch, close=True), canvas.linear([(0, mix(paper, ink, 0.16)), (1, paper)]))
    ground: list[Point] = [
        (x - width * 0.7, floor),
        (x + width, floor),
        (x + width * 1.2 - slant * 0.3, h + 10),
        (x - width * 0.9 - slant * 0.3, h + 10),
    ]
    canvas.path(lines(ground, close=True), canvas.linear([(0, mix(paper, ink, 0.1)), (1, mix(paper, ink, 0.4))]))
    if rng.random() < 0.6:
        bars = rng.randint(3, 7)
        clip = canvas.clip(lines(patch, close=True))
        with canvas.group(clip):
            for index in range(bars):
                bx = x - width + slant + 2 * width * (index + 0.5) / bars
                canvas.path(
                    lines([(bx, -10), (bx + 26, -10), (bx + 26 - slant, floor), (bx - slant, floor)], close=True),
                    ink,
                    0.86,
                )
    else:
        canvas.rect(0, h * 0.12, w, 9, ink, 0.5)
        canvas.rect(0, floor - 36, w, 5, ink, 0.3)
    canvas.rect(0, floor - 2, w, 4, ink, 0.7)
    body, size, flip = walker(canvas, umbrella=0.25), rng.uniform(300, 400), rng.random() < 0.5
    with canvas.group(f'transform="translate({x + 70:.0f} {floor + 10:.0f}) skewX(-14)"'):
        place(canvas, body, 0, 0, size * 1.08, ink, flip=flip, opacity=0.42)
    place(canvas, body, x, floor + 44, size, ink, flip=flip)


def _passage(canvas: Canvas, ink: str, paper: str) -> None:
    """A dark arch or gate with glare behind it, somebody in the opening, all of it again in the wet floor."""
    rng = canvas.rng
    w, h = canvas.w, canvas.h
    floor = h * rng.uniform(0.66, 0.76)
    x, half = w * rng.uniform(0.36, 0.64), rng.uniform(150, 260)
    canvas.fill(canvas.linear([(0, ink), (0.6, mix(ink, paper, 0.08)), (1, ink)]))
    crown = floor - rng.uniform(430, 560)
    for ring in range(4, -1, -1):
        grow = ring * 46
        tone = mix(paper, ink, 0.0 if ring == 0 else 0.72 + 0.06 * ring)
        r = half + grow
        arch = (
            f"M{x - r:.0f} {floor + grow * 0.3:.0f}V{crown + r - grow * 0.6:.0f}a{r:.0f} {r:.0f} 0 0 1 "
            f"{2 * r:.0f} 0V{floor + grow * 0.3:.0f}z"
        )
        canvas.path(arch, tone if ring else canvas.linear([(0, mix(paper, ink, 0.3)), (0.55, "#ffffff"), (1, paper)]))
    sill = lines([(x - half, floor), (x + half, floor), (x + half * 1.9, h + 10), (x - half * 1.9, h + 10)], close=True)
    canvas.path(sill, canvas.linear([(0, paper, 0.9), (0.45, paper, 0.4), (1, paper, 0.05)]))
    canvas.glow(x, floor, half * 1.6, "#ffffff", 0.45, 1.5)
    stones = "".join(f"M0 {floor + (h - floor) * (step / 7) ** 1.6:.0f}H{w}" for step in range(1, 7))
    canvas.stroke(stones, ink, 3, 0.45)
    for _ in range(rng.randint(1, 2)):
        _person(
            canvas,
            x + rng.gauss(0, half * 0.35),
            floor + 26 + rng.uniform(0, 30),
            rng.uniform(250, 300),
            ink,
            shadow=0.9,
            lean=rng.uniform(-0.15, 0.15),
        )


def _zebra(canvas: Canvas, ink: str, paper: str) -> None:
    """A crossing from above in low sun: stripes, figures, and shadows longer than the people."""
    rng = canvas.rng
    w, h = canvas.w, canvas.h
    asphalt = mix(ink, paper, rng.uniform(0.2, 0.42))
    stops: list[Stop] = [(0, mix(asphalt, paper, 0.3)), (1, mix(asphalt, ink, 0.5))]
    canvas.fill(canvas.linear(stops, (0, 0), (1, 1)))
    angle, gap = rng.uniform(-24, 24), rng.uniform(110, 150)
    stripes = "".join(
        f"M{index * gap - 600:.0f} -{h}h{gap * 0.52:.0f}v{3 * h}h{-gap * 0.52:.0f}z"
        for index in range(int((w + 1200) / gap))
    )
    band = h * rng.uniform(0.42, 0.6)
    with canvas.group(f'transform="rotate({angle:.0f} {w / 2:.0f} {h / 2:.0f})"'):
        with canvas.group(canvas.clip(f"M-600 {h / 2 - band / 2:.0f}H{w + 600}v{band:.0f}H-600z")):
            canvas.path(stripes, canvas.linear([(0, paper), (1, mix(paper, ink, 0.3))]), 0.92)
        canvas.rect(-600, h / 2 + band / 2 + 60, w + 1200, 12, paper, 0.5)
    lean = rng.choice((-1, 1)) * rng.uniform(0.6, 1.2)
    people = sorted(
        (h * rng.uniform(0.32, 0.78), w * (index + rng.uniform(0.2, 0.8)) / 4) for index in range(rng.randint(2, 4))
    )
    for y, x in people:
        _person(canvas, x, y, rng.uniform(170, 205), ink, shadow=rng.uniform(1.2, 1.6), lean=lean)
    canvas.path(
        lines([(-10, -10), (w * rng.uniform(0.25, 0.6), -10), (-10, h * rng.uniform(0.3, 0.7))], close=True), ink, 0.8
    )
