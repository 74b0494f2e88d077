"""The index against the plain definition, on random texts of few units, words and characters mixed."""

import random

import pytest

from openflan.mixture.ngrams import GramIndex, Text, grams_of
from openflan.writing import WORD, weight_of, weights_of

WORDS = ["a", "b", "c", "d"]
MIXED = ["a", "b", "東", "京", "ก", "ข", "ั"]


def grams(units, n):
    """Shortest runs worth n words, one from each place on; the whole text where it is worth less."""
    if weight_of(units) < n * WORD:
        return {("whole", *units)} if weight_of(units) else set()
    runs = set()
    for first in range(len(units)):
        for last in range(first, len(units) + 1):
            if sum(weights_of(units[first:last])) >= n * WORD:
                runs.add(tuple(units[first:last]))
                break
    return runs


def texts_of(list_of_units):
    return [Text(owner, units, weight_of(units)) for owner, units in enumerate(list_of_units)]


def overlaps(held_out, train, n):
    index = GramIndex(texts_of(held_out), words=n)
    return [overlap for some in grams_of(texts_of(train), words=n) for overlap in index.overlaps(some)]


@pytest.mark.parametrize("units", [WORDS, MIXED], ids=["words", "mixed"])
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_every_pair_that_shares_a_gram_and_no_other(units, n, seed):
    chance = random.Random(seed)
    texts = [[chance.choice(units) for _ in range(chance.randint(1, 12))] for _ in range(150)]
    held_out, train = texts[:60], texts[60:]
    hits = overlaps(held_out, train, n)
    expected = {
        (h, t) for h, one in enumerate(held_out) for t, other in enumerate(train) if grams(one, n) & grams(other, n)
    }
    assert {(hit.held_out, hit.train) for hit in hits} == expected
    assert len(hits) == len(expected)
    for hit in hits:
        assert hit.exact == (held_out[hit.held_out] == train[hit.train])


def test_a_run_that_two_texts_share_is_found_wherever_it_stands():
    chance = random.Random(7)
    letters = [chr(code) for code in range(0x0E01, 0x0E2F)]
    shared = [chance.choice(letters) for _ in range(39)]
    held_out = [chance.choices(letters, k=5) + shared + chance.choices(letters, k=8)]
    train = [chance.choices(letters, k=many) + shared + chance.choices(letters, k=30) for many in range(12)]
    assert {hit.train for hit in overlaps(held_out, train, 13)} == set(range(12))


def test_an_empty_index_and_empty_texts_give_no_hits():
    assert overlaps([], [["a"] * 9], 3) == []
    assert overlaps([["a", "b", "c"]], [[]], 3) == []
