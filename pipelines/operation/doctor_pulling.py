"""What `doctor` looks at of pulling: the SQL database, the queue, the budget, Flickr, and who is at work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from features.database import MIGRATIONS
from features.errors import ConfigurationError, DependencyError, FlickrError, PhotoRecommenderError
from features.settings import PREFIX, Settings
from pipelines.budget.breaker import Reason
from pipelines.budget.windows import BudgetSpentError, Purpose, open_budget
from pipelines.flickr.client import open_flickr
from pipelines.flickr.errors import KeyInvalidError, UserNotFoundError
from pipelines.operation.doctor import Check, Finding, failed, ok, skipped, sqlite_file, warning
from pipelines.operation.presence import at_work
from pipelines.queue.messages import open_queue

FLICKR_ITSELF = "66956608@N06"
"""The account of Flickr's own people. That the sandbox knows no such user, it says to an accepted key only."""

FLICKR_SECONDS = 8.0

NEW_KEY = (
    f"the key was revoked or is wrong: get one at https://www.flickr.com/services/apps/create/ and set "
    f"{PREFIX}FLICKR_KEY and {PREFIX}FLICKR_SECRET; walls go on from what is known meanwhile"
)
WAIT_FOR_FLICKR = "nothing but waiting helps; pulls go on by themselves, walls go on from what is known"


def database_check(settings: Settings) -> Check:
    advice = f"start it, or correct {PREFIX}DATABASE_URL; nothing works without"
    return Check("SQL database", partial(_database, settings), advice)


def pulling_checks(settings: Settings, engine: sa.Engine | None) -> list[Check]:
    """`engine`: None when the database is not there or failed."""

    def with_engine(look: Callable[[Settings, sa.Engine], Finding]) -> Callable[[], Finding]:
        if engine is None:
            return lambda: skipped("needs the SQL database")
        return partial(look, settings, engine)

    queue_advice = f"correct {PREFIX}QUEUE_URL, or the AWS variables; requests wait where they are"
    return [
        Check("queue", with_engine(_queue), queue_advice),
        Check("budget", partial(_budget, settings), f"start it, or correct {PREFIX}BUDGET_URL; pulls wait until then"),
        Check("Flickr", partial(_flickr, settings), WAIT_FOR_FLICKR),
        Check("workers", with_engine(_workers), "correct what fails above"),
    ]


def _database(settings: Settings) -> Finding:
    try:
        address = sa.make_url(settings.database_url)
    except sa.exc.ArgumentError as error:
        raise ConfigurationError(f"{PREFIX}DATABASE_URL: {error}") from None
    where = address.render_as_string(hide_password=True)
    path = sqlite_file(settings.database_url)
    if path is not None and not path.exists():
        return skipped(f"{where} is not there yet: what starts first makes it")
    engine = sa.create_engine(address)
    try:
        with engine.connect() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    if present == head:
        return ok(f"{where}, schema {head}")
    if present is None or present in {revision.revision for revision in script.walk_revisions()}:
        return warning(
            f"{where} has schema {present or 'none'}, this program {head}", "what starts next brings it up to date"
        )
    return failed(
        f"{where} has schema {present}, which this program does not know (it has {head})",
        "run the version of this program that made it, or a newer one",
    )


def _queue(settings: Settings, engine: sa.Engine) -> Finding:
    depth = open_queue(settings, engine).depth()
    waiting = ", ".join(f"{count} {priority.name.lower()}" for priority, count in depth.waiting.items() if count)
    found = f"{waiting or 'nothing'} waiting, {depth.leased} leased"
    if depth.dead:
        return warning(
            f"{found}, {depth.dead} dead letters",
            "`photo-recommender queue dead` shows why, `queue redrive` tries them again",
        )
    return ok(found)


def _budget(settings: Settings) -> Finding:
    path = sqlite_file(settings.budget_url)
    if path is not None and not path.exists():
        return skipped("no call of Flickr was ever made")
    budget = open_budget(settings)
    left, pause = budget.left(Purpose.PERSON), budget.paused()
    found = f"{left:,} of {settings.flickr_calls_per_hour:,} calls left this hour"
    if pause is None and left:
        return ok(found)
    if pause is None:
        return warning(found, "`photo-recommender budget` shows what they were spent on; pulls wait, and go on")
    found = f"{found}; all calls are held back for {pause.seconds:.0f} s ({pause.reason})"
    if pause.reason is Reason.KEY_INVALID:
        return failed(found, NEW_KEY, KeyInvalidError.exit_status)
    return warning(found, WAIT_FOR_FLICKR)


def _flickr(settings: Settings) -> Finding:
    if not settings.flickr_key:
        return skipped(
            "no key is set",
            f"to pull, get one at https://www.flickr.com/services/apps/create/ and set {PREFIX}FLICKR_KEY and "
            f"{PREFIX}FLICKR_SECRET (`photo-recommender demo` and `import` need none)",
        )
    once = settings.model_copy(
        update={"flickr_attempts": 1, "flickr_timeout": min(settings.flickr_timeout, FLICKR_SECONDS)}
    )
    accepted = ok(f"{settings.flickr_rest_url} accepts the key")
    try:
        open_flickr(once).person(FLICKR_ITSELF)
    except UserNotFoundError:
        return accepted
    except KeyInvalidError as error:
        return failed(error.message, NEW_KEY, error.exit_status)
    except BudgetSpentError as error:
        return skipped(f"not asked: {error.message}")
    except FlickrError as error:
        return failed(error.message, WAIT_FOR_FLICKR)
    except DependencyError as error:
        return skipped(f"not asked: {error.message}")
    return accepted


def _workers(settings: Settings, engine: sa.Engine) -> Finding:
    kinds = at_work(engine, datetime.now(UTC))
    found = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in kinds.items()) + " at work"
    if not kinds["worker"]:
        advice = "start one: `photo-recommender worker`"
        waiting = _waiting(settings, engine)
        return failed(f"{found}, and {waiting} requests wait", advice) if waiting else warning(found, advice)
    if not kinds["scheduler"]:
        return warning(found, "nobody is refreshed without one: `photo-recommender schedule`")
    return ok(found)


def _waiting(settings: Settings, engine: sa.Engine) -> int:
    try:
        return sum(open_queue(settings, engine).depth().waiting.values())
    except PhotoRecommenderError:
        return 0  # the queue's own check tells what is wrong with it
