"""The images and the compose file: what can be known of them where there is no Docker."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import grimp
import pytest
import typer
import yaml

import photo_recommender
from features.settings import PREFIX, Settings
from pipelines.sandbox.oauth import CONSUMER_KEY, CONSUMER_SECRET
from serving.commands.serve import serve

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SCRIPTS = [*sorted(ROOT.glob("deploy/*.sh")), *sorted((ROOT / "terraform").rglob("*.sh"))]
every_dockerfile = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.stem)

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
BENTO: dict[str, Any] = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
EXPLAINED = "AWS_|PG|MLFLOW_|POSTGRES_|S3_IGNORE"
"""Variables of others: the AWS SDK, PostgreSQL's clients and server, MLflow, the emulator."""


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """(FROM, …), (COPY, …), with lines that go on joined and comments left out."""
    lines = [line for line in dockerfile.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


@every_dockerfile
def test_a_dockerfile_is_to_the_linters_liking(dockerfile: Path) -> None:
    linted = subprocess.run([BIN / "hadolint", dockerfile], capture_output=True, text=True)
    assert linted.stdout + linted.stderr == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_a_shell_script_is_to_the_linters_liking(script: Path) -> None:
    linted = subprocess.run([BIN / "shellcheck", script], capture_output=True, text=True)
    assert linted.stdout + linted.stderr == ""


@every_dockerfile
def test_an_image_runs_as_nobody_special_writes_only_to_a_volume_and_says_whether_it_is_well(dockerfile: Path) -> None:
    made = instructions(dockerfile)
    last = made[max(number for number, (word, _) in enumerate(made) if word == "FROM") :]
    said = dict(last)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", said["USER"])
    assert said["VOLUME"] == "/tmp"
    assert "HEALTHCHECK" in said
    environment = said["ENV"]
    assert {"HOME=/tmp", "TMPDIR=/tmp"} <= set(environment.split())
    assert [word for word, _ in made].count("FROM") > 1  # what builds it stays behind
    home = re.search(rf"{PREFIX}HOME=(\S+)", environment)
    assert home is None or home[1].startswith("/tmp/")


@every_dockerfile
def test_what_an_image_copies_is_there_and_is_not_ignored(dockerfile: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    copied = [rest.split()[:-1] for word, rest in instructions(dockerfile) if word == "COPY" and "--from" not in rest]
    for source in (source for sources in copied for source in sources):
        assert (ROOT / source).exists(), source
        assert source in let_in


@every_dockerfile
def test_the_settings_that_an_image_sets_exist(dockerfile: Path) -> None:
    assert set(re.findall(rf"{PREFIX}\w+", dockerfile.read_text(encoding="utf-8"))) <= SETTINGS


def commands() -> list[list[str]]:
    """Every command line of our own that an image or the compose file starts."""
    found = [json.loads(rest) for file in DOCKERFILES for word, rest in instructions(file) if word == "CMD"]
    for service in COMPOSE["services"].values():
        command = service.get("command", [])
        found += [command, *(line.split() for part in command if "\n" in part for line in part.splitlines())]
    return [command for command in found if command[:1] == ["photo-recommender"]]


def test_commands_exist_with_the_options_that_are_given() -> None:
    assert len(commands()) >= 6
    for _, *words in commands():
        command: Any = typer.main.get_command(photo_recommender.app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert not getattr(command, "commands", {}), words
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options


def test_the_service_starts_as_the_command_line_starts_it() -> None:
    (command,) = [rest for word, rest in instructions(ROOT / "docker" / "service.Dockerfile") if word == "CMD"]
    assert f"from {serve.__module__} import {serve.__name__}" in json.loads(command)[-1]
    folder = next(rest for word, rest in instructions(ROOT / "docker" / "service.Dockerfile") if word == "WORKDIR")
    assert folder == "/home/bentoml/bento/src"  # `bentoml serve serving.service:…` looks there


def test_variables_of_the_compose_file_are_settings() -> None:
    for name, service in COMPOSE["services"].items():
        for variable in service.get("environment", {}):
            assert variable in SETTINGS or re.match(EXPLAINED, variable), f"{name}: {variable}"


def test_the_compose_files_settings_are_valid_and_none_is_left_embedded() -> None:
    environment = COMPOSE["services"]["worker"]["environment"]
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name in SETTINGS}
    settings = Settings(_env_file=None, **given)
    for name in ("lake_uri", "database_url", "online_store", "registry_url", "mlflow_uri", "mlflow_artifacts"):
        assert "://" in getattr(settings, name)
        assert "sqlite" not in getattr(settings, name)
    assert settings.queue_url.startswith("sqs://")
    assert settings.token_keys
    assert (settings.flickr_key, settings.flickr_secret.get_secret_value()) == (CONSUMER_KEY, CONSUMER_SECRET)
    assert COMPOSE["services"]["service"]["environment"] == environment


def test_every_setting_that_terraform_sets_has_its_twin_in_the_compose_file() -> None:
    text = (ROOT / "terraform" / "modules" / "stack" / "settings.tf").read_text(encoding="utf-8")
    set_there = set(re.findall(rf"^\s*({PREFIX}\w+(?:URL|URI|STORE|ARTIFACTS|FORMAT))\s*=", text, re.MULTILINE))
    assert len(set_there) >= 8
    assert set_there <= COMPOSE["services"]["worker"]["environment"].keys()


def test_what_the_compose_file_mounts_and_waits_for_is_there() -> None:
    for name, service in COMPOSE["services"].items():
        mounted = [volume.split(":")[0] for volume in service.get("volumes", [])]
        assert all((ROOT / source).is_file() for source in mounted if source.startswith("./")), name
        assert {source for source in mounted if not source.startswith("./")} <= COMPOSE["volumes"].keys()
        for waited_for, how in service.get("depends_on", {}).items():
            other = COMPOSE["services"][waited_for]
            if how["condition"] == "service_healthy":
                assert "healthcheck" in other or other["image"].startswith("photo-recommender-")


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose (Debian's) is not installed")
def test_the_compose_file_is_one() -> None:
    checked = subprocess.run(
        ["docker-compose", "-f", ROOT / "compose.yaml", "config", "--quiet"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def in_bento(path: str) -> bool:
    included = any(fnmatch(path, pattern.replace("**", "*")) for pattern in BENTO["include"])
    return included and not any(fnmatch(path, pattern.replace("**", "*")) for pattern in BENTO["exclude"])


def test_the_bento_holds_every_module_that_the_service_imports_or_may_import_later() -> None:
    graph = grimp.build_graph("features", "training", "pipelines", "serving", cache_dir=None)
    needed = {"serving.service", serve.__module__}
    needed |= {module for name in needed for module in graph.find_upstream_modules(name)}
    files = [name.replace(".", "/") for name in needed]
    missing = [name for name in files if not in_bento(f"{name}.py") and not in_bento(f"{name}/__init__.py")]
    assert len(files) > 100
    assert missing == []


def test_the_bento_holds_no_sandbox_and_what_is_not_python_too() -> None:
    assert not in_bento("pipelines/sandbox/server.py")
    assert in_bento("features/repository/feature_store.yaml")
    assert in_bento("features/migrations/script.py.mako")
    assert in_bento("serving/site/index.html")


def pins(lock: str) -> set[tuple[str, str]]:
    """(package, version); a package may have several, for different machines."""
    return set(re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))


def locked(lock: str) -> set[str]:
    return {package for package, _ in pins(lock)}


def test_images_hold_what_runs_in_production_and_no_tools_of_development() -> None:
    assert BENTO["python"]["requirements_txt"] == "requirements-run.lock"
    run = locked("requirements-run.lock")
    assert {"bentoml", "mlflow", "feast", "implicit", "psycopg", "boto3", "setuptools"} <= run
    assert not {"pytest", "moto", "pyspark", "hypothesis", "ruff", "playwright"} & run
    assert {"mlflow", "psycopg", "boto3"} <= locked("docker/mlflow.lock") <= run


@pytest.mark.parametrize("name", ["requirements-run.lock", "docker/mlflow.lock"])
def test_production_runs_the_versions_that_were_tested(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    ours, tested = pins(name), pins("requirements.lock")
    only_here = {"setuptools"}
    assert {package for package, _ in ours - tested} <= only_here
    assert "://" not in text
    assert len(re.findall(r"^[a-z0-9][^\n]*==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(ours)
