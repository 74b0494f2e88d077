import bz2
import datetime
import gzip
import json
import lzma
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from openflan.errors import UserError
from openflan.tasks.cells import parse_nested
from openflan.tasks.delimited import form_of
from openflan.tasks.readers import read_rows

ROWS = [{"text": f"the niño ate {n} crêpes – good, really", "label": "ja" if n % 2 else "nein"} for n in range(12)]


def rows_of(path, **options):
    return list(read_rows(path, {}, **options))


def as_csv(rows, separator=","):
    head = separator.join(rows[0])
    return "\n".join([head, *(separator.join(f'"{cell}"' for cell in row.values()) for row in rows)]) + "\n"


def refused(path, **options):
    with pytest.raises(UserError) as caught:
        rows_of(path, **options)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_a_files_mark_says_is_read(tmp_path, encoding, end):
    path = tmp_path / "rows.csv"
    path.write_bytes(as_csv(ROWS).replace("\n", end).encode(encoding))
    assert rows_of(path) == ROWS


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.json"])
def test_another_encoding_is_named_with_its_line_and_read_when_it_is_said(tmp_path, encoding, name):
    rows = [{"text": row["text"].replace("–", "-"), "label": row["label"]} for row in ROWS]
    text = {
        "rows.csv": as_csv(rows),
        "rows.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        "rows.json": json.dumps(rows, ensure_ascii=False),
    }[name]
    (tmp_path / name).write_bytes(text.encode(encoding))
    message = refused(tmp_path / name)
    assert "not UTF-8; perhaps" in message
    assert "niño" in message
    assert f"line {2 if name == 'rows.csv' else 1}" in message
    assert rows_of(tmp_path / name, encoding=encoding) == rows


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_the_separator_is_found_and_said(tmp_path, separator, name):
    path = tmp_path / "rows.csv"
    path.write_text(as_csv(ROWS, separator), encoding="utf-8")
    assert rows_of(path) == ROWS
    assert str(form_of(path)) == f"separated by {name}, UTF-8"


def test_two_separators_that_fit_are_both_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a;b,c\n" + "1;2,3\n" * 5, encoding="utf-8")
    assert "separated by commas and by semicolons" in refused(path)
    assert rows_of(path, separator=";")[0] == {"a": "1", "b,c": "2,3"}


def test_cells_in_single_marks_are_read_without_them(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("'text','label'\n'good, really','ja'\n'it is','nein'\n", encoding="utf-8")
    assert rows_of(path)[0] == {"text": "good, really", "label": "ja"}


def test_a_quoted_cell_holds_line_ends_and_any_number_of_characters(tmp_path):
    path = tmp_path / "rows.csv"
    long = "word, " * 50_000
    path.write_text(f'text,label\n"one\ntwo\r\nthree",a\n"{long}",b\n', encoding="utf-8", newline="")
    assert [row["text"] for row in rows_of(path)] == ["one\ntwo\r\nthree", long]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("text,label\nfine,a\nbread, butter,b\n", "line 3: holds 3 cells where the first line names 2"),
        ("text,label\nfine,a\nbread\n", "line 3: holds 1 cell where the first line names 2"),
        ('text,label\n"a\nb",x\nbread, butter,b\n', "line 4: holds 3 cells"),
        ('text,label\nfine,a\n"bread" he said,b\n', "line 3: malformed CSV"),
        ('text,label\nfine,a\n"bread,b\nmore,c\n', "line 3: malformed CSV"),
        ("text,text\na,b\n", "line 1: names the column 'text' twice"),
        ("text,,\na,b,c\n", "two columns without a name"),
        ("text,label\nfi\0ne,a\n", "line 2: holds a NUL"),
        ("text\nbread, butter\n", "line 2: holds 2 cells where the first line names 1"),
    ],
    ids=[
        "long",
        "short",
        "long after two lines",
        "marks inside",
        "open marks",
        "twice",
        "nameless",
        "nul",
        "one column",
    ],
)
def test_a_row_that_cant_be_read_as_it_stands_is_named_by_line(tmp_path, content, says):
    path = tmp_path / "rows.csv"
    path.write_text(content, encoding="utf-8", newline="")
    assert says in refused(path)


def test_utf_16_without_its_mark_is_told(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("text,label\na,b\n".encode("utf-16-le"))
    assert "UTF-16 without its mark" in refused(path)


def test_a_packed_file_gives_the_same_rows(tmp_path):
    plain = as_csv(ROWS).encode()
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "rows.csv.bz2").write_bytes(bz2.compress(plain))
    (tmp_path / "rows.csv.xz").write_bytes(lzma.compress(plain))
    with pa.CompressedOutputStream(str(tmp_path / "rows.csv.zst"), "zstd") as file:
        file.write(plain)
    for ending in (".gz", ".bz2", ".xz", ".zst"):
        assert rows_of(tmp_path / f"rows.csv{ending}") == ROWS, ending
        (tmp_path / f"bad.jsonl{ending}").write_bytes(plain)
        assert "a damaged" in refused(tmp_path / f"bad.jsonl{ending}"), ending


def test_json_is_a_list_of_objects_or_one_a_line(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps(ROWS, indent=2), encoding="utf-8")
    (tmp_path / "lines.json").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    assert rows_of(tmp_path / "list.json") == rows_of(tmp_path / "lines.json") == ROWS
    (tmp_path / "one.json").write_text('{"data": []}', encoding="utf-8")
    assert "not a list of JSON objects" in refused(tmp_path / "one.json")
    (tmp_path / "torn.json").write_text('[{"a": 1},\n {"a": }]', encoding="utf-8")
    assert "line 2: malformed JSON" in refused(tmp_path / "torn.json")


def test_dates_and_decimals_of_binary_files_are_texts_as_they_are_written(tmp_path):
    rows = [{"day": datetime.date(2024, 2, 29), "at": datetime.datetime(2024, 2, 29, 8, 5), "price": Decimal("1.50")}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    feather.write_feather(pa.Table.from_pylist(rows), tmp_path / "rows.feather")
    for name in ("rows.parquet", "rows.feather"):
        assert rows_of(tmp_path / name) == [{"day": "2024-02-29", "at": "2024-02-29 08:05:00", "price": "1.50"}]


def test_two_columns_of_one_name_are_refused_in_parquet_too(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "rows.parquet")
    assert "two columns 'text'" in refused(tmp_path / "rows.parquet")


def test_a_workbooks_first_sheet_is_read_below_its_first_row(tmp_path):
    book = openpyxl.Workbook()
    for cells in (["text", "stars", None], ["good bread", 4], [None, None], ["stale, said Ada", 1, None]):
        book.active.append(cells)
    book.save(tmp_path / "rows.xlsx")
    assert rows_of(tmp_path / "rows.xlsx") == [
        {"text": "good bread", "stars": 4},
        {"text": "stale, said Ada", "stars": 1},
    ]
    (tmp_path / "torn.xlsx").write_bytes(b"PK no workbook")
    assert "a damaged xlsx file" in refused(tmp_path / "torn.xlsx")


def test_faulty_lines_are_passed_over_where_that_is_asked_for_and_told(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\nfine,a\nbread, butter,b\nstale,b\n", encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"text": "fine"}\n{"text": \n7\n', encoding="utf-8")
    for name, lines in (("rows.csv", ["line 3"]), ("rows.jsonl", ["line 2", "line 3"])):
        faults = []
        rows = rows_of(tmp_path / name, faults=faults)
        assert [row["text"] for row in rows] == (["fine", "stale"] if name == "rows.csv" else ["fine"])
        assert [str(fault.where).rpartition(", ")[2] for fault in faults] == lines


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('["a, b", "c"]', ["a, b", "c"]),
        ("['a, b', \"c's\"]", ["a, b", "c's"]),
        ("['a' 'b']", ["a", "b"]),
        ("{'text': array(['a', 'b'], dtype=object)}", {"text": ["a", "b"]}),
        ("[header] Knitting", None),
        ("a text", None),
        ("[1, 2", None),
    ],
)
def test_a_cell_holds_a_list_or_an_object_as_programs_write_them(cell, value):
    assert parse_nested(cell) == value
