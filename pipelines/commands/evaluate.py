"""The command `evaluate`: every model on any data set, from files, without a lake.

Heavy libraries are imported by the command that needs them: a help text must not wait for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from training.evaluation.dataset import Dataset
    from training.evaluation.negatives import Cases
    from training.tuning.comparison import Compared


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("evaluate")(evaluate)


def evaluate(
    train: Annotated[Path, typer.Option(help="Favorites to learn from: Parquet, CSV or TSV with user and item.")],
    test: Annotated[Path, typer.Option(help="Favorites to be found.")],
    validation: Annotated[
        Path | None, typer.Option(help="What models are chosen by; without it a part is split off --train.")
    ] = None,
    negatives: Annotated[
        str, typer.Option(help="Rank against negatives too: how many to draw a user, or a file of them.")
    ] = "",
    contacts: Annotated[Path | None, typer.Option(help="Who follows whom: user_id, contact_id.")] = None,
    tune: Annotated[int, typer.Option(min=0, help="Trials of a search for ALS's settings; 0 takes the defaults.")] = 0,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="With --tune: no trial begins after these.", show_default=False)
    ] = None,
    storage: Annotated[
        Path | None, typer.Option(help="With --tune: keep the search in this file, and go on where it broke off.")
    ] = None,
    factors_max: Annotated[int, typer.Option(min=1, help="Factors that serving can afford.")] = 128,
    k: Annotated[str, typer.Option(help="Lengths of lists, comma separated.")] = "10,20",
    seed: Annotated[int, typer.Option(min=0, help="The same seed and files give the same result.")] = 0,
    lists: Annotated[Path | None, typer.Option(help="Write the chosen model's 100 best a user, as Parquet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """Tune, blend, train and test every model on a data set; the test part is looked at once, in the end."""
    import orjson

    from features.progress import progress_bars
    from features.settings import get_settings
    from training.evaluation.dataset import load_dataset
    from training.models.recipes import Recipe
    from training.tuning.comparison import compare

    _check(tune, {"minutes": minutes, "storage": storage})
    ks = _lengths(k)
    dataset = load_dataset(train, test, validation, contacts, seed)
    cases = _cases(negatives, dataset, seed)
    with progress_bars() as report:
        compared = compare(
            dataset,
            cases,
            Recipe.from_settings(get_settings(), "als"),
            ks=ks,
            trials=tune,
            factors_max=factors_max,
            seed=seed,
            progress=report,
            minutes=minutes,
            storage=storage,
        )
    if lists is not None:
        _write_lists(lists, dataset, compared)
    if as_json:
        typer.echo(orjson.dumps(compared.result, option=orjson.OPT_SERIALIZE_NUMPY))
    else:
        _print(compared.result, {ks[0], ks[-1]})


def _check(tune: int, of_search: Mapping[str, object]) -> None:
    """Raises InvalidInputError for an option of a search without one."""
    from features.errors import InvalidInputError

    for name, value in of_search.items():
        if value is not None and not tune:
            raise InvalidInputError(f"--{name} is of a search: add --tune TRIALS", field=name)


def _lengths(text: str) -> list[int]:
    """`10,20` as numbers. Raises InvalidInputError (field `k`)."""
    from features.errors import InvalidInputError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 1_000 for part in parts):
        raise InvalidInputError(f"--k is {text!r}; give lengths of lists from 1 to 1000, such as 10,20", field="k")
    return sorted({int(part) for part in parts})


def _cases(negatives: str, dataset: Dataset, seed: int) -> Cases | None:
    from features.errors import InvalidInputError
    from training.evaluation.negatives import read_negatives, sampled_cases

    if not negatives:
        return None
    if not negatives.lstrip("-").isdecimal():
        return read_negatives(Path(negatives), dataset.final)
    if int(negatives) < 1:
        raise InvalidInputError(f"--negatives is {negatives}; draw at least 1, or name a file", field="negatives")
    return sampled_cases(dataset.final, int(negatives), seed)


def _write_lists(path: Path, dataset: Dataset, compared: Compared) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from features.errors import DependencyError
    from training.tuning.comparison import lists_of

    try:
        pq.write_table(pa.table(lists_of(dataset, compared.lists)), path)
    except OSError as error:
        raise DependencyError(f"the lists can't be written to {path}: {error}") from error


def _print(result: Mapping[str, Any], lengths: Collection[int]) -> None:
    from rich.console import Console

    from pipelines.tables import metrics_table

    console = Console()
    for kind, title in (("full", "Test items among all"), ("sampled", "Test items among negatives")):
        found = {name: measured[kind] for name, measured in result["models"].items() if kind in measured}
        if found:
            shown = [f"{metric}_at_{length}" for length in sorted(lengths) for metric in ("ndcg", "recall", "hr")]
            means = {name: {metric: values[metric]["mean"] for metric in shown} for name, values in found.items()}
            console.print(metrics_table(title, means, result["chosen"]))
    weights = ", ".join(f"{name} {part['weight']:.3g}" for name, part in result["blend"].items())
    typer.echo(f"blend: {weights}")
    counts = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in result["counts"].items())
    typer.echo(f"{result['chosen']} is best on validation · {counts}")
    for note in result["notes"]:
        typer.echo(f"note: {note}")
