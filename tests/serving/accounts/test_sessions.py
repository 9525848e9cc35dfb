"""A Flickr token is kept as long as somebody is signed in with it, and no longer, however their sessions end."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from features.database import accounts, sessions
from serving.accounts.sessions import Session, end_session, end_sessions_of, open_session
from tests.serving.conftest import NOW

ANNA, BEN = "11111@N01", "22222@N02"


@pytest.fixture(autouse=True)
def people(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for user_id in (ANNA, BEN):
            account = {"name": user_id, "token_ciphertext": "sealed", "created_at": NOW}
            connection.execute(sa.insert(accounts).values(user_id=user_id, **account))


def opened(engine: sa.Engine, user_id: str | None) -> Session:
    _, session = open_session(engine, user_id=user_id)
    return session


def run_out(engine: sa.Engine, session: Session) -> None:
    mine = sessions.c.session_hash == session.session_hash
    with engine.begin() as connection:
        connection.execute(sa.update(sessions).where(mine).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))


def with_token(engine: sa.Engine) -> set[str]:
    kept = sa.select(accounts.c.user_id).where(accounts.c.token_ciphertext.is_not(None))
    with engine.connect() as connection:
        return set(connection.scalars(kept))


def test_with_the_last_session_the_token_goes_and_the_account_stays(engine: sa.Engine) -> None:
    first, second, _ = opened(engine, ANNA), opened(engine, ANNA), opened(engine, BEN)
    end_session(engine, first)
    assert with_token(engine) == {ANNA, BEN}
    end_session(engine, second)
    assert with_token(engine) == {BEN}
    with engine.connect() as connection:
        assert set(connection.scalars(sa.select(accounts.c.user_id))) == {ANNA, BEN}


def test_a_session_that_has_run_out_keeps_no_token(engine: sa.Engine) -> None:
    left, open_still = opened(engine, ANNA), opened(engine, ANNA)
    run_out(engine, left)
    end_session(engine, open_still)
    assert with_token(engine) == {BEN}


def test_a_session_that_runs_out_by_itself_takes_the_token_with_it_once_it_is_swept_away(engine: sa.Engine) -> None:
    one, other, visit = opened(engine, ANNA), opened(engine, BEN), opened(engine, None)
    still = opened(engine, BEN)
    for session in (one, other, visit):
        run_out(engine, session)
    opened(engine, None)
    assert with_token(engine) == {BEN}
    end_session(engine, still)
    assert with_token(engine) == set()


def test_ending_all_sessions_of_a_person_ends_nothing_of_anybody_else(engine: sa.Engine) -> None:
    for user_id in (ANNA, ANNA, BEN):
        opened(engine, user_id)
    end_sessions_of(engine, ANNA)
    assert with_token(engine) == {BEN}
    with engine.connect() as connection:
        ended = connection.scalars(sa.select(sessions.c.user_id).where(sessions.c.revoked_at.is_not(None))).all()
    assert ended == [ANNA, ANNA]


def test_a_visit_without_an_account_ends_without_a_token_to_forget(engine: sa.Engine) -> None:
    opened(engine, ANNA)
    end_session(engine, opened(engine, None))
    assert with_token(engine) == {ANNA, BEN}


def test_of_last_sessions_that_end_at_once_one_takes_the_token(engine: sa.Engine) -> None:
    for _ in range(10):
        with engine.begin() as connection:
            connection.execute(sa.update(accounts).values(token_ciphertext="sealed"))
        ending = [opened(engine, ANNA) for _ in range(4)]
        threads = [threading.Thread(target=end_session, args=(engine, session)) for session in ending]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert with_token(engine) == {BEN}
