"""Solved examples before a question (few-shot).

Candidates come in an order that the question's key permutes; left out are the question itself, its duplicates and rows
of the same passage, whose answers would give its own away. What is left is taken in order, or class by class, and kept
as long as examples and question fit the budget of tokens, counted with the model's tokenizer (Wei et al. 2022, section
4.4: up to 16, below 960 of 1,024 tokens).

    <input> <before target> <target> <between> <input> <before target> <target> <between> <the question's input>

Invariant: a pure function of (task, pool of rows, question, key). Cost: the examples' own rendering and tokenising.
Rejected: two shuffled streams side by side, where a question can be its own example; and filling the budget with
short examples out of turn, which prefers short rows.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openflan.errors import UserError
from openflan.hashing import hash_integer, hash_integers, permute
from openflan.prompts.render import BASELINE, Prompt, TaskRenderer, TemplateId
from openflan.prompts.styles import label_fields
from openflan.recipes.parts import StylePart
from openflan.tasks.columns import strings_in
from openflan.tasks.sources import SourceRow

__all__ = ["ExemplarMaker", "FewShotQuestion", "question_key"]

_ORDER, _TEMPLATE = 4, 5
"""What a key is hashed with for each choice."""
_SIDE = 8
"""Words that a text other than a row's longest must have to count as a passage."""
_SPARE = 8
"""Candidates looked at beyond those that are wanted."""
_OF_BASELINE = -1
"""What stands for the baseline where templates are hashed by their numbers."""
_IN_TURN = 4
"""So many times more where classes are to be taken in turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FewShotQuestion:
    """A prompt that is to have solved examples."""

    row: SourceRow
    prompt: Prompt
    style: StylePart
    shots: int
    key: int
    """64-bit hash that orders the candidates."""


def question_key(row: SourceRow, template: TemplateId) -> int:
    """The key of a question that is evaluated: the same for every model, wherever the row stands."""
    texts = json.dumps(row.fields, sort_keys=True, ensure_ascii=False, default=str)
    encoded = texts.encode(errors="surrogatepass")  # half a character in a column that no prompt shows harms nobody
    content = int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")
    return hash_integer(content, _OF_BASELINE if template == BASELINE else template)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What a row is recognised by."""

    whole: str
    passages: frozenset[str]


class ExemplarMaker:
    """Puts solved examples before the questions of one task.

    Args:
        pool: rows to take them from.
        count: tokens of texts, each on its own.
        budget: tokens that a question and its examples may have together.
        separator: stands between input and target of every prompt.
        careless: do as the released code does, where a question may be its own example.
        skip: leave out rows that can't be rendered, instead of raising.
    """

    def __init__(
        self,
        renderer: TaskRenderer,
        pool: Sequence[SourceRow],
        *,
        count: Callable[[Sequence[str]], list[int]],
        budget: int,
        separator: str,
        careless: bool = False,
        skip: bool = False,
    ) -> None:
        self._renderer = renderer
        self._pool = pool
        self._count = count
        self._budget = budget
        self._separator = separator
        self._careless = careless
        self._skip = skip
        self._labels = label_fields(renderer.spec)
        self._known: dict[int, _Known] = {}

    def add(self, questions: Sequence[FewShotQuestion]) -> list[tuple[Prompt, tuple[int, ...]]]:
        """The questions' prompts with their solved examples, and which rows those are (places in the source split).

        Raises:
            UserError: a chosen row can't be rendered.
        """
        chosen = [self._solved(question) for question in questions]
        texts = [
            text
            for question, solved in zip(questions, chosen, strict=True)
            for text in (self._asked(question) + self._separator, *(text for _, text in solved))
        ]
        sizes = iter(self._count(texts))
        prompts = []
        for question, solved in zip(questions, chosen, strict=True):
            room = self._budget - next(sizes)
            ends = list(itertools.accumulate(next(sizes) for _ in solved))
            exemplars = solved[: sum(end <= room for end in ends)]
            text = "".join(text for _, text in exemplars) + self._asked(question)
            prompt = replace(question.prompt, input=text) if exemplars else question.prompt
            prompts.append((prompt, tuple(row.index for row, _ in exemplars)))
        return prompts

    def _solved(self, question: FewShotQuestion) -> list[tuple[SourceRow, str]]:
        """Rows for a question in their order, each with its text."""
        if not question.shots:
            return []
        wanted = question.shots * (_IN_TURN if question.style.balanced else 1) + (_SPARE if self._skip else 0)
        fitting = itertools.islice(self._candidates(question, wanted + _SPARE), wanted)
        candidates = self._in_turn(list(fitting)) if question.style.balanced else fitting
        solved: list[tuple[SourceRow, str]] = []
        for row, template in candidates:
            if len(solved) == question.shots:
                break
            try:
                prompt = self._renderer.render(
                    row, template, style=question.style, key=question.key, turn=question.prompt.turn
                )
            except UserError:
                if self._skip:
                    continue
                raise
            solved.append((row, self._text(prompt, question.prompt.template)))
        return solved

    def _candidates(self, question: FewShotQuestion, at_once: int) -> Iterator[tuple[SourceRow, TemplateId]]:
        """Rows that may stand before a question, in its order, with their templates."""
        size = len(self._pool)
        key = hash_integers(question.key, _ORDER)
        identity = None if self._careless else self._recognise(question.row)
        for start in range(0, size, at_once):
            places = permute(np.arange(start, min(start + at_once, size), dtype=np.int64), size, key)
            for place in places.tolist():
                if identity is None or not self._same(identity, place):
                    template = self._template(question, self._pool[place])
                    if template is not None:
                        yield self._pool[place], template

    def _template(self, question: FewShotQuestion, row: SourceRow) -> TemplateId | None:
        """The template that a row gets before a question; None where none fits."""
        fitting = self._renderer.applicable(row)
        own = question.prompt.template
        if own == BASELINE:
            return own
        if question.style.exemplar_templates == "same" or question.style.form != "instruction":
            return own if own in fitting else None
        return fitting[hash_integer(question.key, _TEMPLATE, row.index) % len(fitting)] if fitting else None

    def _in_turn(self, candidates: Sequence[tuple[SourceRow, TemplateId]]) -> list[tuple[SourceRow, TemplateId]]:
        """Candidates so ordered that at each place the class that came least often so far comes next."""
        left = [(pair, self._class(pair[0])) for pair in candidates]
        counts: dict[int, int] = dict.fromkeys((answer for _, answer in left), 0)
        ordered = []
        while left:
            place = min(range(len(left)), key=lambda place: (counts[left[place][1]], place))
            pair, answer = left.pop(place)
            counts[answer] += 1
            ordered.append(pair)
        return ordered

    def _class(self, row: SourceRow) -> int:
        try:
            return self._renderer.answer(row).index
        except UserError:
            if self._skip:
                return -1  # and its prompt is left out
            raise

    def _same(self, identity: _Known, place: int) -> bool:
        """Whether a row of the pool is the question, its duplicate, or of its passage."""
        candidate = self._known.get(place)
        if candidate is None:
            candidate = self._known[place] = self._recognise(self._pool[place])
        return identity.whole == candidate.whole or not identity.passages.isdisjoint(candidate.passages)

    def _recognise(self, row: SourceRow) -> _Known:
        names = [name for name in self._renderer.spec.names if name not in self._labels and name in row.fields]
        texts = [" ".join(text.lower().split()) for name in names for text in strings_in(row.fields[name])]
        longest = max(texts, key=len, default="")
        passages = {text for text in texts if text == longest or text.count(" ") + 1 >= _SIDE}
        return _Known(whole="\n".join(texts), passages=frozenset(passages))

    def _asked(self, question: FewShotQuestion) -> str:
        return question.prompt.input + self._lead(question.prompt.template)

    def _lead(self, template: TemplateId) -> str:
        """What stands after an input before the separator that every prompt has."""
        before = self._renderer.few_shot(template).before_target or ""
        return before.removesuffix(self._separator) if before.endswith(self._separator) else ""

    def _text(self, prompt: Prompt, template: TemplateId) -> str:
        """A solved example as it stands before a question under `template`."""
        between = self._renderer.few_shot(template).between
        return prompt.input + self._lead(template) + self._separator + prompt.target + between
