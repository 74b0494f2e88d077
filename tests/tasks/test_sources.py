"""Rows come out as they went in, and what is wrong with a file is said with file and line."""

import gzip
import json
import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openflan.errors import UserError
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.local import TWINS, find_data
from openflan.tasks.sources import load_rows, origin, source_bytes, source_fingerprint
from openflan.tasks.spec import TaskSpec

ROWS = [{"text": f"row {number}, é\u2028", "label": number % 2} for number in range(10)]


def json_lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def entry(folder, *, source=None, split="train", fields=("text", "label"), **more):
    spec = {
        "name": "mine",
        "cluster": "sentiment",
        "source": source or {"files": {"train": "rows.jsonl"}},
        "splits": {"train": split},
        "fields": () if "columns" in more else fields,
        "answer": {"field": "label", "options": ["bad", "good"]},
        "metrics": ["accuracy"],
        "templates": [{"input": "{{text}}"}],
        **more,
    }
    return Entry(spec=TaskSpec.model_validate_json(json.dumps(spec)), path=folder / "mine.yaml", collection="mine")


def files(name):
    return {"files": {"train": name}}


@pytest.mark.parametrize(
    "cut",
    [
        "",
        "[:]",
        "[:3]",
        "[3:]",
        "[2:5]",
        "[-3:]",
        "[:-3]",
        "[-5:-2]",
        "[2:-2]",
        "[-4:9]",
        "[:100]",
        "[-100:2]",
        "[0:1]",
        "[-1:]",
    ],
)
def test_a_slice_means_what_it_means_in_python(tmp_path, cut):
    (tmp_path / "rows.jsonl").write_text(json_lines(ROWS), encoding="utf-8")
    rows = load_rows(entry(tmp_path, split=f"train{cut}"), "train")
    numbered = list(enumerate(ROWS))
    assert [(row.index, row.fields) for row in rows] == (eval(f"numbered{cut}") if cut else numbered)


@pytest.mark.parametrize("cut", ["[5:5]", "[100:]", "[:0]", "[-2:3]", "[:-10]"])
def test_an_empty_slice_is_an_error(tmp_path, cut):
    (tmp_path / "rows.jsonl").write_text(json_lines(ROWS), encoding="utf-8")
    with pytest.raises(UserError, match="no rows left in mine") as caught:
        load_rows(entry(tmp_path, split=f"train{cut}"), "train")
    assert cut in str(caught.value)


@pytest.mark.parametrize("split", ["train[3]", "train[1:2:3]", "train[a:]", "train[", "../train", "a b", ""])
def test_a_split_that_is_no_slice_is_named(tmp_path, split):
    with pytest.raises(ValueError, match=r"splits.train"):
        entry(tmp_path, split=split)


def test_every_kind_of_file_gives_the_same_rows(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json_lines(ROWS), encoding="utf-8")
    with gzip.open(tmp_path / "rows.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json_lines(ROWS))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet", row_group_size=3)
    plain = load_rows(entry(tmp_path), "train")
    assert [row.fields for row in plain] == ROWS
    for name in ("rows.jsonl.gz", "rows.parquet"):
        assert load_rows(entry(tmp_path, source=files(name)), "train") == plain


def test_a_packed_file_counts_as_large_as_what_it_holds(tmp_path):
    lines = b'{"text": "a", "label": 1}\n' * 999
    (tmp_path / "plain.jsonl").write_bytes(lines)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(lines, mtime=0))
    (tmp_path / "empty.jsonl.gz").write_bytes(b"")
    names = ("plain.jsonl", "packed.jsonl.gz", "empty.jsonl.gz", "none.jsonl.gz")
    sizes = [
        source_bytes(entry(tmp_path, source={"files": {"train": str(tmp_path / name)}}), "train") for name in names
    ]
    assert sizes == [len(lines), len(lines), 0, 0]


def test_csv_cells_are_texts_quoted_or_not(tmp_path):
    (tmp_path / "rows.csv").write_text('text,label\n"a, ""b""\nc",1\nd é,0\n', encoding="utf-8")
    rows = load_rows(entry(tmp_path, source=files("rows.csv")), "train")
    assert [row.fields for row in rows] == [{"text": 'a, "b"\nc', "label": "1"}, {"text": "d é", "label": "0"}]


def test_a_byte_order_mark_is_no_part_of_the_first_field(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\na,1\n", encoding="utf-8-sig")
    assert load_rows(entry(tmp_path, source=files("rows.csv")), "train")[0].fields == {"text": "a", "label": "1"}
    (tmp_path / "rows.jsonl").write_text(json_lines(ROWS), encoding="utf-8-sig")
    assert load_rows(entry(tmp_path), "train")[0].fields == ROWS[0]


def test_a_cell_may_be_of_any_length(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\nshort,1\n" + "a" * 300_000 + ",1\n", encoding="utf-8")
    (short, long) = load_rows(entry(tmp_path, source=files("rows.csv")), "train")
    assert (short.fields["text"], len(long.fields["text"])) == ("short", 300_000)


def test_blank_lines_are_passed_over(tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n" + json_lines(ROWS).replace("\n", "\n\n") + "  \n", encoding="utf-8")
    assert [row.fields for row in load_rows(entry(tmp_path), "train")] == ROWS


@pytest.mark.parametrize(
    ("line", "says"),
    [('{"text": "a", ', "malformed JSON"), ("text", "malformed JSON"), ("[1, 2]", "not a JSON object")],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_a_bad_line_is_named_by_file_and_number(tmp_path, line, says, name):
    text = json_lines(ROWS[:4]) + line + "\n" + json_lines(ROWS[4:])
    opener = gzip.open if name.endswith(".gz") else open
    with opener(tmp_path / name, "wt", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(UserError, match=says) as caught:
        load_rows(entry(tmp_path, source=files(name)), "train")
    assert caught.value.where == f"{tmp_path / name}, line 5"


def test_bytes_that_are_not_utf8_are_named_by_file(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(json_lines(ROWS).encode("latin-1", "replace"))
    with pytest.raises(UserError, match="not UTF-8") as caught:
        load_rows(entry(tmp_path), "train")
    assert str(tmp_path / "rows.jsonl") in str(caught.value.where)
    (tmp_path / "rows.csv").write_bytes("text,label\né,1\n".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        load_rows(entry(tmp_path, source=files("rows.csv")), "train")


@pytest.mark.parametrize(
    "content", [b"no gzip at all", gzip.compress(b'{"text": "a", "label": 1}\n' * 99, mtime=0)[:-20]]
)
def test_a_damaged_gzip_file_is_named(tmp_path, content):
    (tmp_path / "rows.jsonl.gz").write_bytes(content)
    with pytest.raises(UserError, match="damaged gzip") as caught:
        load_rows(entry(tmp_path, source=files("rows.jsonl.gz")), "train")
    assert caught.value.where == str(tmp_path / "rows.jsonl.gz")


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"text,label\na,1\n")
    with pytest.raises(UserError, match="parquet") as caught:
        load_rows(entry(tmp_path, source=files("rows.parquet")), "train")
    assert caught.value.where == str(tmp_path / "rows.parquet")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_an_empty_file_is_an_error(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match="no rows left in mine") as caught:
        load_rows(entry(tmp_path, source=files(name)), "train")
    assert caught.value.where == str(tmp_path / name)


@pytest.mark.parametrize("name", ["none.jsonl", "."])
def test_a_missing_file_is_named_with_the_key_to_mend(tmp_path, name):
    with pytest.raises(UserError, match=r"no such file.*source\.files\.train"):
        load_rows(entry(tmp_path, source=files(name)), "train")


def test_an_unknown_kind_of_file_is_told_what_is_known(tmp_path):
    (tmp_path / "rows.xls").touch()
    with pytest.raises(UserError, match=r"use \.jsonl, \.ndjson, \.json, \.csv, \.tsv, \.parquet, \.arrow"):
        load_rows(entry(tmp_path, source=files("rows.xls")), "train")


def test_a_missing_field_is_named_with_its_row_and_its_likely_spelling(tmp_path):
    rows = [*ROWS[:3], {"txt": "a", "label": 1}]
    (tmp_path / "rows.jsonl").write_text(json_lines(rows), encoding="utf-8")
    with pytest.raises(UserError, match=r"field 'text' of task 'mine' is missing; did you mean 'txt'") as caught:
        load_rows(entry(tmp_path), "train")
    assert caught.value.where == f"{tmp_path / 'rows.jsonl'}, row 4"


def test_a_null_field_is_missing(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json_lines([*ROWS[:2], {"text": None, "label": 1}]), encoding="utf-8")
    with pytest.raises(UserError, match="field 'text' of task 'mine' is missing"):
        load_rows(entry(tmp_path), "train")


def test_false_zero_and_the_empty_text_are_values(tmp_path):
    rows = [{"text": "", "label": 0}, {"text": "a", "label": False}]
    (tmp_path / "rows.jsonl").write_text(json_lines(rows), encoding="utf-8")
    assert [row.fields for row in load_rows(entry(tmp_path), "train")] == rows


def test_a_kept_row_remembers_its_place_in_the_source(tmp_path):
    rows = [{"text": "a", "label": -1 if number % 3 == 0 else 1} for number in range(9)]
    (tmp_path / "rows.jsonl").write_text(json_lines(rows), encoding="utf-8")
    kept = load_rows(entry(tmp_path, split="train[2:]", rows=["drop_unlabelled"]), "train")
    assert [row.index for row in kept] == [2, 4, 5, 7, 8]
    assert [row.index for row in load_rows(entry(tmp_path, rows=["drop_unlabelled"]), "train", limit=3)] == [1, 2, 4]


def test_dropping_every_row_is_an_error(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json_lines([{"text": "a", "label": -1}] * 3), encoding="utf-8")
    with pytest.raises(UserError, match=r"no rows left.*cleaning steps"):
        load_rows(entry(tmp_path, rows=["drop_unlabelled"]), "train")


def test_an_unknown_cleaning_step_is_named_with_the_nearest(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json_lines(ROWS), encoding="utf-8")
    with pytest.raises(UserError, match="no cleaning step 'drop_unlabeled'; did you mean 'drop_unlabelled'"):
        load_rows(entry(tmp_path, rows=["drop_unlabeled"]), "train")


def test_a_role_without_a_split_is_named(tmp_path):
    with pytest.raises(UserError, match=r"task 'mine' has no test split.*add splits\.test"):
        load_rows(entry(tmp_path), "test")


HUB = {"hub": "owner/mine"}


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl.gz"])
def test_a_data_folder_stands_in_for_the_hub(tmp_path, name):
    (tmp_path / "data" / "mine").mkdir(parents=True)
    opener = gzip.open if name.endswith(".gz") else open
    with opener(tmp_path / "data" / "mine" / name, "wt", encoding="utf-8") as file:
        file.write(json_lines(ROWS))
    rows = load_rows(entry(tmp_path, source=HUB, split="train[1:3]"), "train", data=tmp_path / "data")
    assert [row.index for row in rows] == [1, 2]


def test_a_data_folder_may_name_the_file_after_the_role(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "test.jsonl").write_text(json_lines(ROWS), encoding="utf-8")
    there = entry(tmp_path, source=HUB, splits={"test": "validation_matched[:2]"}, evaluation_only=True)
    assert len(load_rows(there, "test", data=tmp_path)) == 2


def test_a_task_whose_folder_lacks_a_split_is_named(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"no file of split 'train' for task 'mine'; put train\.jsonl") as caught:
        load_rows(entry(tmp_path, source=HUB), "train", data=tmp_path)
    assert caught.value.where == str(tmp_path / "mine")


def test_a_task_that_the_data_folder_lacks_comes_from_the_hub_or_its_twin(tmp_path):
    mine = entry(tmp_path, source=HUB)
    there = tmp_path / "rows"
    there.mkdir()
    with pytest.raises(
        UserError,
        match=r"hub can't be reached; put its files into .*rows.mine, or fetch it once without HF_HUB_OFFLINE",
    ):
        load_rows(mine, "train", data=find_data(str(there)))
    (tmp_path / "mine.twin.jsonl").write_text(json_lines(ROWS), encoding="utf-8")
    data = find_data(f"{there}{os.pathsep}twins")
    assert len(load_rows(mine, "train", data=data)) == 6
    assert origin(mine, "train", data=data) == "twin"
    (there / "mine").mkdir()
    (there / "mine" / "train.jsonl").write_text(json_lines(ROWS), encoding="utf-8")
    assert len(load_rows(mine, "train", data=data)) == len(ROWS)
    assert origin(mine, "train", data=data) == "folder of data"
    assert origin(mine, "train") == "hub, owner/mine at main"


def test_several_folders_are_looked_through_in_their_order(tmp_path):
    for number, name in enumerate(("first", "second")):
        folder = tmp_path / name / ("other" if number == 0 else "mine")
        folder.mkdir(parents=True)
        (folder / "train.jsonl").write_text(json_lines(ROWS[: number + 1]), encoding="utf-8")
    data = find_data(os.pathsep.join(["first", "second"]), lambda name: tmp_path / name)
    mine = entry(tmp_path, source=HUB)
    assert len(load_rows(mine, "train", data=data)) == 2
    shared = entry(tmp_path, source=HUB, dataset="other", name="another")
    assert len(load_rows(shared, "train", data=data)) == 1  # its own name is nowhere, its dataset's is


def test_a_folder_may_mix_kinds_of_files_but_not_for_one_split(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.jsonl").write_text(json_lines(ROWS), encoding="utf-8")
    (folder / "test.csv").write_text("text,label\na,1\n", encoding="utf-8")
    mine = entry(tmp_path, source=HUB, splits={"train": "train", "test": "test"})
    assert (len(load_rows(mine, "train", data=tmp_path)), len(load_rows(mine, "test", data=tmp_path))) == (10, 1)
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "train.parquet")
    with pytest.raises(UserError, match=r"two files of split 'train': train.jsonl and train.parquet"):
        load_rows(mine, "train", data=tmp_path)


def test_a_recipe_beside_task_files_is_no_task(my_tasks, tmp_path):
    shutil.copytree(my_tasks, tmp_path / "tasks")
    beside = {
        "recipe.yaml": "name: mine\nmodel: {path: starter}\ntasks:\n  use: [mine]\n  folders: [.]\n",
        "compose.yaml": "services:\n  db: {image: x}\n---\nsecond: document\n",
        ".hidden/task.yaml": "name: task\ncluster: nothing\n",
    }
    for name, text in beside.items():
        (tmp_path / "tasks" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "tasks" / name).write_text(text, encoding="utf-8")
    assert open_catalog([tmp_path / "tasks"], collections=()).entries.keys() == (
        open_catalog([my_tasks], collections=()).entries.keys()
    )
    (tmp_path / "tasks" / "half.yaml").write_text("name: half\nmetrics: [accuracy]\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"half\.yaml"):
        open_catalog([tmp_path / "tasks"], collections=())


def test_local_files_do_not_move_to_the_data_folder(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json_lines(ROWS), encoding="utf-8")
    assert len(load_rows(entry(tmp_path), "train", data=tmp_path / "data")) == len(ROWS)


def test_a_dataset_that_cannot_be_fetched_is_told_without_a_traceback(tmp_path):
    with pytest.raises(UserError, match=r"dataset owner/mine, train is not in the cache.*local files with --data"):
        load_rows(entry(tmp_path, source=HUB), "train")


def test_an_unknown_generator_of_the_starter_world_is_named(tmp_path):
    with pytest.raises(UserError, match="the starter world has no rows 'nothing_like_it'"):
        load_rows(entry(tmp_path, source={"starter": "nothing_like_it"}), "train")


def test_a_changed_file_changes_the_fingerprint_and_a_moved_one_does_not(tmp_path):
    prints = []
    for place, rows in (("a", ROWS), ("b", ROWS), ("c", ROWS[:-1])):
        (tmp_path / place).mkdir()
        (tmp_path / place / "rows.jsonl").write_text(json_lines(rows), encoding="utf-8")
        prints.append(source_fingerprint(entry(tmp_path / place), "train"))
    assert prints[0] == prints[1] != prints[2]


def test_a_users_folder_of_tasks_loads_whole(my_tasks):
    entries = open_catalog([my_tasks], collections=()).entries
    assert {e.spec.cluster for e in entries.values()} == {
        "sentiment",
        "closed_book_qa",
        "struct_to_text",
        "natural_language_inference",
        "paraphrase",
    }
    for one in entries.values():
        assert (len(load_rows(one, "train")), len(load_rows(one, "test"))) == (40, 12)


@pytest.mark.parametrize("name", ["rte", "cb", "squad_v1", "ag_news_subset", "hellaswag"])
def test_real_rows_keep_their_places(shared, name):
    there = open_catalog(collections=["catalog"]).entries[name]
    rows = load_rows(there, "train", data=shared / "data", limit=50)
    indices = [row.index for row in rows]
    assert len(rows) == 50
    assert indices == sorted(set(indices))
    assert all(set(there.spec.fields) <= set(row.fields) for row in rows)


def test_training_and_validation_cut_from_one_split_never_meet(tmp_path):
    splits = {"train": "all[:30000]", "validation": "all[-200:]"}
    for count, validation in ((1000, 200), (399, 39), (12, 1)):
        rows = [{"text": str(number), "label": 0} for number in range(count)]
        (tmp_path / "rows.jsonl").write_text(json_lines(rows), encoding="utf-8")
        mine = entry(tmp_path, source={"files": {"all": "rows.jsonl"}}, splits=splits)
        train, kept = ([row.index for row in load_rows(mine, role)] for role in ("train", "validation"))
        assert len(kept) == validation
        assert sorted(train + kept) == list(range(count))


def test_a_shuffle_before_slicing_is_fixed_and_keeps_places(tmp_path):
    rows = [{"text": str(number), "label": number // 50} for number in range(100)]
    (tmp_path / "rows.jsonl").write_text(json_lines(rows), encoding="utf-8")
    source = {"files": {"all": "rows.jsonl"}, "shuffle": 0}
    mine = entry(tmp_path, source=source, splits={"train": "all[:-20]", "test": "all[-20:]"})
    train, test = load_rows(mine, "train"), load_rows(mine, "test")
    assert {row.index for row in train} | {row.index for row in test} == set(range(100))
    assert {row.fields["label"] for row in test} == {0, 1}
    assert all(row.fields["text"] == str(row.index) for row in train + test)
    assert load_rows(mine, "test") == test


def test_saved_datasets_and_arrow_files_are_rows_too(tmp_path):
    from datasets import Dataset

    Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "data" / "mine" / "train"))
    assert [r.fields for r in load_rows(entry(tmp_path, source=HUB), "train", data=tmp_path / "data")] == ROWS
    (arrow,) = (tmp_path / "data" / "mine" / "train").glob("*.arrow")
    mine = entry(tmp_path, source={"files": {"train": str(arrow)}})
    assert [row.fields for row in load_rows(mine, "train")] == ROWS
    arrow.write_bytes(b"no arrow at all")
    with pytest.raises(UserError, match="damaged Arrow file"):
        load_rows(mine, "train")


CONTRACT = {"text": "string", "label": {"classes": ["bad", "good"]}}


@pytest.mark.parametrize(
    ("columns", "row", "says"),
    [
        (
            CONTRACT,
            {"text": "a", "label": 2},
            r"column 'label' should hold a class number 0 to 1 \(bad, good\), holds 2",
        ),
        (CONTRACT, {"text": "a", "label": "good"}, "'label' should hold a class number"),
        (CONTRACT, {"text": "a", "label": True}, "'label' should hold a class number"),
        (CONTRACT, {"text": 3, "label": 1}, "column 'text' should hold string, holds 3"),
        (CONTRACT, {"text": None, "label": 1}, "column 'text' should hold string, holds None"),
        (CONTRACT, {"txt": "a", "label": 1}, "did you mean 'txt'"),
        ({"label": {"values": ["1", "2"]}}, {"text": "a", "label": 1}, "should hold one of '1', '2', holds 1"),
        ({"text": ["string"]}, {"text": ["a", 2], "label": 1}, r"column 'text\[1\]' should hold string, holds 2"),
        ({"text": {"en": "string"}}, {"text": {"de": "a"}, "label": 1}, "column 'text.en' is missing; there is de"),
        ({"text": {"en": "string"}}, {"text": "a", "label": 1}, "column 'text' should hold a mapping"),
        ({"label": "float"}, {"text": "a", "label": "0.5"}, "column 'label' should hold float"),
    ],
)
def test_a_row_that_breaks_the_contract_is_refused_with_column_and_remedy(tmp_path, columns, row, says):
    (tmp_path / "rows.jsonl").write_text(json_lines([row]), encoding="utf-8")
    with pytest.raises(UserError, match=says):
        load_rows(entry(tmp_path, columns=columns), "train")


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("text", "types are"),
        ([], "names one type"),
        ({}, "write a type"),
        ({"classes": "ab"}, "must be a list"),
        (3, "wri"),
    ],
)
def test_a_contract_that_says_nothing_is_refused(tmp_path, column, says):
    with pytest.raises(ValueError, match=says):
        entry(tmp_path, columns={"text": column})


def test_unlabelled_rows_and_optional_columns_keep_the_contract(tmp_path):
    rows = [{"text": "a", "label": -1, "why": None}, {"text": "b", "label": 1}, {"text": "c", "label": 0, "why": "so"}]
    (tmp_path / "rows.jsonl").write_text(json_lines(rows), encoding="utf-8")
    mine = entry(tmp_path, columns={**CONTRACT, "why": "string?"}, rows=["drop_unlabelled"])
    assert [row.index for row in load_rows(mine, "train")] == [1, 2]


def test_csv_cells_take_the_type_of_their_column(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label,score,key\na,1,0.5,7\n", encoding="utf-8")
    columns = {**CONTRACT, "score": "float", "key": {"values": [7, "x"]}}
    (row,) = load_rows(entry(tmp_path, source=files("rows.csv"), columns=columns), "train")
    assert row.fields == {"text": "a", "label": 1, "score": 0.5, "key": 7}
    (tmp_path / "rows.csv").write_text("text,label,score,key\na,good,0.5,7\n", encoding="utf-8")
    with pytest.raises(UserError, match="column 'label' should hold a class number"):
        load_rows(entry(tmp_path, source=files("rows.csv"), columns=columns), "train")


def test_the_environment_names_a_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENFLAN_DATA", str(tmp_path))
    assert find_data(None) == tmp_path
    assert find_data("twins") == TWINS
    monkeypatch.setenv("OPENFLAN_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"OPENFLAN_DATA: .*no such folder of data"):
        find_data(None)
