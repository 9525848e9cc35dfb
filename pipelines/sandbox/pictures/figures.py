"""People and the things people leave in landscapes, as silhouettes: walkers, boats, cabins, lighthouses.

They are apart because scale and story come from them in half of the styles; poses are limbs of round strokes, so
they stay alive when small.
"""

from __future__ import annotations

from pipelines.sandbox.pictures.canvas import Canvas, number


def _limb(data: str, width: float) -> str:
    return (
        f'<path d="{data}" fill="none" stroke-width="{number(width)}" stroke-linecap="round" stroke-linejoin="round"/>'
    )


def walker(canvas: Canvas, *, umbrella: float = 0.0) -> str:
    """Markup of one person 100 units tall with the feet at the origin, facing right; the group around it gives
    fill and stroke.

    ``umbrella`` is the chance that the person carries one.
    """
    rng = canvas.rng
    stride = rng.uniform(6, 17)
    hem = rng.choice((-46, -38, -30, -24))
    build = rng.uniform(0.88, 1.14)
    parts = [
        _limb(f"M1 -48L{stride * 0.75:.0f} -25L{stride:.0f} -2h6", 7.5 * build),
        _limb(f"M-1 -48L{-stride * 0.3:.0f} -26L{-stride * 1.15:.0f} -5l5 3", 7.5 * build),
    ]
    shoulder, hip = 11 * build, 9 * build
    flare = hip + rng.uniform(0, 6 if hem > -40 else 1)
    parts.append(
        f'<path stroke="none" d="M0 -85C{shoulder * 0.8:.0f} -84 {shoulder:.0f} -79 {shoulder:.0f} -72'
        f"C{shoulder:.0f} -62 {hip:.0f} -56 {flare:.0f} {hem}"
        f"L{-flare - 2:.0f} {hem + 1}C{-hip:.0f} -56 {-shoulder:.0f} -62 {-shoulder:.0f} -73"
        f'C{-shoulder:.0f} -80 {-shoulder * 0.7:.0f} -84 0 -85z"/>'
    )
    parts.append(
        '<path stroke="none" d="M-3.5 -90h7v8h-7z"/><ellipse stroke="none" cx="1.5" cy="-93" rx="5.8" ry="7.2"/>'
    )
    kind = rng.random()
    if kind < 0.3:
        parts.append('<path stroke="none" d="M-8 -96q9.5 -4 19 0l-1 2q-8 -2 -17 0zM-5 -96q1 -8 6.5 -8t6 8z"/>')
    elif kind < 0.5:
        parts.append('<path stroke="none" d="M-5 -99q6 -5 11 0q-3 4 -6 4q-1 9 -3 17q-5 -1 -5 -9z"/>')
    if rng.random() < umbrella:
        parts.append(_limb("M6 -77L14 -66L15 -84V-118", 4.2))
        parts.append(
            '<path stroke="none" d="M-17 -112C-14 -128 4 -135 15 -135C26 -135 44 -128 47 -112Q41 -116 36 '
            '-112Q31 -116 26 -112Q20 -116 15 -112Q10 -116 4 -112Q-1 -116 -6 -112Q-11 -116 -17 -112z"/>'
        )
    else:
        swing = rng.uniform(3, 13)
        parts.append(_limb(f"M7 -77L{9 + swing * 0.3:.0f} -61L{7 + swing:.0f} -48", 5))
        parts.append(_limb(f"M-7 -77L{-10 - swing * 0.3:.0f} -61L{-8 - swing * 0.4:.0f} -47", 5))
        if rng.random() < 0.4:
            parts.append(f'<path stroke="none" d="M{-16 - swing * 0.4:.0f} -46h14l2 17h-18z"/>')
    return "".join(parts)


def place(
    canvas: Canvas,
    markup: str,
    x: float,
    y: float,
    height: float,
    colour: str,
    *,
    flip: bool = False,
    opacity: float = 1.0,
) -> None:
    """Put markup of 100 units' height with its foot at (x, y), in one colour."""
    scale = height / 100
    across = -scale if flip else scale
    with canvas.group(
        f'transform="translate({x:.0f} {y:.0f}) scale({across:.3g} {scale:.3g})" fill="{colour}" '
        f'stroke="{colour}" opacity="{opacity:.2g}"'
    ):
        canvas.add(markup)


SAILBOAT = (
    '<path stroke="none" d="M-34 -8h70l-12 12h-46zM-1 -12V-100l3 -1V-12zM5 -14V-96Q30 -50 34 -14z'
    'M-4 -16V-86Q-26 -44 -30 -16z"/>'
)
ROWBOAT = '<path stroke="none" d="M-60 -20q10 16 24 18h74q16 -4 24 -20q-22 8 -62 8t-60 -6z"/>'
LIGHTHOUSE = '<path stroke="none" d="M-9 0L-6 -74H-9v-4h3v-12q6 -10 12 0v12h3v4H6L9 0zM9 0h26v-14l-9 -8l-10 8h-7z"/>'
CABIN = '<path stroke="none" d="M-62 0v-46l-10 6L0 -98l22 18v-16h14v27L72 -40l-10 -6V0z"/>'
CAMEL = (
    '<path stroke="none" d="M-42 -62q4 -12 14 -10q6 -18 16 -4q8 2 12 0q8 -16 17 2q8 4 12 -4q5 '
    "-10 6 -20q0 -8 8 -9q10 -1 12 5q-2 5 -10 4q-2 16 -8 28q-5 12 -14 16l2 26l2 27h-6l-5 -30l-4 "
    '-12q-14 4 -30 1l-3 16l-3 26h-6l1 -28q-6 -14 -5 -21q-8 10 -8 20q-4 -10 0 -21z"/>'
)
TENT = '<path stroke="none" d="M-75 0Q-20 -40 0 -100Q20 -40 75 0z"/>'
DEER = (
    '<path stroke="none" d="M-36 -48q20 -9 44 -3l10 -22l-2 -7q-8 -3 -9 -14q-1 -9 3 -12q-2 9 3 13'
    "l5 7q0 -9 6 -14q1 10 -2 16q9 2 14 12q-5 4 -12 2l-6 24q-2 10 -6 14l2 44h-5l-5 -40q-16 4 -28 0"
    'l-6 18l-1 22h-5l0 -26l3 -18q-8 -8 -3 -16z"/>'
)
