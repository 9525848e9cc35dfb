"""Arrays and JSON of a model bundle on disk, checked when they are read.

A file that is missing, cut short or changed raises CorruptModelError that names it, long before it could be served.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import CorruptModelError

WHAT_TO_DO = "train again, or promote another version (`photo-recommender models list`)"


def corrupt(path: Path, what: str) -> CorruptModelError:
    return CorruptModelError(f"{path}: {what}; {WHAT_TO_DO}", field=path.name)


def save_array(folder: Path, name: str, array: NDArray[Any]) -> None:
    """Write `name`.npy in C order."""
    np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)


def load_array(folder: Path, name: str, dtype: type[np.generic], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """`name`.npy, read-only and memory-mapped; None in `shape` accepts any length. Raises CorruptModelError."""
    path = folder / f"{name}.npy"
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise corrupt(path, "the file is missing") from None
    except (OSError, ValueError, EOFError) as error:
        raise corrupt(path, f"not a whole array ({error})") from None
    fits = len(array.shape) == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = tuple("any" if want is None else want for want in shape)
        raise corrupt(path, f"{array.dtype} {array.shape} instead of {np.dtype(dtype)} {wanted}")
    return np.asarray(array)  # a `memmap` takes several times as long to index


def save_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file. Raises CorruptModelError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise corrupt(path, "the file is missing") from None
    except (OSError, ValueError) as error:
        raise corrupt(path, f"not readable as JSON ({error})") from None
    if not isinstance(content, dict):
        raise corrupt(path, f"a JSON {type(content).__name__} instead of an object")
    return content


def digest(content: dict[str, Any]) -> str:
    """SHA-256 of a JSON object, however it is laid out in its file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def checksums(folder: Path) -> dict[str, dict[str, Any]]:
    """{name: {"bytes", "sha256"}} of the files in the folder and below."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _checksum(path) for path in files}


def verify(folder: Path, expected: dict[str, dict[str, Any]]) -> None:
    """Compare the folder's files with their checksums. Raises CorruptModelError for the first that differs."""
    for name, checksum in expected.items():
        path = folder / name
        try:
            found = _checksum(path)
        except FileNotFoundError:
            raise corrupt(path, "the file is missing") from None
        except OSError as error:
            raise corrupt(path, f"not readable ({error})") from None
        if found["bytes"] != checksum.get("bytes"):
            raise corrupt(path, f"{found['bytes']} bytes instead of {checksum.get('bytes')}")
        if found != checksum:
            raise corrupt(path, "the content differs from what was saved (checksum)")


def _checksum(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
