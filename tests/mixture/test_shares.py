"""The paper's mixture from the official sizes alone: every task's share, every cluster's share."""

from fractions import Fraction

import pytest

from openflan.mixture.rates import draws_per_round, mixing_shares
from openflan.recipes.mixture_part import MixturePart
from openflan.tasks.catalog import open_catalog
from openflan.tasks.clusters import CODE_CLUSTERS
from openflan.tasks.splits import official_rows

ENTRIES = [e for e in open_catalog(collections=["catalog"]).entries.values() if not e.spec.evaluation_only]

TOTAL = 188_330
BELOW = {
    "cb": 200, "copa": 350, "wsc": 500, "wnli": 600, "arc_challenge": 910, "definite_pronoun_resolution": 1_120,
    "opinion_abstracts_idebate": 1_650, "story_cloze": 1_670, "arc_easy": 2_040, "rte": 2_290,
}  # fmt: skip

# cluster of the code's view -> sum of min(rows, 3000) over its tasks, and the percentage as it was published
CLUSTERS = {
    "summarization": (31_650, 16.8),
    "natural_language_inference": (24_090, 12.8),
    "translation": (24_000, 12.7),
    "reading_comprehension": (18_000, 9.6),
    "struct_to_text": (12_000, 6.4),
    "paraphrase": (12_000, 6.4),
    "sentiment": (12_000, 6.4),
    "formatting": (9_000, 4.8),
    "closed_book_qa": (8_950, 4.8),
    "commonsense": (8_020, 4.3),
    "conversational_qa": (6_000, 3.2),
    "reading_comprehension_with_commonsense": (6_000, 3.2),
    "coreference": (4_620, 2.5),
    "math": (3_000, 1.6),
    "word_sense": (3_000, 1.6),
    "question_classification": (3_000, 1.6),
    "linguistic_acceptability": (3_000, 1.6),
}


@pytest.fixture(scope="module")
def shares():
    rows = {entry.spec.name: official_rows(entry.spec, "train", errata={"drop_remainder"}) for entry in ENTRIES}
    return mixing_shares(rows, ENTRIES, MixturePart())


def test_the_golden_counts_agree_with_each_other():
    assert sum(count for count, _ in CLUSTERS.values()) == TOTAL
    assert sum(BELOW.values()) + 3_000 * (69 - len(BELOW)) == TOTAL


def test_every_task_has_its_share(shares):
    assert len(shares) == 69
    for name, share in shares.items():
        assert share == Fraction(BELOW.get(name, 3_000), TOTAL), name


@pytest.mark.parametrize("cluster", CODE_CLUSTERS)
def test_every_cluster_has_its_share(shares, cluster):
    count, percent = CLUSTERS[cluster]
    share = sum(shares[entry.spec.name] for entry in ENTRIES if entry.spec.code_cluster == cluster)
    assert float(share) == pytest.approx(count / TOTAL, abs=1e-4)
    assert float(share) * 100 == pytest.approx(percent, abs=0.0501)


def test_a_round_of_the_papers_mixture_is_exact(shares):
    rows = {entry.spec.name: official_rows(entry.spec, "train", errata={"drop_remainder"}) for entry in ENTRIES}
    draws = draws_per_round(rows, ENTRIES, MixturePart())
    assert sum(draws.values()) == TOTAL // 10
    assert draws["cb"] == 20
