"""`tasks check` says which references a metric can't tell from others."""

import json

import pytest

from openflan.prompts.lint import check_task
from openflan.tasks.catalog import Entry
from openflan.tasks.spec import TaskSpec


def check(folder, answers, metrics):
    rows = [{"question": f"What is number {number}?", "answer": answer} for number, answer in enumerate(answers)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    spec = {
        "name": "mine",
        "cluster": "misc",
        "source": {"files": {"all": "rows.jsonl"}},
        "splits": {"train": "all"},
        "fields": ["question", "answer"],
        "answer": {"field": "answer"},
        "metrics": metrics,
        "licence": "unknown",
        "lineage": ["written_for_it"],
        "templates": [{"input": "{{question}}"}],
    }
    entry = Entry(spec=TaskSpec.model_validate_json(json.dumps(spec)), path=folder / "mine.yaml", collection="mine")
    return check_task(entry, strict=False)


def test_a_metric_that_takes_signs_points_and_brackets_away_is_said_once_with_its_share(tmp_path):
    checked = check(tmp_path, ["-5", "1.5", "C++", "(B)", "12", "the red cat"], ["exact_match_squad", "f1_squad"])
    assert checked.faults == []
    assert checked.remarks == [
        "exact_match_squad and f1_squad can't tell 4 of 6 references (66.7%) from others, for they compare in SQuAD's"
        " form: '-5' loses its sign or point, '1.5' loses its sign or point, 'C++' loses its +"
    ]


def test_the_default_metrics_lose_no_number(tmp_path):
    checked = check(tmp_path, ["-5", "1.5", "C++", "x<y", "½", "the red cat"], ["exact_match", "f1"])
    assert (checked.faults, checked.remarks) == ([], [])


@pytest.mark.parametrize("metric", ["exact_match", "exact_match_squad", "rouge"])
def test_an_empty_reference_is_a_fault(tmp_path, metric):
    checked = check(tmp_path, ["Ada", "   ", "kite"], [metric])
    assert any("row 2" in fault.where for fault in checked.faults)
