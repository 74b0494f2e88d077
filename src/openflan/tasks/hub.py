"""Rows of a hub dataset, by the `datasets` library; what it raises becomes one line that says what to do.

Invariant: nothing is executed: a repository that is a loading script is refused. With `stream`, only the rows that
are used are downloaded.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from openflan.errors import UserError
from openflan.tasks.catalog import Entry
from openflan.tasks.cleaning import broken_contract
from openflan.tasks.columns import describe_features, difference

__all__ = ["read_hub"]


def read_hub(entry: Entry, split: str, *, stream: bool) -> Iterable[dict[str, Any]]:
    """A hub split: the whole table, or with `stream` an iterator that downloads what is read."""
    from datasets import load_dataset

    source = entry.spec.source
    try:
        dataset = load_dataset(source.hub, source.config, split=split, revision=source.revision, streaming=stream)
    except Exception as error:  # the hub client raises many kinds; all mean "could not be had"
        first = (str(error).splitlines() or [type(error).__name__])[0]
        how = "check the network and the id, or give local files with --data"
        if "scripts are no longer supported" in first:
            how = "set source.revision: refs/convert/parquet, or give local files with --data"
        raise UserError(
            f"dataset {source.hub} could not be loaded ({first})", where=str(entry.path), how=source.by_hand or how
        ) from error
    if entry.spec.columns and dataset.features is not None and source.unroll is None:
        mismatch = difference(entry.spec.columns, describe_features(dict(dataset.features)), "")
        if mismatch:
            raise broken_contract(entry, mismatch, f"{source.hub}, {split}")
    return dataset if not stream else _streamed(dataset)


def _streamed(dataset: Any) -> Iterator[dict[str, Any]]:
    yield from dataset
