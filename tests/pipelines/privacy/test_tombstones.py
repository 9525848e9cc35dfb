"""What has a tombstone is found at once, by index; a takedown stays; an erased user is known by a keyed hash alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from features.database import open_database, suppressions, tombstones
from features.errors import ConfigurationError
from features.settings import Settings
from pipelines.privacy.suppression import KEY_FILE, Suppression, erased_reason
from pipelines.privacy.tombstones import (
    Reason,
    bury_photos,
    bury_users,
    gone_among,
    gone_photos,
    gone_users,
    photos_buried_for,
    revive_photos,
    revive_users,
    taken_down,
)

USER = "12037949754@N01"


@pytest.fixture
def suppression(settings: Settings, engine: sa.Engine) -> Suppression:
    return Suppression(settings, engine)


def reason_of(engine: sa.Engine, photo_id: str) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(sa.select(tombstones.c.reason).where(tombstones.c.subject_id == photo_id)))


# Tombstones


def test_exactly_what_was_buried_is_gone_and_photos_and_users_are_told_apart(engine: sa.Engine) -> None:
    assert bury_photos(engine, ["1", "2", "2"], Reason.VANISHED) == 2
    assert bury_users(engine, ["1", "a@N01"], Reason.DELETED) == 2
    assert gone_photos(engine, ["1", "2", "3", "a@N01"]) == {"1", "2"}
    assert gone_users(engine, ["1", "2", "a@N01"]) == {"1", "a@N01"}
    assert bury_photos(engine, ["1"], Reason.VANISHED) == 0
    assert gone_photos(engine, []) == set()


def test_a_takedown_takes_the_place_of_another_reason_and_nothing_takes_its_place(engine: sa.Engine) -> None:
    bury_photos(engine, ["1"], Reason.VANISHED)
    assert taken_down(engine, ["1"]) == set()
    assert bury_photos(engine, ["1"], f"{Reason.TAKEDOWN}: by mail") == 1
    for later in (Reason.VANISHED, Reason.TAKEDOWN, erased_reason("0" * 64)):
        assert bury_photos(engine, ["1"], later) == 0
    assert reason_of(engine, "1") == "takedown: by mail"
    assert taken_down(engine, ["1", "2"]) == {"1"}


def test_what_flickr_lists_again_comes_back_but_for_takedowns_and_erasures(engine: sa.Engine) -> None:
    erased = erased_reason("0" * 64)
    for photo_id, reason in (("1", Reason.VANISHED), ("2", Reason.PRIVATE), ("3", Reason.TAKEDOWN), ("4", erased)):
        bury_photos(engine, [photo_id], reason)
    bury_users(engine, ["1"], Reason.DELETED)
    assert revive_photos(engine, ["1", "2", "3", "4", "5"]) == 2
    assert gone_photos(engine, ["1", "2", "3", "4"]) == taken_down(engine, ["1", "2", "3", "4"]) == {"3", "4"}
    assert photos_buried_for(engine, erased) == {"4"}
    assert gone_users(engine, ["1"]) == {"1"}
    assert revive_users(engine, ["1"]) == 1
    assert gone_users(engine, ["1"]) == set()


@given(
    buried=st.sets(st.text("0123456789", min_size=1, max_size=4), max_size=1200),
    shown=st.sets(st.text("0123456789", min_size=1, max_size=4), max_size=1200),
)
@hypothesis_settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_of_what_is_about_to_be_shown_the_buried_and_the_erased_are_named_however_many_there_are(
    engine: sa.Engine, suppression: Suppression, buried: set[str], shown: set[str]
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(tombstones))
    suppression.suppress(USER)
    bury_photos(engine, buried, Reason.VANISHED)
    bury_users(engine, buried, Reason.DELETED)
    gone = gone_among(engine, shown, [*shown, USER], suppression)
    assert gone.photo_ids == buried & shown
    assert gone.user_ids == (buried & shown) | {USER}
    assert gone_among(engine, shown, [*shown, USER]).user_ids == buried & shown


def test_the_look_before_a_page_is_shown_reads_an_index_and_no_table(
    engine: sa.Engine, suppression: Suppression
) -> None:
    suppression.suppress(USER)
    seen: list[tuple[str, tuple[str, ...]]] = []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _cu, sql, values, _x, _m: seen.append((sql, values)))
    gone_among(engine, ["1", "2"], [USER], suppression)
    (statement,) = seen
    with engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1])]
    assert [step for step in plan if step.startswith("SCAN")] == []
    assert sum(step.startswith("SEARCH") for step in plan) == 3


# Suppressions


def test_an_erased_user_is_recognized_and_the_table_does_not_tell_who_it_is(
    suppression: Suppression, settings: Settings, engine: sa.Engine
) -> None:
    assert suppression.suppressed([USER]) == set()
    digest = suppression.suppress(USER)
    assert suppression.suppress(USER) == digest
    many = [f"{number}@N02" for number in range(1_200)]
    assert suppression.suppressed([*many, USER]) == {USER}
    assert Suppression(settings, engine).suppressed([USER]) == {USER}
    with engine.connect() as connection:
        rows = connection.execute(sa.select(suppressions)).all()
    assert digest in {row.digest for row in rows}
    assert not any("12037949754" in row.digest for row in rows)


def test_a_process_that_was_started_before_the_first_erasure_learns_of_it(
    settings: Settings, engine: sa.Engine
) -> None:
    long_running = Suppression(settings, engine)
    assert long_running.suppressed([USER]) == set()
    Suppression(settings, engine).suppress(USER)
    assert long_running.suppressed([USER]) == {USER}


def test_lifting_brings_the_user_and_their_photos_back_but_not_what_was_taken_down(
    suppression: Suppression, engine: sa.Engine
) -> None:
    assert suppression.lift(USER) is False
    digest = suppression.suppress(USER)
    suppression.suppress("other@N01")
    bury_photos(engine, ["1"], Reason.TAKEDOWN)
    bury_photos(engine, ["1", "2"], erased_reason(digest))
    assert suppression.lift("nobody@N01") is False
    assert suppression.lift(USER) is True
    assert suppression.suppressed([USER, "other@N01"]) == {"other@N01"}
    assert gone_photos(engine, ["1", "2"]) == {"1"}


def test_the_key_is_made_at_the_first_erasure_and_readable_by_its_owner_alone(
    suppression: Suppression, settings: Settings
) -> None:
    path = settings.home / KEY_FILE
    suppression.suppressed([USER])
    assert not path.exists()
    suppression.suppress(USER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 64


def test_a_key_from_the_settings_makes_other_hashes_than_another_key(engine: sa.Engine, tmp_path: Path) -> None:
    digests = []
    for number, key in enumerate(("a", "b")):
        settings = Settings(home=tmp_path / key, erasure_key=SecretStr(key), _env_file=None)  # type: ignore[call-arg]
        database = open_database(settings.database_url)
        digests.append(Suppression(settings, database).suppress(USER))
        database.dispose()
        assert not (settings.home / KEY_FILE).exists(), number
    assert digests[0] != digests[1]


@pytest.mark.parametrize("wrong", ["", "another key"])
def test_a_key_that_was_lost_or_changed_is_told_instead_of_forgetting_who_was_erased(
    settings: Settings, engine: sa.Engine, wrong: str
) -> None:
    right = settings.model_copy(update={"erasure_key": SecretStr("the key")})
    Suppression(right, engine).suppress(USER)
    other = Suppression(settings.model_copy(update={"erasure_key": SecretStr(wrong)}), engine)
    for attempt in (other.check, lambda: other.suppressed([USER]), lambda: other.suppress("x@N01")):
        with pytest.raises(ConfigurationError, match="PHOTO_RECOMMENDER_ERASURE_KEY"):
            attempt()
    assert not (settings.home / KEY_FILE).exists()
    Suppression(right, engine).check()
