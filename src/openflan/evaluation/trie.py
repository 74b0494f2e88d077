"""All options of a prompt as one token trie.

Options that start alike share nodes, so each shared token is computed once. The trie hangs below the prompt's last
token; only tokens that something follows become nodes, for an option's last token is predicted, never fed.

    options [7], [7, 8, 9], [5]      nodes: a = 7 below the prompt, b = 8 below a
    paths   [prompt], [prompt, a, b], [prompt]: where each option's tokens are predicted

Invariant: nodes stand in an order in which parents come first. Cost: O(option tokens).
Rejected: a forward an option, which reads the prompt K times.
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["OptionTrie", "build_trie"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionTrie:
    """The tokens to feed after a prompt and where each option's tokens are predicted."""

    tokens: tuple[int, ...]
    """Token of each node."""
    parents: tuple[int, ...]
    """Parent of each node; -1 is the prompt's last token."""
    paths: tuple[tuple[int, ...], ...]
    """For each option and each of its tokens, the node that predicts it; -1 is the prompt's last token."""


def build_trie(options: Sequence[Sequence[int]]) -> OptionTrie:
    """The trie of tokenised options, none of them empty."""
    number: dict[tuple[int, ...], int] = {(): -1}
    tokens: list[int] = []
    parents: list[int] = []
    paths = []
    for option in options:
        assert option, "an option has no tokens"
        path = []
        for length in range(len(option)):
            prefix = tuple(option[:length])
            if prefix not in number:
                number[prefix] = len(tokens)
                tokens.append(prefix[-1])
                parents.append(number[prefix[:-1]])
            path.append(number[prefix])
        paths.append(tuple(path))
    return OptionTrie(tokens=tuple(tokens), parents=tuple(parents), paths=tuple(paths))
