"""Ranking speed: openflan's one pass over an option trie against lm-evaluation-harness, on the same prompts.

Both sides score every option of the same multiple-choice prompts, token for token, with the same float32 weights.
The rate is prompts (row and template, with all options) a second of scoring alone; imports, loading and tokenising
are outside, and tokenising is timed apart. Options of one token and of several are timed apart, too: the harness
answers the former with one forward, the latter with one an option.

What the harness is given: its own Hugging Face back end (`HFLM`), its own sorting, batching and one-token shortcut
(`logits_cache`). Requests enter at `_loglikelihood_tokens` with token ids, because `loglikelihood` moves white space
at a prompt's end into the answer and so scores other tokens; how often its string path would agree is reported. A
short probe picks the fastest of batch sizes 1, 4, 16 and 64 (`auto` finds the largest that fits, 64 on CPU) with
torch's fused attention and with plain products, which are the faster ones on CPU for short prompts. On CPU the probe
goes by processor time, which other programs on the machine disturb least.

The record holds the largest difference of any option's log-likelihood and the share of equal decisions.
"""

import importlib
import json
import logging
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from openflan.models.batching import scoring_tokens
from openflan.models.load import ModelSource, find_model, load_model, load_tokenizer, pick_device
from openflan.recipe import PromptsPart
from side_by_side import Clock, Facts, Settings, Turn, alternate, choose_tasks, main, say, summary, turn

_BATCH_SIZES = (1, 4, 16, 64)
_PROBE_PROMPTS = 96

Asked = list[dict[str, Any]]
"""Prompts as the work folder holds them: prompt, options, texts, text (the prompt with its separator)."""


def compare(work: Path, settings: Settings) -> Facts:
    """The whole benchmark."""
    script = Path(__file__)
    say("preparing: rendering, tokenising")
    prepared = turn(script, "prepare", work)
    say(f"{prepared['prompts']:,} prompts, {prepared['options']:,} options of {prepared['tasks']} tasks")
    say("probing the harness's settings")
    probe = turn(script, "probe", work)
    say(f"fastest: batch size {probe['batch_size']}, {probe['attention']}; of {probe['prompts_per_probe_second']}")
    facts = alternate(script, ("ours", "lm_eval"), work, settings.repeats, shown="prompts_per_second")
    agreement = _agreement(work)
    by_kind = {
        kind: round(_median(facts["ours"], kind) / _median(facts["lm_eval"], kind), 3)
        for kind in facts["ours"][0]["prompts_per_second_by_options"]
    }
    line = {
        **summary(facts, "lm_eval", "prompts_per_second"),
        "unit": "prompts/s",
        "ratio_by_options": by_kind,
        **agreement,
        "peer_setting": {"batch_size": probe["batch_size"], "attention": probe["attention"]},
    }
    tokenising = {"ours": prepared["tokenising"], "lm_eval": probe["tokenising"]}
    return {"line": line, "work": prepared, "probe": probe, "tokenising": tokenising, "turns": facts}


def prepare(this: Turn) -> Facts:
    """Render and tokenise the prompts that both sides score."""
    from openflan.evaluation.protocol import ask_prompts
    from openflan.prompts.encoding import TextEncoder

    settings = this.settings
    source = _source(settings)
    room = min(source.positions or 1_280, 1_280)
    part = PromptsPart(max_input_tokens=room * 4 // 5, max_target_tokens=room // 5)
    encoder = TextEncoder(load_tokenizer(source), part)
    entries = [e for e in choose_tasks(settings, "test") if e.spec.is_classification]
    prompts = [p for e in entries for p in ask_prompts(e, encoder, limit=settings.size, data=settings.data_folder)]
    began = time.perf_counter()
    inputs = encoder.inputs([prompt.input for prompt in prompts])
    options = iter(encoder.targets([text for prompt in prompts for text in prompt.answer.options], end=False))
    seconds = time.perf_counter() - began
    asked: Asked = [
        {
            "prompt": ids,
            "options": [next(options) for _ in prompt.answer.options],
            "texts": list(prompt.answer.options),
            "text": prompt.input + part.separator,
        }
        for ids, prompt in zip(inputs, prompts, strict=True)
    ]
    (this.work / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    return {
        "tasks": len(entries),
        "prompts": len(asked),
        "options": sum(len(one["options"]) for one in asked),
        "one_token_prompts": len(_kinds(asked).get("one_token", [])),
        "median_prompt_tokens": statistics.median(len(ids) for ids in inputs),
        "longest_prompt_tokens": max(map(len, inputs)),
        "tokenising": {"seconds": round(seconds, 3), "prompts": len(asked)},
    }


def ours(this: Turn) -> Facts:
    """One scoring of everything by openflan."""
    import torch

    from openflan.evaluation.ranking import Question, rank_options

    asked = _asked(this)
    questions = [Question(prompt=one["prompt"], options=one["options"], texts=one["texts"]) for one in asked]
    model = load_model(_source(this.settings), device=pick_device())
    batch_tokens = scoring_tokens(model.device.type)
    rank_options(model, questions[:8], batch_tokens=batch_tokens)
    scores: list[tuple[float, ...]] = [()] * len(asked)
    clock = Clock()
    rates = {}
    for kind, numbers in _kinds(asked).items():
        began = time.perf_counter()
        ranked = rank_options(model, [questions[n] for n in numbers], batch_tokens=batch_tokens)
        rates[kind] = round(len(numbers) / (time.perf_counter() - began), 2)
        for number, found in zip(numbers, ranked, strict=True):
            scores[number] = found.logprob
    facts = clock.read()
    _keep(this, [value for found in scores for value in found])
    return _facts(asked, rates, facts, device=model.device.type, threads=torch.get_num_threads())


def lm_eval(this: Turn) -> Facts:
    """One scoring of everything by the harness, as the probe set it."""
    import torch

    asked = _asked(this)
    chosen = json.loads((this.work / "probe.json").read_text(encoding="utf-8"))
    harness = _harness(this.settings, batch_size=chosen["batch_size"], attention=chosen["attention"])
    harness._loglikelihood_tokens(_requests(asked[:8]), disable_tqdm=True)
    scores: list[list[float]] = [[]] * len(asked)
    clock = Clock()
    rates = {}
    for kind, numbers in _kinds(asked).items():
        requests = _requests([asked[n] for n in numbers])
        began = time.perf_counter()
        answers = iter(harness._loglikelihood_tokens(requests, disable_tqdm=True))
        rates[kind] = round(len(numbers) / (time.perf_counter() - began), 2)
        for number in numbers:
            scores[number] = [float(next(answers)[0]) for _ in asked[number]["options"]]
    facts = clock.read()
    _keep(this, [value for found in scores for value in found])
    return _facts(asked, rates, facts, device=harness.device.type, threads=torch.get_num_threads())


def probe_lm_eval(this: Turn) -> Facts:
    """Find the harness's fastest setting here, and time its own tokenising."""
    asked = _asked(this)
    sample = asked[:: max(1, len(asked) // _PROBE_PROMPTS)]
    requests = _requests(sample)
    speeds: dict[tuple[int, str], float] = {}

    def measure(size: int, attention: str) -> None:
        harness = _harness(this.settings, batch_size=size, attention=attention)
        harness._loglikelihood_tokens(requests[:8], disable_tqdm=True)
        clock = Clock()
        harness._loglikelihood_tokens(requests, disable_tqdm=True)
        facts = clock.read()
        seconds = facts["cpu_seconds" if harness.device.type == "cpu" else "seconds"]
        speeds[size, attention] = round(len(sample) / seconds, 2)

    for size, attention in product(_BATCH_SIZES, ("sdpa", "eager")):
        measure(size, attention)
    size, attention = max(speeds, key=lambda setting: speeds[setting])
    return {
        "batch_size": size,
        "attention": attention,
        "prompts_per_probe_second": {f"{s}-{kind}": rate for (s, kind), rate in speeds.items()},
        "tokenising": _harness_tokenising(this, sample),
    }


def _harness_tokenising(this: Turn, sample: Asked) -> Facts:
    """Time the harness's own tokenising of the same strings, and compare its tokens with ours."""
    harness = _harness(this.settings, batch_size=1, attention="sdpa")
    began = time.perf_counter()
    pairs = [harness._encode_pair(one["text"], text) for one in sample for text in one["texts"]]
    seconds = time.perf_counter() - began
    same = [
        context == one["prompt"] and continuation == option
        for (context, continuation), (one, option) in zip(
            pairs, ((one, option) for one in sample for option in one["options"]), strict=True
        )
    ]
    return {
        "seconds": round(seconds, 3),
        "prompts": len(sample),
        "same_tokens_as_ours": round(sum(same) / len(same), 4),
    }


def _harness(settings: Settings, *, batch_size: int, attention: str) -> Any:
    source = _source(settings)
    device = pick_device()
    model = load_model(source, device=device)
    model.set_attn_implementation(attention)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    back_end = importlib.import_module("lm_eval.models.huggingface")
    return back_end.HFLM(
        pretrained=model, tokenizer=load_tokenizer(source), batch_size=batch_size, device=str(device), dtype="float32"
    )


def _requests(asked: Asked) -> list[tuple[tuple[str, str], list[int], list[int]]]:
    """The harness's own form: (strings, context tokens, continuation tokens), an option each."""
    return [
        ((one["text"], text), one["prompt"], option)
        for one in asked
        for text, option in zip(one["texts"], one["options"], strict=True)
    ]


def _kinds(asked: Asked) -> dict[str, list[int]]:
    """Numbers of the prompts whose options have one token each, and of the others."""
    kinds: dict[str, list[int]] = {"one_token": [], "several_tokens": []}
    for number, one in enumerate(asked):
        kinds["one_token" if all(len(o) == 1 for o in one["options"]) else "several_tokens"].append(number)
    return {kind: numbers for kind, numbers in kinds.items() if numbers}


def _asked(this: Turn) -> Asked:
    asked: Asked = json.loads((this.work / "asked.json").read_text(encoding="utf-8"))
    return asked


def _keep(this: Turn, scores: list[float]) -> None:
    np.save(this.work / f"{this.name}.npy", np.array(scores))


def _facts(asked: Asked, rates: dict[str, float], clock: Facts, **more: Any) -> Facts:
    rate = round(len(asked) / clock["seconds"], 2)
    return {"prompts_per_second": rate, "prompts_per_second_by_options": rates, **clock, **more}


def _agreement(work: Path) -> Facts:
    """How alike the two sides' log-likelihoods and decisions are."""
    asked = json.loads((work / "asked.json").read_text(encoding="utf-8"))
    a, b = np.load(work / "ours.npy"), np.load(work / "lm_eval.npy")
    decisions = [int(np.argmax(x)) == int(np.argmax(y)) for x, y in zip(_cut(asked, a), _cut(asked, b), strict=True)]
    return {
        "largest_logprob_difference": float(f"{np.abs(a - b).max():.3g}"),
        "equal_decisions": round(sum(decisions) / len(decisions), 6),
    }


def _cut(asked: Asked, values: Any) -> Iterator[Any]:
    """Scores option by option, cut into prompts."""
    first = 0
    for one in asked:
        yield values[first : first + len(one["options"])]
        first += len(one["options"])


def _median(turns: list[Facts], kind: str) -> float:
    return float(statistics.median(t["prompts_per_second_by_options"][kind] for t in turns))


def _source(settings: Settings) -> ModelSource:
    return find_model(settings.model_part, Path(settings.model))


if __name__ == "__main__":
    sys.exit(
        main(
            script=Path(__file__),
            benchmark="eval_vs_lm_eval",
            peer="lm_eval",
            description="Score the same multiple-choice prompts with openflan and with lm-evaluation-harness.",
            size=("rows", 6, 30),
            precisions=("float32",),
            turns={"prepare": prepare, "probe": probe_lm_eval, "ours": ours, "lm_eval": lm_eval},
            compare=compare,
        )
    )
