"""The sandbox's photos: procedural pictures in SVG, each drawn from its visual style and its own seed.

They exist so that a person who looks at a ranked wall sees at a glance whether the taste was caught.
"""

from __future__ import annotations

from pipelines.sandbox.pictures.gallery import STYLES, draw_photo
from pipelines.sandbox.pictures.portraits import draw_avatar
from pipelines.sandbox.pictures.words import photo_tags, photo_title

__all__ = ["STYLES", "draw_avatar", "draw_photo", "photo_tags", "photo_title"]
