"""The released code's hold-outs, to the task and to the row, from the official sizes alone."""

import pytest

from openflan.mixture.holdout import hold_out
from openflan.tasks.catalog import open_catalog
from openflan.tasks.clusters import CLUSTERS, CODE_CLUSTERS
from openflan.tasks.splits import official_rows

CATALOG = list(open_catalog(collections=["catalog"]).entries.values())
TRAINED = [entry for entry in CATALOG if not entry.spec.evaluation_only]
MAXIMUM = 3_000

# cluster held out -> tasks left, sum of min(rows, 3000): counted from the case table of the authors' second release
GOLDEN = {
    "natural_language_inference": (55, 152_240),
    "paraphrase": (55, 152_240),
    "reading_comprehension": (61, 164_330),
    "reading_comprehension_with_commonsense": (57, 156_310),
    "commonsense": (63, 174_310),
    "closed_book_qa": (65, 179_380),
    "translation": (61, 164_330),
    "coreference": (66, 183_710),
    "struct_to_text": (65, 176_330),
    "sentiment": (65, 176_330),
    "summarization": (58, 156_680),
    "formatting": (66, 179_330),
    "conversational_qa": (67, 182_330),
    "math": (68, 185_330),
    "word_sense": (68, 185_330),
    "question_classification": (68, 185_330),
    "linguistic_acceptability": (68, 185_330),
}
BELOW = {
    "cb": 200, "copa": 350, "wsc": 500, "wnli": 600, "arc_challenge": 910, "definite_pronoun_resolution": 1_120,
    "opinion_abstracts_idebate": 1_650, "story_cloze": 1_670, "arc_easy": 2_040, "rte": 2_290,
}  # fmt: skip


def rate(entry):
    return min(official_rows(entry.spec, "train", errata={"drop_remainder"}), MAXIMUM)


def test_the_catalog_is_the_papers_62_datasets_as_69_tasks_and_two_to_evaluate():
    assert len(TRAINED) == 69
    assert {entry.spec.name for entry in CATALOG} - {entry.spec.name for entry in TRAINED} == {"wsc273", "lambada"}
    assert len({entry.spec.dataset for entry in TRAINED if entry.spec.dataset}) == 62
    assert {entry.spec.name for entry in TRAINED if not entry.spec.dataset} == {"true_case", "word_segment"}
    assert {entry.spec.cluster for entry in TRAINED} == set(CLUSTERS)
    assert {entry.spec.code_cluster for entry in TRAINED} == set(CODE_CLUSTERS)


def test_ten_tasks_lie_below_the_maximum():
    assert {entry.spec.name: rate(entry) for entry in TRAINED if rate(entry) < MAXIMUM} == BELOW
    assert sum(map(rate, TRAINED)) == 188_330


@pytest.mark.parametrize("cluster", CODE_CLUSTERS)
def test_a_hold_out_leaves_the_codes_tasks_and_total_rate(cluster):
    division = hold_out(CATALOG, [cluster], kin="paper", lineage="keep")
    assert (len(division.tuned), sum(map(rate, division.tuned))) == GOLDEN[cluster]


@pytest.mark.parametrize(
    ("cluster", "task", "corpus"),
    [
        ("coreference", "wnli", "winograd_schemas"),
        ("reading_comprehension", "qnli", "squad"),
        ("closed_book_qa", "bool_q", "google_queries"),
        ("summarization", "record", "cnn_dailymail_articles"),
        ("summarization", "coqa", "cnn_dailymail_articles"),
        ("commonsense", "wiki_lingua_english_en", "wikihow"),
        ("natural_language_inference", "common_gen", "flickr30k"),
        ("commonsense", "anli_r3", "wikihow"),
    ],
)
def test_a_task_that_shares_a_held_out_clusters_text_leaves_too(cluster, task, corpus):
    division = hold_out(CATALOG, [cluster], kin="paper")
    (condemned,) = [one for one in division.condemned if one.entry.spec.name == task]
    assert corpus in condemned.descent.left
    assert condemned.descent.left[-1] == condemned.descent.right[-1] == condemned.descent.corpus
    assert task not in {entry.spec.name for entry in division.tuned}
    assert task in {entry.spec.name for entry in hold_out(CATALOG, [cluster], kin="paper", lineage="keep").tuned}
