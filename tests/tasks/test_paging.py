"""Rows by the page: the same as read from the start, from anywhere in a file, without holding it."""

import csv
import gzip
import json
import tracemalloc

import pytest

import openflan
from openflan.tasks import by_place

ROWS = 3_000
"""Six times as many as lie between two rows whose beginnings are remembered."""


def rows(count=ROWS, blank=()):
    for number in range(count):
        text = f'Row {number}: "quoted", with a comma;\nand ä second line {"long " * (number % 7)}'
        yield {"text": text, "label": None if number in blank else number % 2}


def write(path, rows):
    rows = list(rows)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=700)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            table = csv.DictWriter(file, ["text", "label"])
            table.writeheader()
            table.writerows(rows)
    else:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + ("\n\n" if row["label"] else "\n") for row in rows)


@pytest.fixture
def task_of(tmp_path):
    """Makes a task on a file of rows."""

    def make(kind: str = "jsonl", written=None, label: str = "int", **spec) -> openflan.Task:
        write(tmp_path / f"rows.{kind}", rows() if written is None else written)
        content = {
            "name": "big",
            "cluster": "sentiment",
            "source": {"files": {"train": f"rows.{kind}"}},
            "splits": {"train": "train"},
            "columns": {"text": "string", "label": label},
            "answer": {"field": "label", "options": ["no", "yes"]},
            "metrics": ["accuracy"],
            "templates": [{"input": "{{text}}\n{{options}}"}],
            **spec,
        }
        (tmp_path / "big.yaml").write_text(json.dumps(content), encoding="utf-8")
        return openflan.Tasks([tmp_path])["big"]

    return make


SPLITS = {
    "all of it": {"train": "train"},
    "a slice": {"train": "train[100:2900]"},
    "all but the end": {"train": "train[:-200]", "validation": "train[-200:]"},
}


@pytest.mark.parametrize("splits", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_a_page_is_what_reading_from_the_start_has_there(task_of, kind, splits):
    task = task_of(kind, splits=splits)
    for split in splits:
        every = task.source_rows(split)
        paged = task.paged(split)
        for start in (len(every) - 5, 0, len(every) // 2, 511, 3):  # the last first: nothing is remembered yet
            page = paged.page(start, 7)
            assert list(page.rows) == every[start : start + 7]
            assert page.more == (start + 7 < len(every))
        assert paged.count() == len(every)
        assert paged.page(len(every), 7).rows == ()


def test_rows_that_lie_in_no_order_are_found(task_of):
    task = task_of("jsonl")
    file = by_place.FileRows(task, task.path.with_name("rows.jsonl"))
    every = [row.fields for row in task.source_rows()]
    places = [2_999, 0, 1_500, 512, 511, 7]
    assert list(file.take(places)) == [every[place] for place in places]
    assert len(list(file.take([0, 1, 5_000]))) == 2
    assert len(file) == ROWS


def test_rows_that_cleaning_drops_have_no_number(task_of):
    blank = {0, 5, *range(600, 1_300)}
    task = task_of(written=rows(blank=blank), label="int?")
    every = task.source_rows()
    paged = task.paged()
    assert len(every) == ROWS - len(blank)
    for start in (2_000, 0, 590, 1_200):
        assert list(paged.page(start, 20).rows) == every[start : start + 20]
    assert paged.row(0).index == 1
    assert paged.count() == len(every)


def test_a_file_that_is_written_again_is_read_again(task_of):
    task = task_of()
    paged = task.paged()
    assert paged.count() == ROWS
    write(task.path.with_name("rows.jsonl"), rows(40))
    assert (paged.page(30, 50).total, len(paged.page(30, 50).rows)) == (40, 10)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_line_that_can_t_be_read_is_named_as_elsewhere(task_of, kind):
    task = task_of(kind)
    path = task.path.with_name(f"rows.{kind}")
    with path.open("a", encoding="utf-8") as file:
        file.write('{"text": \n' if kind == "jsonl" else "one,two,three\n")
    with pytest.raises(openflan.UserError) as read:
        task.source_rows()
    with pytest.raises(openflan.UserError) as paged:
        task.paged().page(ROWS - 3, 20)
    assert str(paged.value) == str(read.value)
    assert task.paged().page(10, 3).rows[0].index == 10


def test_a_row_that_there_is_not_is_told(task_of):
    with pytest.raises(openflan.UserError, match="train has 3,000 rows"):
        task_of().paged().row(3_000)


def test_show_finds_a_far_row(task_of):
    assert task_of().show(2_998).row.index == 2_998


def test_looking_at_a_large_file_holds_only_the_page(task_of):
    task = task_of(written=rows(60_000))
    tracemalloc.start()
    paged = task.paged()
    assert paged.page(59_990, 50).rows[-1].index == 59_999
    assert paged.count() == 60_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 << 20
    assert task.path.with_name("rows.jsonl").stat().st_size > 5 << 20
