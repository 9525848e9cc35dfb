"""The commands `serve` and `recommend`."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from features.settings import PREFIX, get_settings

GRACE_SECONDS = 5
"""What requests get to end in when the service is stopped: an open stream of progress would go on for minutes."""


KEEP_ALIVE_SECONDS = 75
"""How long a connection may be idle. Longer than a load balancer keeps one (an ALB: 60 s): it would else send a request
into a connection that is just being closed, and answer 502 for it."""


def register(app: typer.Typer) -> None:
    """Add the commands of this package."""
    app.command("serve")(serve)
    app.command("recommend")(recommend)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: PHOTO_RECOMMENDER_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: PHOTO_RECOMMENDER_PORT.")] = None,
) -> None:
    """Start the service: the website, its API, and the Bento APIs."""
    from pipelines.processes import require_free_port

    settings = get_settings()
    host, port = host or settings.host, port or settings.port
    require_free_port(host, port, "--port")
    command = [
        *(sys.executable, "-m", "bentoml", "serve", "serving.service:PhotoRecommender"),
        *("--host", host, "--port", str(port), "--timeout-graceful-shutdown", str(GRACE_SECONDS)),
        *("--timeout-keep-alive", str(KEEP_ALIVE_SECONDS)),
    ]
    environment = os.environ | {
        f"{PREFIX}HOST": host,
        f"{PREFIX}PORT": str(port),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_CONFIG_OPTIONS": f"services.photo_recommender.workers={settings.workers}",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    # BentoML empties the folder of its workers' counts, which is below its home, whenever a service starts.
    environment.setdefault("BENTOML_HOME", str((settings.home / "bentoml" / str(port)).absolute()))
    sys.stdout.flush()
    # The service takes this process's place: signals and exit status are its own.
    os.execve(sys.executable, command, environment)  # noqa: S606  (no shell is involved)


def recommend(
    user: Annotated[str, typer.Argument(help="A Flickr NSID, address or name.")],
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many photos.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="What POST /recommend answers.")] = False,
) -> None:
    """Print somebody's wall: photo, owner, score, and the favorites it is there because of."""
    import re

    from rich.console import Console

    from features.logs import configure_logging
    from pipelines.tables import wall_table
    from serving.runtime import open_runtime

    settings = get_settings()
    configure_logging(settings, level=logging.CRITICAL)  # what a person should know is said below
    runtime = open_runtime(settings)
    try:
        known = re.fullmatch(r"[0-9A-Za-z]+@N[0-9]{2}", user)
        user_id = user if known else runtime.flickr.find_user(user).user_id
        runtime.watch.refresh()
        answer = runtime.recommender.recommend(user_id, limit=limit)
    finally:
        runtime.engine.dispose()
    served = runtime.watch.served
    if served.error is not None:
        model = "without a model" if served.champion is None else f"with version {served.champion.version}"
        typer.secho(f"warning: ranked {model}: {served.error}", err=True, fg=typer.colors.YELLOW)
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        Console().print(wall_table(answer.model_dump(mode="json")))
