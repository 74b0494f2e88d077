"""`openflan tasks holdout`: what leaves tuning, and why."""

import json


def test_it_prints_what_is_dropped_and_why(openflan):
    code, text, _ = openflan("tasks", "holdout", "coreference")
    assert code == 0
    assert "Held out: definite_pronoun_resolution, winogrande, wsc, wsc273" in text
    assert "wnli <- winograd_schemas -> wsc" in text


def test_it_counts_as_the_released_code_does(openflan):
    _, text, _ = openflan("tasks", "holdout", "coreference", "--keep-lineage", "--fidelity", "code-v1", "--json")
    record = json.loads(text)
    assert (len(record["tuned"]), record["total_rate"], record["lineage"]) == (66, 183_710, [])


def test_kin_leave_unless_kept(openflan):
    tasks = json.loads(openflan("tasks", "holdout", "paraphrase", "--json")[1])["held_out"]
    assert {one["task"] for one in tasks if one["rule"] == "kin"} >= {"rte", "snli"}
    tasks = json.loads(openflan("tasks", "holdout", "paraphrase", "--no-kin", "--json")[1])["held_out"]
    assert {one["rule"] for one in tasks} == {"asked for"}


def test_an_unknown_cluster_is_told(openflan):
    code, _, err = openflan("tasks", "holdout", "coreferenc")
    assert (code, "did you mean 'coreference'" in err) == (2, True)


def test_a_task_that_shares_text_with_two_is_told_of_both(openflan):
    _, text, _ = openflan("tasks", "holdout", "coreference")
    assert "wnli <- winograd_schemas -> wsc\n" in text
    assert "wnli <- winograd_schemas -> wsc273\n" in text
