"""The two sides of every ranking benchmark: openflan's scorer and lm-evaluation-harness over one list of prompts.

Prompts are tokenised once and both sides score the same ids (`eval_vs_lm_eval.py` says why). A side is timed task by
task, so that tasks of one kind can be told from others.
"""

import importlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from openflan.prompts.render import Prompt
from side_by_side import Clock, Facts

if TYPE_CHECKING:
    from openflan.prompts.encoding import TextEncoder

__all__ = ["Asked", "by_task", "open_harness", "products_of", "records", "requests", "score_ours", "score_theirs"]

Asked = list[dict[str, Any]]
"""Prompts as a work folder holds them: prompt, options, texts, text (the prompt with its separator), task, template."""


def records(
    prompts: Sequence[Prompt], inputs: Sequence[list[int]], options: Sequence[list[int]], encoder: "TextEncoder"
) -> Asked:
    """Prompts with the ids of their inputs and of all their options."""
    left = iter(options)
    return [
        {
            "prompt": ids,
            "options": [next(left) for _ in prompt.answer.options],
            "texts": list(prompt.answer.options),
            "text": prompt.input + encoder.separator,
            "task": prompt.task,
            "template": prompt.template,
        }
        for ids, prompt in zip(inputs, prompts, strict=True)
    ]


def by_task(prompts: Asked) -> dict[str, list[int]]:
    """Numbers of each task's prompts."""
    numbers: dict[str, list[int]] = {}
    for number, one in enumerate(prompts):
        numbers.setdefault(one["task"], []).append(number)
    return numbers


def score_ours(model: Any, prompts: Asked, *, reduced: bool) -> tuple[Facts, list[float]]:
    """One scoring of everything by openflan: rates, memory and data types; every option's log-likelihood.

    Args:
        reduced: compute in bfloat16.
    """
    from openflan.evaluation.ranking import Question, rank_options
    from openflan.models.batching import scoring_tokens

    questions = [Question(prompt=one["prompt"], options=one["options"], texts=one["texts"]) for one in prompts]

    def rank(numbers: Sequence[int]) -> list[list[float]]:
        some = [questions[n] for n in numbers]
        ranked = rank_options(model, some, batch_tokens=scoring_tokens(model.device.type), autocast=reduced)
        return [list(scores.logprob) for scores in ranked]

    return _timed(prompts, rank, model, model.device.type)


def score_theirs(harness: Any, prompts: Asked) -> tuple[Facts, list[float]]:
    """One scoring of everything by the harness, told as ours."""

    def rank(numbers: Sequence[int]) -> list[list[float]]:
        some = [prompts[n] for n in numbers]
        answers = iter(harness._loglikelihood_tokens(requests(some), disable_tqdm=True))
        return [[float(next(answers)[0]) for _ in one["options"]] for one in some]

    return _timed(prompts, rank, harness.model, harness.device.type)


def _timed(
    prompts: Asked, rank: Callable[[Sequence[int]], list[list[float]]], model: Any, device: str
) -> tuple[Facts, list[float]]:
    import torch

    rank(range(min(8, len(prompts))))
    scores: list[list[float]] = [[]] * len(prompts)
    clock = Clock()
    rates = {}
    for task, numbers in by_task(prompts).items():
        began = time.perf_counter()
        logprobs = rank(numbers)
        rates[task] = round(len(numbers) / (time.perf_counter() - began), 2)
        for number, own in zip(numbers, logprobs, strict=True):
            scores[number] = own
    facts = clock.read()
    return {
        "prompts_per_second": round(len(prompts) / facts["seconds"], 2),
        "prompts_per_second_by_task": rates,
        **facts,
        "device": device,
        "threads": torch.get_num_threads(),
        "dtypes": products_of(model, lambda: rank([0])),
    }, [value for own in scores for value in own]


def open_harness(model: Any, tokenizer: Any, *, batch_size: int, attention: str, precision: str) -> Any:
    """The harness's own Hugging Face back end around a model, which it gets for itself."""
    import torch

    model.set_attn_implementation(attention)
    if precision == "bfloat16":
        model.to(torch.bfloat16)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    back_end = importlib.import_module("lm_eval.models.huggingface")
    return back_end.HFLM(
        pretrained=model, tokenizer=tokenizer, batch_size=batch_size, device=str(model.device), dtype=precision
    )


def requests(prompts: Asked) -> list[tuple[tuple[str, str], list[int], list[int]]]:
    """The harness's own form: (strings, context tokens, continuation tokens), an option each."""
    return [
        ((one["text"], text), one["prompt"], option)
        for one in prompts
        for text, option in zip(one["texts"], one["options"], strict=True)
    ]


def products_of(model: Any, score: Callable[[], object]) -> dict[str, str]:
    """What weights are held in and what comes out of products, as seen at the first block's first matrix."""
    import torch

    matrix = next(
        part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and "layers" in name
    )
    seen: list[str] = []
    handle = matrix.register_forward_hook(lambda _m, _a, out: seen.append(str(out.dtype)))
    score()
    handle.remove()
    return {"weights": str(matrix.weight.dtype).removeprefix("torch."), "products": seen[0].removeprefix("torch.")}
