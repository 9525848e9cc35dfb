"""The commands `serve` and `recommend`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from features.settings import PREFIX, get_settings


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
        *("--host", host, "--port", str(port)),
    ]
    environment = os.environ | {
        f"{PREFIX}HOST": host,
        f"{PREFIX}PORT": str(port),
        "BENTOML_DO_NOT_TRACK": "true",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
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

    from pipelines.tables import wall_table
    from serving.runtime import open_runtime

    runtime = open_runtime(get_settings())
    try:
        known = re.fullmatch(r"[0-9A-Za-z]+@N\d{2}", user)
        user_id = user if known else runtime.flickr.find_user(user).user_id
        runtime.watch.refresh()
        answer = runtime.recommender.recommend(user_id, limit=limit)
    finally:
        runtime.engine.dispose()
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        Console().print(wall_table(answer.model_dump(mode="json")))
