"""Structured logs for every process: JSON lines for machines, colored lines on a terminal. Standard error only.

A correlation id follows what one request of the website set off, through the queue and the workers, into the lake.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from features.settings import Settings


def configure_logging(settings: Settings, *, level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's records through one format, chosen by `settings.log_format`."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # It tells of each call that it begins: thousands of lines an hour about what the metrics count.
    logging.getLogger("flickrapi").setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


@contextmanager
def correlated(correlation_id: str) -> Iterator[None]:
    """Every line that this thread logs within carries `correlation_id`; "" changes nothing.

    A thread that is started within does not inherit it (asyncio's tasks and `run_in_threadpool` do).
    """
    if not correlation_id:
        yield
        return
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
        yield


def correlation_id() -> str:
    """The id that is bound here, "" when there is none."""
    return str(structlog.contextvars.get_contextvars().get("correlation_id", ""))
