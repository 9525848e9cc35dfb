"""Writes `aws.json`: the resources and data sources that the `.tf` files use, as the AWS provider declares them.

The provider itself is a download of its own; its schema is also published as type declarations, in the npm package
`@cdktf/provider-aws`. `make schema` fetches that and runs this, whenever a file here uses a new type.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

USED = re.compile(r'^\s*(resource|data)\s+"(aws_\w+)"', re.MULTILINE)
INTERFACE = re.compile(r"^export interface (\w+)(?: extends [\w.]+)? \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
MEMBER = re.compile(r"/\*\*(.*?)\*/\s*readonly (\w+)(\??): ((?:[^;{]|\{[^}]*\})+);", re.DOTALL)
ANCHOR = re.compile(r"docs/(?:resources|data-sources)/\w+#(\w+) ")
CLASS = re.compile(r"^export declare class \w+ extends cdktf\.Terraform\w+ \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
GETTER = re.compile(r"^    get (\w+)\(\): ", re.MULTILINE)
NOT_SETTABLE = "might not be settable"

SIMPLE = {
    "string": "string",
    "number": "number",
    "boolean | cdktf.IResolvable": "bool",
    "string[]": "list of string",
    "number[]": "list of number",
    "Array<boolean | cdktf.IResolvable> | cdktf.IResolvable": "list of bool",
}


def extract(package: Path, used: set[tuple[str, str]]) -> dict[str, Any]:
    """What `package` (npm's archive) declares of the types in `used`: pairs of "resource" or "data", and a name.

    The result is {"provider": version, "resource" and "data": {type: {"arguments": …, "reads": […]}}}. An argument
    is its type, with "!" behind it where it is required. A block is a mapping of "block" ("one" or "many"),
    "required", and its "arguments"; an attribute that is an object has "object" in place of "block".
    Raises SystemExit for a type that the package does not have.
    """
    wanted = {f"package/lib/{_folder(kind, name)}/index.d.ts": (kind, name) for kind, name in used}
    result: dict[str, Any] = {"provider": "", "resource": {}, "data": {}}
    with tarfile.open(package) as archive:
        for member in archive:
            if member.name == "package/package.json":
                result["provider"] = json.loads(_text(archive, member))["cdktf"]["provider"]["version"]
            elif member.name in wanted:
                kind, name = wanted.pop(member.name)
                result[kind][name] = declared(_text(archive, member))
    if wanted:
        sys.exit(f"error: the provider has no {', '.join(f'{kind} {name}' for kind, name in sorted(wanted.values()))}")
    return result


def declared(text: str) -> dict[str, Any]:
    """The arguments and the readable attributes of one type, from its declaration."""
    interfaces = dict(INTERFACE.findall(text))
    config = next(name for name in interfaces if name.endswith("Config"))
    getters = GETTER.findall(CLASS.findall(text)[-1])
    arguments = _arguments(interfaces, config)
    if NOT_SETTABLE in interfaces[config]:
        del arguments["id"]
    reads = {_snake(getter) for getter in getters if not getter.endswith("Input")}
    return {"arguments": arguments, "reads": sorted(reads - arguments.keys())}


def _arguments(interfaces: dict[str, str], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for documentation, member, optional, kind in MEMBER.findall(interfaces[name]):
        anchor = ANCHOR.search(documentation)
        argument = anchor.group(1) if anchor else _snake(member)
        required = not optional
        nested = re.match(r"(\w+)(\[\])?(?: \| cdktf\.IResolvable)?$", kind)
        if nested and nested.group(1) in interfaces:
            shape = "block" if f"{argument} block" in documentation else "object"
            found[argument] = {
                shape: "many" if nested.group(2) else "one",
                "required": required,
                "arguments": _arguments(interfaces, nested.group(1)),
            }
        else:
            simple = SIMPLE.get(kind) or ("map" if "[key: string]" in kind else "any")
            found[argument] = simple + ("!" if required else "")
    return found


def _folder(kind: str, name: str) -> str:
    """Where the package keeps a type: aws_sqs_queue is in sqs-queue, the data source of that name in data-aws-…"""
    words = name.removeprefix("aws_").replace("_", "-")
    return words if kind == "resource" else f"data-aws-{words}"


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    opened = archive.extractfile(member)
    return opened.read().decode() if opened else ""


def _written(schema: dict[str, Any]) -> str:
    """JSON with a line for each type, so that a change of one is a change of a line."""
    parts = [f' "provider": {json.dumps(schema["provider"])}']
    for kind in ("resource", "data"):
        lines = [f"  {json.dumps(name)}: {json.dumps(schema[kind][name])}" for name in sorted(schema[kind])]
        parts.append(f' "{kind}": {{\n' + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """`extract.py ARCHIVE`, the file that `npm pack @cdktf/provider-aws` made."""
    if len(sys.argv) != 2:
        sys.exit("usage: extract.py cdktf-provider-aws-VERSION.tgz")
    files = [file.read_text(encoding="utf-8") for file in FOLDER.parent.rglob("*.tf")]
    used = {match for text in files for match in USED.findall(text)}
    schema = extract(Path(sys.argv[1]), used)
    (FOLDER / "aws.json").write_text(_written(schema), encoding="utf-8")
    print(f"aws.json: {len(used)} types of provider {schema['provider']}")


if __name__ == "__main__":
    main()
