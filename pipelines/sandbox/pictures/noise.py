"""Seeded one-dimensional noise, vectorized over the sample positions: the shape of ridges, waves, clouds and bark.

It is apart because every style draws its irregular lines from it, and because sampling with NumPy keeps a picture
below 3 ms.
"""

from __future__ import annotations

from random import Random

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]

_PERIOD = 64


def positions(width: float, step: float, margin: float = 0.0) -> Samples:
    """Evenly spaced x positions, shape (n,), from ``-margin`` to ``width + margin``, about ``step`` apart."""
    # A panorama is seen at the same width as any other picture: it needs no more points.
    step *= max(1.0, width / 1500)
    return np.linspace(-margin, width + margin, max(2, round((width + 2 * margin) / step) + 1))


def smooth_noise(rng: Random, x: Samples) -> Samples:
    """Value noise in -1 … 1 at the positions ``x``, any shape: one feature a unit, smoothstep between the lattice
    points.
    """
    table = np.array([rng.random() for _ in range(_PERIOD)]) * 2 - 1
    cell = np.floor(x)
    part = x - cell
    ease = part * part * (3 - 2 * part)
    index = cell.astype(np.int64) % _PERIOD
    mixed: Samples = table[index] * (1 - ease) + table[(index + 1) % _PERIOD] * ease
    return mixed


def fractal_noise(rng: Random, x: Samples, octaves: int = 5, gain: float = 0.5) -> Samples:
    """Fractional Brownian motion at ``x``, any shape: octaves of `smooth_noise`, each twice as fine and ``gain``
    as strong; within -1 … 1.
    """
    total = np.zeros_like(x)
    strength, scale, span = 1.0, 1.0, 0.0
    for _ in range(octaves):
        total += strength * smooth_noise(rng, x * scale)
        span += strength
        strength, scale = strength * gain, scale * 2.03
    total /= span
    return total


def ridged_noise(rng: Random, x: Samples, octaves: int = 5, gain: float = 0.5) -> Samples:
    """Sharp-crested fractal noise at ``x``, any shape, within 0 … 1: ``1 - |noise|`` squared in each octave
    (Musgrave's ridges).
    """
    total = np.zeros_like(x)
    strength, scale, span = 1.0, 1.0, 0.0
    for _ in range(octaves):
        total += strength * (1 - np.abs(smooth_noise(rng, x * scale))) ** 2
        span += strength
        strength, scale = strength * gain, scale * 2.07
    total /= span
    return total
