"""How the Terraform files are laid out, and that what they make is what the code expects to find.

What `terraform validate` would say about each file is in `test_terraform_schema.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from features.settings import Settings
from pipelines.queue.messages import MAX_DELIVERIES, SQS_SCHEME
from pipelines.queue.sqs_calls import DEAD, MOST_BYTES, QUEUES

pytest.importorskip("hcl2", reason="python-hcl2 is not installed")

from tests.terraform_files import TERRAFORM, Block, Reference, arguments_of, blocks_of, named, references_of

MODULES = sorted(path for path in (TERRAFORM / "modules").iterdir() if path.is_dir())
ENVIRONMENTS = sorted(path for path in (TERRAFORM / "environments").iterdir() if path.is_dir())
EXAMPLE = "terraform.tfvars.example"

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda path: path.name)


@every_module
def test_a_module_has_the_files_that_all_have(module: Path) -> None:
    assert {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"} <= {
        path.name for path in module.iterdir()
    }
    assert (module / "README.md").read_text(encoding="utf-8").startswith(f"# {module.name}\n")


@every_environment
def test_an_environment_has_the_files_that_all_have(environment: Path) -> None:
    wanted = {"main.tf", "backend.tf", "variables.tf", "outputs.tf", "versions.tf", EXAMPLE, "README.md"}
    assert wanted <= {path.name for path in environment.iterdir()}


@pytest.mark.parametrize("folder", [*MODULES, *ENVIRONMENTS, TERRAFORM / "bootstrap"], ids=lambda path: path.name)
def test_variables_and_outputs_are_where_one_looks_for_them(folder: Path) -> None:
    places = {(block.kind, block.file.name) for block in blocks_of(folder) if block.kind in ("variable", "output")}
    assert places <= {("variable", "variables.tf"), ("output", "outputs.tf")}


@pytest.mark.parametrize("file", sorted(TERRAFORM.rglob("*.tf")), ids=lambda path: str(path.relative_to(TERRAFORM)))
def test_a_file_is_short_enough_to_be_read(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


def test_every_module_is_called() -> None:
    called = {
        (block.file.parent / text(block.body["source"])).resolve()
        for folder in [*MODULES, *ENVIRONMENTS]
        for block in named(blocks_of(folder), "module").values()
    }
    assert called == set(MODULES)


def test_the_environments_differ_in_values_alone() -> None:
    """What one environment has and the other has not would be tried in production first."""
    (dev, prod) = (variables_and_calls(environment) for environment in ENVIRONMENTS)
    assert dev == prod


@every_environment
def test_an_environment_keeps_its_state_apart_in_a_locked_bucket(environment: Path) -> None:
    (terraform,) = [block for block in blocks_of(environment) if block.kind == "terraform" and "backend" in block.body]
    (backend,) = [entry['"s3"'] for entry in terraform.body["backend"]]
    assert text(backend["key"]) == f"{environment.name}/terraform.tfstate"
    assert backend["use_lockfile"] is True


@every_environment
def test_the_example_gives_what_has_no_default(environment: Path) -> None:
    given = set(re.findall(r"^(\w+)\s*=", (environment / EXAMPLE).read_text(encoding="utf-8"), re.MULTILINE))
    variables = named(blocks_of(environment), "variable")
    assert {name for name, block in variables.items() if "default" not in block.body} <= given <= variables.keys()


@every_environment
def test_nothing_waits_for_itself(environment: Path) -> None:
    """Terraform orders resources, not modules: two modules may name each other, two resources may not."""
    TopologicalSorter(dict(waits(environment))).prepare()


def test_what_waits_for_itself_is_found(tmp_path: Path) -> None:
    (tmp_path / "child").mkdir()
    (tmp_path / "child" / "main.tf").write_text(
        'variable "id" {}\nresource "aws_vpc" "it" { cidr_block = var.id }\noutput "id" { value = aws_vpc.it.id }\n'
    )
    (tmp_path / "main.tf").write_text('module "child" {\n  source = "./child"\n  id     = module.child.id\n}\n')
    with pytest.raises(CycleError):
        TopologicalSorter(dict(waits(tmp_path))).prepare()


@every_environment
def test_nothing_secret_is_a_variable(environment: Path) -> None:
    """Variables end in plans and states: secrets are put into Secrets Manager by hand."""
    assert [
        name for name in named(blocks_of(environment), "variable") if re.search("secret|password|token", name)
    ] == []


def test_the_queues_are_those_that_the_code_opens() -> None:
    queue = TERRAFORM / "modules" / "queue"
    variables = named(blocks_of(queue), "variable")
    assert [*map(text, default(variables["priorities"])), DEAD] == list(QUEUES)
    assert default(variables["most_deliveries"]) == MAX_DELIVERIES
    assert default(variables["lease_seconds"]) == Settings.model_fields["lease_seconds"].default
    assert text(named(blocks_of(queue), "output")["queue_url_setting"].body["value"]).startswith(SQS_SCHEME)
    assert f"most_bytes    = {MOST_BYTES // 1024} * 1024" in (queue / "main.tf").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def postgres(free_port: Callable[[], int]) -> Iterator[dict[str, str]]:
    """A PostgreSQL of this test's own: the variables of libpq that lead there."""
    if (server := shutil.which("pg_ctl")) is None:
        pytest.skip("PostgreSQL's pg_ctl is not on the PATH: apt-get install postgresql")
    programs = Path(server).resolve().parent
    as_owner = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []  # PostgreSQL refuses to run as root
    port = str(free_port())
    options = f"-p {port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off"
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        if as_owner:
            shutil.chown(folder, "postgres")
        data = f"{folder}/data"

        def run(program: str, *arguments: str) -> None:
            command = [*as_owner, str(programs / program), "-D", data, *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60, cwd=folder)

        run("initdb", "-U", "photo_recommender", "--auth=trust", "--no-sync")
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        yield {"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "photo_recommender", "PGDATABASE": "postgres"}
        run("pg_ctl", "-m", "immediate", "stop")


def test_the_task_that_creates_the_databases_may_run_again(postgres: dict[str, str]) -> None:
    program = (TERRAFORM / "modules" / "database" / "create_databases.py").read_text(encoding="utf-8")

    def create() -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, check=True, text=True, capture_output=True, env=os.environ | postgres).stdout

    assert create() == "mlflow: created\nfeast: created\n"
    assert create() == "mlflow: was there\nfeast: was there\n"
    with psycopg.connect(host=postgres["PGHOST"], port=postgres["PGPORT"], user=postgres["PGUSER"], dbname="mlflow"):
        pass


def waits(folder: Path, inside: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each variable, local, output and resource of a folder and of the modules it calls, and what each needs first.

    Names are as Terraform's own: `module.stack.module.keys.aws_kms_key.this`.
    """
    blocks = blocks_of(folder)

    def needs(value: object) -> list[str]:
        return [inside + address(reference) for reference in references_of(value)]

    for block in blocks:
        body = arguments_of(block.body)
        if block.kind in ("resource", "data", "ephemeral"):
            yield inside + address(Reference(block.kind, *block.labels, attribute="")), needs(body)
        elif block.kind == "output":
            yield f"{inside}output.{block.labels[0]}", needs(body)
        elif block.kind == "locals":
            yield from ((f"{inside}local.{name}", needs(value)) for name, value in body.items())
        elif block.kind == "module":
            child = f"{inside}module.{block.labels[0]}."
            source = (folder / text(body["source"])).resolve()
            for name in named(blocks_of(source), "variable"):
                yield f"{child}var.{name}", needs([body.get(name), body.get("count"), body.get("for_each")])
            yield from waits(source, child)


def address(reference: Reference) -> str:
    match reference.kind:
        case "var" | "local":
            return f"{reference.kind}.{reference.name}"
        case "module":
            return f"module.{reference.name}.output.{reference.attribute}"
        case "resource":
            return f"{reference.type}.{reference.name}"
        case kind:
            return f"{kind}.{reference.type}.{reference.name}"


def variables_and_calls(environment: Path) -> tuple[set[str], dict[str, set[str]]]:
    blocks = blocks_of(environment)
    calls = {name: set(arguments_of(call.body)) for name, call in named(blocks, "module").items()}
    return set(named(blocks, "variable")), calls


def default(variable: Block) -> Any:
    return variable.body["default"]


def text(value: object) -> str:
    """A string without the quotes that the parser leaves around it."""
    return str(value).strip('"')
