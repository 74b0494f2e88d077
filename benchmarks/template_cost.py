"""What all templates of a task cost beside one of them, and how much text they share.

Only a common start can be computed once: a token's state depends on all that stands before it. So beside each cost
stands `shared`, the share of the tokens that stand in a start which another prompt has. The catalog's templates open in
different words by design and share little; the same templates with the row's passage put first (`passage_first`) show
what a task costs whose templates share their text.

`cost` is the time of all templates over the mean time of one, each template timed alone on the same rows. With `n`
templates that share nothing it is about n. Rejected: the first template as the measure, which is the shortest of most
tasks.
"""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from openflan.evaluation.bundles import bundle_questions
from openflan.evaluation.ranking import Question, rank_options
from openflan.prompts.render import Prompt

__all__ = ["SHARES", "measure_templates", "passages_first", "reached"]

SHARES = 0.2
"""Share of the tokens from which on ten templates can cost less than 8 times one: 10 · (1 - .2) = 8."""

_BELOW = 8.0
_LONGEST = 768
"""Tokens of a joined sequence, as ranking joins them."""
_PASSAGE = 1 / 3
"""Share of a prompt's characters that its longest field must have to be a passage."""

Asked = Sequence[Mapping[str, Any]]


def passages_first(prompts: Sequence[Prompt]) -> list[str] | None:
    """The prompts of one task with their passage before the template's own words; None where there is no passage."""
    turned = []
    for prompt in prompts:
        texts = [value.strip() for value in prompt.fields.values() if isinstance(value, str)]
        passage = max((text for text in texts if text in prompt.input), key=len, default="")
        if len(passage) < _PASSAGE * len(prompt.input):
            return None
        rest = re.sub(r"\n{3,}", "\n\n", prompt.input.replace(passage, "", 1)).strip()
        turned.append(f"{passage}\n\n{rest}")
    return turned


def measure_templates(model: Any, prompts: Asked, *, batch_tokens: int, autocast: bool) -> dict[str, dict[str, Any]]:
    """By task: templates, share of shared tokens, cost of all beside one."""
    by_task: dict[str, dict[int, list[Question]]] = {}
    for one in prompts:
        question = Question(prompt=one["prompt"], options=one["options"], texts=one["texts"])
        by_task.setdefault(one["task"], {}).setdefault(one["template"], []).append(question)

    def seconds(questions: Sequence[Question]) -> float:
        began = time.process_time()
        rank_options(model, questions, batch_tokens=batch_tokens, autocast=autocast)
        return time.process_time() - began

    costs = {}
    for task, templates in by_task.items():
        together = [question for own in templates.values() for question in own]
        seconds(together[:8])
        alone = sum(seconds(own) for own in templates.values()) / len(templates)
        costs[task] = {
            "templates": len(templates),
            "shared": round(1 - _tokens(together, joined=True) / _tokens(together, joined=False), 3),
            "cost": round(seconds(together) / alone, 2),
        }
    return costs


def reached(costs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The goal and what was measured where templates share text: less than 8 times one."""
    those = {task: cost["cost"] for task, cost in costs.items() if cost["shared"] >= SHARES}
    return {"below": _BELOW, "sharing": those, "largest": max(those.values(), default=None)}


def _tokens(questions: Sequence[Question], *, joined: bool) -> int:
    prompts, options = [q.prompt for q in questions], [q.options for q in questions]
    return sum(
        len(bundle.tokens) for bundle in bundle_questions(prompts, options, longest=_LONGEST if joined else None)
    )
