"""Tuning speed: openflan's loop against TRL's `SFTTrainer`, on the same examples.

Both sides start from the same weights and see the same tokenised (prompt, completion) pairs once, in the same number
of optimizer steps, with AdamW (betas 0.9 and 0.95, no decay) or Adafactor as the paper has it (`--optimizer`; no
relative step, no scaling by a weight's size), a constant rate, clipping at 1 and one precision. The rate is tokens of
real examples a second from the end of the first step to the end of the last; imports, loading and tokenising are
outside, and tokenising is timed apart. `loss_after` is computed by one and the same code on the tuned models, so a
side that did less work would show.

What TRL is given. Its examples arrive tokenised (its documented `input_ids` and `completion_mask` columns) because
its own tokenising joins prompt and completion and may draw the border elsewhere; how often it would is reported.
`SFTConfig` defaults but: gradient checkpointing off (on, it computes each forward twice), AdamW fused, no progress
bar, no saving. A short probe then picks the fastest of:

    padded  ordinary batches, grouped by length (`train_sampling_strategy="group_by_length"`), about 512 or 2,048
            tokens at once, accumulated to the step's size; with torch's fused attention or with plain products,
            which are the faster ones on CPU for short rows;
    packed  best-fit packing (`packing=True`, `bfd`), rows as short as the longest example allows. Meant for
            FlashAttention, which CPUs lack; transformers keeps examples apart there with a dense mask, so the result
            is right, and the probe shows the price.

The model has 27 million parameters, made on the spot (benchmarks/made_model.py), for lengths and vocabulary of a real
one. `share_of_peak` is what the model's body alone (six operations a weight and token, attention and head left out)
takes of the fastest plain matrix product of its own shapes, at the same precision and number of threads.

On CPU the probe goes by processor time, which other programs on the machine disturb least. Where the sides differ: a
step of ours holds up to `tokens_per_batch` tokens, a step of TRL's the mean number
of examples (padded) or rows (packed) of such a step, so its steps vary more in tokens. Both totals are in the record.
"""

import importlib
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from made_model import MADE
from openflan.models.device import pick_device, pick_precision
from openflan.models.load import load_model, load_tokenizer
from side_by_side import Facts, Settings, Turn, alternate, main, say, summary, turn
from tuning_sides import Variant, mean_loss, tune_ours, tune_trl
from tuning_work import loss_prompts, prepare, recipe_of, source_of, store_of

_PROBE_STEPS = 2


_VARIANTS = (
    Variant(kind="padded", attention="sdpa", tokens=512),
    Variant(kind="padded", attention="sdpa", tokens=2_048),
    Variant(kind="padded", attention="eager", tokens=512),
    Variant(kind="padded", attention="eager", tokens=2_048),
    Variant(kind="packed", attention="sdpa", tokens=256),
)


def compare(work: Path, settings: Settings) -> Facts:
    """The whole benchmark."""
    script = Path(__file__)
    say("preparing: drawing, rendering, tokenising")
    prepared = turn(script, "prepare", work)
    say(f"{prepared['examples']:,} examples, {prepared['tokens']:,} tokens, {prepared['steps']} steps")
    say("probing TRL's settings")
    probe = turn(script, "probe", work)
    say(f"fastest: {probe['chosen']} of {probe['tokens_per_probe_second']}")
    facts = alternate(script, ("ours", "trl"), work, settings.repeats, shown="tokens_per_second")
    most = turn(script, "peak", work)
    losses = {side: round(statistics.median(t["loss_after"] for t in facts[side]), 4) for side in facts}
    tokenising = {side: f["tokenising"] for side, f in (("ours", prepared), ("trl", probe))}
    line = {
        **summary(facts, "trl", "tokens_per_second"),
        "unit": "tokens/s",
        "loss_before": facts["ours"][0]["loss_before"],
        "loss_after": {"ours": losses["ours"], "peer": losses["trl"]},
        "peer_setting": probe["chosen"],
        "share_of_peak": {
            side: round(
                statistics.median(t["tokens_per_second"] for t in facts[side])
                * most["body_operations_per_token"]
                / most["operations_per_second"],
                3,
            )
            for side in facts
        },
    }
    return {"line": line, "work": prepared, "probe": probe, "peak": most, "tokenising": tokenising, "turns": facts}


def probe_trl(this: Turn) -> Facts:
    """Find TRL's fastest setting here, and time its own tokenising."""
    speeds: dict[str, float] = {}
    for variant in _VARIANTS:
        facts = _tune_trl(this, variant, steps=_PROBE_STEPS)
        seconds = facts["cpu_seconds" if facts["device"] == "cpu" else "seconds"]
        speeds[variant.name] = round(facts["tokens"] / seconds, 1)
    chosen = max(speeds, key=lambda name: speeds[name])
    return {"chosen": chosen, "tokens_per_probe_second": speeds, "tokenising": _trl_tokenising(this)}


def ours(this: Turn) -> Facts:
    """One run of openflan's training loop."""
    from openflan.mixture.store import TokenStore

    source = source_of(this)
    store = TokenStore.open(store_of(this))
    model = load_model(source, device=pick_device())
    before = mean_loss(model, store, prompts=loss_prompts(model))
    facts = tune_ours(model, store, recipe_of(this.settings, source).training, this.work)
    return {**facts, "loss_before": before, "loss_after": mean_loss(model, store, prompts=loss_prompts(model))}


def trl(this: Turn) -> Facts:
    """One run of TRL's trainer, as the probe set it."""
    chosen = json.loads((this.work / "probe.json").read_text(encoding="utf-8"))["chosen"]
    variant = next(v for v in _VARIANTS if v.name == chosen)
    return _tune_trl(this, variant, steps=None)


def _tune_trl(this: Turn, variant: Variant, *, steps: int | None) -> Facts:
    """Train with TRL, for fewer steps than the work holds where `steps` is given."""
    from openflan.mixture.store import TokenStore

    source = source_of(this)
    store = TokenStore.open(store_of(this))
    model = load_model(source, device=pick_device())
    part = recipe_of(this.settings, source).training
    facts = tune_trl(model, load_tokenizer(source), store, part, variant, this.work, steps=steps)
    return facts if steps else {**facts, "loss_after": mean_loss(model, store, prompts=loss_prompts(model))}


def _trl_tokenising(this: Turn) -> Facts:
    """Time TRL's own preparation of the same pairs, decoded to text again, and compare its tokens with ours."""
    from datasets import Dataset

    from openflan.mixture.store import TokenStore

    sft: Any = importlib.import_module("trl")
    source = source_of(this)
    store = TokenStore.open(store_of(this))
    tokenizer = load_tokenizer(source)
    texts: dict[str, list[str]] = {"prompt": [], "completion": []}
    numbers = range(min(len(store.lengths), 2_000))
    for number in numbers:
        ids, start = store.tokens(number).tolist(), store.target_start(number)
        texts["prompt"].append(tokenizer.decode(ids[:start], skip_special_tokens=True))
        texts["completion"].append(tokenizer.decode(ids[start:], skip_special_tokens=True))
    dataset = Dataset.from_dict(texts)
    arguments = sft.SFTConfig(output_dir=str(this.work / "trl"), max_length=None, bf16=False, report_to="none")
    model = load_model(source, device=pick_device())
    began = time.perf_counter()
    trainer = sft.SFTTrainer(model=model, args=arguments, train_dataset=dataset, processing_class=tokenizer)
    seconds = time.perf_counter() - began
    theirs = trainer.train_dataset[:]["input_ids"]
    agree = sum(theirs[n] == store.tokens(n).tolist() for n in numbers)
    return {
        "seconds": round(seconds, 3),
        "examples": len(numbers),
        "tokens": sum(map(len, theirs)),
        "same_tokens_as_ours": round(agree / len(numbers), 4),
        "what": "making the trainer from text pairs: tokenising and building labels",
    }


def peak(this: Turn) -> Facts:
    """Operations a second of plain matrix products of the model's own shapes, forward, at the precision used."""
    import torch

    config = json.loads(((source_of(this).folder or Path()) / "config.json").read_text(encoding="utf-8"))
    device = pick_device()
    precision = pick_precision(this.settings.precision, device)
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    width, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    tokens = 4_096
    best = 0.0
    for m, n in ((width, width), (width, inner), (inner, width)):
        rows, weight = torch.randn(tokens, m, dtype=kind, device=device), torch.randn(n, m, dtype=kind, device=device)
        for _ in range(12):
            began = time.perf_counter()
            torch.nn.functional.linear(rows, weight)
            if device.type == "cuda":
                torch.cuda.synchronize()
            best = max(best, 2.0 * tokens * m * n / (time.perf_counter() - began))
    body = int(config["num_hidden_layers"]) * (4 * width * width + 3 * width * inner)
    return {"operations_per_second": best, "precision": precision, "body_operations_per_token": 6 * body}


if __name__ == "__main__":
    sys.exit(
        main(
            script=Path(__file__),
            benchmark="train_vs_trl",
            peer="trl",
            description="Tune one model on the same examples with openflan and with TRL, turn about.",
            size=("steps", 6, 40),
            precisions=("auto", "float32", "bfloat16"),
            turns={"prepare": prepare, "probe": probe_trl, "peak": peak, "ours": ours, "trl": trl},
            compare=compare,
            model=MADE,
            tuning=True,
        )
    )
