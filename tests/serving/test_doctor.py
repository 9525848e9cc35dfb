"""`doctor` over a whole installation, in which one part after the other is broken: it is named, with what to do."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client import generate_latest
from pydantic import SecretStr

import photo_recommender
from features.database import open_database
from features.feast_registry import apply_repository
from features.online import OnlineFeatures
from features.settings import Settings
from pipelines.budget.windows import Purpose, open_budget
from pipelines.flickr.errors import KeyInvalidError
from pipelines.operation import doctor as runner
from pipelines.operation import doctor_stores
from pipelines.operation.doctor import Finding, State, examine
from pipelines.operation.doctor_pulling import database_check, pulling_checks
from pipelines.operation.doctor_stores import store_checks
from pipelines.operation.metrics import shared_state
from pipelines.operation.presence import present
from pipelines.queue.messages import open_queue
from pipelines.queue.requests import Kind, Priority, PullRequest
from pipelines.sandbox.oauth import CONSUMER_KEY, CONSUMER_SECRET
from serving.accounts.tokens import KEY_FILE, open_vault
from serving.doctor import examine_everything, serving_checks
from serving.runtime import Runtime
from tests.serving.conftest import Browser, Sandbox, World, client_of, make_runtime
from training.gate import Decision
from training.tracking import TrainingRun, champion_folder

SECRET = "a-secret-that-nobody-may-read"


@pytest.fixture(scope="module")
def installation(world: World, shared_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Everything made, and a champion registered; nobody at work."""
    home = tmp_path_factory.mktemp("doctor") / "home"
    settings = Settings(  # type: ignore[call-arg]
        home=home,
        flickr_key=CONSUMER_KEY,
        flickr_secret=SecretStr(CONSUMER_SECRET),
        flickr_rest_url=f"{shared_sandbox.url}/services/rest/",
        flickr_calls_per_second=1_000,
        _env_file=None,
    )
    open_database(settings.database_url).dispose()
    apply_repository(settings)
    OnlineFeatures(settings)
    open_vault(settings)
    run = TrainingRun(settings, "test")
    run.register(world.bundles["als"], Decision(True, "als", "the first"), "fingerprint")
    yield settings


@pytest.fixture
def settings(installation: Settings, sandbox: Sandbox, empty_database: Path, tmp_path: Path) -> Settings:
    """The installation with a database and a budget of the test's own."""
    shutil.copy(empty_database, tmp_path / "own.db")
    own = {"database_url": f"sqlite:///{tmp_path / 'own.db'}", "budget_url": f"sqlite:///{tmp_path / 'budget.db'}"}
    return installation.model_copy(update=own)


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = open_database(settings.database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a built website."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<!doctype html>")
    return site


@pytest.fixture
def at_work(engine: sa.Engine) -> Iterator[None]:
    with present(engine, "worker"), present(engine, "scheduler"):
        yield


def look(settings: Settings, name: str, **changed: object) -> Finding:
    """What the check of that name finds, of the settings so changed."""
    settings = settings.model_copy(update=changed)
    engine = sa.create_engine(settings.database_url)
    checks = [*store_checks(settings), *pulling_checks(settings, engine), *serving_checks(settings)]
    ((_, finding),) = examine([check for check in [database_check(settings), *checks] if check.name == name])
    engine.dispose()
    return finding


def everything(settings: Settings, site: Path) -> dict[str, Finding]:
    return dict(examine_everything(settings, site))


def states(findings: dict[str, Finding]) -> dict[str, State]:
    return {name: finding.state for name, finding in findings.items()}


@pytest.mark.usefixtures("at_work")
def test_an_installation_that_is_well_has_a_check_mark_everywhere(settings: Settings, site: Path) -> None:
    open_budget(settings)
    findings = everything(settings, site)
    assert set(states(findings).values()) == {State.OK}, findings
    assert list(findings) == [
        *("settings", "SQL database", "disk", "lake", "online store", "Feast registry", "MLflow", "queue", "budget"),
        *("Flickr", "workers", "token keys", "website", "model"),
    ]


def test_a_home_in_which_nothing_was_started_yet_is_no_failure_and_stays_as_it_is(tmp_path: Path, site: Path) -> None:
    home = tmp_path / "nothing"
    findings = everything(Settings(home=home, _env_file=None), site)  # type: ignore[call-arg]
    assert set(states(findings).values()) == {State.OK, State.SKIPPED}, findings
    assert findings["Flickr"].advice.count("PHOTO_RECOMMENDER_FLICKR_KEY") == 1
    assert "photo-recommender train" in findings["MLflow"].advice
    assert not home.exists()


# SQL


def test_a_database_that_is_not_there_leaves_what_needs_it_unlooked_at(
    settings: Settings, site: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "no.db"
    broken.write_text("this is no database " * 100)
    findings = everything(settings.model_copy(update={"database_url": f"sqlite:///{broken}"}), site)
    assert findings["SQL database"].state is State.FAILED
    assert "PHOTO_RECOMMENDER_DATABASE_URL" in findings["SQL database"].advice
    assert {findings[name].state for name in ("queue", "workers")} == {State.SKIPPED}
    assert findings["model"].state is State.OK


@pytest.mark.parametrize(
    ("schema", "state", "words"),
    [("0001", State.WARNING, "brings it up to date"), ("9999", State.FAILED, "or a newer one")],
)
def test_a_schema_of_another_version_says_who_has_to_follow(
    settings: Settings, engine: sa.Engine, schema: str, state: State, words: str
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :schema"), {"schema": schema})
    finding = look(settings, "SQL database")
    assert (finding.state, schema in finding.found, words in finding.advice) == (state, True, True)


def test_an_address_of_a_database_that_can_not_be_read_is_a_matter_of_settings(settings: Settings) -> None:
    finding = look(settings.model_copy(), "SQL database")
    assert finding.state is not State.FAILED
    ((_, finding),) = examine([database_check(settings.model_copy(update={"database_url": "what?"}))])
    assert (finding.state, finding.exit_status) == (State.FAILED, 2)


# Lake and disk


def test_the_probe_leaves_nothing_in_the_lake(settings: Settings, s3: str, tmp_path: Path) -> None:
    import boto3

    lake = tmp_path / "lake"
    lake.mkdir()
    assert look(settings, "lake", lake_uri=str(lake)).state is State.OK
    assert list(lake.iterdir()) == []
    assert look(settings, "lake", lake_uri=f"{s3}/doctor").state is State.OK
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket="lake", Prefix="doctor")


def test_a_bucket_that_does_not_exist_is_told(settings: Settings, s3: str) -> None:
    finding = look(settings, "lake", lake_uri="s3://no-such-bucket/lake")
    assert finding.state is State.FAILED
    assert "s3://no-such-bucket/lake can't be written" in finding.found
    assert "PHOTO_RECOMMENDER_LAKE_URI" in finding.advice


def test_a_lake_that_can_only_be_read_is_told(settings: Settings, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(lake)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        finding = look(settings, "lake", lake_uri=str(lake))
    finally:
        subprocess.run(["umount", "--lazy", str(lake)], check=True)
    assert finding.state is State.FAILED
    assert "Read-only file system" in finding.found


def test_a_disk_that_is_nearly_full_is_a_warning_and_a_full_one_a_failure(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, state in ((2**40, State.OK), (100 * 2**20, State.WARNING), (2**20, State.FAILED)):
        with monkeypatch.context() as patch:
            patch.setattr(doctor_stores.shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(0, 0, free))  # type: ignore[attr-defined]
            assert look(settings, "disk").state is state


# Servers


@pytest.mark.parametrize(
    ("name", "setting", "scheme"),
    [
        ("online store", "online_store", "redis://:{secret}@"),
        ("budget", "budget_url", "redis://:{secret}@"),
        ("MLflow", "mlflow_uri", "http://user:{secret}@"),
    ],
)
def test_a_server_that_is_down_is_named_with_its_setting_and_without_its_password(
    settings: Settings, free_port: Callable[[], int], name: str, setting: str, scheme: str
) -> None:
    port = free_port()
    finding = look(settings, name, **{setting: f"{scheme.format(secret=SECRET)}127.0.0.1:{port}"})
    assert finding.state is State.FAILED
    assert str(port) in finding.found
    assert f"PHOTO_RECOMMENDER_{setting.upper()}" in finding.advice
    assert SECRET not in finding.found + finding.advice


def test_a_server_that_takes_the_call_and_never_answers_holds_nothing_up(
    settings: Settings, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_SECONDS", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        findings = everything(settings.model_copy(update={"mlflow_uri": url}), site)
    assert (findings["MLflow"].state, findings["MLflow"].found) == (State.FAILED, "no answer within 3 s")
    assert findings["model"].state is State.SKIPPED
    assert findings["Feast registry"].state is State.OK


def test_features_that_are_not_registered_are_named(settings: Settings, tmp_path: Path) -> None:
    registry = tmp_path / "registry.db"
    registry.touch()
    finding = look(settings, "Feast registry", registry_url=f"sqlite:///{registry}")
    assert finding.state is State.WARNING
    assert "photo_card" in finding.found
    assert "features apply" in finding.advice


# The model


def test_without_a_champion_it_says_how_to_get_one(settings: Settings) -> None:
    finding = look(settings, "MLflow", model_name="another")
    assert finding.state is State.WARNING
    assert "no champion of another" in finding.found
    assert "photo-recommender train" in finding.advice


def test_a_bundle_that_is_damaged_is_named_by_its_file(settings: Settings, site: Path) -> None:
    found = champion_folder(settings)
    assert found is not None
    gram = found[1] / "gram.npy"
    content = gram.read_bytes()
    gram.unlink()
    try:
        finding = everything(settings, site)["model"]
    finally:
        gram.write_bytes(content)
    assert finding.state is State.FAILED
    assert "gram.npy" in finding.found
    assert "models rollback" in finding.advice


# Queue and workers


def requests(count: int) -> list[PullRequest]:
    return [
        PullRequest(user_id=f"{n}@N01", kind=Kind.FAVORITES, reason="test", priority=Priority.PERSON)
        for n in range(count)
    ]


def test_dead_letters_are_a_warning_that_names_the_command(settings: Settings, engine: sa.Engine) -> None:
    queue = open_queue(settings, engine)
    queue.put(requests(2))
    queue.bury(queue.receive(1, 0)[0], "odd")
    finding = look(settings, "queue")
    assert (finding.state, finding.found) == (State.WARNING, "1 person waiting, 0 leased, 1 dead letters")
    assert "queue dead" in finding.advice


def test_who_is_missing_at_work_is_said_and_fails_when_somebody_waits(settings: Settings, engine: sa.Engine) -> None:
    nobody = look(settings, "workers")
    assert (nobody.state, "photo-recommender worker" in nobody.advice) == (State.WARNING, True)
    open_queue(settings, engine).put(requests(3))
    waiting = look(settings, "workers")
    assert (waiting.state, waiting.found) == (State.FAILED, "0 workers, 0 schedulers at work, and 3 requests wait")
    with present(engine, "worker"):
        unplanned = look(settings, "workers")
    assert (unplanned.state, "photo-recommender schedule" in unplanned.advice) == (State.WARNING, True)


# Flickr


def test_a_budget_that_is_spent_is_a_warning(settings: Settings) -> None:
    spent = settings.model_copy(update={"flickr_calls_per_hour": 1})
    open_budget(spent).take(Purpose.PERSON, "flickr.people.getInfo")
    budget, flickr = look(spent, "budget"), look(spent, "Flickr")
    assert (budget.state, budget.found) == (State.WARNING, "0 of 1 calls left this hour")
    assert flickr.state is State.SKIPPED


def test_a_throttled_key_says_for_how_long(settings: Settings) -> None:
    open_budget(settings).pause(300)
    finding = look(settings, "budget")
    assert finding.state is State.WARNING
    assert "(throttled)" in finding.found
    assert "walls go on" in finding.advice


def test_a_flickr_that_fails_is_told_after_one_call(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.faults({"kind": "bad_gateway"})
    before = calls(sandbox)
    finding = look(settings, "Flickr")
    assert (finding.state, "502" in finding.found) == (State.FAILED, True)
    assert calls(sandbox) == before + 1


def calls(sandbox: Sandbox) -> int:
    return sum(httpx.get(f"{sandbox.url}/sandbox/calls").json()["methods"].get("flickr.people.getInfo", {}).values())


def test_a_revoked_key_stops_no_wall_raises_the_alarm_and_is_told_with_what_to_do(
    settings: Settings, engine: sa.Engine, world: World, site: Path
) -> None:
    revoked = settings.model_copy(update={"flickr_key": "revoked"})
    runtime: Runtime = make_runtime(world, engine, revoked)
    registry = shared_state(revoked, engine, open_queue(revoked, engine))
    alarm = 'photo_recommender_flickr_trouble{reason="key_invalid"}'

    def alarming() -> float:
        lines = generate_latest(registry).decode().splitlines()
        return float(next(line for line in lines if line.startswith(alarm)).split()[-1])

    assert alarming() == 0
    with pytest.raises(KeyInvalidError):
        runtime.flickr.person("1@N00")
    assert alarming() == 1
    with client_of(runtime) as client:
        wall = Browser(client).get("/api/users/97@N09/recommendations")
    assert (wall.status_code, len(wall.json()["photos"])) == (200, 30)
    findings = everything(revoked, site)
    assert (findings["budget"].state, findings["budget"].exit_status) == (State.FAILED, 2)
    assert "https://www.flickr.com/services/apps/create/" in findings["budget"].advice
    assert "PHOTO_RECOMMENDER_FLICKR_KEY" in findings["budget"].advice
    assert findings["Flickr"].state is State.SKIPPED  # not asked again while everybody holds back


def test_a_wrong_key_that_nobody_tried_yet_is_found_by_asking_flickr(settings: Settings) -> None:
    finding = look(settings, "Flickr", flickr_secret=SecretStr("wrong"), flickr_key="wrong")
    assert (finding.state, finding.exit_status) == (State.FAILED, 2)
    assert "revoked or is wrong" in finding.advice


# The website


def test_a_key_that_others_can_read_and_one_that_is_none_are_told(settings: Settings, tmp_path: Path) -> None:
    home = tmp_path / "another"
    home.mkdir()
    shutil.copy(settings.home / KEY_FILE, home)
    (home / KEY_FILE).chmod(0o644)
    finding = look(settings, "token keys", home=home)
    assert (finding.state, finding.advice) == (State.WARNING, f"chmod 600 {home / KEY_FILE}")
    finding = look(settings, "token keys", token_keys=[SecretStr(SECRET)])
    assert (finding.state, finding.exit_status) == (State.FAILED, 2)
    assert SECRET not in finding.found


def test_a_website_that_is_not_built_is_told(settings: Settings, tmp_path: Path) -> None:
    ((_, finding),) = examine([serving_checks(settings, tmp_path / "no")[1]])
    assert (finding.state, finding.advice) == (State.FAILED, "run `make site`")


# The command


@pytest.fixture
def run(
    settings: Settings, environment: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs `doctor` with the settings so changed: (exit status, stdout, stderr)."""

    def command(*options: str, **changed: str) -> tuple[int, str, str]:
        values = settings.model_copy(update=changed).environment()
        environment(**{name.removeprefix("PHOTO_RECOMMENDER_").lower(): value for name, value in values.items()})
        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(sys, "argv", ["photo-recommender", "doctor", *options])
            ended = stack.enter_context(pytest.raises(SystemExit))
            photo_recommender.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return command


@pytest.mark.usefixtures("at_work")
def test_the_command_says_a_line_a_part_and_ends_by_what_failed(
    run: Callable[..., tuple[int, str, str]], free_port: Callable[[], int]
) -> None:
    status, out, err = run(online_store=f"redis://127.0.0.1:{free_port()}/0")
    lines = out.splitlines()
    assert (status, err, len(lines)) == (4, "", 14)
    assert {line[0] for line in lines} <= set("✓!✗–")
    (broken,) = [line for line in lines if line.startswith("✗ online store: ")]
    assert " → start it, or correct PHOTO_RECOMMENDER_ONLINE_STORE" in broken


@pytest.mark.usefixtures("at_work")
def test_for_programs_it_is_one_object(run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, _ = run("--json", flickr_key="wrong")
    answer = json.loads(out)
    assert (status, answer["ok"], answer["exit_status"]) == (2, False, 2)
    by_name = {check["name"]: check for check in answer["checks"]}
    assert by_name["Flickr"]["state"] == "failed"
    assert set(by_name["lake"]) == {"name", "state", "found", "advice", "exit_status"}


def test_a_setting_that_does_not_fit_ends_it_at_once(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment(port="many")
    monkeypatch.setattr(sys, "argv", ["photo-recommender", "doctor"])
    with pytest.raises(SystemExit) as ended:
        photo_recommender.main()
    assert ended.value.code == 2
    assert "PHOTO_RECOMMENDER_PORT='many'" in capsys.readouterr().err
