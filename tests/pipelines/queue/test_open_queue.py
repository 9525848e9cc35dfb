"""Opening a queue by its address, and what is said of one that can't be used."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from features.errors import ConfigurationError, DependencyError, StorageFullError
from features.settings import Settings
from pipelines.queue.messages import open_queue
from pipelines.queue.sql_queue import SqlQueue
from tests.pipelines.queue.conftest import Backend, put, receive_one


def test_a_database_that_fails_is_said_to_fail(sql_backend: Backend, engine: sa.Engine) -> None:
    put(sql_backend.queue, "a")
    message = receive_one(sql_backend.queue)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE pull_requests RENAME TO elsewhere"))
    for attempt in (
        lambda: put(sql_backend.queue, "b"),
        lambda: sql_backend.queue.receive(1, 0.0),
        lambda: sql_backend.queue.done([message]),
        lambda: sql_backend.queue.depth(),
    ):
        with pytest.raises(DependencyError, match=r"photo_recommender\.db can't be used"):
            attempt()


def test_a_full_disk_is_told_apart(sql_backend: Backend, engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "begin")
    def allow_no_more_pages(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    with pytest.raises(StorageFullError, match="no space left for the queue"):
        put(sql_backend.queue, *(f"user {number}" for number in range(2_000)))


@pytest.mark.parametrize("address", ["amqp://host", "pulls", "sqs:pulls", "sqs://", "sqs://a/b", "sqs://" + "a" * 71])
def test_an_address_that_names_no_queue_is_refused(settings: Settings, engine: sa.Engine, address: str) -> None:
    with pytest.raises(ConfigurationError, match="PHOTO_RECOMMENDER_QUEUE_URL=") as refused:
        open_queue(settings.model_copy(update={"queue_url": address}), engine)
    assert refused.value.field == "queue_url"
    assert address in refused.value.message


def test_an_empty_address_is_the_table_in_sql(settings: Settings, engine: sa.Engine) -> None:
    assert isinstance(open_queue(settings, engine), SqlQueue)
