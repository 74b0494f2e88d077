"""Where prompt and answer meet: do they become the same tokens apart as they do together?

openflan tokenises prompt and answer apart, so no token spans the join. Other programs tokenise them together, and where
the two differ their numbers do too: "?" + "Yes" may be one token with its neighbour, or a word may lose the mark that
begins it.

    apart     …  ▁park ?   | ▁Yes
    together  …  ▁park ?Yes

Invariant: `differs` is False exactly where the two give the same tokens. Cost: tokenising twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openflan.prompts.encoding import TextEncoder

__all__ = ["Join", "joins"]

_SHOWN = 3
"""Tokens shown on either side of where two tokenisations part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """A prompt and an answer, apart and together."""

    differs: bool
    empty: bool
    """Whether the answer has no token of its own together: harnesses then score nothing."""
    apart: tuple[str, ...]
    """Tokens around the first place where the two differ; nothing where they do not."""
    together: tuple[str, ...]


def joins(encoder: TextEncoder, pairs: Sequence[tuple[str, str]], *, between: str = "") -> list[Join]:
    """Tokenise prompts with their answers both ways.

    Args:
        pairs: prompt text with its separator, and answer text.
        between: put before the answer where both are tokenised together.
    """
    prompts = encoder.raw([prompt for prompt, _ in pairs])
    answers = encoder.raw([answer for _, answer in pairs])
    whole = encoder.raw([prompt + between + answer for prompt, answer in pairs])
    compared = []
    for prompt, answer, together in zip(prompts, answers, whole, strict=True):
        apart = prompt + answer
        differs = apart != together
        first = next((n for n, (a, b) in enumerate(zip(apart, together, strict=False)) if a != b), len(together))
        around = slice(max(0, first - _SHOWN + 1), first + _SHOWN)
        compared.append(
            Join(
                differs=differs,
                empty=len(together) <= len(prompt),
                apart=tuple(encoder.words(apart[around])) if differs else (),
                together=tuple(encoder.words(together[around])) if differs else (),
            )
        )
    return compared
