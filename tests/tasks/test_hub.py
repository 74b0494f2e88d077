"""Hub datasets, from a folder of the hub's own layout: README with configurations, parquet files."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openflan.errors import UserError
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.sources import load_rows
from openflan.tasks.spec import Source, TaskSpec

README = """---
configs:
- config_name: rte
  data_files:
  - split: train
    path: rte/train.parquet
  - split: validation
    path: rte/validation.parquet
- config_name: cb
  data_files:
  - split: train
    path: cb/train.parquet
---
"""


def pairs(text, count):
    return pa.table(
        {
            "premise": [f"{text} premise {n}" for n in range(count)],
            "hypothesis": [f"{text} hypothesis {n}" for n in range(count)],
            "label": pa.array([n % 2 for n in range(count)], pa.int64()),
            "idx": list(range(count)),
        }
    )


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A working folder in which `aps/super_glue` is a dataset of the hub's layout."""
    import datasets

    folder = tmp_path / "aps" / "super_glue"
    for config, split, count in (("rte", "train", 205), ("rte", "validation", 6), ("cb", "train", 3)):
        (folder / config).mkdir(parents=True, exist_ok=True)
        pq.write_table(pairs(f"{config} {split}", count), folder / config / f"{split}.parquet")
    (folder / "README.md").write_text(README, encoding="utf-8")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_catalog_task_reads_its_config_and_the_official_slices(hub):
    rte = open_catalog(collections=["catalog"]).entries["rte"]
    assert rte.spec.source.hub == "aps/super_glue"
    train = load_rows(rte, "train")
    assert [row.index for row in train] == [0, 1, 2, 3, 4]  # the last 200 of 205 are for development
    assert train[1].fields["premise"] == "rte train premise 1"
    assert len(load_rows(rte, "test")) == 6


def test_a_dataset_that_can_not_be_had_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snli = open_catalog(collections=["catalog"]).entries["snli"]
    with pytest.raises(UserError, match="dataset stanfordnlp/snli could not be loaded") as caught:
        load_rows(snli, "train")
    assert "--data" in str(caught.value)


def relabelled(folder, names):
    """Give the label of the `rte` training file these class names."""
    from datasets import ClassLabel, Dataset, Features, Value

    text = Value("string")
    features = Features(premise=text, hypothesis=text, label=ClassLabel(names=names), idx=Value("int32"))
    rows = pairs("rte train", 205).to_pylist()
    Dataset.from_list(rows, features=features).to_parquet(str(folder / "rte" / "train.parquet"))


def test_class_names_in_the_tasks_order_are_accepted(hub):
    relabelled(hub, ["entailment", "not_entailment"])
    assert len(load_rows(open_catalog(collections=["catalog"]).entries["rte"], "train")) == 5


def test_a_relabelled_dataset_is_refused(hub):
    relabelled(hub, ["not_entailment", "entailment"])
    with pytest.raises(UserError) as caught:
        load_rows(open_catalog(collections=["catalog"]).entries["rte"], "train")
    assert "'label' has the classes not_entailment, entailment, expected entailment, not_entailment" in str(
        caught.value
    )
    assert "pin another source.revision" in str(caught.value)


def test_a_dataset_whose_columns_were_renamed_is_refused(hub):
    for split in ("train", "validation"):
        table = pairs("rte", 205).rename_columns(["sentence1", "hypothesis", "label", "idx"])
        pq.write_table(table, hub / "rte" / f"{split}.parquet")
    with pytest.raises(UserError, match="column 'premise' is missing; there is sentence1, hypothesis"):
        load_rows(open_catalog(collections=["catalog"]).entries["rte"], "train")


def test_a_dataset_that_is_a_script_is_refused_with_the_remedy(tmp_path, monkeypatch):
    folder = tmp_path / "stanfordnlp" / "snli"
    folder.mkdir(parents=True)
    (folder / "snli.py").write_text("raise SystemExit('run')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="refs/convert/parquet") as caught:
        load_rows(open_catalog(collections=["catalog"]).entries["snli"], "train")
    assert "no longer supported" in str(caught.value)


def test_an_id_without_an_owner_is_refused():
    with pytest.raises(ValueError, match="has no owner"):
        Source(hub="rte")


def test_a_huge_dataset_is_read_only_as_far_as_it_is_used(tmp_path, monkeypatch):
    folder = tmp_path / "owner" / "huge"
    folder.mkdir(parents=True)
    for part in range(3):
        rows = [{"text": f"{part} {number}", "label": 1} for number in range(100)]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"train-0000{part}-of-00003.parquet")
    (folder / "train-00002-of-00003.parquet").write_bytes(b"never to be read")
    monkeypatch.chdir(tmp_path)
    spec = {
        "name": "mine",
        "cluster": "sentiment",
        "source": {"hub": "owner/huge", "stream": True},
        "splits": {"train": "train[:150]"},
        "columns": {"text": "string", "label": "int"},
        "answer": {"field": "label", "options": ["bad", "good"]},
        "metrics": ["accuracy"],
        "templates": [{"input": "{{text}}"}],
    }
    entry = Entry(spec=TaskSpec.model_validate_json(json.dumps(spec)), path=tmp_path / "mine.yaml", collection="mine")
    rows = load_rows(entry, "train")
    assert len(rows) == 150
    assert (rows[149].index, rows[149].fields["text"]) == (149, "1 49")
