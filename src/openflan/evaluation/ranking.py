"""Rank classification: the answer is the option with the highest log-likelihood given the prompt.

Prompts that start alike and all their options are one sequence and one forward (openflan.evaluation.bundles): tokens
see their own past only, positions count on from each fork, and the LM head runs only where an option token is
predicted (Wei et al. 2022, section 2.3, score options by their probability given the input). Batches are filled by a
budget of tokens; where memory runs out the budget is halved and the work goes on.

Legend: B sequences, T tokens of the longest, N predicting positions, V vocabulary.
Invariant: float32 scores equal one forward an option within 1e-4 nats and do not depend on the batch.
Cost: at most 1 forward token a prompt token. Rejected: a key-value cache copied once an option (two passes, memory
grows with the options). The mask is always explicit: transformers reads a jump in positions as a new document.
A model that does not go by the mask (a sliding window, a state-space layer) reads the prompt once an option, and one
that padding moves only beside sequences of its length (models/family.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openflan.errors import UserError
from openflan.evaluation.bundles import Bundle, bundle_questions
from openflan.evaluation.encoder_decoder import score_by_decoder
from openflan.evaluation.option_logits import Scored, scored_options
from openflan.evaluation.scores import OptionScores
from openflan.models.adapters import soft_prompt
from openflan.models.attention import additive_mask, obeys_mask
from openflan.models.batching import Batching, group_by_length
from openflan.models.family import family_of
from openflan.models.head import logits_at

__all__ = ["Question", "rank_options"]

_LONGEST_BUNDLE = 768
"""Tokens of a sequence that holds several prompts: beyond it attention costs more than sharing saves."""
_LOGITS = {"cpu": 256 << 20, "cuda": 4 << 30}
"""Bytes of float32 logits at once: a GPU's forward of a vocabulary of 152 thousand would hold few prompts with less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A tokenised prompt and its options."""

    prompt: Sequence[int]
    options: Sequence[Sequence[int]]
    texts: Sequence[str]
    """The options as text, for scores by character and byte."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """What one sequence of a batch stands for."""

    bundle: Bundle
    places: list[tuple[int, int]]
    """Of each question in it: its number, and which of its options stands first."""
    options: list[list[Sequence[int]]]
    closes: int
    """How many questions are finished with it."""

    @property
    def predictions(self) -> int:
        """Positions at which logits are needed."""
        return len({place for question in self.bundle.predicted for path in question for place in path})


def rank_options(
    model: Any,
    questions: Sequence[Question],
    *,
    batch_tokens: int,
    autocast: bool = False,
    report: Callable[[int], None] = lambda _done: None,
) -> list[OptionScores]:
    """Score the options of every question.

    Args:
        model: a transformers language model, decoder-only or encoder-decoder.
        batch_tokens: padded tokens of one forward, at the most.
        autocast: compute matrix products in bfloat16.
        report: told how many questions each forward finished.

    Raises:
        UserError: not even one sequence fits the memory, or the model's family can't be asked rightly.
    """
    if prefix := soft_prompt(model):
        questions = [replace(question, prompt=[*prefix, *question.prompt]) for question in questions]
    scores: list[list[Scored]] = [[Scored(0.0, False)] * len(question.options) for question in questions]
    longest = max((len(q.prompt) + max(map(len, q.options)) for q in questions), default=0)
    batching = family_of(model).batching_for(longest)
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=autocast):
        if model.config.is_encoder_decoder:
            lengths = [len(q.prompt) + sum(map(len, q.options)) for q in questions]

            def decode(group: Sequence[int]) -> None:
                chosen = [questions[number] for number in group]
                prompts, options = [q.prompt for q in chosen], [q.options for q in chosen]
                scored = score_by_decoder(model, prompts, options, batching=batching)
                for number, own_scores in zip(group, scored, strict=True):
                    scores[number] = own_scores
                report(len(group))

            _in_batches(lengths, [0] * len(lengths), batch_tokens, decode, device=model.device, batching=batching)
        else:
            work = _work(model, questions, batch_tokens, batching)
            vocabulary = model.config.get_text_config().vocab_size

            def score(group: Sequence[int]) -> None:
                chosen = [work[number] for number in group]
                for one, scored in zip(chosen, _score(model, chosen), strict=True):
                    for (number, first), own_scores in zip(one.places, scored, strict=True):
                        scores[number][first : first + len(own_scores)] = own_scores
                report(sum(one.closes for one in chosen))

            lengths = [len(one.bundle.tokens) for one in work]
            logits = [4 * vocabulary * one.predictions for one in work]
            _in_batches(lengths, logits, batch_tokens, score, device=model.device, batching=batching)
    return [
        OptionScores(
            logprob=tuple(one.logprob for one in own_scores),
            tokens=tuple(map(len, question.options)),
            texts=tuple(question.texts),
            likeliest=tuple(one.likeliest for one in own_scores),
        )
        for question, own_scores in zip(questions, scores, strict=True)
    ]


def _work(model: Any, questions: Sequence[Question], batch_tokens: int, batching: Batching) -> list[_Work]:
    """Sequences for the model: bundles, or an option each where the model does not go by a mask."""

    def masks(size: int) -> bool:
        return batching == "together" and obeys_mask(model, size)

    longest = max((len(q.prompt) + sum(map(len, q.options)) for q in questions), default=0)
    room = min(_LONGEST_BUNDLE, batch_tokens)
    together = room if masks(max(room, longest)) else None
    masked = [n for n, q in enumerate(questions) if masks(len(q.prompt) + sum(map(len, q.options)))]
    bundles = bundle_questions(
        [questions[n].prompt for n in masked], [questions[n].options for n in masked], longest=together
    )
    work = [
        _Work(
            bundle=bundle,
            places=[(masked[n], 0) for n in bundle.questions],
            options=[list(questions[masked[n]].options) for n in bundle.questions],
            closes=len(bundle.questions),
        )
        for bundle in bundles
    ]
    padded = batching in ("together", "padded")  # what padding moves, the option's own last token moves too
    for number in sorted(set(range(len(questions))) - set(masked)):
        question = questions[number]
        for place, option in enumerate(question.options):
            (bundle,) = bundle_questions([question.prompt], [[option if padded else [*option, 0]]], longest=None)
            bundle.predicted[0][0] = bundle.predicted[0][0][: len(option)]
            work.append(_Work(bundle=bundle, places=[(number, place)], options=[[option]], closes=int(place == 0)))
    return work


def _in_batches(
    lengths: Sequence[int],
    logits: Sequence[int],
    batch_tokens: int,
    do: Callable[[Sequence[int]], None],
    *,
    device: torch.device,
    batching: Batching,
) -> None:
    """Do everything in batches of like lengths; where memory runs out, in halves of them from then on."""
    budget, limit = batch_tokens, _LOGITS.get(device.type, 256 << 20)
    left = list(range(len(lengths)))
    while left:
        again: list[int] = []
        sizes = [lengths[number] for number in left]
        for group in group_by_length(sizes, padded_tokens=budget, batching=batching):
            members = [left[place] for place in group]
            if again:
                again += members
                continue
            for part in _within(members, logits, limit):
                if again:
                    again += part
                    continue
                try:
                    do(part)
                except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                    if not _out_of_memory(error):
                        raise
                    if len(part) == 1:
                        what = f"a sequence of {lengths[part[0]]:,} tokens does not fit the memory"
                        raise UserError(what, how="lower prompts.max_input_tokens, or use another device") from None
                    if device.type == "cuda":
                        torch.cuda.empty_cache()
                    budget = max(1, len(part) * max(lengths[number] for number in part) // 2)
                    limit = max(1, sum(logits[number] for number in part) // 2)
                    again += part
        left = again


def _within(members: Sequence[int], logits: Sequence[int], limit: int) -> list[list[int]]:
    """A batch cut where its logits would be too many."""
    parts: list[list[int]] = []
    size = 0
    for number in members:
        if not parts or size + logits[number] > limit:
            parts.append([])
            size = 0
        parts[-1].append(number)
        size += logits[number]
    return parts


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)


def _score(model: Any, chosen: Sequence[_Work]) -> list[list[list[Scored]]]:
    """One forward: what is found by sequence, question and option."""
    where: dict[tuple[int, int], int] = {}
    row, wanted, sizes = [], [], []
    for number, work in enumerate(chosen):
        for options, paths in zip(work.options, work.bundle.predicted, strict=True):
            for option, path in zip(options, paths, strict=True):
                row += [where.setdefault((number, place), len(where)) for place in path]
                wanted += list(option)
                sizes.append(len(option))
    sequences, tokens = (torch.tensor(side, device=model.device) for side in zip(*where, strict=True))
    logits = logits_at(model, (sequences, tokens), **_inputs([work.bundle for work in chosen], model.device))
    scores = iter(scored_options(logits, row, wanted, sizes))
    return [[[next(scores) for _ in options] for options in work.options] for work in chosen]


def _inputs(bundles: Sequence[Bundle], device: torch.device) -> dict[str, Tensor]:
    """Token ids (B, T), positions (B, T) and the additive mask (B, 1, T, T); no mask where plain causal serves."""
    longest = max(len(bundle.tokens) for bundle in bundles)
    ids = np.zeros((len(bundles), longest), dtype=np.int64)
    for number, bundle in enumerate(bundles):
        ids[number, : len(bundle.tokens)] = bundle.tokens
    inputs = {"input_ids": torch.from_numpy(ids).to(device)}
    if not any(bundle.forks for bundle in bundles):
        return inputs
    places = np.tile(np.arange(longest), (len(bundles), 1))
    sees = np.empty((len(bundles), longest, longest), dtype=np.bool_)
    for number, bundle in enumerate(bundles):
        places[number, : len(bundle.tokens)] = bundle.positions()
        sees[number] = bundle.allowed(longest)
    return {
        **inputs,
        "position_ids": torch.from_numpy(places).to(device),
        "attention_mask": additive_mask(torch.from_numpy(sees).to(device)),
    }
