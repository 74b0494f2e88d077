"""Ranking speed: openflan's one pass over prompts and options against lm-evaluation-harness, on the same prompts.

Both sides score every option of the same multiple-choice prompts, token for token, with the same weights. With
`--precision bfloat16` each computes in bfloat16 in its own way: the harness with weights in bfloat16, as its `dtype`
makes them, openflan by autocast over float32 weights. A hook sees what each multiplied in; that is recorded (`dtypes`).
The rate is prompts (row and template, with all options) a second of scoring alone; imports, loading and tokenising
are outside, and tokenising is timed apart. Each task is timed apart, too, and held against three goals:

    four options  hellaswag, cosmos_qa, openbookqa (options of several tokens)   4 times as fast, geometric mean
    one token     rte, wnli (options of one token)                               2 times
    all           eight tasks                                                    3 times

`ratio` is the smallest of what was measured over its goal: 1 or more means that all three are reached.

By default the model is made here, with random weights, which cost what trained ones cost: a Llama of six layers and
256 wide whose head takes 57 % of its multiplications, as in Pythia-70M and Gemma 3 270M (63 %), with a vocabulary
trained on the rows so that texts have as many tokens as real ones. The share matters: the harness multiplies the head
at every position, openflan where an option is predicted. It was chosen after a head of 30 % had missed the goal for
one token (1.3 to 1.6 times, docs/lab-notes.md), so that ratio speaks for large heads alone. `--model` takes any other,
of which scoring alone is measured.
`--quick --precision bfloat16` makes a tiny one in its place (two layers, 64 wide, 2,048 words), for many a CPU has no
bfloat16 products and does a thousandth of its float32 speed: that record shows that both sides run and agree, not how
fast they are (`model_made`).

What the harness is given: its own Hugging Face back end (`HFLM`), its own sorting, batching and one-token shortcut
(`logits_cache`). Requests enter at `_loglikelihood_tokens` with token ids, because `loglikelihood` moves white space
at a prompt's end into the answer and so scores other tokens; how often its string path would agree is reported. A
short probe picks the fastest of batch sizes 1, 4, 16 and 64 (`auto` finds the largest that fits, 64 on CPU; one whose
logits of all positions are larger than memory is left out, and told) with torch's fused attention and with plain
products, which are the faster ones on CPU for short prompts. On CPU the probe goes by processor time, which other
programs on the machine disturb least.

The record holds the largest difference of any option's log-likelihood, the share of equal decisions, what all
templates of a task cost beside one and how much they share (`template_cost.py`), and the peak memory of a vocabulary of
256,000 over 64 rows of 512 tokens.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from made_model import MADE, make_model
from openflan.models.batching import scoring_tokens
from openflan.models.device import pick_device
from openflan.models.load import ModelSource, find_model, load_model, load_tokenizer
from openflan.prompts.render import Prompt
from openflan.recipes.parts import ModelPart, PromptsPart
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.local import TWINS
from ranking_sides import Asked, open_harness, records, requests, score_ours, score_theirs
from side_by_side import Clock, Facts, Settings, Turn, alternate, main, say, summary, turn
from template_cost import measure_templates, passages_first, reached
from whole_commands import whole_commands

if TYPE_CHECKING:
    from openflan.prompts.encoding import TextEncoder

_BATCH_SIZES = (1, 4, 16, 64)
_PROBE_PROMPTS = 24
_FEW_PROMPTS = 8
"""The same where the model is not made here, and so may be large."""

_SIZES = {
    "vocabulary": 24_576,
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
}
_TINY = {
    "vocabulary": 2_048,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_TEMPLATE_ROWS = 12
"""Rows of a task that say what its templates cost: with fewer, one template does not fill a batch."""

_TASKS = ("hellaswag", "cosmos_qa", "openbookqa", "arc_easy", "copa", "rte", "wnli", "bool_q")

_GOALS: dict[str, tuple[float, tuple[str, ...]]] = {
    "four_options": (4.0, ("hellaswag", "cosmos_qa", "openbookqa")),
    "one_token": (2.0, ("rte", "wnli")),
    "all": (3.0, _TASKS),
}


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
    further = _further(script, work, settings, batch_size=probe["batch_size"]) if settings.model == MADE else {}
    by_task = {
        task: round(_median(facts["ours"], task) / _median(facts["lm_eval"], task), 3)
        for task in facts["ours"][0]["prompts_per_second_by_task"]
    }
    goals = _reached(by_task)
    line = {
        **summary(facts, "lm_eval", "prompts_per_second"),
        "unit": "prompts/s",
        "ratio_by_task": by_task,
        "goals": goals,
        **agreement,
        "dtypes": {side: facts[side][-1]["dtypes"] for side in ("ours", "lm_eval")},
        "model_made": prepared["model_made"],
        **further,
        "peer_setting": {"batch_size": probe["batch_size"], "attention": probe["attention"]},
        "ratio": min((goal["measured"] / goal["goal"] for goal in goals.values()), default=0.0),
    }
    line["ratio"] = round(line["ratio"], 3)
    tokenising = {"ours": prepared["tokenising"], "lm_eval": probe["tokenising"]}
    return {"line": line, "work": prepared, "probe": probe, "tokenising": tokenising, "turns": facts}


def _further(script: Path, work: Path, settings: Settings, *, batch_size: int) -> Facts:
    """What is measured with the made model alone: whole commands, what templates cost, memory."""
    say("templates beside one another")
    costs = turn(script, "templates", work)
    say("whole commands")
    tasks = settings.tasks or _TASKS
    return {
        "whole_command": whole_commands(work / "whole", settings, str(work / "model"), tasks, batch_size=batch_size),
        "templates_cost": costs,
        "templates_goal": reached(costs),
        "memory_256k_mb": turn(script, "memory", work)["memory_above_start_mb"],
    }


def prepare(this: Turn) -> Facts:
    """Render and tokenise the prompts that both sides score."""
    from openflan.evaluation.protocol import ask_prompts
    from openflan.prompts.encoding import TextEncoder

    settings = this.settings
    data = settings.data_folder or TWINS
    catalog = open_catalog(collections=["catalog"])
    entries = [e for e in catalog.select(settings.tasks or _TASKS, where="--tasks") if e.spec.is_classification]
    sizes = _TINY if settings.quick and settings.precision == "bfloat16" else _SIZES
    if settings.model == MADE:
        _make_model(this.work / "model", entries, data, sizes)
    source = _source(this)
    room = min(source.positions or 1_280, 1_280)
    part = PromptsPart(max_input_tokens=room * 4 // 5, max_target_tokens=room // 5)
    encoder = TextEncoder.of(load_tokenizer(source), part)
    prompts = [p for e in entries for p in ask_prompts(e, encoder, limit=settings.size, data=data)]
    began = time.perf_counter()
    inputs = encoder.inputs([prompt.input for prompt in prompts])
    options = encoder.targets([text for prompt in prompts for text in prompt.answer.options], end=False)
    seconds = time.perf_counter() - began
    questions = records(prompts, inputs, options, encoder)
    (this.work / "asked.json").write_text(json.dumps(questions), encoding="utf-8")
    rows = settings.size if settings.precision == "bfloat16" else max(settings.size, _TEMPLATE_ROWS)
    compared = [own for e in entries for own in _both_ways(ask_prompts(e, encoder, limit=rows, data=data), encoder)]
    (this.work / "templates.json").write_text(json.dumps(compared), encoding="utf-8")
    return {
        "model_made": sizes if settings.model == MADE else None,
        "tasks": len(entries),
        "rows_from": "twins" if data == TWINS else data.name,
        "prompts": len(questions),
        "options": sum(len(one["options"]) for one in questions),
        "one_token_prompts": sum(all(len(option) == 1 for option in one["options"]) for one in questions),
        "median_prompt_tokens": statistics.median(len(ids) for ids in inputs),
        "longest_prompt_tokens": max(map(len, inputs)),
        "tokenising": {"seconds": round(seconds, 3), "prompts": len(questions)},
    }


def _both_ways(prompts: Sequence[Prompt], encoder: "TextEncoder") -> Asked:
    """A task's prompts as they are and, where they hold a passage, with the passage first."""
    options = encoder.targets([text for prompt in prompts for text in prompt.answer.options], end=False)
    questions = records(prompts, encoder.inputs(prompts), options, encoder)
    turned = passages_first(prompts)
    if turned is None:
        return questions
    name = f"{prompts[0].task} (passage first)"
    ids = encoder.inputs(turned)
    return questions + [{**one, "prompt": own, "task": name} for one, own in zip(questions, ids, strict=True)]


def ours(this: Turn) -> Facts:
    """One scoring of everything by openflan."""
    model = load_model(_source(this), device=pick_device())
    facts, scores = score_ours(model, _asked(this), reduced=this.settings.precision == "bfloat16")
    _keep(this, scores)
    return facts


def templates(this: Turn) -> Facts:
    """What all templates of a task cost beside one, as they are and with the passage first."""
    model = load_model(_source(this), device=pick_device())
    return measure_templates(
        model,
        json.loads((this.work / "templates.json").read_text(encoding="utf-8")),
        batch_tokens=scoring_tokens(model.device.type),
        autocast=this.settings.precision == "bfloat16",
    )


def lm_eval(this: Turn) -> Facts:
    """One scoring of everything by the harness, as the probe set it."""
    chosen = json.loads((this.work / "probe.json").read_text(encoding="utf-8"))
    harness = _harness(this, batch_size=chosen["batch_size"], attention=chosen["attention"])
    facts, scores = score_theirs(harness, _asked(this))
    _keep(this, scores)
    return facts


def probe_lm_eval(this: Turn) -> Facts:
    """Find the harness's fastest setting here, and time its own tokenising."""
    questions = _asked(this)
    few = _PROBE_PROMPTS if this.settings.model == MADE else _FEW_PROMPTS
    sample = questions[:: max(1, len(questions) // few)]
    requested = requests(sample)
    longest = max(len(one["prompt"]) + max(map(len, one["options"])) for one in questions)
    speeds: dict[tuple[int, str], float] = {}

    def measure(size: int, attention: str) -> None:
        harness = _harness(this, batch_size=size, attention=attention)
        if not _fits(harness, size, longest):
            return
        harness._loglikelihood_tokens(requested[:8], disable_tqdm=True)
        clock = Clock()
        harness._loglikelihood_tokens(requested, disable_tqdm=True)
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
        "too_large_for_memory": [size for size in _BATCH_SIZES if (size, "sdpa") not in speeds],
        "tokenising": _harness_tokenising(this, sample),
    }


def _fits(harness: Any, size: int, longest: int) -> bool:
    """Whether logits of every position, and their log-probabilities beside them, fit in memory."""
    import psutil
    import torch

    device = harness.device
    free = torch.cuda.mem_get_info()[0] if device.type == "cuda" else psutil.virtual_memory().available
    words = harness.model.config.get_text_config().vocab_size
    return size == 1 or 2 * 4 * size * longest * words < free * 3 // 4


def _harness_tokenising(this: Turn, sample: Asked) -> Facts:
    """Time the harness's own tokenising of the same strings, and compare its tokens with ours."""
    harness = _harness(this, batch_size=1, attention="sdpa")
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


def _harness(this: Turn, *, batch_size: int, attention: str) -> Any:
    source = _source(this)
    return open_harness(
        load_model(source, device=pick_device()),
        load_tokenizer(source),
        batch_size=batch_size,
        attention=attention,
        precision=this.settings.precision,
    )


def memory(this: Turn) -> Facts:
    """Memory of scoring 64 rows of 512 tokens, four options of ten tokens each, with 256,000 words."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from openflan.evaluation.ranking import Question, rank_options

    assert this.name == "memory"
    random = np.random.default_rng(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=256_000, max_position_embeddings=1_024, **sizes)).eval()

    def tokens(count: int) -> list[int]:
        drawn: list[int] = random.integers(0, 256_000, count).tolist()
        return drawn

    questions = [
        Question(prompt=tokens(472), options=[tokens(10) for _ in range(4)], texts=["a", "b", "c", "d"])
        for _ in range(64)
    ]
    rank_options(model, [Question(prompt=[1], options=[[2], [3]], texts=["a", "b"])], batch_tokens=64)
    clock = Clock()
    rank_options(model, questions, batch_tokens=32_768)
    assert isinstance(model, torch.nn.Module)
    return clock.read()


def _make_model(folder: Path, entries: Sequence[Entry], data: Path, sizes: Mapping[str, int]) -> None:
    """A Llama with random weights, and a vocabulary of the tasks' own texts."""
    from openflan.evaluation.protocol import ask_prompts
    from openflan.prompts.encoding import TextEncoder

    encoder = TextEncoder.of(load_tokenizer(find_model(ModelPart(), Path("starter"))), PromptsPart())
    prompts = [p for e in entries for p in ask_prompts(e, encoder, limit=400, data=data, templates=[0, 1])]
    texts = [text for p in prompts for text in (p.input, *p.answer.options)]
    make_model(folder, texts, **sizes)


def _reached(by_task: Mapping[str, float]) -> Facts:
    """What was measured beside each goal: the geometric mean over the goal's tasks."""
    ratios_by_goal = {}
    for name, (goal, tasks) in _GOALS.items():
        ratios = [by_task[task] for task in tasks if task in by_task]
        if ratios:
            ratios_by_goal[name] = {"measured": round(statistics.geometric_mean(ratios), 3), "goal": goal}
    return ratios_by_goal


def _asked(this: Turn) -> Asked:
    questions: Asked = json.loads((this.work / "asked.json").read_text(encoding="utf-8"))
    return questions


def _keep(this: Turn, scores: list[float]) -> None:
    np.save(this.work / f"{this.name}.npy", np.array(scores))


def _agreement(work: Path) -> Facts:
    """How alike the two sides' log-likelihoods and decisions are."""
    questions = json.loads((work / "asked.json").read_text(encoding="utf-8"))
    a, b = np.load(work / "ours.npy"), np.load(work / "lm_eval.npy")
    decisions = [
        int(np.argmax(x)) == int(np.argmax(y)) for x, y in zip(_cut(questions, a), _cut(questions, b), strict=True)
    ]
    return {
        "largest_logprob_difference": float(f"{np.abs(a - b).max():.3g}"),
        "equal_decisions": round(sum(decisions) / len(decisions), 6),
    }


def _cut(questions: Asked, values: Any) -> Iterator[Any]:
    """Scores option by option, cut into prompts."""
    first = 0
    for one in questions:
        yield values[first : first + len(one["options"])]
        first += len(one["options"])


def _median(turns: list[Facts], task: str) -> float:
    return float(statistics.median(t["prompts_per_second_by_task"][task] for t in turns))


def _source(this: Turn) -> ModelSource:
    if this.settings.model == MADE:
        return ModelSource(name=MADE, folder=this.work / "model")
    return find_model(this.settings.model_part, Path(this.settings.model))


if __name__ == "__main__":
    sys.exit(
        main(
            script=Path(__file__),
            benchmark="eval_vs_lm_eval",
            peer="lm_eval",
            description="Score the same multiple-choice prompts with openflan and with lm-evaluation-harness.",
            size=("rows", 2, 20),
            precisions=("float32", "bfloat16"),
            turns={
                "prepare": prepare,
                "probe": probe_lm_eval,
                "ours": ours,
                "lm_eval": lm_eval,
                "templates": templates,
                "memory": memory,
            },
            compare=compare,
            model=MADE,
        )
    )
