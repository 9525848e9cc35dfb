"""Titles and tags as people give them to photos of a style, drawn from the photo's seed.

They are apart from the drawing because the sandbox's REST answers need them for thousands of photos without
drawing one.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

# Lists are written as text with semicolons between the entries.
_PLACES: Final = {
    "coast": (
        "Brittany; Lofoten; Big Sur; Skye; Cornwall; Liguria; Amrum; Nazaré; Étretat; Oregon coast; Costa "
        "Vicentina; Rügen"
    ),
    "mountains": (
        "Dolomites; Allgäu; Huangshan; Cascades; Tatra; Julian Alps; Snowdonia; Blue Ridge; Jura; Engadin; Torridon"
    ),
    "city": "Hamburg; Osaka; Lisbon; Glasgow; Chicago; Seoul; Lyon; Porto; Toronto; Leipzig; Kyoto; Trieste",
    "desert": "Erg Chebbi; Namib; Wadi Rum; White Sands; Death Valley; Liwa; Mesquite Flat; Sossusvlei",
    "north": "Senja; Abisko; Lapland; Jura; Hokkaido; Black Forest; Engadin; Harz; Tromsø; Jämtland",
    "woods": "Speulderbos; Harz; Hoh; Hallerbos; Odenwald; Yakushima; Bavarian Forest; New Forest; Białowieża",
    "garden": (
        "Kew; the back garden; Keukenhof; Giverny; the balcony; Planten un Blomen; Butchart; my mother's garden"
    ),
}


@dataclass(frozen=True)
class Vocabulary:
    """What photographers of one style say: whole titles, openings that a place completes, and tags (the first two
    always given).
    """

    places: str
    titles: str
    openings: str
    tags: str


_VOCABULARY: Final = {
    "dusk_seascape": Vocabulary(
        "coast",
        (
            "Last light; The tide goes out; Ember sea; Before the ferry; Salt and gold; Where the day ends; "
            "Afterglow; Slack water; One more wave"
        ),
        "Sunset near; Evening at; Dusk,; Low tide,",
        "sea; sunset; dusk; ocean; coast; waves; clouds; reflection; goldenhour; water; horizon",
    ),
    "misty_ridges": Vocabulary(
        "mountains",
        (
            "Layers; Blue upon blue; Morning inversion; Seven ridges; Breathing hills; Above the fog; Paper "
            "mountains; Quiet distance"
        ),
        "Layers of the; Fog below,; First light,; Ridges,",
        "mountains; mist; fog; layers; sunrise; ridge; landscape; haze; hills; valley",
    ),
    "city_bokeh": Vocabulary(
        "city",
        (
            "Rain on the window; Friday, 11 pm; Out of focus; Waiting for a taxi; Neon weather; Wet streets; "
            "Night shift; Green man"
        ),
        "Lights of; After the rain,; Late in; Bokeh,",
        "bokeh; night; city; lights; rain; neon; urban; street; dof; colours",
    ),
    "macro_petals": Vocabulary(
        "garden",
        "Unfolding; Silk; The bee's view; Soft centre; Petal by petal; Dew; A small sun; Velvet; In bloom",
        "From; Flower in; Spring at; Dahlia,",
        "flower; macro; petals; closeup; garden; nature; bloom; dof; spring; dahlia",
    ),
    "dunes": Vocabulary(
        "desert",
        (
            "Edge of shadow; The wind's handwriting; Sand and silence; Crest line; A line of footprints; Heat; "
            "Curves; Empty quarter"
        ),
        "Dunes,; Morning in; Shadows,; Crossing",
        "dunes; desert; sand; shadow; light; curves; minimal; travel; ripples",
    ),
    "night_sky": Vocabulary(
        "mountains",
        ("Under the galaxy; Thirty seconds; New moon; The long way home; Starlit; Camp two; Looking up; Dark sky"),
        "Milky Way over; Stars above; Clear night,; August night,",
        "stars; night; milkyway; astrophotography; sky; longexposure; galaxy; mountains; nightscape",
    ),
    "street_silhouettes": Vocabulary(
        "city",
        (
            "The commuter; Long shadows; Passing; Against the light; Umbrella no. 4; Ten to eight; Strangers; "
            "Into the light; Underpass"
        ),
        "Street,; A walk in; Monday in; Shadows of",
        "blackandwhite; street; silhouette; bw; shadow; people; monochrome; light; city; streetphotography",
    ),
    "forest_light": Vocabulary(
        "woods",
        (
            "Cathedral; Where the light falls; Morning beams; The old path; Understory; Green silence; Early "
            "walk; October woods"
        ),
        "Light in; Woods near; Fog and beeches,; Path,",
        "forest; light; trees; sunbeams; woods; mist; path; nature; autumn; green",
    ),
    "minimal_architecture": Vocabulary(
        "city",
        (
            "Corner; Study in white; Facade no. 12; Geometry; Stairs to nowhere; Noon; Blue and plaster; Form "
            "follows light; Balconies"
        ),
        "Lines,; Facade in; Angles of; Shadow play,",
        "architecture; minimal; lines; geometry; abstract; building; shadow; facade; sky; urban",
    ),
    "profiles": Vocabulary(
        "city",
        (
            "Inward; Listening; Rim light; The quiet one; Half a thought; Ana; Second look; Between two worlds; "
            "Portrait of M."
        ),
        "Portrait,; A face in; Studio,",
        "portrait; profile; face; silhouette; light; doubleexposure; people; studio; mood",
    ),
    "long_exposure": Vocabulary(
        "coast",
        (
            "Four minutes; Stillness; Ten stops; Silk water; The old pier; What the posts remember; Time passing; "
            "Breath; Milk"
        ),
        "Silence,; Posts at; Slow water,; Jetty,",
        "longexposure; water; minimal; pier; nd1000; silky; fineart; calm; sea; clouds",
    ),
    "snow": Vocabulary(
        "north",
        "First snow; Whiteout; The warm window; Muffled; Minus twelve; Drift; January; Fresh tracks; Hush",
        "Winter in; Snow,; Cold morning,; Cabin near",
        "snow; winter; cold; white; trees; frost; ice; landscape; cabin; blue",
    ),
}


def _entries(text: str) -> list[str]:
    return text.split("; ")


def _random(style: str, seed: int, part: str) -> Random:
    return Random(f"{part}:{style}:{seed}")  # noqa: S311 - words, not secrets


def _place(style: str, seed: int) -> str:
    """Where the photo was taken; title and tags speak of the same place."""
    return _random(style, seed, "place").choice(_entries(_PLACES[_VOCABULARY[style].places]))


def photo_title(style: str, seed: int) -> str:
    """The title of the photo, the same for the same ``style`` and ``seed``; some photos have the camera's file
    name instead.

    Raises KeyError for a style that is not in `STYLES`.
    """
    words, rng = _VOCABULARY[style], _random(style, seed, "title")
    chance = rng.random()
    if chance < 0.07:
        return f"{rng.choice(('IMG', 'DSC', 'DSCF', 'P'))}_{rng.randint(100, 9999):04d}"
    if chance < 0.55:
        title = rng.choice(_entries(words.titles))
        return f"{title} {rng.choice(('II', 'III', '(again)', '#2'))}" if rng.random() < 0.12 else title
    return f"{rng.choice(_entries(words.openings))} {_place(style, seed)}"


def photo_tags(style: str, seed: int) -> list[str]:
    """Three to eight tags of the photo without repetition; the style's two defining tags come first, then now and
    then the place.

    Raises KeyError for a style that is not in `STYLES`.
    """
    words, rng = _VOCABULARY[style], _random(style, seed, "tags")
    known = _entries(words.tags)
    tags = [*known[:2], *rng.sample(known[2:], rng.randint(1, 5))]
    if rng.random() < 0.4:
        tags.append("".join(letter for letter in _place(style, seed).lower() if letter.isalnum()))
    return tags
