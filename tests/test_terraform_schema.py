"""What `terraform validate` would refuse, found by reading: unknown types and arguments, missing ones, dead references.

The types are those of the AWS provider, from `terraform/schema/aws.json`, which `make schema` renews.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import hcl2
import pytest

from tests.terraform_files import (
    TERRAFORM,
    Block,
    Reference,
    arguments_of,
    blocks_of,
    folders,
    is_block,
    locals_of,
    named,
    references_of,
)

META = {"count", "for_each", "provider", "depends_on", "lifecycle", "provisioner", "connection"}
MODULE_META = {"source", "version", "count", "for_each", "providers", "depends_on"}
FOLDERS = folders()
NAMES = [str(folder.relative_to(TERRAFORM)) for folder in FOLDERS]
every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    return json.loads((TERRAFORM / "schema" / "aws.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_the_schema_is_of_the_provider_that_the_roots_pin() -> None:
    pins = {
        version
        for folder in FOLDERS
        for block in blocks_of(folder)
        if block.kind == "terraform"
        for required in block.body.get("required_providers", [])
        for version in re.findall(r"version'?\"?\s*[:=]\s*'?\"*([^\"',}]+)", str(required.get("aws", "")))
    }
    major, minor, _ = schema()["provider"].split(".")
    assert pins
    assert all(pin.split()[-1].startswith(f"{major}.") for pin in pins)
    assert all(int(pin.split()[-1].split(".")[1]) <= int(minor) for pin in pins)


@every_folder
def test_resources_have_the_arguments_that_the_provider_knows(folder: Path) -> None:
    assert [problem for block in blocks_of(folder) for problem in wrong_arguments(block)] == []


@every_folder
def test_every_reference_is_resolved(folder: Path) -> None:
    assert list(unresolved(blocks_of(folder))) == []


@every_folder
def test_every_variable_and_local_is_used_and_described(folder: Path) -> None:
    assert list(idle_names(blocks_of(folder))) == []


@every_folder
def test_modules_are_called_with_the_variables_they_have(folder: Path) -> None:
    assert [problem for block in named(blocks_of(folder), "module").values() for problem in wrong_call(block)] == []


@every_folder
def test_example_values_are_of_variables_that_exist(folder: Path) -> None:
    for example in folder.glob("*.tfvars.example"):
        given = arguments_of(hcl2.loads(example.read_text(encoding="utf-8")))
        assert given.keys() <= named(blocks_of(folder), "variable").keys()


MISTAKES = {
    'resource "aws_sqs_queue" "pulls" { nam = "x" }': "has no nam",
    'resource "aws_sqs_queue" "pulls" { name { a = 1 } }': "name is an argument",
    'resource "aws_sqs_queue" "pulls" { delay_seconds = "soon" }': "delay_seconds is a number",
    'resource "aws_s3_bucket_versioning" "lake" {}': "bucket is missing",
    'resource "aws_s3_bucket_versioning" "lake" { bucket = "x" }': "versioning_configuration is missing",
    'resource "aws_s3_bucket_versioning" "lake" {\n bucket = "x"\n versioning_configuration = {}\n}': "is a block",
    'resource "aws_sqs_queue" "pulls" {\n dynamic "timeouts" {\n content { soon = 1 }\n }\n}': "has no soon",
    'resource "aws_nothing" "of_this_name" {}': "make schema",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_wrong_argument_is_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(text)
    (block,) = blocks_of(tmp_path)
    assert any(MISTAKES[text] in problem for problem in wrong_arguments(block))


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("var.nothing", "var.nothing"),
        ("aws_sqs_queue.other.arn", "aws_sqs_queue.other"),
        ("aws_sqs_queue.pulls[0].address", "no attribute address"),
        ('"of ${data.aws_region.here.name}"', "data.aws_region.here"),
    ],
)
def test_a_dead_reference_is_found(expression: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(
        f'resource "aws_sqs_queue" "pulls" {{}}\noutput "it" {{\n  value = {expression}\n}}\n'
    )
    assert any(problem in found for found in unresolved(blocks_of(tmp_path)))


def wrong_arguments(block: Block) -> Iterator[str]:
    """What the provider would say about a resource or data source of its own."""
    if block.kind not in ("resource", "data") or not block.labels[0].startswith("aws_"):
        return
    declared = schema()[block.kind].get(block.labels[0])
    if declared is None:
        yield f"{block.place()} {block.labels[0]} is not in terraform/schema/aws.json: run make schema"
        return
    body = {name: value for name, value in arguments_of(block.body).items() if name not in META}
    yield from _wrong(block, body, declared["arguments"], block.labels[0])


def _wrong(block: Block, body: dict[str, Any], declared: dict[str, Any], inside: str) -> Iterator[str]:
    dynamic = [
        (name.strip('"'), content)
        for entry in body.get("dynamic", [])
        for name, made in entry.items()
        for content in made["content"]
    ]
    for name, value in [*((name, value) for name, value in body.items() if name != "dynamic"), *dynamic]:
        kind = declared.get(name)
        made = isinstance(value, dict) and (name, value) in dynamic
        if kind is None:
            yield f"{block.place(name)} {inside} has no {name}"
        elif isinstance(kind, str):
            if made or is_block(value):
                if not kind.startswith("any"):
                    yield f"{block.place(name)} {inside}: {name} is an argument, not a block"
            elif not _fits(value, kind.rstrip("!")):
                yield f"{block.place(name)} {inside}: {name} is a {kind.rstrip('!')}, not {value}"
        elif made or is_block(value):
            entries = [value] if made else value
            if kind.get("block", kind.get("object")) == "one" and len(entries) > 1:
                yield f"{block.place(name)} {inside}: only one {name}"
            for entry in entries:
                yield from _wrong(block, arguments_of(entry), kind["arguments"], f"{inside}.{name}")
        elif "block" in kind:
            yield f"{block.place(name)} {inside}: {name} is a block, not an argument"
    given = body.keys() | {name for name, _ in dynamic}
    for name, kind in declared.items():
        required = kind.endswith("!") if isinstance(kind, str) else kind["required"]
        if required and name not in given:
            yield f"{block.place()} {inside}: {name} is missing"


def _fits(value: object, kind: str) -> bool:
    """Whether a constant is of the kind; an expression may always be."""
    if isinstance(value, str) and (not value.startswith('"') or "${" in value):
        return True
    if kind == "number":
        return isinstance(value, (int, float)) or bool(re.fullmatch(r'"-?[\d.]+"', str(value)))
    if kind == "bool":
        return isinstance(value, bool) or value in ('"true"', '"false"')
    if kind == "string":
        return isinstance(value, (str, int, float))
    return isinstance(value, {"list": list, "map": dict}.get(kind.split()[0], object))


def unresolved(blocks: tuple[Block, ...]) -> Iterator[str]:
    """References of a folder to what it does not have."""
    declared = {(block.kind, *block.labels) for block in blocks}
    local = locals_of(blocks)
    calls = named(blocks, "module")
    for block in blocks:
        for reference in references_of(block.body):
            problem = _dead(reference, declared, local, calls)
            if problem:
                yield f"{block.place()} {problem}"


def _dead(reference: Reference, declared: set[Any], local: dict[str, Block], calls: dict[str, Block]) -> str:
    kind, name, attribute = reference.kind, reference.name, reference.attribute
    if kind == "var":
        return "" if ("variable", name) in declared else f"var.{name} is not declared"
    if kind == "local":
        return "" if name in local else f"local.{name} is not declared"
    if kind == "module":
        if name not in calls:
            return f"module.{name} is not called"
        source = _source(calls[name])
        known = source is None or not attribute or attribute in named(blocks_of(source), "output")
        return "" if known else f"module.{name} has no output {attribute}"
    if (kind, reference.type, name) not in declared:
        return f"{'' if kind == 'resource' else kind + '.'}{reference.type}.{name} is not declared"
    known_type = schema().get(kind, {}).get(reference.type)
    if not attribute or known_type is None or attribute in known_type["reads"] or attribute in known_type["arguments"]:
        return ""
    return f"{reference.type}.{name} has no attribute {attribute}"


def idle_names(blocks: tuple[Block, ...]) -> Iterator[str]:
    """Variables and locals that nothing uses, and variables and outputs without a type or a description."""
    used = {
        (reference.kind, reference.name)
        for block in blocks
        if block.kind != "variable"
        for reference in references_of(block.body)
    }
    for name, block in named(blocks, "variable").items():
        if ("var", name) not in used:
            yield f"{block.place()} var.{name} is not used"
        for needed in ("type", "description"):
            if needed not in block.body:
                yield f"{block.place()} var.{name} has no {needed}"
    for name, block in locals_of(blocks).items():
        if ("local", name) not in used:
            yield f"{block.place(name)} local.{name} is not used"
    for name, block in named(blocks, "output").items():
        if "description" not in block.body:
            yield f"{block.place()} output {name} has no description"


def wrong_call(block: Block) -> Iterator[str]:
    """Arguments of a module's call that the module does not know, and those that it wants."""
    source = _source(block)
    if source is None:
        return
    variables = named(blocks_of(source), "variable")
    if not variables:
        yield f"{block.place()} {block.body['source']} has no variables: is it there?"
    given = arguments_of(block.body).keys() - MODULE_META
    for name in sorted(given - variables.keys()):
        yield f"{block.place(name)} module {block.labels[0]} has no variable {name}"
    for name, variable in variables.items():
        if "default" not in variable.body and name not in given:
            yield f"{block.place()} module {block.labels[0]}: {name} is missing"


def _source(block: Block) -> Path | None:
    """The folder of a module that is ours."""
    source = str(block.body["source"]).strip('"')
    return (block.file.parent / source).resolve() if source.startswith(".") else None
