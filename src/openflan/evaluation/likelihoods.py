"""A task's options as log-likelihoods: given their prompts, without them, and how far bfloat16 is off.

Many rows and all templates of a row have the same options: each set is asked without a prompt once. In bfloat16 some
questions are scored in float32 too; the largest change between two options of one is the noise.

Where one option begins another, each is asked with and without the end of an answer; both are kept, and which counts is
decided by whoever reads them (openflan.evaluation.scores).

Invariant: options of a row are told apart by their tokens. Cost: the forward passes of `rank_options`; 48 of them again
in bfloat16. Rejected: PMI against a domain string of the task, which every task would have to name.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from openflan.errors import UserError
from openflan.evaluation.ranking import Question, rank_options
from openflan.evaluation.scores import OptionScores
from openflan.models.batching import scoring_tokens
from openflan.models.limits import check_positions
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.render import Prompt
from openflan.ranks import Team

__all__ = ["Likelihoods", "score_options", "score_texts"]

_PROBES = 48
"""Questions a task that are scored twice to see how far bfloat16 is off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Likelihoods:
    """The options of every prompt."""

    options: list[OptionScores]
    noise: float
    """How many nats a log-likelihood may be off."""


def score_options(
    model: Any,
    encoder: TextEncoder,
    prompts: Sequence[Prompt],
    inputs: Sequence[Sequence[int]],
    *,
    batch_tokens: int | None,
    autocast: bool,
    team: Team,
    count: Callable[[int], None],
) -> Likelihoods:
    """Score every prompt's options.

    Args:
        inputs: the prompts as tokens.
        batch_tokens: padded tokens of one forward; None for what suits the device.
        autocast: compute products in bfloat16.
        count: told how many prompts more are done.

    Raises:
        UserError: an option has no tokens, or two of a row have the same.
    """
    questions = [
        Question(prompt=ids, options=_with_ends(encoder, options), texts=prompt.answer.options)
        for ids, options, prompt in zip(inputs, _option_tokens(encoder, prompts), prompts, strict=True)
    ]
    alone: dict[tuple[tuple[int, ...], ...], Question] = {}
    nothing = encoder.inputs([""])[0] or [encoder.eos or 0]
    for question in questions:
        options = tuple(map(tuple, question.options))
        alone.setdefault(options, Question(prompt=nothing, options=options, texts=question.texts))
    every = [*questions, *alone.values()]
    kin = [*(prompt.row for prompt in prompts), *(-1 - number for number in range(len(alone)))]
    sizes = [len(question.prompt) + sum(map(len, question.options)) for question in every]
    answers = max(len(option) for question in questions for option in question.options)
    check_positions(model, max(map(len, inputs)), answers, task=prompts[0].task)
    budget = batch_tokens or scoring_tokens(model.device.type)

    def rank(numbers: Sequence[int]) -> list[OptionScores]:
        batch = [every[number] for number in numbers]
        return rank_options(model, batch, batch_tokens=budget, autocast=autocast, report=count)

    scored = team.shared(kin, sizes, rank)
    unconditional = dict(zip(alone, (scores.logprob for scores in scored[len(questions) :]), strict=True))
    given = [
        _apart(question, scores, unconditional[tuple(map(tuple, question.options))])
        for question, scores in zip(questions, scored, strict=False)
    ]
    return Likelihoods(options=given, noise=_noise(model, questions, scored, budget, team) if autocast else 0.0)


def score_texts(model: Any, encoder: TextEncoder, prompt: Sequence[int], texts: Sequence[str]) -> OptionScores:
    """Score the options of one question, with their ends where one begins another and the model is known to end so.

    Args:
        prompt: as tokens.

    Raises:
        UserError: an option has no tokens, or two have the same.
    """
    options = _tokens_of(texts, encoder.targets(texts, end=False), where="options")
    question = Question(prompt=prompt, options=_with_ends(encoder, options), texts=texts)
    check_positions(model, len(prompt), max(map(len, question.options)), task="options")
    (scores,) = rank_options(model, [question], batch_tokens=2 * len(prompt))
    apart = _apart(question, scores, ())
    return apart if encoder.rules.ends else replace(apart, ends=())


def _nested(options: Sequence[Sequence[int]]) -> bool:
    """Whether one of some options begins another: in order of tokens, it then begins its neighbour."""
    ordered = sorted({tuple(option) for option in options})
    return any(longer[: len(shorter)] == shorter for shorter, longer in pairwise(ordered))


def _with_ends(encoder: TextEncoder, options: Sequence[list[int]]) -> list[list[int]]:
    """The options; and once more with the end of an answer after each, where one begins another."""
    end = list(encoder.frame.target_end)
    return [*options, *(option + end for option in options)] if end and _nested(options) else list(options)


def _apart(question: Question, scores: OptionScores, unconditional: Sequence[float]) -> OptionScores:
    """A question's options and their ends, each on its own."""
    count = len(question.texts)
    options = question.options[:count]
    return OptionScores(
        logprob=scores.logprob[:count],
        tokens=scores.tokens[:count],
        texts=tuple(question.texts),
        unconditional=tuple(unconditional[:count]),
        nested=_nested(options),
        ends=_differences(scores.logprob, count),
        ends_alone=_differences(unconditional, count),
        likeliest=scores.likeliest[:count],
        together=_together(options, scores.logprob),
    )


def _together(options: Sequence[Sequence[int]], logprobs: Sequence[float]) -> float:
    """Log-probability that an answer begins with one of some options: of those that no other one begins."""
    places = sorted(range(len(options)), key=lambda place: tuple(options[place]))
    apart: list[int] = []
    for place in places:  # in order of tokens, what begins others stands right before them
        first = options[apart[-1]] if apart else None
        if first is None or list(options[place][: len(first)]) != list(first):
            apart.append(place)
    largest = max(logprobs[place] for place in apart)
    return largest + math.log(sum(math.exp(logprobs[place] - largest) for place in apart))


def _differences(logprobs: Sequence[float], count: int) -> tuple[float, ...]:
    return tuple(ended - option for option, ended in zip(logprobs, logprobs[count:], strict=False))


def _noise(
    model: Any, questions: Sequence[Question], scored: Sequence[OptionScores], batch_tokens: int, team: Team
) -> float:
    """Largest difference, in nats, that float32 makes between two options of some of the questions."""
    probes = range(0, len(questions), max(1, len(questions) // _PROBES))
    sizes = [len(questions[number].prompt) for number in probes]
    exact = team.shared(
        probes,
        sizes,
        lambda places: rank_options(model, [questions[probes[n]] for n in places], batch_tokens=batch_tokens),
    )
    off = [
        [a - b for a, b in zip(scored[number].logprob, one.logprob, strict=True)]
        for number, one in zip(probes, exact, strict=True)
    ]
    return max((max(differences) - min(differences) for differences in off), default=0.0)


def _option_tokens(encoder: TextEncoder, prompts: Sequence[Prompt]) -> list[list[list[int]]]:
    ids: Iterator[list[int]] = iter(
        encoder.targets([option for prompt in prompts for option in prompt.answer.options], end=False)
    )
    return [
        _tokens_of(
            prompt.answer.options,
            [next(ids) for _ in prompt.answer.options],
            where=f"{prompt.task}, row {prompt.row + 1}",
        )
        for prompt in prompts
    ]


def _tokens_of(texts: Sequence[str], tokens: list[list[int]], *, where: str) -> list[list[int]]:
    """The options of one row, seen to be some tokens each and not those of another."""
    seen: dict[tuple[int, ...], str] = {}
    for text, option in zip(texts, tokens, strict=True):
        if not option:
            what = f"the option {text!r} has no tokens in this model's vocabulary"
            raise UserError(what, where=where, how="reword the option")
        if (other := seen.setdefault(tuple(option), text)) != text:
            what = f"the options {other[:60]!r} and {text[:60]!r} are the same tokens to this model"
            raise UserError(what, where=where, how="reword them, or raise prompts.max_target_tokens")
    return tokens
