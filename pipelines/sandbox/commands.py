"""`photo-recommender sandbox`: serves the Flickr sandbox, or describes the world that it would serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("sandbox")(sandbox)


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 3001,
    users: Annotated[int | None, typer.Option(help="People, the visitors aside.")] = None,
    photos: Annotated[int | None, typer.Option(help="Photos that exist today.")] = None,
    favorites: Annotated[int | None, typer.Option(help="Favorites that stand today, about.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another world for every number.")] = None,
    sparse: Annotated[
        bool, typer.Option("--sparse", help="As sparse as a real sample of Flickr (takes longer).")
    ] = False,
    clock: Annotated[str, typer.Option(help="`live`, or an ISO time at which the world stands still.")] = "live",
    calls_per_hour: Annotated[int | None, typer.Option(min=1, help="Refuse calls beyond so many (429).")] = None,
    folder: Annotated[Path | None, typer.Option(help="What must last. Default: <home>/sandbox.")] = None,
    describe: Annotated[bool, typer.Option("--describe", help="Print the world's statistics and end.")] = False,
) -> None:
    """Serve the Flickr sandbox: Flickr's REST and OAuth over a generated world, for trying and testing."""
    from features.settings import get_settings
    from pipelines.sandbox.server import serve_sandbox
    from pipelines.sandbox.statistics import statistics_table
    from pipelines.sandbox.world import WorldConfig, generate_world

    given = {"users": users, "photos": photos, "favorites": favorites, "seed": seed}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    config = WorldConfig.sparse(**changes) if sparse else WorldConfig(**changes)
    if describe:
        typer.echo(statistics_table(generate_world(config)))
        return

    def ready(address: str) -> None:
        typer.echo(f"The Flickr sandbox is ready: {address} (key sandbox-key, secret sandbox-secret)")

    folder = folder or get_settings().home / "sandbox"
    serve_sandbox(config, host, port, folder, calls_per_hour=calls_per_hour, clock=clock, on_ready=ready)
