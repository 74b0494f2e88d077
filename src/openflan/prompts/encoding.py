"""One encoder of text: the only place where prompts become tokens.

Training, scoring, generation and `ask` all call `TextEncoder`, so a model is asked as it was taught. Input and
target are tokenised apart, the separator belongs to the input, and EOS ends the target; no token can span the
join, whatever the tokenizer.

Invariant: encoder.input(x) + encoder.target(y) are the tokens of (x, y) in every stage; `fingerprint` tells two
formats apart and travels with token store, checkpoint and results. Cost: the tokenizer's own.
Rejected: tokenising input and target jointly and cutting by length, where a token that spans the join makes the
answer empty (a long-standing failure of evaluation harnesses).
"""

from collections.abc import Sequence
from typing import Any

from openflan.recipe import PromptsPart
from openflan.stage import fingerprint_of

__all__ = ["TextEncoder"]


class TextEncoder:
    """Turns texts into token ids for one tokenizer and one format.

    Args:
        tokenizer: a fast transformers tokenizer.
    """

    def __init__(self, tokenizer: Any, part: PromptsPart) -> None:
        self._tokenizer = tokenizer
        self._part = part
        bos = tokenizer.bos_token_id
        self._start = [bos] if bos is not None and _adds_bos(tokenizer) else []
        self.eos: int | None = tokenizer.eos_token_id

    @property
    def fingerprint(self) -> str:
        """Hash of the format and of the tokenizer's whole vocabulary and rules."""
        rules = self._tokenizer.backend_tokenizer.to_str()
        return fingerprint_of([rules, self._start, self.eos, self._part.model_dump(mode="json")])

    def inputs(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of input texts with the separator: [BOS] text separator.

        Too long an input loses its middle: instructions and questions stand at either end.
        """
        limit = self._part.max_input_tokens - len(self._start)
        separated = [text + self._part.separator for text in texts]
        return [self._start + _cut_middle(ids, limit) for ids in self._tokenise(separated)]

    def targets(self, texts: Sequence[str], *, end: bool = True) -> list[list[int]]:
        """Token ids of target texts, with EOS where `end`; cut at the end where too long."""
        tail = [self.eos] if end and self.eos is not None else []
        limit = self._part.max_target_tokens - len(tail)
        return [ids[:limit] + tail for ids in self._tokenise(texts)]

    def text(self, ids: Sequence[int]) -> str:
        """Generated token ids as text."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded = self._tokenizer(
            list(texts),
            add_special_tokens=False,
            split_special_tokens=True,  # "</s>" in a row is text, not the end of it
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids


def _adds_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer's own rule starts a text with BOS."""
    ids = tokenizer("a")["input_ids"]
    return bool(ids) and ids[0] == tokenizer.bos_token_id


def _cut_middle(ids: list[int], limit: int) -> list[int]:
    """Keep a third of the room for the start and the rest for the end; [0..9] at 6 gives [0, 1, 6, 7, 8, 9]."""
    if len(ids) <= limit:
        return ids
    head = limit // 3
    return ids[:head] + ids[len(ids) - (limit - head) :]
