"""The register of visual styles and the one function that draws a photo of any of them.

It is the only place that knows all the painters; a style's position in `STYLES` never changes, because worlds
refer to it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from pipelines.sandbox.pictures.architecture import minimal_architecture
from pipelines.sandbox.pictures.canvas import Canvas, frame
from pipelines.sandbox.pictures.flowers import macro_petals
from pipelines.sandbox.pictures.forest import forest_light
from pipelines.sandbox.pictures.land import dunes, misty_ridges
from pipelines.sandbox.pictures.night import city_bokeh, night_sky
from pipelines.sandbox.pictures.portraits import profiles
from pipelines.sandbox.pictures.sea import dusk_seascape
from pipelines.sandbox.pictures.stillness import long_exposure
from pipelines.sandbox.pictures.street import street_silhouettes
from pipelines.sandbox.pictures.winter import snow
from pipelines.sandbox.pictures.words import photo_title

Painter = Callable[[Canvas], None]

PAINTERS: Final[tuple[Painter, ...]] = (
    dusk_seascape,
    misty_ridges,
    city_bokeh,
    macro_petals,
    dunes,
    night_sky,
    street_silhouettes,
    forest_light,
    minimal_architecture,
    profiles,
    long_exposure,
    snow,
)
_PAINTER_OF: Final = {painter.__name__: painter for painter in PAINTERS}
STYLES: Final[tuple[str, ...]] = tuple(_PAINTER_OF)


def draw_photo(style: str, seed: int, width: int, height: int) -> str:
    """The photo as SVG text of at most 25 kB, ``width`` × ``height`` pixels.

    Every size of one aspect ratio is the same drawing; another aspect ratio (a square cut) is composed anew in the
    same palette.
    Raises KeyError for a style that is not in `STYLES`, ValueError for a size below one pixel.
    """
    canvas = Canvas(*frame(width, height), Random(f"{style}:{seed}"))  # noqa: S311 - a picture, not a secret
    _PAINTER_OF[style](canvas)
    return canvas.svg(width, height, photo_title(style, seed))
