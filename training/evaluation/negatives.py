"""The cases of sampled metrics: items that should be found, and the negatives among which a model has to find them.

Either some negatives are drawn for each user, or a file names them for each test pair, as published evaluations do.
Sampled metrics can turn the order of two models around (Krichene & Rendle 2020, "On Sampled Metrics for Item
Recommendation"), so they stand beside full ranking, never for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.catalog import Ids, row_of_each
from training.evaluation.columns import Source, combined, is_index, open_source
from training.evaluation.files import ITEM, OWNER, TIMESTAMP, USER, VALUE
from training.evaluation.ids import IdColumn, numbered, objects, unified
from training.evaluation.numbering import Holdout, per_user
from training.interactions import NOBODY
from training.keys import Rows


@dataclass(frozen=True)
class Cases:
    """m rankings of few items each.

    users: int64 (m,), places in the hold-out. positives: m arrays int32, catalog rows to be found (those which the
    catalog does not hold are not among them: they are missed). relevant: int64 (m,), ≥ 1, how many are to be found,
    those included. negatives: m arrays int32, distinct catalog rows, −1 for each that the catalog does not hold.
    notes: what was left out.
    """

    users: Rows
    positives: list[NDArray[np.int32]]
    relevant: Rows
    negatives: list[NDArray[np.int32]]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.users)


def sampled_cases(holdout: Holdout, count: int, seed: int) -> Cases:
    """One case a user: all of the test items against `sampled_negatives`."""
    users = np.arange(len(holdout), dtype=np.int64)
    return Cases(users, holdout.relevant_rows, holdout.relevant, sampled_negatives(holdout, count, seed))


def sampled_negatives(holdout: Holdout, count: int, seed: int) -> list[NDArray[np.int32]]:
    """For each user so many distinct catalog rows, ascending, drawn evenly from all but the user's test items.

    Items of the user's history may be among them, as in the evaluations that this follows (DiffNet: Wu et al. 2019).
    Fewer where the catalog has fewer. `count` ≥ 1.
    """
    rng = np.random.default_rng(seed)
    result = []
    for positives in holdout.relevant_rows:
        others = holdout.n_photos - len(positives)
        drawn = np.sort(rng.choice(others, min(count, others), replace=False, shuffle=False))
        # The i-th of the other rows lies behind as many positives as have at most i others before them.
        skipped = np.searchsorted(positives - np.arange(len(positives)), drawn, side="right")
        result.append((drawn + skipped).astype(np.int32))
    return result


def read_negatives(path: Path, holdout: Holdout) -> Cases:
    """One case a row of the file: user and item (as in `read_pairs`), and the negatives of that test pair.

    Those are all other columns, or the one that is a list; values may be missing. A negative that a row names twice
    counts once, and the positive is none of its own. Rows whose pair is not to be found in the hold-out, and repeats of
    a pair, are left out. All of that is noted. Raises InvalidInputError (field: negatives): the file can't be read, a
    row has no negatives, its ids can't be compared with the data set's, or no row is left.
    """
    source = open_source(path, "negatives")
    others = [*TIMESTAMP, *VALUE, *OWNER]
    columns, notes = source.pick({"user": USER, "item": ITEM}, others)
    rest = [name for name in source.names if name not in {*others, *columns.values()} and not is_index(name)]
    if not rest:
        raise source.wrong(f"has no columns of negatives; it has {', '.join(source.names)}")
    table = source.read([*columns.values(), *rest], [*columns.values(), *rest])
    user_ids, item_ids = (source.ids(columns[meaning], table.column(columns[meaning])) for meaning in ("user", "item"))
    negative_ids, case_of = _flat(source, table, rest)

    # Items of the test part that the catalog does not hold are numbered after its rows.
    absent = np.array([*dict.fromkeys(holdout.absent_items)], dtype=object)
    items = np.concatenate([holdout.train.catalog.photo_ids, absent])
    user_of, (users,) = _places(source, "users", holdout.user_ids, [user_ids])
    item_of, (positives, negatives) = _places(source, "items", items, [item_ids, negative_ids])

    others_than_it = negatives != positives[case_of]
    lists = per_user(case_of[others_than_it], negatives[others_than_it], len(table))
    lengths = np.array([len(found) for found in lists])
    if not lengths.all():
        raise source.wrong(f"names no negatives in row {int(np.argmin(lengths)) + 1}")
    if lengths.sum() < len(negatives):
        notes.append(f"{len(negatives) - lengths.sum()} negatives are their row's own item, or named twice in it")
    if lengths.min() < lengths.max():
        notes.append(f"rows have from {lengths.min()} to {lengths.max()} negatives")

    asked, wanted = user_of[users], item_of[positives]
    pairs = np.where((asked >= 0) & (wanted >= 0), asked * len(items) + wanted, -1)
    to_find = _to_find(holdout, items)
    _, first = np.unique(pairs, return_index=True)
    first = np.sort(first[np.isin(pairs[first], to_find)])
    strangers = int(np.count_nonzero(~np.isin(pairs, to_find)))
    for count, what in (
        (strangers, "rows were left out: their pair is not to be found in the test part"),
        (len(table) - strangers - len(first), "rows were left out: their pair has a row before"),
        (len(to_find) - len(first), "test pairs have no row: sampled metrics leave them out"),
    ):
        if count:
            notes.append(f"{count} {what}")
    if not len(first):
        raise source.wrong("has no row whose pair is to be found in the test part")
    rows = np.where(item_of < holdout.n_photos, item_of, -1).astype(np.int32)
    held = rows[positives]
    return Cases(
        users=asked[first],
        positives=[held[case : case + 1] if held[case] >= 0 else NOBODY for case in first],
        relevant=np.ones(len(first), dtype=np.int64),
        negatives=[rows[lists[case]] for case in first],
        notes=tuple(notes),
    )


def _flat(source: Source, table: pa.Table, names: list[str]) -> tuple[pa.Array, Rows]:
    """All negatives, and the row of the table that each is in."""
    types = pa.types
    for name in names:
        column = table.column(name)
        if types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type):
            lists = combined(column)
            ids, rows = pc.list_flatten(lists), pc.list_parent_indices(lists).to_numpy().astype(np.int64)
            ids = source.ids(name, ids, optional=True, rows=rows)
            break
    else:
        rows = np.tile(np.arange(len(table)), len(names))
        if source.plain:  # in one piece, as all of them are numbers or none
            ids = pa.concat_arrays([combined(table.column(name)) for name in names])
            ids = source.ids(f"{names[0]}, …", ids, optional=True, rows=rows)
        else:
            wide = [
                IdColumn(source.ids(name, table.column(name), optional=True), f"{source.path} ({name})", source.role)
                for name in names
            ]
            ids = pa.concat_arrays(unified(wide))
    there = pc.is_valid(ids)
    return ids.filter(there), rows[there.to_numpy(zero_copy_only=False)]


def _places(source: Source, what: str, known: Ids, columns: list[pa.Array]) -> tuple[Rows, list[Rows]]:
    """The columns' ids as codes, and the place of each code's id in `known` (−1: it is not there)."""
    data_set = IdColumn(pa.array(list(known)), f"the data set ({what})", "test")
    found = [IdColumn(ids, f"{source.path} ({what})", source.role, source.plain) for ids in columns]
    distinct, codes = numbered(pa.concat_arrays(unified([data_set, *found])[1:]))
    ends = np.cumsum([len(ids) for ids in columns])
    return row_of_each(known, objects(distinct)), np.split(codes, ends[:-1])


def _to_find(holdout: Holdout, items: Ids) -> Rows:
    """user · len(items) + item of every pair of the hold-out."""
    users = np.repeat(np.arange(len(holdout)), [len(rows) for rows in holdout.relevant_rows])
    rows = np.concatenate([NOBODY, *holdout.relevant_rows]).astype(np.int64)
    absent = holdout.absent_users * len(items) + row_of_each(items, holdout.absent_items)
    return np.concatenate([users * len(items) + rows, absent])
