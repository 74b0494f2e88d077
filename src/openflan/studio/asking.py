"""Asking models beside the pages: a shelf of two that are loaded, a line of questions, and a session of what was asked.

A question is answered by one thread, whose models are loaded when they are first needed; the page that asked looks
again until it is done. What was asked is kept as rows of a task: JSON lines that `openflan init` can start from.

Invariant: two models in memory at most, whatever is asked; the last questions are kept, older ones are forgotten.
Rejected: loading in the request, which leaves a page without a word for seconds.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import openflan

__all__ = ["AskedOnce", "Asker", "Reply", "ReplySide", "Session"]

_MODELS = 2
_KEPT = 50
"""Questions whose replies can still be looked at."""
_ROWS = 2_000
"""Rows of a session that are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedOnce:
    """What is asked of one or two models."""

    instruction: str
    text: str = ""
    options: tuple[str, ...] = ()
    """Empty where the model is to write."""
    listed: bool = True
    """Whether the prompt is to list the options below the instruction."""
    expected: str = ""
    """The right answer, where it is known."""
    most_tokens: int = 64
    """Of a written answer."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The row that it was rendered from, whose longest field is cut where the prompt is too long; empty for words of
    one's own."""
    origin: Mapping[str, str] = field(default_factory=dict)
    """What names that row in an address."""


@dataclass(kw_only=True, slots=True)
class ReplySide:
    """One model's part of a reply."""

    who: str
    state: Literal["waiting", "loading", "asking", "done"] = "waiting"
    probabilities: tuple[tuple[str, float], ...] = ()
    """Of each option, in the order in which they were given."""
    best: str = ""
    """The likeliest option, or what it wrote."""
    tokens: "openflan.PromptTokens | None" = None
    seconds: float = 0.0


@dataclass(kw_only=True, slots=True)
class Reply:
    """What becomes of a question."""

    number: int
    question: AskedOnce
    sides: list[ReplySide] = field(default_factory=list)
    fault: str = ""
    done: bool = False


class Session:
    """What was asked, as rows of a task.

    Args:
        file: where the rows are written, too; None where the studio may write nowhere.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._rows: list[dict[str, object]] = []
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, reply: Reply) -> None:
        """Keep a question with what was answered."""
        question = reply.question
        row: dict[str, object] = {
            "instruction": question.instruction,
            "text": question.text,
            "options": list(question.options),
            "answer": question.expected,
            **{side.who: side.best for side in reply.sides},
        }
        with self._lock:
            self._rows = [*self._rows, row][-_ROWS:]
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                with self.file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")

    @property
    def lines(self) -> str:
        """The rows as JSON lines."""
        with self._lock:
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self._rows)


class Asker:
    """Models that are asked, and the questions that they were asked.

    Args:
        session: keeps what was asked.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._models: OrderedDict[tuple[object, ...], openflan.Model] = OrderedDict()
        self._replies: OrderedDict[int, Reply] = OrderedDict()
        self._asked = 0
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ask")

    def ask(
        self, question: AskedOnce, models: "dict[str, tuple[tuple[object, ...], Callable[[], openflan.Model]]]"
    ) -> Reply:
        """Put a question in the line.

        Args:
            models: by what each is called: what tells it from others, and what loads it.
        """
        self._asked += 1
        reply = Reply(number=self._asked, question=question, sides=[ReplySide(who=who) for who in models])
        self._replies[reply.number] = reply
        while len(self._replies) > _KEPT:
            self._replies.popitem(last=False)
        self._worker.submit(self._answer, reply, models)
        return reply

    def reply(self, number: int) -> Reply:
        """A question that was asked.

        Raises:
            UserError: it was not asked here, or was forgotten.
        """
        reply = self._replies.get(number)
        if reply is None:
            raise openflan.UserError("that question is not kept any more", where=str(number), how="ask it again")
        return reply

    @property
    def loaded(self) -> list[str]:
        """What is in memory, by name."""
        return [model.name for model in self._models.values()]

    def _answer(
        self, reply: Reply, models: "dict[str, tuple[tuple[object, ...], Callable[[], openflan.Model]]]"
    ) -> None:
        try:
            for side in reply.sides:
                key, load = models[side.who]
                if key not in self._models:
                    side.state = "loading"
                    while len(self._models) >= _MODELS:
                        self._models.popitem(last=False)
                    self._models[key] = load()
                self._models.move_to_end(key)
                _ask(side, self._models[key], reply.question)
            self.session.add(reply)
        except openflan.UserError as error:
            reply.fault = str(error)
        except Exception as error:  # the page says it; the thread goes on with the next question
            reply.fault = f"{type(error).__name__}: {error}"
        reply.done = True


def _ask(side: ReplySide, model: "openflan.Model", question: AskedOnce) -> None:
    """Let one model answer."""
    side.state = "asking"
    began = time.perf_counter()
    listed = question.options if question.listed else ()
    side.tokens = model.tokens(question.instruction, listed, text=question.text, fields=question.fields)
    if question.options:
        ranked = model.rank(
            question.instruction,
            question.options,
            text=question.text,
            listed=question.listed,
            fields=question.fields,
        )
        shares = dict(zip(ranked.options, ranked.probabilities, strict=True))
        side.probabilities = tuple((option, shares[option]) for option in dict.fromkeys(question.options))
        side.best = ranked.best
    else:
        side.best = model.answer(
            question.instruction,
            text=question.text,
            max_new_tokens=question.most_tokens,
            fields=question.fields,
        )
    side.seconds = time.perf_counter() - began
    side.state = "done"
