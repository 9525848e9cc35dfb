"""How many times faster a wall comes from our service than from SQL, as the proof of concept before us ranked.

The neighbor score in one statement of PostgreSQL, with its indexes, analyzed and cached, for the same people and the
same favorites; ours over HTTP with cards, people and reasons, the statement with ids and scores alone.
PostgreSQL is Debian's: `apt-get install postgresql`.
"""

from __future__ import annotations

import argparse
import io
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from _http_load import measure, post
from _reporting import finish
from _serving_world import ServingWorld, asked, generated_for, made_world
from recommend_http import ours

from pipelines.processes import children

PHOTOS = 200_000
PORT, REDIS = 3_311, 3_312
BAR = 1.0
LISTED = 30

TABLES = """
create table favorites (user_id text not null, photo_id bigint not null, owner_id text not null);
create table dismissals (user_id text not null, photo_id bigint not null, primary key (user_id, photo_id));
"""
INDEXES = """
alter table favorites add primary key (user_id, photo_id);
create index favorites_of_photo on favorites (photo_id, user_id);
create table counts as select user_id, count(*) as favorites from favorites group by user_id;
alter table counts add primary key (user_id);
analyze;
"""
RANKING = """
with mine as materialized (select photo_id, owner_id from favorites where user_id = %(user)s),
     common as (select favorites.user_id, count(mine.photo_id) as common
                from (select distinct owner_id from mine) owners
                join favorites on favorites.user_id = owners.owner_id
                left join mine on mine.photo_id = favorites.photo_id
                group by favorites.user_id),
     scored as materialized (select user_id, 150 * sqrt(common / (counts.favorites + 250.0)) as score
                             from common join counts using (user_id) where common > 0)
select favorites.photo_id, sum(scored.score) as score
from scored join favorites using (user_id)
where not exists (select 1 from mine where mine.photo_id = favorites.photo_id)
  and not exists (select 1 from dismissals
                  where dismissals.user_id = %(user)s and dismissals.photo_id = favorites.photo_id)
  and favorites.owner_id <> %(user)s
group by favorites.photo_id order by score desc limit %(limit)s
"""


@contextmanager
def postgresql(folder: Path) -> Iterator[psycopg.Connection[Any]]:
    """A server of its own below the folder, with memory enough for everything."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise SystemExit("versus_sql needs PostgreSQL: apt-get install postgresql")
    binaries, data = found[-1].parent, folder / "data"
    # PostgreSQL refuses to be root.
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    who: dict[str, Any] = {}
    if user is not None:
        os.chown(data, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "bench", "-A", "trust"], check=True, capture_output=True, **who
    )
    options = [
        "shared_buffers=4GB",
        "work_mem=256MB",
        "fsync=off",
        "jit=off",
        f"port={PORT}",
        "listen_addresses=127.0.0.1",
    ]
    options.append(f"unix_socket_directories={data}")
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, *(part for option in options for part in ("-c", option))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **who,
    )
    try:
        with _connected() as connection:
            yield connection
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def _connected() -> psycopg.Connection[Any]:
    for _ in range(100):
        try:
            return psycopg.connect(f"host=127.0.0.1 port={PORT} user=bench dbname=postgres", autocommit=True)
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise SystemExit("PostgreSQL did not start")


def load(connection: psycopg.Connection[Any], world: ServingWorld) -> int:
    """Everybody's favorites and those of the people who ask; how many there are."""
    interactions = generated_for(PHOTOS)
    catalog, favorites = interactions.catalog, interactions.favorites
    users = interactions.user_ids[favorites.users]
    photos, owners = catalog.photo_ids[favorites.photos], catalog.owner_ids[favorites.photos]
    connection.execute(TABLES)
    states = asked(interactions, world.user_ids)
    with connection.cursor().copy("copy favorites from stdin") as copy:
        # Owners are users, too: the first of them, by number.
        copy.write(_lines(users, photos, [owner.replace("@N01", "@N00") for owner in owners]))
        for state in states:
            mine = [owner.replace("@N01", "@N00") for owner in state.favorite_owners]
            copy.write(_lines([state.user_id] * len(mine), state.favorite_ids, mine))
    with connection.cursor().copy("copy dismissals from stdin") as copy:
        for state in states:
            copy.write(_lines([state.user_id] * len(state.dismissed_ids), state.dismissed_ids))
    connection.execute(INDEXES)
    return len(favorites) + sum(len(state.favorite_ids) for state in states)


def _lines(*columns: Sequence[str]) -> str:
    text = io.StringIO()
    for row in zip(*columns, strict=True):
        text.write("\t".join(row) + "\n")
    return text.getvalue()


def ranked(connection: psycopg.Connection[Any], user_ids: Sequence[str]) -> tuple[list[float], int]:
    """Milliseconds of each person's list, the second time it is asked for: all of it was in memory; and how many got a
    whole list."""
    took, whole = [], 0
    for user_id in user_ids:
        for _ in range(2):
            began = time.perf_counter()
            rows = connection.execute(RANKING, {"user": user_id, "limit": LISTED}, prepare=True).fetchall()
            seconds = time.perf_counter() - began
        whole += len(rows) == LISTED
        took.append(1_000 * seconds)
    return took, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for what was trained")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, children(Path(temporary) / "logs") as started:
        world = made_world(arguments.keep or Path(temporary), REDIS, PHOTOS, "als", started)
        with ours(started, world) as port:
            requests = [post("/recommend", {"user_id": user_id}) for user_id in world.user_ids]
            measure(port, requests, 8, 3.0)
            mine = measure(port, requests, 1, 10.0)
        world.redis.stop()
        database = Path(temporary) / "postgresql"
        # PostgreSQL's own user has to reach it.
        Path(temporary).chmod(0o755)
        with postgresql(database) as connection:
            favorites = load(connection, world)
            theirs, whole = ranked(connection, world.user_ids)
    value = float(np.median(theirs)) / mine.p50
    details = {
        "favorites": favorites,
        "ours_ms": mine.rounded(),
        "sql_whole_lists": f"{whole} of {len(theirs)}",
        "sql_ms": {f"p{q}": round(float(np.percentile(theirs, q)), 1) for q in (50, 95, 99)},
    }
    print(details, file=sys.stderr)
    finish(
        "versus_sql", value, "times faster than SQL, p50", "higher", BAR, details, ok=value >= BAR and mine.all_answered
    )


if __name__ == "__main__":
    main()
