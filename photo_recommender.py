"""The command line `photo-recommender`: gathers the commands that each package offers, and how they end.

What a person can do something about is said in one line on standard error, with an exit status of its own.
"""

from __future__ import annotations

import os
import sys

# Before NumPy is imported by anything: one thread a process, as `implicit` and the service bring their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")

import typer

from features import commands as features_commands
from features.errors import PhotoRecommenderError, StorageFullError, is_storage_full
from pipelines import demo
from pipelines.commands import backtest as commands_backtest
from pipelines.commands import budget as commands_budget
from pipelines.commands import evaluate as commands_evaluate
from pipelines.commands import import_file as commands_import
from pipelines.commands import models as commands_models
from pipelines.commands import privacy as commands_privacy
from pipelines.commands import pull as commands_pull
from pipelines.commands import queue as commands_queue
from pipelines.commands import schedule as commands_schedule
from pipelines.commands import train as commands_train
from pipelines.sandbox import commands as sandbox_commands
from serving.commands import doctor as commands_doctor
from serving.commands import serve as commands_serve

app = typer.Typer(
    name="photo-recommender",
    help="Learns taste from Flickr favorites and serves everybody a ranked wall of unseen photos.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for commands in (
    demo,
    sandbox_commands,
    commands_pull,
    commands_import,
    commands_budget,
    commands_queue,
    commands_schedule,
    features_commands,
    commands_privacy,
    commands_train,
    commands_models,
    commands_evaluate,
    commands_backtest,
    commands_serve,
    commands_doctor,
):
    commands.register(app)


def main() -> None:
    """Run one command. Exit status: 0; 1 unexpected; 2 and above as in `features/errors.py`."""
    try:
        app()
    except PhotoRecommenderError as error:
        _end(error)
    except Exception as error:
        if not is_storage_full(error):
            raise
        _end(StorageFullError("no space left on the disk: free some, then run the same command again"))


def _end(error: PhotoRecommenderError) -> None:
    typer.secho(f"error: {error.message}", err=True, fg=typer.colors.RED)
    sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
