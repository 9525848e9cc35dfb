"""Trees and grass as silhouettes: spruces near and far, branching bare trees, blades of grass.

They are apart because mountains, snow, forest and night all plant them, each in its own light.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pipelines.sandbox.pictures.canvas import Canvas, Point, lines


def conifer(canvas: Canvas, x: float, y: float, height: float, spread: float = 0.36) -> str:
    """Path data of one spruce that stands at (x, y): drooping tiers, a little uneven; ``spread`` is width by height."""
    rng = canvas.rng
    tiers = max(4, min(9, round(height / 20)))
    left: list[Point] = []
    right: list[Point] = []
    for tier in range(tiers):
        share = (tier + 1) / tiers
        reach = height * spread * 0.5 * share**0.9
        level = y - height * (1 - share) * 0.94 - height * 0.05
        for side, points in ((-1, left), (1, right)):
            tip = reach * rng.uniform(0.78, 1.15)
            points.append((x + side * tip, level + height * 0.012 * tier * rng.uniform(0.5, 1.5)))
            points.append((x + side * tip * 0.46, level - height * 0.012))
    trunk = height * 0.018
    base = [(x + trunk, y - height * 0.06), (x + trunk, y + 2), (x - trunk, y + 2), (x - trunk, y - height * 0.06)]
    return lines([(x, y - height), *right, *base, *reversed(left)], close=True)


def small_conifers(canvas: Canvas, ground: Iterable[Point], height: float, chance: float) -> str:
    """Path data of many far spruces along a line of ground points; ``chance`` that one stands at a point."""
    rng = canvas.rng
    parts = []
    for x, y in ground:
        if rng.random() > chance:
            continue
        h = height * rng.uniform(0.45, 1.25)
        w = max(5.5, h * rng.uniform(0.15, 0.22))
        base = y + h * 0.12
        parts.append(
            f"M{x:.0f} {base - h:.0f}l{w * 0.55:.0f} {h * 0.45:.0f}h{-w * 0.2:.0f}l{w * 0.65:.0f} "
            f"{h * 0.55:.0f}h{-w * 2:.0f}l{w * 0.65:.0f} {-h * 0.55:.0f}h{-w * 0.2:.0f}z"
        )
    return "".join(parts)


def tree_line(canvas: Canvas, ground: Iterable[Point], height: float) -> str:
    """Path data of a far wood's edge: crowns too small for branches, dense in places and missing in others."""
    rng = canvas.rng
    parts = []
    grown = rng.random()
    for x, y in ground:
        grown = min(1.0, max(0.0, grown + rng.gauss(0, 0.35)))
        if grown > 0.3:
            h, w = height * (0.4 + grown) * rng.uniform(0.7, 1.2), rng.uniform(3.5, 6)
            parts.append(f"M{x - w:.0f} {y + 5:.0f}l{w:.0f} {-h:.0f} {w:.0f} {h:.0f}z")
    return "".join(parts)


def bare_tree(
    canvas: Canvas, x: float, y: float, height: float, colour: str, *, lean: float = 0.0, depth: int = 7
) -> None:
    """A leafless tree at (x, y): recursive branching after da Vinci's rule (a fork's cross-sections add up to its
    stem's).
    """
    rng = canvas.rng
    levels: list[list[str]] = [[] for _ in range(depth)]

    def grow(bx: float, by: float, angle: float, length: float, level: int) -> None:
        bend = angle + rng.uniform(-0.12, 0.12)
        mx, my = bx + math.sin(bend) * length * 0.5, by - math.cos(bend) * length * 0.5
        ex, ey = mx + math.sin(angle) * length * 0.5, my - math.cos(angle) * length * 0.5
        levels[level].append(f"M{bx:.0f} {by:.0f}q{mx - bx:.0f} {my - by:.0f} {ex - bx:.0f} {ey - by:.0f}")
        if level + 1 == depth:
            return
        spread = rng.uniform(0.28, 0.5)
        for side in (-1, 1):
            grow(
                ex,
                ey,
                angle * 0.93 + side * spread * rng.uniform(0.6, 1.3),
                length * rng.uniform(0.66, 0.86),
                level + 1,
            )
        if level in (1, 2, 3) and rng.random() < 0.22:
            grow(mx, my, angle + rng.choice((-1, 1)) * rng.uniform(0.6, 1.0), length * 0.6, level + 1)

    grow(x, y + height * 0.02, lean, height * 0.26, 0)
    for level, data in enumerate(levels):
        canvas.stroke("".join(data), colour, max(0.9, height * 0.052 * 0.66**level))


def grass(
    canvas: Canvas, top: float, bottom: float, count: int, height: float, colour: str, opacity: float = 1.0
) -> None:
    """Blades of grass and reed that stand between ``top`` and ``bottom``, longer in front."""
    rng = canvas.rng
    blades = []
    for _ in range(count):
        share = rng.random()
        x, y = rng.uniform(-0.02, 1.02) * canvas.w, top + (bottom - top) * share
        h = height * (0.4 + 0.6 * share) * rng.uniform(0.5, 1.2)
        bend = rng.gauss(0, 0.3) * h
        blades.append(f"M{x:.0f} {y:.0f}q{bend * 0.2:.0f} {-h * 0.6:.0f} {bend:.0f} {-h:.0f}")
    canvas.stroke("".join(blades), colour, max(1.5, height * 0.025), opacity)
