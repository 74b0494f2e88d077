"""Generation by vLLM, where it is installed: the same token ids in, greedy token ids out.

vLLM loads the model again from its folder, so what is only in memory (a merged adapter, a soft prompt) is refused.
Ranking stays with transformers: it needs the scores of whole options, which vLLM gives one prompt an option.

Invariant: prompts and stop strings are those of `evaluation/generation.py`. Not tested against vLLM itself here.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.evaluation.generation import read_answer
from openflan.models.adapters import soft_prompt
from openflan.models.load import is_hub_id
from openflan.prompts.encoding import TextEncoder
from openflan.ranks import ALONE, Team

__all__ = ["check_vllm", "generate_by_vllm"]


def check_vllm(team: Team = ALONE) -> None:
    """See to it that vLLM is installed, and that it is asked by one process: it starts its own for more devices.

    Raises:
        UserError: it is not.
    """
    if team.size > 1:
        how = "start one process, or evaluation.engine=transformers"
        raise UserError("vLLM divides its work itself", where="evaluation.engine: vllm", how=how)
    if find_spec("vllm") is None:
        raise UserError("vllm is not installed", where="evaluation.engine: vllm", how='pip install "openflan[vllm]"')


def generate_by_vllm(
    model: Any,
    encoder: TextEncoder,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop: Sequence[str],
    report: Callable[[int], None],
) -> list[str]:
    """Greedy answers to prompts.

    Raises:
        UserError: vLLM is not installed, or the model is not in a folder or on the hub as it is in memory.
    """
    check_vllm()
    name = str(getattr(model, "name_or_path", ""))
    whole = Path(name, "config.json").is_file() or is_hub_id(name)
    if not whole or soft_prompt(model) or getattr(model, "openflan_merged", False):
        how = "merge it into a folder (`openflan export model --merge`), or evaluation.engine=transformers"
        raise UserError("vLLM reads a model from its folder, and this one is not there as it is", how=how)
    from vllm import LLM, SamplingParams

    engine = LLM(model=name, skip_tokenizer_init=True)
    ends = list(encoder.frame.stops)
    wanted = SamplingParams(temperature=0.0, max_tokens=max_new_tokens, stop_token_ids=ends, detokenize=False)
    outputs = engine.generate([{"prompt_token_ids": list(prompt)} for prompt in prompts], wanted, use_tqdm=False)
    report(len(prompts))
    stop = (*stop, *encoder.frame.stop_texts)
    return [read_answer(encoder, one.outputs[0].token_ids, stop) for one in outputs]
