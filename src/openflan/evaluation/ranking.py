"""Rank classification: the answer is the option with the highest log-likelihood given the prompt.

Each prompt and its option trie are one sequence and one forward: nodes see the prompt and their ancestors only,
positions restart at each fork, and the LM head runs only where an option token is predicted
(Wei et al. 2022, section 2.3, score options by their probability given the input).

Legend: B sequences, T tokens of the longest, N predicting positions, V vocabulary.
Invariant: float32 scores equal one forward an option within 1e-4 nats and do not depend on the batch.
Cost: about 1 forward token a prompt token. Rejected: a key-value cache copied once an option (two passes, memory
grows with the options). The mask is always explicit: transformers reads a jump in positions as a new document.
A model that does not go by the mask (a sliding window, a state-space layer) reads the prompt once an option.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openflan.evaluation.scores import OptionScores
from openflan.evaluation.trie import OptionTrie, build_trie
from openflan.models.attention import obeys_mask
from openflan.models.batching import group_by_length
from openflan.models.head import logits_at

__all__ = ["Question", "rank_options"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A tokenised prompt and its options."""

    prompt: Sequence[int]
    options: Sequence[Sequence[int]]
    texts: Sequence[str]
    """The options as text, for scores by character and byte."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """A question, or one option of it where a model can't see a trie."""

    question: Question
    number: int
    """Which question it belongs to."""
    first: int
    """Which of its options stands first."""


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
        model: a transformers causal language model.
        batch_tokens: padded tokens of one forward.
        autocast: compute matrix products in bfloat16.
        report: told how many questions each forward finished.
    """
    shared, alone = [], []
    for number, question in enumerate(questions):
        longest = len(question.prompt) + max(map(len, question.options))
        if obeys_mask(model, longest):
            shared.append(_Part(question=question, number=number, first=0))
        else:
            alone += [
                _Part(question=replace(question, options=[option]), number=number, first=place)
                for place, option in enumerate(question.options)
            ]
    found: list[list[float]] = [[0.0] * len(question.options) for question in questions]
    for parts in (shared, alone):
        tries = [build_trie(part.question.options) for part in parts]
        lengths = [len(part.question.prompt) + len(trie.tokens) for part, trie in zip(parts, tries, strict=True)]
        for group in group_by_length(lengths, padded_tokens=batch_tokens):
            chosen = [(parts[member].question, tries[member]) for member in group]
            with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=autocast):
                scored = _score(model, chosen)
            for member, logprobs in zip(group, scored, strict=True):
                part = parts[member]
                found[part.number][part.first : part.first + len(logprobs)] = logprobs
            report(sum(parts[member].first == 0 for member in group))
    return [
        OptionScores(logprob=tuple(logprobs), tokens=tuple(map(len, question.options)), texts=tuple(question.texts))
        for question, logprobs in zip(questions, found, strict=True)
    ]


def _score(model: Any, chosen: Sequence[tuple[Question, OptionTrie]]) -> list[list[float]]:
    """One forward over prompts and tries: log-likelihoods of each question's options."""
    sequences, tokens, where = _predicting_positions(chosen)
    inputs = _inputs(chosen, model.device)
    positions = (torch.tensor(sequences, device=model.device), torch.tensor(tokens, device=model.device))
    logprobs = torch.log_softmax(logits_at(model, positions, **inputs), dim=-1)
    row, wanted, sizes = [], [], []
    for number, (question, trie) in enumerate(chosen):
        for option, path in zip(question.options, trie.paths, strict=True):
            row += [where[number, node] for node in path]
            wanted += list(option)
            sizes.append(len(option))
    picked = logprobs[torch.tensor(row, device=model.device), torch.tensor(wanted, device=model.device)].double().cpu()
    sums = iter([float(part.sum()) for part in torch.split(picked, sizes)])
    return [[next(sums) for _ in question.options] for question, _ in chosen]


def _predicting_positions(
    chosen: Sequence[tuple[Question, OptionTrie]],
) -> tuple[list[int], list[int], dict[tuple[int, int], int]]:
    """Sequence and token number of every position that predicts, and its row in the gathered logits."""
    sequences: list[int] = []
    tokens: list[int] = []
    where: dict[tuple[int, int], int] = {}
    for number, (question, trie) in enumerate(chosen):
        for node in (-1, *range(len(trie.tokens))):
            where[number, node] = len(tokens)
            sequences.append(number)
            tokens.append(len(question.prompt) + node)
    return sequences, tokens, where


def _inputs(chosen: Sequence[tuple[Question, OptionTrie]], device: torch.device) -> dict[str, Tensor]:
    """Token ids (B, T), positions (B, T) and the additive mask (B, 1, T, T); no mask where plain causal serves."""
    longest = max(len(q.prompt) + len(trie.tokens) for q, trie in chosen)
    ids = np.zeros((len(chosen), longest), dtype=np.int64)
    places = np.tile(np.arange(longest), (len(chosen), 1))
    for number, (question, trie) in enumerate(chosen):
        end = len(question.prompt)
        ids[number, : end + len(trie.tokens)] = [*question.prompt, *trie.tokens]
        places[number, end : end + len(trie.tokens)] = [end + depth - 1 for depth in trie.depths]
    inputs = {"input_ids": torch.from_numpy(ids).to(device)}
    if not any(trie.forks for _, trie in chosen):
        return inputs
    allowed = np.tile(np.tril(np.ones((longest, longest), dtype=bool)), (len(chosen), 1, 1))
    for number, (question, trie) in enumerate(chosen):
        end = len(question.prompt)
        for node in range(len(trie.tokens)):
            allowed[number, end + node, end:] = False
            allowed[number, end + node, [end + above for above in trie.ancestors(node)]] = True
    mask = torch.where(torch.from_numpy(allowed), 0.0, torch.finfo(torch.float32).min)
    return {
        **inputs,
        "position_ids": torch.from_numpy(places).to(device),
        "attention_mask": mask.unsqueeze(1).to(device),
    }
