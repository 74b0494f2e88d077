"""The index against the plain definition, on random texts of few words."""

import random

import pytest

from openflan.mixture.ngrams import NgramIndex, Text, words_of


def grams(words, n):
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)} if len(words) >= n else {tuple(words)}


def overlap(left, right, n):
    if (len(left) < n) != (len(right) < n):
        return False
    return bool(grams(left, n) & grams(right, n))


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_every_pair_that_shares_a_gram_and_no_other(n, seed):
    chance = random.Random(seed)
    texts = [[chance.choice("abcd") for _ in range(chance.randint(1, 9))] for _ in range(150)]
    held, train = texts[:60], texts[60:]
    index = NgramIndex([Text(owner, words) for owner, words in enumerate(held)], n=n)
    hits = list(index.hits(Text(owner, words) for owner, words in enumerate(train)))
    expected = {(h, t) for h, one in enumerate(held) for t, other in enumerate(train) if overlap(one, other, n)}
    assert {(hit.held, hit.train) for hit in hits} == expected
    assert len(hits) == len(expected)
    for hit in hits:
        assert hit.exact == (held[hit.held] == train[hit.train]) or hit.exact is False


def test_an_empty_index_and_empty_texts_give_no_hits():
    assert list(NgramIndex([], n=3).hits([Text(0, ["a"] * 9)])) == []
    assert list(NgramIndex([Text(0, ["a", "b", "c"])], n=3).hits([Text(0, [])])) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [("It's Ada's, isn't it?", "it s ada s isn t it"), ("snake_case  A1", "snake case a1"), ("ÉLAN 東京", "élan 東京")],
)
def test_words_are_letters_and_digits_in_small(text, words):
    assert words_of(text) == words.split()
