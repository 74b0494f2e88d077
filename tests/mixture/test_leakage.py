"""The leak certificate finds what stands in both, and nothing else; and what it drops is gone."""

import json

import pytest

from little_entries import little_entry as entry
from openflan.errors import UserError
from openflan.mixture.certificate import LeakEdge, read_certificate, write_certificate
from openflan.mixture.leakage import check_leakage
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.sources import SourceRow, load_rows

LONG = "the ferry to the northern islands was two hours late because one of its engines had failed in the storm"
OTHER = "nobody in the village had ever seen so many geese on the frozen lake behind the old mill and the church"


def rows(*texts, note=""):
    return [
        SourceRow(index=10 + place, fields={"text": text, "note": note, "label": place % 2})
        for place, text in enumerate(texts)
    ]


def check(train, held_out, *, mode="rows", **held_change):
    return check_leakage([(entry("train"), train)], [(entry("held", **held_change), held_out)], mode=mode)


def items(certificate):
    counts = certificate.items["held"]
    return {"total": counts.total, **counts.hits.model_dump(exclude={"near"}), "dirty": counts.dirty}


@pytest.mark.parametrize(
    ("train", "exact", "ngram"),
    [
        (LONG, 1, 1),
        (LONG.upper().replace(" ", ", "), 1, 1),
        (f"They say that {LONG}. So it goes.", 0, 1),
        (" ".join(LONG.split()[:13]), 0, 1),
        (" ".join(LONG.split()[:12]), 0, 0),
        (" ".join(reversed(LONG.split())), 0, 0),
        (OTHER, 0, 0),
    ],
)
def test_a_shared_13_gram_is_a_leak_whatever_case_and_punctuation(train, exact, ngram):
    assert items(check(rows(train), rows(LONG))) == {"total": 1, "exact": exact, "ngram": ngram, "dirty": 0}


@pytest.mark.parametrize(
    ("held_out", "train", "ngram"),
    [
        ("a warm and funny little film", "A warm, and funny little film!", 1),
        ("a warm and funny little film", "it is a warm and funny little film about geese", 0),
        ("so good", "so good, so very good", 0),
        ("größe über alles im land", "Größe über alles im Land.", 1),
        ("", "", 0),
    ],
)
def test_a_short_text_counts_where_it_is_the_same_as_a_whole(held_out, train, ngram):
    assert items(check(rows(train), rows(held_out)))["ngram"] == ngram


def test_short_side_fields_and_labels_are_anybodys():
    question = "what did the man do next"
    assert items(check(rows(OTHER, note=question), rows(LONG, note=question)))["ngram"] == 0
    assert items(check(rows(LONG), rows(OTHER, note=LONG)))["ngram"] == 1


def test_wording_of_templates_never_counts():
    template = {"input": f"{LONG}: {{{{text}}}}"}
    assert items(check(rows(LONG), rows(OTHER), templates=[template]))["ngram"] == 0


def test_lists_and_mappings_are_looked_into():
    columns = {"text": ["string"], "note": {"en": "string"}, "label": "int"}
    held_out = [SourceRow(index=3, fields={"text": [OTHER, LONG], "note": {"en": "x"}, "label": 0})]
    assert items(check(rows(LONG), held_out, columns=columns))["exact"] == 1


def test_every_overlapping_row_is_dropped_and_a_second_check_is_clean():
    train = rows(LONG, OTHER, f"{LONG} again", "something else entirely and harmless")
    certificate = check(train, rows(LONG, LONG, "never seen before in any training text at all"))
    assert certificate.rows_dropped == {"train": {10, 12}}
    assert certificate.edges == (LeakEdge(task="train", held_out="held", items=2, rows=2),)
    assert certificate.clean
    assert "2 of 3 held-out items shared a text with training rows; 2 training rows were dropped" in certificate.verdict
    left = [row for row in train if row.index not in certificate.rows_dropped["train"]]
    assert items(check(left, rows(LONG)))["ngram"] == 0


def test_strict_drops_the_task_and_warn_drops_nothing_but_flags_the_items():
    assert check(rows(LONG), rows(LONG), mode="strict").tasks_dropped == {"train"}
    warned = check(rows(LONG), rows(OTHER, LONG), mode="warn")
    assert (warned.rows_dropped, warned.tasks_dropped, warned.dirty) == ({}, frozenset(), {"held": (11,)})
    assert not warned.clean
    assert warned.verdict.startswith("Leaking: 1 of 2")


def test_the_certificate_is_bound_to_its_mixture_and_to_its_content(tmp_path):
    certificate = check(rows(LONG), rows(LONG))
    write_certificate(tmp_path, certificate, key="abc")
    assert read_certificate(tmp_path, key="abc") == certificate
    with pytest.raises(UserError, match="the leak certificate of another mixture"):
        read_certificate(tmp_path, key="xyz")
    record = json.loads((tmp_path / "leakage.json").read_text(encoding="utf-8"))
    record["items"]["held"]["hits"]["ngram"] = 0
    (tmp_path / "leakage.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(UserError, match="was changed after it was made"):
        read_certificate(tmp_path)
    (tmp_path / "leakage.json").unlink()
    with pytest.raises(UserError, match="no leak certificate"):
        read_certificate(tmp_path)


def test_the_winograd_schemas_in_wnli_are_found_and_dropped(shared):
    """FLAN's coreference hold-out keeps WNLI: 270 of WSC273's 273 passages stand in its training rows."""
    catalog = open_catalog(collections=["catalog"]).entries
    wnli, wsc273 = catalog["wnli"], catalog["wsc273"]
    everything = wnli.spec.model_copy(update={"splits": {"train": "train"}})
    wnli = Entry(spec=everything, path=wnli.path, collection="catalog")
    train = load_rows(wnli, "train", data=shared / "data")
    held_out = load_rows(wsc273, "test", data=shared / "data")
    certificate = check_leakage([(wnli, train)], [(wsc273, held_out)], mode="rows")
    counts = certificate.items["wsc273"]
    assert (counts.total, counts.hits.exact, counts.hits.ngram, counts.dirty) == (273, 270, 271, 0)
    left = [row for row in train if row.index not in certificate.rows_dropped["wnli"]]
    assert 0 < len(left) < len(train)
    again = check_leakage([(wnli, left)], [(wsc273, held_out)], mode="warn")
    assert again.items["wsc273"].hits.ngram == 0
