"""Terraform files as data: the blocks of a folder, the expressions in them, and what those refer to.

Terraform itself is not at hand everywhere; what its `validate` would refuse can be found by reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).parents[1]
TERRAFORM = ROOT / "terraform"

_INDEX = r"(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\])?"
_RESOURCE = re.compile(
    rf"(?<![\w.\"])(data\.|ephemeral\.)?((?:aws|random|time|null|tls|terraform)_\w+)\.(\w+){_INDEX}(?:\.(\w+))?"
)
_NAMED = re.compile(rf"(?<![\w.\"])(var|local|module)\.(\w+){_INDEX}(?:\.(\w+))?")


@dataclass(frozen=True)
class Block:
    """A block of a file, such as `resource "aws_sqs_queue" "pulls" {…}`."""

    file: Path
    kind: str
    labels: tuple[str, ...]
    body: dict[str, Any]

    def place(self, argument: str = "") -> str:
        """`file:line` of the block, or of the first place in it that says `argument`."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        words = [self.kind, *(f'"?{re.escape(label)}"?' for label in self.labels)]
        head = re.compile(r"\s*" + r"\s+".join(words) + r"\s*\{")
        number = next((n for n, line in enumerate(lines, 1) if head.match(line)), 1)
        if argument:
            pattern = re.compile(rf'\s*(dynamic\s+")?{re.escape(argument)}"?\s*[={{]')
            number = next((n for n, line in enumerate(lines[number - 1 :], number) if pattern.match(line)), number)
        shown = self.file.relative_to(ROOT) if self.file.is_relative_to(ROOT) else self.file.name
        return f"{shown}:{number}"


@dataclass(frozen=True)
class Reference:
    """What an expression names: ("var", "", "name", ""), ("module", "", "network", "vpc_id"), or, of a resource,
    ("resource", "aws_sqs_queue", "pulls", "arn"); `data` and `ephemeral` likewise."""

    kind: str
    type: str
    name: str
    attribute: str


def folders() -> list[Path]:
    """Every folder that holds Terraform files: the roots and the modules."""
    return sorted({file.parent for file in TERRAFORM.rglob("*.tf") if ".terraform" not in file.parts})


@cache
def blocks_of(folder: Path) -> tuple[Block, ...]:
    """All blocks of a folder's files. Raises lark's UnexpectedInput for a file that is no HCL."""
    found = []
    for file in sorted(folder.glob("*.tf")):
        for kind, entries in hcl2.loads(file.read_text(encoding="utf-8")).items():
            if not kind.startswith("__"):
                found += [block for entry in entries for block in _labelled(file, kind, entry)]
    return tuple(found)


def _labelled(file: Path, kind: str, entry: dict[str, Any], labels: tuple[str, ...] = ()) -> Iterator[Block]:
    if entry.get("__is_block__"):
        yield Block(file, kind, labels, entry)
        if kind == "check":
            for data in entry.get("data", []):
                yield from _labelled(file, "data", data)
    else:
        for label, inner in entry.items():
            yield from _labelled(file, kind, inner, (*labels, label.strip('"')))


def named(blocks: tuple[Block, ...], kind: str) -> dict[str, Block]:
    """The blocks of a kind with one label, such as `variable`, by that label."""
    return {block.labels[0]: block for block in blocks if block.kind == kind}


def locals_of(blocks: tuple[Block, ...]) -> dict[str, Block]:
    """The local values, each with the block that says it."""
    return {name: block for block in blocks if block.kind == "locals" for name in arguments_of(block.body)}


def arguments_of(body: dict[str, Any]) -> dict[str, Any]:
    """A body without the parser's own notes."""
    return {name: value for name, value in body.items() if not name.startswith("__")}


def is_block(value: object) -> bool:
    """Whether an entry of a body was written `name {…}`, not `name = …`."""
    return isinstance(value, list) and any(isinstance(part, dict) and _has_block(part) for part in value)


def _has_block(part: dict[str, Any]) -> bool:
    return bool(part.get("__is_block__")) or any(
        isinstance(inner, dict) and _has_block(inner) for inner in part.values()
    )


def references_of(value: object) -> Iterator[Reference]:
    """Everything that the expressions in a value refer to."""
    for expression in _expressions(value):
        for prefix, kind, name, attribute in _RESOURCE.findall(expression):
            yield Reference(prefix.rstrip(".") or "resource", kind, name, attribute)
        for kind, name, attribute in _NAMED.findall(expression):
            yield Reference(kind, "", name, attribute)


def _expressions(value: object) -> Iterator[str]:
    """The code in a value; text between quotes is none, but for what is interpolated in it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _expressions(key)
            yield from _expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _expressions(inner)
    elif isinstance(value, str):
        yield _code(value)


def _code(text: str) -> str:
    """An expression without its text: `"a ${var.b} c"` is ` var.b `."""
    inside = ["heredoc" if text.startswith('"<<') else "code"]
    kept, position = [], 0
    while position < len(text):
        here, in_text = text[position], inside[-1] != "code"
        if in_text and text[position : position + 3] in ("$${", "%%{"):
            position += 3
        elif in_text and text[position : position + 2] in ("${", "%{"):
            inside.append("code")
            kept.append(" ")
            position += 2
        elif in_text:
            if here == '"' and inside[-1] == "text":
                inside.pop()
            position += 2 if here == "\\" else 1
        else:
            if here in '"{':
                inside.append("text" if here == '"' else "code")
            elif here == "}" and len(inside) > 1:
                inside.pop()
            kept.append(" " if here == "}" else here)
            position += 1
    return "".join(kept)
