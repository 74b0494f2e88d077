"""The parts of `gpu.py`: each measures one thing on the device there is and keeps what it knows after every turn.

Invariant: a part never goes on past its time by more than one turn; what is missing, or does not fit, is told by its
reason and is no failure. Rejected: a warm-up by time; the first step of every turn is left out of the clock instead.
"""

import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gpu_exactness import FAMILIES, compare_layouts
from made_model import make_tokenizer
from made_store import write_store
from openflan.mixture.store import TokenStore
from openflan.models.device import pick_device
from openflan.recipes.parts import OptimizerPart, TrainingPart
from openflan.training.peak import Work, device_peak
from ranking_sides import Asked, open_harness, records, score_ours, score_theirs
from side_by_side import Facts
from tuning_sides import Variant, tune_ours, tune_trl

__all__ = ["Bench", "Shape", "do_part"]

_TURNS = 3
_RATE = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A Qwen of some size, and the steps that it is tuned by."""

    width: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    words: int = 151_936
    step_tokens: int = 32_768
    steps: int = 10
    micro_tokens: tuple[int, ...] = (16_384, 32_768)
    """Tokens that go through the model at once: what is tried for either side."""
    longest: int = 1_024
    median: float = 120

    def model(self, device: torch.device) -> Any:
        """A model of that shape with random weights, made where it is used."""
        from transformers import Qwen2Config, Qwen2ForCausalLM

        config = Qwen2Config(
            vocab_size=self.words,
            hidden_size=self.width,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_heads,
            max_position_embeddings=2_048,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
        )
        torch.manual_seed(0)
        with torch.device(device):
            return Qwen2ForCausalLM(config).float().eval()


HALF = Shape(width=896, inner=4_864, layers=24, heads=14, key_heads=2)
ONE_AND_A_HALF = Shape(width=1_536, inner=8_960, layers=28, heads=12, key_heads=2, micro_tokens=(16_384,), steps=6)
TINY = Shape(
    width=32,
    inner=64,
    layers=2,
    heads=4,
    key_heads=2,
    words=1_200,
    step_tokens=512,
    steps=3,
    micro_tokens=(256, 512),
    longest=96,
    median=30,
)


@dataclass(kw_only=True, slots=True)
class Bench:
    """Where a part works, how long it may, and what it knows so far."""

    folder: Path
    until: float
    """By `time.monotonic`."""
    tiny: bool
    keep: Callable[[Facts], None]
    facts: Facts = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """The GPU, else the CPU."""
        return pick_device()

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()

    def know(self, **facts: Any) -> None:
        """Add to what the part knows."""
        self.facts |= facts
        self.keep(self.facts)

    def goal(self, name: str, measured: float, goal: float) -> None:
        """Hold something against its goal."""
        goals = {**self.facts.get("goals", {}), name: {"measured": round(measured, 3), "goal": goal}}
        self.know(goals=goals)


def do_part(name: str, folder: Path, *, seconds: float, tiny: bool) -> Facts:
    """Do a part, its findings in `<name>.json` of a folder as they come."""
    path = folder / f"{name}.json"

    def keep(facts: Facts) -> None:
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(facts), encoding="utf-8")
        partial.replace(path)

    work = folder / name
    work.mkdir()
    bench = Bench(folder=work, until=time.monotonic() + seconds - 3, tiny=tiny, keep=keep)
    _PARTS[name](bench)
    return bench.facts


def machine(bench: Bench) -> None:
    """Device, kernels, and two rates to hold the others against."""
    from importlib.util import find_spec

    device = bench.device
    bench.know(
        device=device.type,
        found={name: find_spec(name) is not None for name in ("flash_attn", "kernels", "liger_kernel", "triton")},
        threads=torch.get_num_threads(),
    )
    if device.type == "cuda":
        own = torch.cuda.get_device_properties(device)
        name, memory = torch.cuda.get_device_name(device), round(own.total_memory / 2**30, 1)
        bench.know(name=name, memory_gb=memory, cuda=torch.version.cuda, processors=own.multi_processor_count)
    size = 256 if bench.tiny else 8_192
    one, two = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    target = torch.empty_like(one)
    bench.know(
        product_tflops=round(2 * size**3 / _seconds(lambda: one @ two, device) / 1e12, 2),
        copy_gb_per_second=round(2 * one.nbytes / _seconds(lambda: target.copy_(one), device) / 1e9, 1),
        peak_for_mfu_tflops=round(device_peak(device, reduced=True) / 1e12, 2),
    )


def exactness(bench: Bench) -> None:
    """Whether examples end to end, and padded, are computed as one at a time."""
    results: dict[str, Facts] = {}
    for family in FAMILIES:
        for precision in ("float32", "bfloat16"):
            if bench.left < 5:
                bench.know(not_tried=[*bench.facts.get("not_tried", []), f"{family}-{precision}"])
                continue
            results[f"{family}-{precision}"] = compare_layouts(
                family, bench.device, reduced=precision == "bfloat16", tiny=bench.tiny
            )
            _free()
            bench.know(layouts=results)
    bench.goal("exactness", sum(one["agrees"] for one in results.values()) / len(results), 1.0)


def tuning(bench: Bench, shape: Shape, name: str) -> None:
    """Tokens a second, MFU and memory of tuning a shape, beside TRL."""
    store = _store(bench, shape)
    model = shape.model(bench.device)
    work = Work.of(model)
    del model
    _free()
    lengths = [[_lengths(store, number) for number in step] for step in store.steps(0)[1 : shape.steps]]
    operations = sum(work.of_step(step) for step in lengths) / sum(sum(map(sum, step)) for step in lengths)
    peak = device_peak(bench.device, reduced=True)
    bench.know(
        operations_per_token=operations,
        peak_tflops=round(peak / 1e12, 2),
        step_tokens=shape.step_tokens,
        examples=sum(map(len, lengths)),
    )

    def with_mfu(facts: Facts) -> Facts:
        return {**facts, "mfu": round(facts["tokens_per_second"] * operations / peak, 4)}

    def own(tokens: int, steps: int) -> Facts:
        part = _part(shape, steps=steps, micro_tokens=tokens)
        return with_mfu(tune_ours(shape.model(bench.device), store, part, bench.folder))

    ours = _probe(bench, "ours", {str(n): (lambda n=n: own(n, 3)) for n in shape.micro_tokens})
    tokens = int(ours or shape.micro_tokens[0])
    variants = {variant.name: variant for variant in _variants(shape)}
    padding = make_tokenizer(["a"], vocabulary=300)

    def theirs(variant: Variant, steps: int) -> Facts:
        part = _part(shape, steps=steps, micro_tokens=tokens)
        return with_mfu(tune_trl(shape.model(bench.device), padding, store, part, variant, bench.folder))

    reserve = 0 if bench.tiny else 45  # seconds for the turns themselves
    best = _probe(
        bench, "trl", {key: (lambda one=one: theirs(one, 2)) for key, one in variants.items()}, reserve=reserve
    )
    turns: dict[str, list[Facts]] = {"ours": [], "trl": []}
    for _ in range(_TURNS):
        for side, own_turns in turns.items():
            if (side == "trl" and best is None) or bench.left < 0:
                continue
            own_turns.append(own(tokens, shape.steps) if side == "ours" else theirs(variants[best], shape.steps))
            _free()
            bench.know(turns=turns)
    _hold(bench, turns, "trl", "tokens_per_second", name, goal=1.3)
    if turns["ours"]:
        bench.goal(f"{name}-mfu", statistics.median(turn["mfu"] for turn in turns["ours"]), 0.45)


def ranking(bench: Bench) -> None:
    """Prompts a second of ranking options in bfloat16, beside lm-evaluation-harness."""
    shape = TINY if bench.tiny else HALF
    tokenizer, prompts = _asked(shape, rows=1 if bench.tiny else 12)
    prompts = _copies(prompts, times=2 if bench.tiny else 4)
    bench.know(prompts=len(prompts), options=sum(len(one["options"]) for one in prompts))
    model = shape.model(bench.device)
    ours, scores = score_ours(model, prompts, reduced=True)
    bench.know(warm={"ours": ours})

    def harness(size: str) -> Any:
        other = shape.model(bench.device)
        return open_harness(other, tokenizer, batch_size=int(size), attention="sdpa", precision="bfloat16")

    sizes = ("2", "4") if bench.tiny else ("32", "128", "512")
    sample = prompts[:: max(1, len(prompts) // (8 if bench.tiny else 256))]

    def trial(size: str) -> Facts:
        facts, _ = score_theirs(harness(size), sample)
        return {"tokens_per_second": facts["prompts_per_second"]}

    best = _probe(bench, "lm_eval", {size: (lambda size=size: trial(size)) for size in sizes}, reserve=30)
    turns: dict[str, list[Facts]] = {"ours": [], "lm_eval": []}
    other = harness(best) if best is not None else None
    for _ in range(_TURNS):
        for side, own_turns in turns.items():
            if (side == "lm_eval" and other is None) or bench.left < 0:
                continue
            facts, logprobs = (
                score_ours(model, prompts, reduced=True) if side == "ours" else score_theirs(other, prompts)
            )
            own_turns.append(facts)
            bench.know(turns=turns)
            if side == "lm_eval":
                bench.know(largest_logprob_difference=max(abs(a - b) for a, b in zip(scores, logprobs, strict=True)))
    _hold(bench, turns, "lm_eval", "prompts_per_second", "ranking-0.5b", goal=3.0)


def memory(bench: Bench) -> None:
    """A step that does not fit is done again with half the micro-batch, to the same result.

    On a GPU all memory but a rest is taken, so that the allocator itself runs out. Elsewhere memory can't be made to
    run out safely: a block refuses inputs over a size, which shows the way on, and the record says so.
    """
    shape = TINY if bench.tiny else HALF
    store = _store(bench, shape)
    few = min(shape.micro_tokens) // 4
    part = _part(shape, steps=2, micro_tokens=few)
    plain = tune_ours(shape.model(bench.device), store, part, bench.folder)
    bench.know(plain=plain)
    _free()
    model = shape.model(bench.device)
    many = part.model_copy(update={"micro_batch_tokens": 8 * few})
    filler: Any = None
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
        # weights are there; gradients, two moments and twice what the small micro-batch took beside them must fit
        state = sum(p.nbytes for p in model.parameters())
        beside = plain["peak_gpu_memory_mb"] * 2**20 - 4 * state
        rest = int(3 * state + max(2 * beside, 2**30))
        filler = torch.empty(max(0, torch.cuda.mem_get_info()[0] - rest), dtype=torch.uint8, device="cuda")
        bench.know(how="all memory but a rest was taken", rest_gb=round(rest / 2**30, 2))
    else:
        block = next(module for name, module in model.named_modules() if name.endswith("layers.0"))

        def refuse(_module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            if inputs[0].shape[0] * inputs[0].shape[1] > 2 * few:
                raise torch.OutOfMemoryError("no memory for so many tokens")

        block.register_forward_pre_hook(refuse)
        bench.know(how="not a GPU: a block refused larger inputs")
    crowded = tune_ours(model, store, many, bench.folder)
    del filler
    halved = [line for line in crowded["said"] if line.startswith("out of memory")]
    apart = max(abs(a - b) for a, b in zip(plain["step_losses"], crowded["step_losses"], strict=True))
    bench.know(crowded=crowded, halved=halved, largest_loss_difference=apart)
    bench.goal("memory", float(bool(halved) and apart < 0.02), 1.0)


def compiled(bench: Bench) -> None:
    """Tuning the half-billion shape with compiled blocks; what compiling takes is in `whole_seconds`."""
    shape = TINY if bench.tiny else HALF
    store = _store(bench, shape)
    part = _part(shape, steps=shape.steps, micro_tokens=shape.micro_tokens[0]).model_copy(update={"compile": True})
    began = time.monotonic()
    facts = tune_ours(shape.model(bench.device), store, part, bench.folder)
    bench.know(**facts, whole_seconds=round(time.monotonic() - began, 1))


def _probe(bench: Bench, side: str, ways: dict[str, Callable[[], Facts]], *, reserve: float = 0) -> str | None:
    """The fastest way; one that is not possible here is told by its reason.

    Args:
        reserve: seconds that must be left to try another one, once one is known.
    """
    speeds: dict[str, float] = {}
    tried: dict[str, Any] = {}
    for name, way in ways.items():
        if speeds and bench.left < reserve:
            tried[name] = "not tried: no time"
        else:
            try:
                tried[name] = speeds[name] = way()["tokens_per_second"]
            except Exception as error:
                tried[name] = f"not possible here: {(str(error).splitlines() or [type(error).__name__])[0][:200]}"
            _free()
        bench.know(**{f"probe_{side}": dict(tried)})
    return max(speeds, key=lambda name: speeds[name]) if speeds else None


def _hold(bench: Bench, turns: dict[str, list[Facts]], peer: str, rate: str, name: str, *, goal: float) -> None:
    """Medians of both sides and their ratio."""
    medians = {side: statistics.median(turn[rate] for turn in some) for side, some in turns.items() if some}
    key = "peak_gpu_memory_mb" if bench.device.type == "cuda" else "peak_memory_mb"
    memory = {side: statistics.median(turn[key] for turn in some) for side, some in turns.items() if some}
    bench.know(medians=medians, **{key: memory})
    if {"ours", peer} <= medians.keys():
        bench.goal(name, medians["ours"] / medians[peer], goal)


def _variants(shape: Shape) -> list[Variant]:
    """Ways to set TRL up, the likeliest first; which attention kernels there are shows when they are tried."""
    rows = [max(1, tokens // shape.longest) for tokens in shape.micro_tokens]
    kernels = ("flash_attention_3", "flash_attention_2", "sdpa")
    packed = [Variant(kind="packed", attention=kernel, tokens=shape.longest, rows=rows[-1]) for kernel in kernels]
    padded = [Variant(kind="padded", attention="sdpa", tokens=tokens) for tokens in shape.micro_tokens]
    return [*packed[:2], *padded, packed[2], Variant(kind="packed", attention="flex_attention", tokens=shape.longest)]


def _asked(shape: Shape, *, rows: int) -> tuple[Any, Asked]:
    """Prompts of the catalog's twins, as `eval_vs_lm_eval.py` asks them, in a vocabulary learnt from them."""
    from openflan.evaluation.protocol import ask_prompts
    from openflan.models.load import find_model, load_tokenizer
    from openflan.prompts.encoding import TextEncoder
    from openflan.recipes.parts import ModelPart, PromptsPart
    from openflan.tasks.catalog import open_catalog
    from openflan.tasks.local import TWINS

    part = PromptsPart()
    first = TextEncoder.of(load_tokenizer(find_model(ModelPart(), Path("starter"))), part)
    names = ("hellaswag", "rte") if rows == 1 else ("hellaswag", "cosmos_qa", "arc_easy", "copa", "rte", "bool_q")
    entries = open_catalog(collections=["catalog"]).select(names, where="tasks")
    prompts = [p for entry in entries for p in ask_prompts(entry, first, limit=rows, data=TWINS)]
    texts = [text for p in prompts for text in (p.input, *p.answer.options)]
    tokenizer = make_tokenizer(texts, vocabulary=min(shape.words, 24_576))
    encoder = TextEncoder.of(tokenizer, part)
    options = encoder.targets([text for p in prompts for text in p.answer.options], end=False)
    return tokenizer, records(prompts, encoder.inputs([p.input for p in prompts]), options, encoder)


def _copies(prompts: Asked, *, times: int) -> Asked:
    """As many prompts again and again, each time after another first token, so that copies share no start."""
    return [{**one, "prompt": [2 + copy, *one["prompt"]]} for copy in range(times) for one in prompts]


def _store(bench: Bench, shape: Shape) -> TokenStore:
    folder = bench.folder / "store"
    examples = 2 * (shape.steps + 1) * shape.step_tokens // int(shape.median)
    write_store(
        folder,
        examples,
        capacity=shape.step_tokens,
        words=shape.words,
        longest=shape.longest,
        median=shape.median,
    )
    return TokenStore.open(folder)


def _lengths(store: TokenStore, number: int) -> tuple[int, int]:
    start = store.target_start(number)
    return start, int(store.lengths[number]) - start


def _part(shape: Shape, *, steps: int, micro_tokens: int) -> TrainingPart:
    return TrainingPart(
        steps=steps,
        tokens_per_batch=shape.step_tokens,
        micro_batch_tokens=micro_tokens,
        precision="bfloat16",
        checkpoint_every=1_000_000,
        optimizer=OptimizerPart(name="adamw", learning_rate=_RATE),
    )


def _seconds(do: Callable[[], object], device: torch.device, *, times: int = 10) -> float:
    """Seconds that something takes on the device, the mean of some."""
    for _ in range(3):
        do()
    _wait(device)
    began = time.perf_counter()
    for _ in range(times):
        do()
    _wait(device)
    return (time.perf_counter() - began) / times


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


_PARTS: dict[str, Callable[[Bench], None]] = {
    "machine": machine,
    "exactness": exactness,
    "tuning-0.5b": lambda bench: tuning(bench, TINY if bench.tiny else HALF, "tuning-0.5b"),
    "tuning-1.5b": lambda bench: tuning(bench, TINY if bench.tiny else ONE_AND_A_HALF, "tuning-1.5b"),
    "ranking-0.5b": ranking,
    "memory": memory,
    "compiled": compiled,
}
