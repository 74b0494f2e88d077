"""Parquet files as one table, read by row group: what is not asked for is neither read nor downloaded.

A hub serves ranges of a file, so the first 30,000 rows of a set of forty million are a few row groups, and its last
200 the footers and one more.

Invariant: row n is the n-th over all files in their order. Cost: a footer a file, then the row groups that are asked
for, one in memory at a time. Rejected: `load_dataset(streaming=True)`, which knows no length and so reads a whole
split for its last rows, and its Arrow copy of a split beside the Parquet files, twice the disk.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

__all__ = ["ParquetRows"]


_BLOCK = 256
"""Rows that become Python objects at once; a row group may have a million."""


class ParquetRows:
    """Rows of several Parquet files of one schema.

    Args:
        files: local paths or open binary files that can be sought in.
    """

    def __init__(self, files: Sequence[Any]) -> None:
        import pyarrow.parquet as pq

        self._files = [pq.ParquetFile(file, pre_buffer=True) for file in files]
        self._groups = [(file, number) for file in self._files for number in range(file.num_row_groups)]

    @cached_property
    def _ends(self) -> list[int]:
        """The row after each row group's last."""
        return list(accumulate(file.metadata.row_group(number).num_rows for file, number in self._groups))

    @property
    def features(self) -> dict[str, Any]:
        """The columns as `datasets` features, class names included where the writer kept them."""
        from datasets import Features

        return dict(Features.from_arrow_schema(self._files[0].schema_arrow))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.take(range(len(self)))

    def take(self, places: Iterable[int]) -> Iterator[dict[str, Any]]:
        """The rows at these places, in this order; ascending places read each row group once.

        Shuffled places are read in ascending order first and held in memory.
        """
        if not isinstance(places, range):
            places = list(places)
            if places != sorted(places):
                by_place = dict(zip(sorted(places), self.take(sorted(places)), strict=True))
                yield from (by_place[place] for place in places)
                return
        current, table, start, block, rows = -1, None, 0, -1, []
        for place in places:
            group = bisect_right(self._ends, place)
            if group != current:
                file, number = self._groups[group]
                current, table, start = group, file.read_row_group(number), self._ends[group - 1] if group else 0
                block = -1
            assert table is not None
            if (place - start) // _BLOCK != block:
                block = (place - start) // _BLOCK
                rows = table.slice(block * _BLOCK, _BLOCK).to_pylist()
            yield rows[(place - start) % _BLOCK]
