"""A data set from files: read, made comparable, numbered, and parted into what is learned, validated on and tested.

The test part is looked at once, after everything was chosen on the validation part, so the two hold-outs are made here
together, and whatever is repaired on the way is told with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import InvalidInputError
from training.catalog import Ids
from training.evaluation.files import Follows, Pairs, read_contacts, read_pairs
from training.evaluation.ids import IdColumn, common_type, unified, written_back
from training.evaluation.numbering import Holdout, holdout_of, interactions_of
from training.evaluation.validation import split_validation

__all__ = ["Dataset", "Holdout", "holdout_of", "interactions_of", "load_dataset", "split_validation"]

Parts = Mapping[str, Pairs]


@dataclass(frozen=True)
class Dataset:
    """tuning: what models are chosen by: fitted on `tuning.train`, validated on the rest. final: all but the test
    part, and that.

    notes: what was read otherwise than it stands in the files, and what was left out. has_times: whether training
    knows when things happened. user_type, item_type: the types in which ids were read.
    """

    tuning: Holdout
    final: Holdout
    notes: tuple[str, ...]
    has_times: bool
    user_type: pa.DataType
    item_type: pa.DataType

    def original_ids(self, of: Literal["user", "item"], ids: Sequence[Any] | Ids) -> pa.Array:
        """Ids (of `Holdout.user_ids`, or of a catalog's photos) as a column of the type in which they were read."""
        return written_back(ids, self.user_type if of == "user" else self.item_type)


def load_dataset(
    train: Path, test: Path, validation: Path | None = None, contacts: Path | None = None, seed: int = 0
) -> Dataset:
    """The data set of some files. Without `validation`, a part is split off `train` (validation.py).

    Raises InvalidInputError (field: train, test, validation or contacts): a file can't be read, ids of two files can't
    be compared, there is one user or item only, or nothing that could be learned, validated on or found.
    """
    paths = {"train": train, "test": test} | ({} if validation is None else {"validation": validation})
    read = {role: read_pairs(path, role) for role, path in paths.items()}
    follows = None if contacts is None else read_contacts(contacts)
    notes = [f"{role}: {note}" for role, part in read.items() for note in part.notes]
    users, items = _id_columns(read, paths)
    parts, follows = _comparable(read, follows, users, items, contacts, notes)

    everything = parts["train"] if validation is None else _joined(parts["train"], parts["validation"], notes)
    learned = interactions_of(everything, follows)
    if learned.n_users < 2 or learned.n_photos < 2:
        raise InvalidInputError(
            f"{train} has favorites of {learned.n_users} users on {learned.n_photos} items; a model needs two of each",
            field="train",
        )
    favorites, dismissals = len(learned.favorites), len(learned.dismissals)
    rows = int(np.count_nonzero(everything.favorites | everything.dismissals))
    if favorites + dismissals < rows:
        notes.append(
            f"train: {rows} rows became {favorites} favorites and {dismissals} dismissals: repeats are one, a favorite "
            "beats a dismissal, and a dismissal needs a favorite of its user and one of its item"
        )
    final = holdout_of(learned, parts["test"], follows)
    notes += [f"test: {note}" for note in final.notes]
    _check(final, "test", f"{test}", train)

    if validation is None:
        fit, held_out = split_validation(parts["train"], seed, parts["test"])
        notes += [f"validation: {note}" for note in held_out.notes]
        if not len(held_out):
            raise InvalidInputError(
                f"nothing can be split off {train} to validate on, as nobody has two favorites; give a validation file",
                field="train",
            )
    else:
        fit, held_out = parts["train"], parts["validation"]
    tuning = holdout_of(interactions_of(fit, follows), held_out, follows)
    notes += [f"validation: {note}" for note in tuning.notes]
    if validation is None:
        _check(tuning, "train", f"the part split off {train} to validate on (or give a validation file)", train)
    else:
        _check(tuning, "validation", f"{validation}", train)
    times = learned.favorites.times
    has_times = everything.timestamps is not None and bool(times.min() < times.max())
    user_type, item_type = common_type(users, everything.users.type), common_type(items, everything.items.type)
    return Dataset(tuning, final, tuple(notes), has_times, user_type, item_type)


def _id_columns(parts: Parts, paths: Mapping[str, Path]) -> tuple[list[IdColumn], list[IdColumn]]:
    users = [IdColumn(part.users, f"{paths[role]} (users)", role, part.plain) for role, part in parts.items()]
    items = [IdColumn(part.items, f"{paths[role]} (items)", role, part.plain) for role, part in parts.items()]
    return users, items


def _comparable(
    parts: Parts,
    follows: Follows | None,
    users: Sequence[IdColumn],
    items: Sequence[IdColumn],
    contacts: Path | None,
    notes: list[str],
) -> tuple[Parts, Follows | None]:
    """All ids of users (contacts and owners too) in one type, those of items in one, and nobody following himself."""
    people = list(users)
    if follows is not None:
        notes += [f"contacts: {note}" for note in follows.notes]
        both = (follows.followers, follows.followed)
        people += [IdColumn(ids, f"{contacts} (users)", "contacts", follows.plain) for ids in both]
    person_ids, item_ids = unified(people), unified(items)
    if follows is not None:
        others = pc.not_equal(person_ids[-2], person_ids[-1])
        follows = Follows(person_ids[-2].filter(others), person_ids[-1].filter(others))
        if len(follows.followers) < len(others):
            notes.append(f"contacts: {len(others) - len(follows.followers)} users who follow themselves were left out")
    owned = {role: part for role, part in parts.items() if part.owners is not None}
    columns = [IdColumn(part.owners, f"{role} (owners)", role, part.plain) for role, part in owned.items()]
    try:
        owners = dict(zip(owned, unified([IdColumn(person_ids[0], "users", "train"), *columns])[1:], strict=True))
    except InvalidInputError as error:
        owners = {}
        notes.append(f"owners were left out, as they can't be compared with users: {error.message}")
    comparable = {
        role: replace(part, users=person_ids[place], items=item_ids[place], owners=owners.get(role))
        for place, (role, part) in enumerate(parts.items())
    }
    return comparable, follows


def _joined(train: Pairs, validation: Pairs, notes: list[str]) -> Pairs:
    """The rows of both; without times if only one of them has any."""
    parts = (train, validation)
    timestamps = values = owners = None
    if all(part.timestamps is not None for part in parts):
        timestamps = pa.concat_arrays([part.timestamps for part in parts])
    elif any(part.timestamps is not None for part in parts):
        notes.append("train: times were not used, since only one of the training and validation files has them")
    if any(part.values is not None for part in parts):
        values = np.concatenate([np.ones(len(part)) if part.values is None else part.values for part in parts])
    known = [part.owners.type for part in parts if part.owners is not None]
    if known:
        owners = pa.concat_arrays(
            [pa.nulls(len(part), known[0]) if part.owners is None else part.owners for part in parts]
        )
    users, items = (
        pa.concat_arrays(list(columns)) for columns in zip(*((p.users, p.items) for p in parts), strict=True)
    )
    return Pairs(users, items, timestamps, values, owners)


def _check(holdout: Holdout, role: str, part: str, train: Path) -> None:
    """Raise InvalidInputError if nothing could be found, whatever the model."""
    if not len(holdout):
        raise InvalidInputError(f"{part} has no favorite to be found that {train} has not", field=role)
    if not any(len(rows) for rows in holdout.relevant_rows):
        raise InvalidInputError(f"no item to be found in {part} is among those of {train}", field=role)
    if not len(holdout.histories.photo_rows) and not len(holdout.histories.contacts):
        raise InvalidInputError(f"no user of {part} is in {train}: nothing is known of those asked", field=role)
