"""No evaluation row is in the pretraining text; and the check would notice one that is."""

import pytest

from openflan_starter.freshness import EvaluationText, check_freshness, evaluation_texts
from openflan_starter.prose import SCHEDULE, document


def _sample(n):
    """The first documents of each part of the prose's schedule."""
    return (document(0, start + i) for start, _ in SCHEDULE for i in range(n))


def test_a_planted_row_is_found_even_across_sentences_and_case():
    text = EvaluationText(task="any", split="test", row=0, text="Talam was at the mill. Donina had a rope.")
    documents = [
        "Nothing here.",
        "So it was: talam was at the mill; Donina had a rope and a bell.",
        "Donina had a rope.",
    ]
    freshness = check_freshness(documents, [text])
    assert [hit.document for hit in freshness.hits] == [1]
    assert (freshness.documents, freshness.texts) == (3, 1)


def test_a_short_text_is_found_inside_a_sentence():
    text = EvaluationText(task="sum", split="test", row=0, text="3 plus 17")
    assert check_freshness(["how much is 3 plus 17? 20."], [text]).hits
    assert not check_freshness(["how much is 3 plus 7? 10."], [text]).hits


def test_no_evaluation_row_is_in_a_sample_of_the_prose():
    tasks = (
        "inference_yes_no",
        "paraphrase_same",
        "reading_yes_no",
        "pronoun_who",
        "world_true",
        "velan_pick",
        "sum_pick",
    )
    freshness = check_freshness(_sample(1_500), evaluation_texts(tasks, ("test",)))
    assert freshness.texts == 400 * len(tasks)
    assert not freshness.hits


@pytest.mark.slow
def test_no_evaluation_row_at_all_is_in_a_larger_sample():
    freshness = check_freshness(_sample(12_000), evaluation_texts())
    assert not freshness.hits
