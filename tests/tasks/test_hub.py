"""Hub datasets, from a folder of the hub's own layout: README with configurations, parquet files."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openflan.errors import UserError
from openflan.tasks.catalog import open_catalog
from openflan.tasks.sources import load_rows

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
