"""Tuning: the loss falls, every step is logged, and a killed run goes on as if nothing had happened."""

import json
from functools import cache, partial

import pytest
import torch

from little_mixtures import write_mixture
from little_models import write_model
from openflan.cores import CorePool
from openflan.errors import UserError
from openflan.mixture.holdout import hold_out
from openflan.mixture.store import TokenStore
from openflan.models.adapters import add_adapter
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import LoraPart, ModelPart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import open_catalog
from openflan.training.gradients import Sharers
from openflan.training.loop import tune
from openflan.training.metrics import Look
from processes import fork_pools

RECIPE = Recipe.model_validate(
    {
        "name": "little",
        "prompts": {"max_input_tokens": 96, "max_target_tokens": 32},
        "training": {
            "steps": 8,
            "tokens_per_batch": 256,
            "micro_batch_tokens": 200,
            "checkpoint_every": 3,
            "precision": "float32",
            "optimizer": {"name": "adamw", "learning_rate": 1e-3},
        },
    }
)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def gpt2_with_dropout(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("dropout"), "gpt2", dropout=0.1)


@pytest.fixture(scope="module")
def store(tmp_path_factory, my_tasks, model_folder):
    """One store for both tokenizers: only ids matter here, and both have the same vocabulary."""
    folder = tmp_path_factory.mktemp("store")
    model = model_folder("gpt2")
    encoder = TextEncoder.of(load_tokenizer(find_model(ModelPart(path=str(model)), model)), RECIPE.prompts)
    entries = open_catalog([my_tasks], collections=()).select(["mine"], where="tasks.use")
    division = hold_out(entries, ["paraphrase"], kin="paper")
    return TokenStore.open(write_mixture(folder, RECIPE, division, encoder))


def loaded(folder):
    return load_model(find_model(ModelPart(path=str(folder)), folder), device=torch.device("cpu"))


def training(**change):
    optimizer = RECIPE.training.optimizer.model_copy(update=change.pop("optimizer", {}))
    return RECIPE.training.model_copy(update={**change, "optimizer": optimizer})


def tuned(folder, model_at, store, part, *, stop_after=None, seed=0, sharers=None):
    """Tune, killed where asked; returns weights, or None if killed."""

    def report(line):
        if line.step == stop_after:
            raise KilledError

    folder.mkdir(exist_ok=True)
    model = loaded(model_at)
    try:
        tune(model, store, part, folder, seed=seed, report=report, sharers=sharers)
    except KilledError:
        return None
    return {name: value.clone() for name, value in model.state_dict().items()}


def numbers(folder):
    """The log without its clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in ("seconds", "waited", "mfu")} for line in lines]


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one | two)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, tiny_llama, store):
    """The weights after `training()`, straight."""
    return tuned(tmp_path_factory.mktemp("plain"), tiny_llama, store, training())


@pytest.fixture(scope="module")
def dropped(tmp_path_factory, gpt2_with_dropout, store):
    """The weights after `training()`, straight, of a model with dropout."""
    return tuned(tmp_path_factory.mktemp("dropped"), gpt2_with_dropout, store, training())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, gpt2_with_dropout, store):
    """Of an optimizer: how it tunes, the weights that it tunes straight, and where."""

    @cache
    def of(name):
        part = training(optimizer={"name": name, "schedule": "cosine", "warmup_steps": 2, "weight_decay": 0.1})
        folder = tmp_path_factory.mktemp(f"straight-{name}")
        return part, tuned(folder, gpt2_with_dropout, store, part), folder

    return of


@pytest.mark.parametrize(
    ("optimizer", "kills"),
    [("adamw", [1]), ("adamw", [5]), ("adamw", [4, 7]), ("adamw", [8]), ("adafactor", [4, 7]), ("muon", [4, 7])],
)
def test_killed_and_resumed_is_straight_bit_for_bit(tmp_path, gpt2_with_dropout, store, undisturbed, optimizer, kills):
    part, straight, folder = undisturbed(optimizer)
    for kill in kills:
        assert tuned(tmp_path / "resumed", gpt2_with_dropout, store, part, stop_after=kill) is None
    resumed = tuned(tmp_path / "resumed", gpt2_with_dropout, store, part)
    assert same(straight, resumed)
    assert numbers(tmp_path / "resumed") == numbers(folder)


def test_however_many_processes_share_a_step_the_weights_are_the_same_bit_for_bit(
    tmp_path, gpt2_with_dropout, store, monkeypatch
):
    fork_pools(monkeypatch)
    alone = tuned(tmp_path / "alone", gpt2_with_dropout, store, training())
    source = find_model(ModelPart(path=str(gpt2_with_dropout)), gpt2_with_dropout)
    with CorePool(2, ready=int) as pool:
        again = partial(load_model, source, device=torch.device("cpu"))
        together = {"sharers": Sharers(pool=pool, again=again)}
        assert tuned(tmp_path / "shared", gpt2_with_dropout, store, training(), stop_after=5, **together) is None
        shared = tuned(tmp_path / "shared", gpt2_with_dropout, store, training(), **together)
    assert same(alone, shared)
    assert numbers(tmp_path / "alone") == numbers(tmp_path / "shared")


def test_a_resumed_run_does_not_repeat_what_was_saved(tmp_path, tiny_llama, store):
    tuned(tmp_path / "run", tiny_llama, store, training(), stop_after=5)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000003"]
    steps = []
    tune(loaded(tiny_llama), store, training(), tmp_path / "run", seed=0, report=lambda line: steps.append(line.step))
    assert steps == [4, 5, 6, 7, 8]
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_half_written_checkpoint_is_passed_over(tmp_path, tiny_llama, store, plain):
    tuned(tmp_path / "run", tiny_llama, store, training(), stop_after=7)
    checkpoints = tmp_path / "run" / "checkpoints"
    (checkpoints / "step-00000007").mkdir()
    (checkpoints / "step-00000007" / "model.safetensors").write_bytes(b"half")
    (checkpoints / ".step-00000009.partial").mkdir()
    assert same(tuned(tmp_path / "run", tiny_llama, store, training()), plain)


@pytest.mark.parametrize("change", [{"micro_batch_tokens": 64}, {"micro_batch_tokens": 4_096}, {"checkpoint_every": 1}])
def test_memory_settings_do_not_change_the_result(tmp_path, tiny_llama, store, plain, change):
    other = tuned(tmp_path / "other", tiny_llama, store, training(**change))
    for name in plain:
        torch.testing.assert_close(plain[name], other[name], rtol=0, atol=1e-5)


def test_seeds_give_different_weights(tmp_path, gpt2_with_dropout, store, dropped):
    """Seed 0 has an order file only; dropout alone tells the two apart where the order is shared."""
    order = store.folder / "order"
    (order / "seed-5.npz").write_bytes((order / "seed-0.npz").read_bytes())
    assert not same(dropped, tuned(tmp_path / "two", gpt2_with_dropout, store, training(), seed=5))


@pytest.fixture
def large_tables(monkeypatch):
    """Small models are trained as those with many weights and large tables of words are."""
    monkeypatch.setattr("openflan.training.gradients._FEW", 0)
    monkeypatch.setattr("openflan.models.word_tables._LARGE", 0)


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor", "muon"])
def test_large_tables_are_killed_and_resumed_bit_for_bit(tmp_path, tiny_llama, store, optimizer, large_tables, plain):
    part = training(optimizer={"name": optimizer})
    straight = tuned(tmp_path / "straight", tiny_llama, store, part)
    assert tuned(tmp_path / "resumed", tiny_llama, store, part, stop_after=5) is None
    assert same(straight, tuned(tmp_path / "resumed", tiny_llama, store, part))
    assert numbers(tmp_path / "resumed") == numbers(tmp_path / "straight")
    if optimizer == "adamw":
        for name in plain:
            torch.testing.assert_close(plain[name], straight[name], rtol=0, atol=2e-5)


def test_autograd_never_makes_a_gradient_of_a_large_table(tmp_path, tiny_llama, store, large_tables):
    model = loaded(tiny_llama)
    shapes = []
    for part in (model.get_input_embeddings(), model.get_output_embeddings()):
        part.weight.register_hook(lambda grad: None if grad is None else shapes.append(grad.shape))
    tune(model, store, training(), tmp_path, seed=0, report=lambda _line: None)
    assert shapes == []


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_a_step_is_the_librarys_step_on_the_mean_over_target_tokens(
    tmp_path, tiny_llama, store, optimizer, large, request
):
    """The oracle: full logits one example at a time, torch's clipping, the library's own optimizer."""
    from transformers.optimization import Adafactor

    if large:
        request.getfixturevalue("large_tables")
    part = training(steps=2, checkpoint_every=100, optimizer={"name": optimizer, "clip_norm": 0.5})
    mine = tuned(tmp_path / "run", tiny_llama, store, part)
    model = loaded(tiny_llama)
    parameters = list(model.parameters())
    oracle = (
        torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0)
        if optimizer == "adamw"
        else Adafactor(parameters, lr=1e-3, scale_parameter=False, relative_step=False, warmup_init=False)
    )
    for step, line in zip(store.steps(0)[:2], numbers(tmp_path / "run"), strict=True):
        losses = []
        for number in step:
            ids = torch.tensor(store.tokens(number).astype("int64"))
            start = store.target_start(number)
            logits = model(input_ids=ids[None]).logits[0]
            losses.append(torch.nn.functional.cross_entropy(logits[start - 1 : -1], ids[start:], reduction="none"))
        loss = torch.cat(losses).mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 0.5)
        oracle.step()
        oracle.zero_grad()
        assert line["loss"] == pytest.approx(loss.item(), abs=1e-5)
        assert line["grad_norm"] == pytest.approx(norm.item(), rel=1e-4)
        assert line["examples"] == len(step)
        assert line["target_tokens"] == len(torch.cat(losses))
        assert line["tokens"] == sum(len(store.tokens(number)) for number in step)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(mine[name], value, rtol=0, atol=2e-5)


def test_the_loss_falls_and_is_told_by_task(tmp_path, tiny_llama, store):
    part = training(optimizer={"learning_rate": 1e-2})
    tuned(tmp_path / "run", tiny_llama, store, part)
    log = numbers(tmp_path / "run")
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert set().union(*(line["task_loss"] for line in log)) == {"cafe_review", "colour_of", "card_sentence"}
    for line in log:
        assert min(line["task_loss"].values()) <= line["loss"] + 1e-4
        assert max(line["task_loss"].values()) >= line["loss"] - 1e-4
        assert 0.5 < line["fill"] <= 1


def test_a_rate_that_blows_up_is_the_users_to_mend(tmp_path, tiny_llama, store):
    with pytest.raises(UserError, match=r"the gradient is not finite at step.*lower it"):
        tuned(tmp_path / "run", tiny_llama, store, training(optimizer={"learning_rate": 1e30}))


class Crowded(torch.nn.Module):
    """A model on a device with little memory."""

    def __init__(self, model, most):
        super().__init__()
        self.module, self._most, self.device, self.config = model, most, model.device, model.config

    def forward(self, input_ids, **inputs):
        if input_ids.numel() > self._most:
            raise torch.OutOfMemoryError("none left")
        return self.module(input_ids=input_ids, **inputs)


def test_out_of_memory_the_step_is_done_again_in_smaller_parts_and_the_size_is_kept(tmp_path, tiny_llama, store, plain):
    messages = []
    (tmp_path / "run").mkdir()
    model = loaded(tiny_llama)
    tune(
        Crowded(model, 130), store, training(micro_batch_tokens=4_096), tmp_path / "run",
        seed=0, report=lambda _line: None, say=messages.append,
    )  # fmt: skip
    assert len(messages) == 5
    assert messages[-1] == "out of memory: going on with training.micro_batch_tokens=128, which changes no result"
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, plain[name], rtol=0, atol=1e-5)


def test_an_example_that_no_memory_holds_is_told(tmp_path, tiny_llama, store):
    with pytest.raises(UserError, match=r"an example of .* tokens does not fit in memory"):
        tune(Crowded(loaded(tiny_llama), 10), store, training(), tmp_path, seed=0, report=lambda _line: None)


def test_a_resumed_run_remembers_what_memory_allows(tmp_path, tiny_llama, store):
    part = training(micro_batch_tokens=4_096)

    def stop(line):
        if line.step == 5:
            raise KilledError

    with pytest.raises(KilledError):
        tune(Crowded(loaded(tiny_llama), 130), store, part, tmp_path, seed=0, report=stop)
    messages = []
    tune(
        Crowded(loaded(tiny_llama), 130), store, part, tmp_path, seed=0, report=lambda _line: None, say=messages.append
    )
    assert messages == []


def stopped(folder, model_at, store, **change):
    """A run killed after step 8, with checkpoints of steps 3 and 6."""
    tuned(folder, model_at, store, training(**change), stop_after=8)
    return sorted((folder / "checkpoints").glob("step-*"))


def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(tmp_path, tiny_llama, store, plain):
    before, newest = stopped(tmp_path / "run", tiny_llama, store)
    weights = newest / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9] + b"different")
    messages, steps = [], []
    model = loaded(tiny_llama)
    tune(
        model,
        store,
        training(),
        tmp_path / "run",
        seed=0,
        report=lambda line: steps.append(line.step),
        say=messages.append,
    )
    assert messages == [f"{weights} is damaged: going on from the checkpoint before"]
    assert steps == [4, 5, 6, 7, 8]
    assert same(plain, dict(model.state_dict()))
    assert before.name == "step-00000003"


def test_all_checkpoints_damaged_is_an_error_not_a_new_beginning(tmp_path, tiny_llama, store):
    for path in stopped(tmp_path / "run", tiny_llama, store):
        (path / "optimizer.safetensors").unlink()
    with pytest.raises(UserError, match="every checkpoint is damaged"):
        tuned(tmp_path / "run", tiny_llama, store, training())


@pytest.mark.parametrize("keep", [1, 3])
def test_so_many_checkpoints_are_kept(tmp_path, tiny_llama, store, keep):
    kept = stopped(tmp_path / "run", tiny_llama, store, checkpoint_every=2, keep_checkpoints=keep)
    assert [path.name for path in kept] == [f"step-{n:08d}" for n in (2, 4, 6)][-keep:]


def test_no_pickle_is_in_a_checkpoint(tmp_path, tiny_llama, store):
    *_, newest = stopped(tmp_path / "run", tiny_llama, store)
    assert {path.suffix for path in newest.iterdir()} == {".safetensors", ".json"}


def test_tasks_are_looked_at_while_training_and_nothing_else_changes(tmp_path, gpt2_with_dropout, store, dropped):
    looks = []

    def evaluate(model):
        looks.append(model.training)
        torch.manual_seed(99)
        return Look({"some_task": 0.5}, {"auc/some_task": 0.75})

    part = training(evaluate_every=3, evaluate_tasks=("some_task",))
    (tmp_path / "run").mkdir()
    model = loaded(gpt2_with_dropout)
    tune(model, store, part, tmp_path / "run", seed=0, report=lambda _line: None, evaluate=evaluate)
    assert looks == [False, False]
    assert same(dropped, dict(model.state_dict()))
    seen = [(line.get("evaluation"), line.get("measures")) for line in numbers(tmp_path / "run")]
    look = {"some_task": 0.5}, {"auc/some_task": 0.75}
    assert seen == [look if step in (3, 6) else (None, None) for step in range(1, 9)]


def test_a_tracker_that_is_not_installed_is_told_before_anything_is_done(tmp_path, tiny_llama, store):
    with pytest.raises(UserError, match=r"mlflow is not installed.*pip install mlflow"):
        tune(loaded(tiny_llama), store, training(trackers=("mlflow",)), tmp_path, seed=0, report=lambda _line: None)


def test_activations_computed_again_give_the_same_weights(tmp_path, gpt2_with_dropout, store, dropped):
    again = tuned(tmp_path / "again", gpt2_with_dropout, store, training(gradient_checkpointing=True))
    for name, value in again.items():
        torch.testing.assert_close(value, dropped[name], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_compiled_blocks_give_the_same_weights(tmp_path, tiny_llama, store, plain):
    weights = tuned(tmp_path / "made", tiny_llama, store, training(compile=True))
    for name, value in weights.items():
        torch.testing.assert_close(value, plain[name], rtol=0, atol=1e-4)


def test_an_encoder_decoder_learns_and_the_cut_into_micro_batches_changes_nothing(tmp_path, model_folder, store):
    whole = tuned(tmp_path / "whole", model_folder("t5"), store, training(micro_batch_tokens=4_096))
    parts = tuned(tmp_path / "parts", model_folder("t5"), store, training(micro_batch_tokens=1))
    for name, value in parts.items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=1e-4)
    losses = [line["loss"] for line in numbers(tmp_path / "whole")]
    assert losses[-1] < losses[0]


def test_a_killed_adapter_goes_on_bit_for_bit(tmp_path, tiny_llama, store):
    part = LoraPart(kind="lora", rank=2, dropout=0.1)

    def run(folder, stop=None):
        def report(line):
            if line.step == stop:
                raise KilledError

        adapter = add_adapter(loaded(tiny_llama), part, seed=3, base="x", words=lambda _text: [])
        folder.mkdir(exist_ok=True)
        try:
            tune(adapter.model, store, training(), folder, seed=0, report=report)
        except KilledError:
            return None
        return {name: value.clone() for name, value in adapter.model.state_dict().items()}

    straight = run(tmp_path / "straight")
    assert run(tmp_path / "killed", stop=5) is None
    assert same(run(tmp_path / "killed"), straight)
    before = loaded(tiny_llama).state_dict()
    assert torch.equal(straight["model.embed_tokens.weight"], before["model.embed_tokens.weight"])


def test_the_share_of_the_peak_is_told(tmp_path, tiny_llama, store):
    tuned(tmp_path / "run", tiny_llama, store, training())
    for line in map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()):
        assert 0 < line["mfu"] < 1


def test_metrics_go_to_tensorboard_too(tmp_path, tiny_llama, store):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tuned(tmp_path / "run", tiny_llama, store, training(trackers=("tensorboard",)))
    files = [accumulator.EventAccumulator(str(path)).Reload() for path in (tmp_path / "run").rglob("events.out.*")]
    (seen,) = (file for file in files if "loss" in file.Tags()["scalars"])
    known = numbers(tmp_path / "run")
    assert [point.step for point in seen.Scalars("loss")] == [line["step"] for line in known]
    assert [point.value for point in seen.Scalars("loss")] == pytest.approx([line["loss"] for line in known])
