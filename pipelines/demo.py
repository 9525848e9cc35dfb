"""The main job from nothing: the command `demo` starts the Flickr sandbox, pulls its people, trains and serves.

Every stage picks up where an earlier run left off, so that a demo killed at any moment is finished by running it again.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer

from features.errors import ConfigurationError, StorageFullError
from features.settings import Settings
from pipelines.processes import Child, Children, children, require_free_port

if TYPE_CHECKING:
    from pipelines.train.job import TrainReport

HOST = "127.0.0.1"
PROGRAM = (sys.executable, "-m", "photo_recommender")
DEFAULT_HOME = Path("var/demo")
CHAMPION_SECONDS = 60.0
NEEDED_BYTES = 500 * 2**20
CALLS_PER_HOUR = 1_000_000
"""The sandbox is no shared service: the demo asks it for more than Flickr's 3,600 calls an hour, and says so."""

TRAINING_RUNS = "#/experiments?workflowType=machine_learning"
"""MLflow's interface begins with what is for language models otherwise."""


@dataclass(frozen=True)
class Demo:
    """What the demo is asked for."""

    home: Path
    users: int
    photos: int
    favorites: int
    seed: int
    clock: str
    port: int
    sandbox_port: int
    mlflow_port: int

    @property
    def sandbox_url(self) -> str:
        return f"http://{HOST}:{self.sandbox_port}"

    @property
    def mlflow_url(self) -> str:
        return f"http://{HOST}:{self.mlflow_port}"

    def settings(self) -> Settings:
        """The configuration under which every part of the demo runs: the sandbox stands in for Flickr."""
        from pipelines.sandbox.groups import group_ids
        from pipelines.sandbox.oauth import CONSUMER_KEY, CONSUMER_SECRET

        return Settings(
            home=self.home,
            port=self.port,
            flickr_key=CONSUMER_KEY,
            flickr_secret=CONSUMER_SECRET,
            flickr_rest_url=f"{self.sandbox_url}/services/rest/",
            flickr_oauth_url=f"{self.sandbox_url}/services/oauth",
            flickr_site_url=self.sandbox_url,
            flickr_calls_per_hour=CALLS_PER_HOUR,
            flickr_calls_per_second=CALLS_PER_HOUR,
            sandbox_url=self.sandbox_url,
            image_hosts=[self.sandbox_url],
            onboarding_groups=group_ids(self.seed),
            model_poll_seconds=2.0,
        )


def register(app: typer.Typer) -> None:
    """Add the command `demo`."""

    @app.command("demo")
    def demo_command(
        fresh: Annotated[bool, typer.Option("--fresh", help="Throw the last demo's state away first.")] = False,
        serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Stay up, or stop after one wall.")] = True,
        home: Annotated[Path, typer.Option(help="Folder of the demo's state.")] = DEFAULT_HOME,
        users: Annotated[int, typer.Option(min=20, help="People in the sandbox that are pulled.")] = 2_000,
        photos: Annotated[int, typer.Option(min=200, help="Photos in the sandbox.")] = 20_000,
        favorites: Annotated[int, typer.Option(min=1_000, help="Favorites in the sandbox, about.")] = 400_000,
        seed: Annotated[int, typer.Option(help="Seed of the sandbox's world.")] = 7,
        clock: Annotated[str, typer.Option(help="The sandbox's time: `live`, or an ISO time to stop it at.")] = "live",
        port: Annotated[int, typer.Option(help="Port of the website.")] = 3000,
        sandbox_port: Annotated[int, typer.Option(help="Port of the sandbox.")] = 3001,
        mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow UI.")] = 5000,
    ) -> None:
        """From nothing to a ranked wall: sandbox, pull, lake, features, training, service, website."""
        asked = Demo(home.absolute(), users, photos, favorites, seed, clock, port, sandbox_port, mlflow_port)
        try:
            run(asked, fresh=fresh, stay_up=serve)
        except KeyboardInterrupt:
            typer.echo("\nstopped; the same command picks up from here", err=True)
            raise typer.Exit(130) from None


def run(asked: Demo, *, fresh: bool, stay_up: bool) -> None:
    """Run the demo. Raises ConfigurationError, StorageFullError, DependencyError."""
    for option, port in (
        ("--port", asked.port),
        ("--sandbox-port", asked.sandbox_port),
        ("--mlflow-port", asked.mlflow_port),
    ):
        require_free_port(HOST, port, option)
    if fresh:
        _throw_away(asked.home)
    _require_room(asked.home)
    with _only_one(asked.home), children(asked.home / "logs") as processes:
        _run(asked, processes, stay_up)


def _run(asked: Demo, processes: Children, stay_up: bool) -> None:
    from features.logs import configure_logging
    from features.progress import progress_bars

    began = time.monotonic()
    settings = asked.settings()
    _write_environment(settings)
    sandbox = _start_sandbox(asked, processes)
    # What only serves people who stay is left out for those who don't.
    mlflow = _start_mlflow(asked, settings, processes) if stay_up else None
    sandbox.wait_until_healthy(f"{asked.sandbox_url}/sandbox/health")
    configure_logging(settings, level=30)
    people = _people(asked)
    with progress_bars() as report:
        report("sandbox: people, photos ready", len(people), len(people))
        _pull(settings, [person["user_id"] for person in people if not person["visitor"]], report)
        _build_features(settings, report)
        # It is ready without a model, and takes up the champion as soon as there is one.
        service = processes.start("service", [*PROGRAM, "serve"], settings.environment())
        trained = _train(settings, report)
    pipeline = time.monotonic() - began
    if mlflow is not None:
        processes.start("worker", [*PROGRAM, "worker"], settings.environment())
        processes.start("scheduler", [*PROGRAM, "schedule"], settings.environment())
        mlflow.wait_until_healthy(f"{asked.mlflow_url}/health")
    service.wait_until_healthy(f"http://{HOST}:{asked.port}/readyz")
    _wait_for_champion(asked, service)
    _show(asked, settings, trained, _someone(people), (pipeline, time.monotonic() - began))
    if stay_up:
        _stay_up(asked, settings, service)


def _start_sandbox(asked: Demo, processes: Children) -> Child:
    command = [*PROGRAM, "sandbox", "--host", HOST]
    for option in ("users", "photos", "favorites", "seed", "clock"):
        command += [f"--{option}", str(getattr(asked, option))]
    command += ["--port", str(asked.sandbox_port), "--folder", str(asked.home / "sandbox")]
    return processes.start("sandbox", command, {})


def _start_mlflow(asked: Demo, settings: Settings, processes: Children) -> Child:
    from training.tracking import prepare_mlflow

    prepare_mlflow(settings)
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(asked.mlflow_port)]
    command += ["--workers", "1", "--backend-store-uri", settings.mlflow_uri]
    command += ["--default-artifact-root", settings.mlflow_artifacts]
    return processes.start("mlflow", command, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})


def _people(asked: Demo) -> list[dict[str, Any]]:
    answer = httpx.get(f"{asked.sandbox_url}/sandbox/people", params={"limit": asked.users * 2}, timeout=30)
    answer.raise_for_status()
    people = answer.json()
    return list(people["people"] if isinstance(people, dict) else people)


def _pull(settings: Settings, user_ids: list[str], report: Any) -> None:
    from features.database import open_database
    from features.lake import open_lake
    from pipelines.flickr.client import Purpose, open_flickr
    from pipelines.pull.many import pull_favorites
    from pipelines.pull.workplace import Workplace
    from pipelines.queue.messages import open_queue
    from pipelines.relay import drain

    engine = open_database(settings.database_url)
    place = Workplace(open_lake(settings), engine, open_queue(settings, engine), settings)
    pull_favorites(place, open_flickr(settings, purpose=Purpose.REFRESH), user_ids, progress=report)
    drain(engine, place.lake)
    engine.dispose()


def _build_features(settings: Settings, report: Any) -> None:
    from features.batch import build_features
    from features.lake import open_lake
    from features.online import materialize

    def tables(_name: str, done: int, total: int) -> None:
        report("feature tables", done, total)

    built = build_features(open_lake(settings), settings, progress=tables)
    materialize(settings, built, progress=lambda view, done, total: report(f"online {view}", done, total))


def _train(settings: Settings, report: Any) -> TrainReport:
    from pipelines.train.job import train

    return train(settings, progress=report)


def _wait_for_champion(asked: Demo, service: Child) -> None:
    """Return once the service has looked at the registry again: it serves the champion, or says why it can't."""
    deadline = time.monotonic() + CHAMPION_SECONDS
    while time.monotonic() < deadline and service.process.poll() is None:
        status = httpx.get(f"http://{HOST}:{asked.port}/api/status", timeout=30).raise_for_status().json()
        if status["model"] is not None or status["model_error"] is not None:
            return
        time.sleep(0.2)


def _someone(people: list[dict[str, Any]]) -> str:
    """A pulled person of middling activity, the same at every run."""
    pulled = sorted((p for p in people if not p["visitor"]), key=lambda p: (abs(p["favorites"] - 150), p["user_id"]))
    return str(pulled[0]["user_id"])


def _show(asked: Demo, settings: Settings, trained: TrainReport, user_id: str, seconds: tuple[float, float]) -> None:
    from rich.console import Console

    from pipelines.tables import training_table, wall_table

    answer = httpx.post(f"http://{HOST}:{asked.port}/recommend", json={"user_id": user_id, "limit": 20}, timeout=30)
    answer.raise_for_status()
    console = Console()
    console.print(wall_table(answer.json()))
    console.print(training_table(trained.metrics, trained.kind))
    console.print(f"sandbox, pull, features and training took {seconds[0]:.0f} s, until this wall {seconds[1]:.0f} s")
    console.print(
        f"the sandbox's call budget was raised to {settings.flickr_calls_per_hour:,} an hour (Flickr's is 3,600)\n"
    )


def _stay_up(asked: Demo, settings: Settings, service: Child) -> None:
    for name, address in (
        ("website", settings.public_url),
        ("MLflow", f"{asked.mlflow_url}/{TRAINING_RUNS}"),
        ("API docs", f"{settings.public_url}/docs"),
        ("Flickr sandbox", asked.sandbox_url),
    ):
        typer.echo(f"{name + ':':<16}{address}")
    typer.echo(f"for other commands on this demo: set -a; . {asked.home / 'demo.env'}; set +a\nCtrl-C stops everything")
    service.process.wait()
    raise ConfigurationError(f"the service has ended by itself; see {service.log}")


def _write_environment(settings: Settings) -> None:
    lines = [f"{name}={value!r}\n" for name, value in settings.environment().items() if value]
    (settings.home / "demo.env").write_text("".join(lines))


def _throw_away(home: Path) -> None:
    if home.exists() and any(home.iterdir()) and not (home / "demo.lock").exists():
        raise ConfigurationError(f"--fresh: {home} holds something that is no demo; empty it yourself", field="--home")
    if home.exists():
        with _only_one(home):
            for entry in home.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _require_room(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise StorageFullError(
            f"the demo needs {NEEDED_BYTES // 2**20} MB in {home}, where {free // 2**20} MB are free: "
            "free some, or choose another folder with --home"
        )


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """One demo at a time in one folder. The lock goes with the process that holds it."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another demo runs in {home}: stop it, or choose another folder with --home", field="--home"
            ) from None
        yield
