"""`tasks check` finds each fault it promises to find, and none in a sound task."""

import gzip
import json
from itertools import islice

import pytest
import yaml

from openflan.prompts.lint import check_task
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.spec import load_task

ASKS = (
    "{{text}}\n\nIs this review good or bad?\n\n{{options}}",
    "Read what a guest wrote and tell me how they liked it: {{text}}\n{{options}}",
    "{{options}}\n\nWhich word sums up the following opinion?\n{{text}}",
    "Sort the note below.\n\nNote: {{text}}\n{{options}}",
)
ROWS = [
    {"text": f"soup number {number} was {'fine' if number % 2 else 'cold'}", "label": number % 2} for number in range(9)
]


@pytest.fixture
def task(tmp_path):
    """Writes a task with rows, both changed as asked; returns its entry."""

    def write(given=ROWS, **change):
        spec = {
            "name": "mine",
            "cluster": "sentiment",
            "source": {"files": {"train": "rows.jsonl"}},
            "splits": {"train": "train"},
            "columns": {"text": "string", "label": {"classes": ["bad", "good"]}},
            "answer": {"field": "label", "options": ["bad", "good"]},
            "metrics": ["accuracy"],
            "licence": "MIT",
            "lineage": ["our_guest_book"],
            "templates": [{"input": text} for text in ASKS],
            **change,
        }
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
        return Entry(spec=load_task(tmp_path / "mine.yaml"), path=tmp_path / "mine.yaml", collection="mine")

    return write


def faults(entry, **options):
    return [fault.what for fault in check_task(entry, strict=False, **options).faults]


def test_a_sound_task_has_no_faults_and_renders_everything(task):
    checked = check_task(task(), strict=False)
    assert checked.faults == []
    assert (checked.rows, checked.prompts) == (9, 36)


@pytest.mark.parametrize(
    ("templates", "says"),
    [
        ([{"input": "{{txet}} {{options}}"}], "'txet' is no field of task 'mine'"),
        ([{"input": "{{text}} {{options"}], "not valid Jinja"),
        ([{"input": "{{ '{{' }} {{text}}"}], "markup is left over: {{"),
        ([{"input": "{{text[:0]}}"}], "the input is empty"),
        ([{"input": "{{text}}", "target": "{{text[:0]}}"}], "the target is empty"),
        ([{"input": "{{text}} {{answer}}"}], "gives the answer away"),
        ([{"input": "{{text}} {{label}}"}], "gives the answer away"),
        ([{"input": "{{text}}", "target": "so {{answer}}"}], "is not among the options"),
        ([{"input": "{{text}}\n{{options}}\n{{options}}"}], "the options stand there twice"),
        ([{"input": "{{text}}", "when": "answer == 'splendid'"}], "no template that asks for the answer fits"),
        (
            [
                {"input": "Is this a good or a bad review? {{text}}"},
                {"input": "Is that a good or a bad review? {{text}}"},
            ],
            "templates 1 and 2 are nearly the same",
        ),
        (
            [
                {"input": "{{text}}"},
                *({"input": f"{w} {{{{answer}}}}", "target": "{{text}}", "inverted": True} for w in "abcd"),
            ],
            "4 templates are inverted, at most 3 may be",
        ),
    ],
)
def test_a_faulty_template_is_found(task, templates, says):
    assert any(says in what for what in faults(task(templates=templates))), faults(task(templates=templates))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"licence": "unstated"}, "has no licence"),
        ({"lineage": []}, "has no lineage"),
        ({"rows": ["mend"]}, "no cleaning step"),
    ],
)
def test_what_a_spec_leaves_out_is_found(task, change, says):
    assert any(says in what for what in faults(task(**change)))


def test_a_fault_of_many_rows_is_told_three_times(task):
    problems = check_task(task([{**row, "label": 7} for row in ROWS]), strict=False).faults
    assert "row 1" in problems[0].where
    assert [fault.what[:11] for fault in problems[3:]] == ["6 more like"]


def test_markup_in_a_row_is_no_fault(task):
    assert faults(task([{**row, "text": "I like {{braces}} and {% signs %}"} for row in ROWS])) == []


def test_the_catalogs_rules_ask_for_more(task):
    strict = {fault.what for fault in check_task(task()).faults}
    assert {"has 4 templates, not 10", "has no baseline", "has no size", "has no description", "has no twin"} <= strict
    assert "lineage names the corpus 'our_guest_book', which corpora.yaml has not" in strict


def test_a_twin_must_try_every_class_template_and_step(task, tmp_path):
    entry = task(
        ROWS,
        **{"templates": [{"input": "{{text}}"}, {"input": "So bad: {{text}}", "when": "label == 0"}]},
    )
    entry = Entry(
        spec=entry.spec.model_copy(update={"rows": ("drop_unlabelled", "newlines_to_spaces")}),
        path=entry.path,
        collection="catalog",
    )
    good = [row for row in ROWS if row["label"] == 1]
    (tmp_path / "mine.twin.jsonl").write_text("".join(json.dumps(row) + "\n" for row in good), encoding="utf-8")
    problems = {fault.what for fault in check_task(entry).faults}
    assert {
        "the twin has 4 rows, not 8",
        "template 2 fits no row of the twin",
        "no row of the twin has the answer 'bad'",
        "no row of the twin needs the cleaning step 'drop_unlabelled'",
        "no row of the twin needs the cleaning step 'newlines_to_spaces'",
    } <= problems


@pytest.fixture(scope="module")
def first_rows(real_rows, tmp_path_factory):
    """Of each real dataset the first rows of each split; None where there is none at hand."""
    if real_rows is None:
        return None
    folder = tmp_path_factory.mktemp("first_rows")
    for path in real_rows.glob("*/*.jsonl.gz"):
        place = folder / path.parent.name
        place.mkdir(exist_ok=True)
        with gzip.open(path) as rows:
            (place / path.name.removesuffix(".gz")).write_bytes(b"".join(islice(rows, 20)))
    return folder


CATALOG = open_catalog(collections=["catalog"]).entries.values()


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.spec.name)
def test_the_catalog_is_sound_on_its_twins_and_on_real_rows(entry, first_rows):
    assert check_task(entry, data=first_rows).faults == []


@pytest.mark.slow
@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.spec.name)
def test_the_catalog_is_sound_on_all_real_rows(entry, shared):
    assert check_task(entry, data=shared / "data").faults == []
