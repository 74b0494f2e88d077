"""Clusters are held out whole, and their close kin with them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from openflan.errors import UserError
from openflan.mixture.holdout import hold_out
from openflan.tasks.catalog import open_catalog
from openflan.tasks.clusters import CLUSTERS

# Wei et al. 2022, section 2.2, and the inter-task splits of the published code
PAPER = {
    "natural_language_inference": {"paraphrase"},
    "paraphrase": {"natural_language_inference"},
    "reading_comprehension": {"reading_comprehension_with_commonsense"},
    "commonsense": {"reading_comprehension_with_commonsense"},
    "reading_comprehension_with_commonsense": {"reading_comprehension", "commonsense"},
    "sentiment": set(),
    "closed_book_qa": set(),
    "struct_to_text": set(),
    "coreference": set(),
    "translation": set(),
    "summarization": set(),
    "misc": set(),
}


def tasks(*evaluation_only):
    return [
        SimpleNamespace(
            spec=SimpleNamespace(
                name=f"{cluster}_{n}",
                cluster=cluster,
                code_cluster=cluster,
                lineage=(),
                evaluation_only=cluster in evaluation_only,
            )
        )
        for cluster in CLUSTERS
        for n in range(2)
    ]


def clusters(entries):
    return {entry.spec.cluster for entry in entries}


@pytest.mark.parametrize("cluster", PAPER)
def test_kin_leave_tuning_as_in_the_paper(cluster):
    division = hold_out(tasks(), [cluster], kin="paper")
    ours = {"fact_verification"} if cluster == "closed_book_qa" else set()  # which FLAN does not have
    assert set(division.clusters) == {cluster} | PAPER[cluster] | ours
    assert clusters(division.tuned) == set(CLUSTERS) - {cluster} - PAPER[cluster]
    assert clusters(division.held_out) == {cluster} | PAPER[cluster]


def test_the_paper_has_twelve_clusters():
    assert set(CLUSTERS) == set(PAPER)


@pytest.mark.parametrize("cluster", PAPER)
def test_without_kin_only_the_cluster_itself_leaves(cluster):
    assert clusters(hold_out(tasks(), [cluster], kin="none").held_out) == {cluster}


@pytest.mark.parametrize("out", [[], ["misc"], ["commonsense", "paraphrase"], list(PAPER)[:11]])
def test_every_task_is_tuned_on_or_held_out_and_no_cluster_is_both(out):
    entries = tasks()
    division = hold_out(entries, out, kin="paper")
    assert not clusters(division.tuned) & clusters(division.held_out)
    assert not clusters(division.tuned) & set(division.clusters)
    assert len(division.tuned) + len(division.held_out) == len(entries)


def test_a_task_for_evaluation_only_is_never_tuned_on():
    assert "misc" not in clusters(hold_out(tasks("misc"), ["sentiment"], kin="paper").tuned)
    assert "misc" in clusters(hold_out(tasks("misc"), ["misc"], kin="paper").held_out)


def test_holding_everything_out_is_an_error():
    with pytest.raises(UserError, match="nothing is left to tune on; hold out fewer"):
        hold_out(tasks(), list(CLUSTERS), kin="paper")


def test_holding_out_the_only_tuned_cluster_and_its_kin_is_an_error(my_tasks):
    entries = open_catalog([Path(my_tasks)], collections=()).select(
        ["natural_language_inference", "paraphrase"], where="tasks.use"
    )
    with pytest.raises(UserError, match="nothing is left"):
        hold_out(entries, ["paraphrase"], kin="paper")
    assert len(hold_out(entries, ["paraphrase"], kin="none").tuned) == 1


def test_an_unknown_cluster_is_named_with_its_place_and_the_nearest():
    with pytest.raises(UserError, match=r"tasks\.hold_out\[1\]: no cluster 'coreferense'; did you mean 'coreference'"):
        hold_out(tasks(), ["misc", "coreferense"], kin="paper")


def test_a_cluster_of_the_users_own_is_held_out_like_one_of_the_twelve(my_tasks):
    entries = [
        replace(entry, spec=entry.spec.model_copy(update={"cluster": "routing"})) if number == 0 else entry
        for number, entry in enumerate(
            open_catalog([Path(my_tasks)], collections=()).select(["mine"], where="tasks.use")
        )
    ]
    division = hold_out(entries, ["routing"], kin="paper")
    assert division.clusters == ("routing",)
    assert division.held_out == (entries[0],)


def test_every_reason_of_a_task_is_said():
    """Text reaches MultiRC and CoQA from CNN / Daily Mail; ANLI's third round has HellaSwag's and Story Cloze's."""
    catalog = open_catalog().select(["catalog"], where="tasks.use")
    division = hold_out(catalog, ["reading_comprehension_with_commonsense"], kin="paper")
    reasons = {
        (one.entry.spec.name, one.rule, one.cluster, one.by.spec.name if one.by else None, one.words)
        for one in division.reasons
    }
    mail = "shared corpus: cnn_dailymail_articles"
    assert reasons >= {
        ("record", "asked", "reading_comprehension_with_commonsense", None, "held out"),
        ("multirc", "kin", "reading_comprehension_with_commonsense", None, "rule: close kin"),
        ("multirc", "corpus", "reading_comprehension_with_commonsense", "record", mail),
        ("coqa", "corpus", "reading_comprehension", "multirc", mail),
        ("coqa", "corpus", "reading_comprehension_with_commonsense", "record", mail),
        ("anli_r3", "corpus", "commonsense", "hellaswag", "shared corpus: wikihow"),
        ("anli_r3", "corpus", "commonsense", "story_cloze", "shared corpus: rocstories"),
    }
    first = {one.entry.spec.name: (one.by.spec.name, one.descent.corpus) for one in division.condemned}
    every = {(one.entry.spec.name, one.by.spec.name, one.descent.corpus) for one in division.reasons if one.by}
    assert {(task, *why) for task, why in first.items()} <= every
    assert {one.entry.spec.name for one in division.reasons} == {
        entry.spec.name for entry in division.named if entry not in division.tuned
    }


def test_where_text_may_be_shared_it_is_no_reason():
    catalog = open_catalog().select(["catalog"], where="tasks.use")
    division = hold_out(catalog, ["natural_language_inference"], kin="paper", lineage="keep")
    assert {one.rule for one in division.reasons} == {"asked", "kin"}
