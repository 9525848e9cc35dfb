"""Whether a model is fit to be served at all: are its numbers numbers, and how long does one person wait for a list?

What ranks well offline can still be unservable; both are looked at on the model itself and on people's real histories.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from training.interactions import Histories, History
from training.models.interface import Scorer, scores_of
from training.retrieval import top_rows

LISTED = 100
PEOPLE = 200
"""Lists timed: with 200, ten of them are slower than the 95th percentile."""


Ask = Callable[[History], object]


def measure_latency(scorer: Scorer, histories: Histories) -> float:
    """The 95th percentile of the milliseconds that one recommendation takes: all photos scored for one history, and the
    best `LISTED` that are not in it. See `latency_of`."""
    return latency_of(lambda history: top_rows(scores_of(scorer, history), LISTED, history.photo_rows), histories)


def latency_of(ask: Ask, histories: Histories) -> float:
    """The 95th percentile of the milliseconds that `ask` takes for one history.

    One after the other in one thread, as a worker of the service does it; at most `PEOPLE` histories, evenly picked
    from the shortest to the longest. What is computed at the first call is not counted. Raises ValueError without
    any history.
    """
    if len(histories) == 0:
        raise ValueError("latency is measured on histories; there is none")
    by_length = np.argsort(np.diff(histories.indptr), kind="stable")
    picked = by_length[np.unique(np.linspace(0, len(histories) - 1, PEOPLE).round().astype(np.int64))]
    seconds = []
    with threadpool_limits(1, "blas"):
        ask(next(iter(histories)))
        for user in picked.tolist():
            (history,) = histories[user : user + 1]
            started = time.perf_counter()
            ask(history)
            seconds.append(time.perf_counter() - started)
    return 1_000 * float(np.percentile(seconds, 95))


def size_in_memory(model: object) -> int:
    """Bytes of all arrays of a model, each counted once: what serving holds of it, or maps."""
    return sum({id(array): array.nbytes for array in _arrays(model)}.values())


def _arrays(part: object) -> Iterator[NDArray[Any]]:
    if isinstance(part, np.ndarray):
        yield part
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            yield from _arrays(getattr(part, field.name))
    elif isinstance(part, tuple | list):
        for value in part:
            yield from _arrays(value)


def not_finite(model: object) -> list[str]:
    """Which arrays and numbers of a model hold an infinity or NaN, by their path in it; [] is as it should be.

    Looks through dataclasses, tuples, lists and dictionaries, so into the components of a blend, too.
    """
    return [path for path, finite in _numbers(model, type(model).__name__) if not finite]


def _numbers(part: object, path: str) -> Iterator[tuple[str, bool]]:
    """(path, whether all of it is finite) of every float that a model holds."""
    if isinstance(part, np.ndarray):
        if np.issubdtype(part.dtype, np.floating):
            yield path, bool(np.isfinite(part).all())
    elif isinstance(part, float):
        yield path, math.isfinite(part)
    elif isinstance(part, scipy.sparse.csr_matrix | scipy.sparse.csc_matrix):
        yield from _numbers(part.data, path)
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            yield from _numbers(getattr(part, field.name), f"{path}.{field.name}")
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from _numbers(value, f"{path}[{key}]")
    elif isinstance(part, tuple | list):
        for place, value in enumerate(part):
            yield from _numbers(value, f"{path}[{place}]")
