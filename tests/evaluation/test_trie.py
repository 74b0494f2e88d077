"""The trie of options holds every option once, and no token twice."""

import numpy as np
import pytest

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
def test_parents_come_first_and_depths_count_from_the_prompt(options):
    trie = build_trie(options)
    for node, parent in enumerate(trie.parents):
        assert parent < node
        assert trie.depths[node] == len(read(trie, node))
        assert sorted(trie.ancestors(node), reverse=True) == trie.ancestors(node)
        assert len(trie.ancestors(node)) == trie.depths[node]


def test_options_of_one_token_need_no_node():
    assert build_trie([[1], [2]]).tokens == ()
