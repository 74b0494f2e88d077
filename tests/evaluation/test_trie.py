"""The trie of options holds every option once, and no token twice."""

import numpy as np
import pytest

from openflan.evaluation.bundles import bundle_questions
from openflan.evaluation.trie import build_trie

CASES = {
    "different": [[1], [2], [3]],
    "prefixes of one another": [[7], [7, 8], [7, 8, 9], [7, 8, 9, 10]],
    "long first": [[7, 8, 9], [7, 8], [7]],
    "the same twice": [[4, 5, 6], [4, 5, 6]],
    "fork late": [[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 6]],
    "one": [[3, 1, 4, 1, 5]],
    "loops": [[2, 2, 2], [2, 2, 3]],
    "random": [list(map(int, np.random.default_rng(n).integers(0, 3, 1 + n % 6))) for n in range(40)],
}


def read(trie, node):
    """The tokens from the prompt down to a node."""
    tokens = []
    while node >= 0:
        tokens.append(trie.tokens[node])
        node = trie.parents[node]
    return tokens[::-1]


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_each_token_is_predicted_after_exactly_the_tokens_before_it(options):
    trie = build_trie(options)
    for option, path in zip(options, trie.paths, strict=True):
        assert [read(trie, node) for node in path] == [option[:place] for place in range(len(option))]


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_there_are_as_many_nodes_as_different_starts(options):
    starts = {tuple(option[:length]) for option in options for length in range(1, len(option))}
    assert len(build_trie(options).tokens) == len(starts)


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_parents_come_first(options):
    trie = build_trie(options)
    assert all(parent < node for node, parent in enumerate(trie.parents))


def test_options_of_one_token_need_no_node():
    assert build_trie([[1], [2]]).tokens == ()


PROMPTS = {
    "unlike": [[1] * 20, [2] * 20],
    "one start": [[*range(30), 1], [*range(30), 2], [*range(30), 2, 5], [*range(20), 9]],
    "the same": [[*range(25)], [*range(25)]],
    "nested": [[*range(40), n, m] for n in range(3) for m in range(3)],
    "short": [[1, 2], [1, 3]],
}
CHOICES = [[5], [6, 7], [6, 8, 9]]


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_in_a_bundle_every_token_sees_the_sequence_it_would_have_of_its_own(prompts):
    bundles = bundle_questions(prompts, [CHOICES] * len(prompts), longest=200)
    assert sorted(number for bundle in bundles for number in bundle.questions) == list(range(len(prompts)))
    for bundle in bundles:
        size = len(bundle.tokens) + 3
        seen, positions = bundle.allowed(size), bundle.positions()
        for number, paths in zip(bundle.questions, bundle.predicted, strict=True):
            for option, path in zip(CHOICES, paths, strict=True):
                for length, place in enumerate(path):
                    visible = np.flatnonzero(seen[place])
                    ordered = sorted(visible, key=lambda other: positions[other])
                    assert [bundle.tokens[other] for other in ordered] == [*prompts[number], *option[:length]]
                    assert positions[place] == len(visible) - 1


def test_a_bundle_holds_what_is_shared_once():
    (bundle,) = bundle_questions(PROMPTS["nested"], [[[5], [6]]] * 9, longest=200)
    assert len(bundle.tokens) == 40 + 3 + 9
    assert len(bundle_questions(PROMPTS["unlike"], [CHOICES] * 2, longest=200)) == 2
    assert len(bundle_questions(PROMPTS["short"], [CHOICES] * 2, longest=200)) == 2


def test_a_bundle_is_no_longer_than_it_may_be():
    assert len(bundle_questions(PROMPTS["nested"], [[[5]]] * 9, longest=45)) > 1
    assert len(bundle_questions(PROMPTS["nested"], [[[5]]] * 9, longest=None)) == 9
