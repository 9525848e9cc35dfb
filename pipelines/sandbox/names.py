"""Names of the people of the sandbox's world: user names, path aliases and NSIDs.

Some are written in other scripts and some people have no alias, because that is what a client of Flickr meets.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np

FIRST_NAMES = """
Mara Jonas Ingrid Tomás Aiko Léa Piotr Saoirse Mateo Freya Anouk Kwame Zoë Björn Chiara Dmitri Elif Farid Greta Hana Ivo
Jasmin Kofi Linnea Marek Nadia Oskar Priya Quentin Rosa Søren Tove Umut Vera Wim Xenia Yara Zeno Amara Bruno Clara
Davide Emre Fiona Gabriel Helmi Iris João Katya Lars Mina Noor Otto Paula Rafael Sanna Teodor Uma Viktor Wanda Youssef
Zsófia 美咲 Łukasz Ольга
""".split()  # noqa: SIM905 (one word after the other reads better)
LAST_NAMES = """
Lindqvist Moreau Okafor Brandt Sato Novák Keane Alvarez Holm Petrov Rossi Yılmaz Haddad Vogel Costa Nakamura Jansen
Mensah Dahl Kowalski Nair Dubois Ferrari Nyström Varga Iversen Duarte Weiss Ibarra Castellan Bergström Fontaine
Marchetti Oduya Sørensen Takeda Ulrich Vance Whitlock Zamora Aalto Beckett Calloway Drummond Eriksen Falk Granger Hale
Ishikawa Juárez
""".split()  # noqa: SIM905 (one word after the other reads better)
HANDLES = """
aperture_{a} {a}_in_silver lightsof{a} {a}.frames slow{a} northern{a} {a}andfog wide_open_{a} {a}35mm kodachrome{a}
{a}_afterdark grain{a} {a}shutter
""".split()  # noqa: SIM905 (one word after the other reads better)


def user_names(rng: np.random.Generator, count: int) -> list[str]:
    """`count` different user names: two thirds first and last names, the rest handles."""
    names: list[str] = []
    seen: set[str] = set()
    while len(names) < count:
        first = FIRST_NAMES[rng.integers(len(FIRST_NAMES))]
        if rng.random() < 0.67:
            name = f"{first} {LAST_NAMES[rng.integers(len(LAST_NAMES))]}"
        else:
            name = HANDLES[rng.integers(len(HANDLES))].format(a=first.lower())
        if name in seen:
            name = f"{name} {rng.integers(2, 99_999)}"
        if name not in seen:
            seen.add(name)
            names.append(name)
    return names


def path_aliases(rng: np.random.Generator, names: list[str]) -> list[str]:
    """An alias a name, as in `flickr.com/photos/<alias>/`: lower-case ASCII, unique; a fifth have none ("")."""
    aliases: list[str] = []
    seen = {""}
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        alias = re.sub(r"[^a-z0-9_-]", "", plain.lower())
        if len(alias) < 4 or alias in seen or rng.random() < 0.2:
            alias = ""
        seen.add(alias)
        aliases.append(alias)
    return aliases


def nsids(rng: np.random.Generator, count: int) -> list[str]:
    """`count` different NSIDs, such as `12037949754@N01`."""
    numbers: dict[int, None] = {}
    while len(numbers) < count:
        numbers.setdefault(int(rng.integers(10_000_000, 200_000_000_000)))
    return [f"{number}@N{rng.choice(('00', '01', '02', '03', '04', '05', '06', '07', '08'))}" for number in numbers]
