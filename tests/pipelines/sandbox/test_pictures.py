"""What the sandbox's photos promise: the same picture for the same seed, safe and small SVG, distinct styles."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from random import Random
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sandbox.pictures import STYLES, draw_avatar, draw_photo, photo_tags, photo_title
from pipelines.sandbox.pictures.canvas import Canvas, curve, frame, lines
from pipelines.sandbox.pictures.colour import from_lab, mix, to_lab, turn
from pipelines.sandbox.pictures.noise import fractal_noise, positions, ridged_noise, smooth_noise

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {"g", "path", "rect", "circle", "ellipse", "use"}
DEFINED = {"linearGradient", "radialGradient", "stop", "clipPath", "filter"}
FILTERS = {"feTurbulence", "feColorMatrix", "feComposite", "feGaussianBlur"}
ALLOWED = {"svg", "title", "defs"} | DRAWN | DEFINED | FILTERS

styles = st.sampled_from(STYLES)
seeds = st.integers(0, 2**63)
sides = st.integers(1, 4096)
colours = st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}")


def tags_of(svg: str) -> Counter[str]:
    return Counter(element.tag.removeprefix(SVG) for element in ElementTree.fromstring(svg).iter())


def without_size(svg: str) -> str:
    return re.sub(r'^<svg ([^>]*?) width="\d+" height="\d+"', r"<svg \1", svg)


def test_the_twelve_styles_keep_their_order_because_worlds_refer_to_them_by_position():
    assert STYLES == (
        "dusk_seascape",
        "misty_ridges",
        "city_bokeh",
        "macro_petals",
        "dunes",
        "night_sky",
        "street_silhouettes",
        "forest_light",
        "minimal_architecture",
        "profiles",
        "long_exposure",
        "snow",
    )


@given(style=styles, seed=seeds, width=sides, height=sides)
def test_a_photo_is_well_formed_safe_and_at_most_25_kb(style, seed, width, height):
    svg = draw_photo(style, seed, width, height)
    root = ElementTree.fromstring(svg)

    assert len(svg.encode()) <= 25_000
    assert (root.get("width"), root.get("height")) == (str(width), str(height))
    assert {element.tag for element in root.iter()} <= {SVG + name for name in ALLOWED}
    assert not re.search(r"\b(nan|inf)\b", svg)
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on"), "an event handler would be a script"
            assert "://" not in value, "a photo refers to nothing outside itself"
            assert ":" not in value or name == "style"
            if name.endswith("href"):
                assert value.startswith("#")


@given(style=styles, seed=seeds)
def test_every_reference_inside_a_photo_has_exactly_one_target(style, seed):
    svg = draw_photo(style, seed, 640, 427)
    names = [element.get("id") for element in ElementTree.fromstring(svg).iter() if element.get("id")]
    wanted = set(re.findall(r'url\(#(\w+)\)|href="#(\w+)"', svg))

    assert len(names) == len(set(names))
    assert {first or second for first, second in wanted} <= set(names)


@pytest.mark.parametrize("style", STYLES)
def test_a_photo_is_the_same_drawing_at_every_size(style):
    landscape = [(100, 67), (240, 160), (320, 213), (640, 427), (1024, 683)]
    portrait = [(height, width) for width, height in landscape]
    for shape in (landscape, portrait):
        assert len({without_size(draw_photo(style, 11, *size)) for size in shape}) == 1


@pytest.mark.parametrize("style", STYLES)
def test_another_seed_is_another_photo(style):
    assert len({without_size(draw_photo(style, seed, 320, 213)) for seed in range(30)}) == 30


def test_photos_titles_and_avatars_do_not_depend_on_the_process():
    program = (
        "from hashlib import sha256; from pipelines.sandbox.pictures import *\n"
        "text = ''.join(draw_photo(s, 5, 240, 160) + photo_title(s, 5) + str(photo_tags(s, 5)) for s in STYLES)\n"
        "print(sha256((text + draw_avatar(5, 48)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_an_unknown_style_or_an_impossible_size_is_refused():
    with pytest.raises(KeyError, match="sunset_selfie"):
        draw_photo("sunset_selfie", 1, 640, 427)
    with pytest.raises(ValueError, match="0 × 427"):
        draw_photo("snow", 1, 0, 427)
    with pytest.raises(ValueError, match="-3"):
        draw_avatar(1, -3)


def test_a_title_is_escaped():
    svg = Canvas(1000, 1000, Random(1)).svg(10, 10, "</title><script>alert('a') & \"b\"</script>")
    assert ElementTree.fromstring(svg).findtext(f"{SVG}title") == "</title><script>alert('a') & \"b\"</script>"
    assert "<script" not in svg


@given(width=sides, height=sides)
def test_a_frame_has_a_short_side_of_1000_and_the_orientation_of_the_picture(width, height):
    w, h = frame(width, height)
    assert min(w, h) == 1000
    assert max(w, h) <= 3000
    assert (w > h and width > height) or (w < h and width < height) or w == h


# How the styles differ ----------------------------------------------------------------------------------------------


def looks(style: str, seed: int) -> np.ndarray:
    """Shape (n,): logarithms of how often each kind of element occurs, and the mean and spread of the colours."""
    svg = draw_photo(style, seed, 480, 320)
    kinds = tags_of(svg)
    labs = np.array([to_lab(colour) for colour in re.findall(r"#[0-9a-f]{6}", svg)])
    length = [math.log1p(kinds[name]) for name in sorted(DRAWN | DEFINED | FILTERS)]
    return np.array([*length, *(labs.mean(axis=0) * 12), *(labs.std(axis=0) * 12)])


def test_styles_can_be_told_apart_by_their_elements_and_colours():
    known = {style: [looks(style, seed) for seed in range(24)] for style in STYLES}
    right = 0
    for style in STYLES:
        for seed in range(24, 34):
            here = looks(style, seed)
            nearest = min(STYLES, key=lambda name: min(np.linalg.norm(here - other) for other in known[name]))
            right += nearest == style
    assert right / (10 * len(STYLES)) > 0.9


@pytest.mark.parametrize("seed", range(12))
def test_street_silhouettes_are_black_and_white(seed):
    colours_used = re.findall(r"#[0-9a-f]{6}", draw_photo("street_silhouettes", seed, 320, 213))
    assert max(math.hypot(*to_lab(colour)[1:]) for colour in colours_used) < 0.03


def test_dusk_is_more_colourful_than_a_long_exposure_and_snow_is_brighter_than_night():
    def mean(style: str, part: slice) -> float:
        values = []
        for seed in range(12):
            found = re.findall(r"#[0-9a-f]{6}", draw_photo(style, seed, 320, 213))
            values.extend(math.hypot(*to_lab(colour)[part]) for colour in found)
        return float(np.mean(values))

    lightness, chroma = slice(0, 1), slice(1, 3)
    assert mean("dusk_seascape", chroma) > 2 * mean("long_exposure", chroma)
    assert mean("snow", lightness) > mean("night_sky", lightness) + 0.1


def test_bokeh_is_made_of_discs_and_petals_of_repeated_petals():
    assert all(tags_of(draw_photo("city_bokeh", seed, 320, 213))["circle"] > 50 for seed in range(8))
    assert all(tags_of(draw_photo("macro_petals", seed, 320, 213))["use"] >= 10 for seed in range(8))


# Words --------------------------------------------------------------------------------------------------------------


@given(style=styles, seed=seeds)
def test_titles_and_tags_are_words_of_the_style_and_stay_the_same(style, seed):
    tags = photo_tags(style, seed)
    assert photo_title(style, seed) == photo_title(style, seed).strip() != ""
    assert tags == photo_tags(style, seed)
    assert 3 <= len(tags) == len(set(tags)) <= 8
    assert all(re.fullmatch(r"[^\W_]+", tag) and tag == tag.lower() for tag in tags), "Flickr's tags are plain words"
    assert tags[:2] == photo_tags(style, seed + 1)[:2]


def test_a_photo_carries_its_title():
    svg = draw_photo("snow", 3, 320, 213)
    assert ElementTree.fromstring(svg).findtext(f"{SVG}title") == photo_title("snow", 3)


def test_titles_vary_and_the_defining_tags_of_styles_differ():
    for style in STYLES:
        assert len({photo_title(style, seed) for seed in range(200)}) > 25
    assert len({tuple(photo_tags(style, 0)[:2]) for style in STYLES}) == len(STYLES)


# Avatars ------------------------------------------------------------------------------------------------------------


@given(seed=seeds, size=st.integers(1, 512))
def test_an_avatar_is_a_small_square_of_safe_svg(seed, size):
    svg = draw_avatar(seed, size)
    root = ElementTree.fromstring(svg)
    assert root.get("width") == root.get("height") == str(size)
    assert root.get("viewBox") == "0 0 1000 1000"
    assert len(svg.encode()) < 8_000
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= ALLOWED
    assert svg == draw_avatar(seed, size)


def test_people_do_not_look_alike():
    assert len({draw_avatar(seed, 48) for seed in range(200)}) == 200


# The tools ----------------------------------------------------------------------------------------------------------


@given(colour=colours)
def test_a_colour_survives_the_way_to_oklab_and_back(colour):
    assert from_lab(to_lab(colour)) == colour


def test_white_and_black_are_the_ends_of_oklab_lightness():
    assert to_lab("#ffffff") == pytest.approx((1, 0, 0), abs=1e-6)
    assert to_lab("#000000") == (0, 0, 0)


@given(first=colours, second=colours, degrees=st.floats(-720, 720))
def test_mixing_starts_and_ends_at_its_colours_and_a_full_turn_changes_nothing(first, second, degrees):
    assert mix(first, second, 0) == first
    assert mix(first, second, 1) == second
    assert turn(first, 360) == first
    assert re.fullmatch("#[0-9a-f]{6}", turn(first, degrees, 3.0))


@given(seed=seeds, offset=st.floats(-1e4, 1e4), octaves=st.integers(1, 7))
def test_noise_stays_in_its_range(seed, offset, octaves):
    x = np.linspace(offset, offset + 20, 400)
    assert np.abs(smooth_noise(Random(seed), x)).max() <= 1
    assert np.abs(fractal_noise(Random(seed), x, octaves)).max() <= 1
    ridges = ridged_noise(Random(seed), x, octaves)
    assert ridges.min() >= 0
    assert ridges.max() <= 1


@given(seed=seeds)
def test_noise_is_continuous(seed):
    noise = smooth_noise(Random(seed), np.linspace(0, 70, 70_001))
    assert np.abs(np.diff(noise)).max() < 0.004  # a smoothstep between -1 and 1 rises by at most 3 a unit


def test_positions_span_the_width_with_its_margins():
    x = positions(1500, 10, 30)
    assert (x[0], x[-1]) == (-30, 1530)
    assert np.diff(x) == pytest.approx(10)


def test_relative_path_data_ends_where_its_points_end():
    points = [(0.4, 0.4), (10.6, -3.2), (20.1, 7.7), (33.3, 5.5)]
    for data, pair in ((lines(points), 1), (curve(points), 3)):
        numbers = [int(value) for value in re.findall(r"-?\d+", data)]
        x, y, steps = numbers[0], numbers[1], numbers[2:]
        ends = list(zip(steps[2 * (pair - 1) :: 2 * pair], steps[2 * pair - 1 :: 2 * pair], strict=True))
        assert (x + sum(dx for dx, _ in ends), y + sum(dy for _, dy in ends)) == (33, 6)
