"""Replay makes a step again, trace finds every step of a row, diff says what changed, export gives it all away."""

import json

import numpy as np
import pytest
from datasets import load_dataset

from little_mixtures import write_mixture
from openflan.errors import UserError
from openflan.mixture.difference import compare_mixtures
from openflan.mixture.export import export_mixture
from openflan.mixture.holdout import hold_out
from openflan.mixture.store import TokenStore
from openflan.mixture.tracing import replay, trace
from openflan.mixture.workers import MixWork
from openflan.models.load import find_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import ModelPart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import open_catalog

RECIPE = Recipe.model_validate(
    {
        "name": "little",
        "prompts": {"max_input_tokens": 96, "max_target_tokens": 32},
        "training": {"steps": 10, "tokens_per_batch": 512},
        "seeds": (0, 3),
    }
)


@pytest.fixture(scope="module")
def division(my_tasks):
    entries = open_catalog([my_tasks], collections=()).select(["mine"], where="tasks.use")
    return hold_out(entries, ["natural_language_inference"], kin="paper")


@pytest.fixture(scope="module")
def encoder(tiny_llama):
    return TextEncoder.of(load_tokenizer(find_model(ModelPart(path=str(tiny_llama)), tiny_llama)), RECIPE.prompts)


@pytest.fixture(scope="module")
def store(tmp_path_factory, division, encoder):
    return TokenStore.open(write_mixture(tmp_path_factory.mktemp("store"), RECIPE, division, encoder))


@pytest.fixture(scope="module")
def work(division, encoder):
    return MixWork(
        mixture=RECIPE.mixture,
        entries={entry.spec.name: entry for entry in division.tuned},
        data=None,
        encoder=encoder.rules,
    )


@pytest.mark.parametrize("seed", RECIPE.seeds)
@pytest.mark.parametrize("step", [1, 7, 10])
def test_a_step_is_made_again_token_for_token(store, work, seed, step):
    examples = list(replay(store, work, seed=seed, step=step))
    assert [one.number for one in examples] == store.steps(seed)[step - 1].tolist()
    assert all(one.same for one in examples)
    assert sum(one.tokens for one in examples) <= 512


def test_a_changed_row_is_noticed(store, work, division, encoder, monkeypatch):
    monkeypatch.setattr("openflan.prompts.render._block", lambda options: "CHOICES: " + ", ".join(options))
    assert not all(one.same for one in replay(store, work, seed=0, step=1))


@pytest.mark.parametrize(
    ("seed", "step", "says"), [(0, 0, "no step 0"), (0, 11, "steps are 1 to 10"), (5, 1, "no seed 5")]
)
def test_a_step_that_never_was_is_told(store, work, seed, step, says):
    with pytest.raises(UserError, match=says):
        list(replay(store, work, seed=seed, step=step))


def test_a_row_is_traced_to_all_its_steps(store):
    expected = {}
    for step, numbers in enumerate(store.steps(3), start=1):
        for number in numbers.tolist():
            stored = store.prompt(number)
            expected.setdefault((stored.task, stored.row), []).append((step, stored.template))
    for (task, row), seen in list(expected.items())[:25]:
        assert [(one.step, one.template) for one in trace(store, seed=3, task=task, row=row)] == seen
    assert trace(store, seed=3, task="cafe_review", row=999) == []
    with pytest.raises(UserError, match="did you mean 'cafe_review'"):
        trace(store, seed=3, task="cafe_reviews", row=0)


def test_equal_mixtures_are_the_same_and_others_say_how_they_differ(store, tmp_path, division, encoder):
    assert compare_mixtures(store.folder, store.folder).same
    fewer = RECIPE.model_copy(update={"mixture": RECIPE.mixture.model_copy(update={"rows_per_task": 25})})
    other = write_mixture(tmp_path / "fewer", fewer, division, encoder)
    tasks = {task.task: task for task in compare_mixtures(store.folder, other).tasks}
    assert {(task.rows, task.rows_removed, task.rows_added) for task in tasks.values()} == {((40, 25), 15, 0)}
    assert all(task.epochs[1] > task.epochs[0] for task in tasks.values())
    assert compare_mixtures(store.folder, other).settings == {"mixture.rows_per_task": (30_000, 25)}
    with pytest.raises(UserError, match="no mixture"):
        compare_mixtures(store.folder, tmp_path)


@pytest.mark.parametrize("format_", ["prompts", "messages", "jsonl", "parquet"])
def test_what_is_exported_is_what_is_trained_on(store, work, encoder, tmp_path, format_):
    path = tmp_path / f"rows.{'parquet' if format_ == 'parquet' else 'jsonl'}"
    done = export_mixture(path, store, work, seed=0, format=format_)
    kind = "parquet" if format_ == "parquet" else "json"
    rows = load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    numbers = np.concatenate(store.steps(0)).tolist()
    assert done.rows == len(rows) == len(numbers)
    assert {"task", "cluster", "row", "template", "licence", "commercial_use", "step"} <= set(rows.column_names)
    pairs = {
        "prompts": lambda row: (row["prompt"], row["completion"]),
        "messages": lambda row: tuple(turn["content"] for turn in row["messages"]),
    }.get(format_, lambda row: (row["input"], row["target"]))
    for row, number in zip(list(rows)[:40], numbers[:40], strict=True):
        text, target = pairs(row)
        stored = store.prompt(number)
        assert tuple(encoder.inputs([text])[0] + encoder.targets([target])[0]) == stored.input_ids
        assert (row["task"], row["row"], row["template"]) == (stored.task, stored.row, stored.template)


def test_only_licences_that_allow_it_are_exported_where_asked(store, work, tmp_path):
    with pytest.raises(UserError, match="no example's licence allows commercial use"):
        export_mixture(tmp_path / "a.jsonl", store, work, seed=0, format="prompts", only="commercial")
    assert not list(tmp_path.iterdir())
    free = {
        name: type(entry)(
            spec=entry.spec.model_copy(update={"commercial_use": name == "cafe_review"}),
            path=entry.path,
            collection=entry.collection,
        )
        for name, entry in work.entries.items()
    }
    free_work = MixWork(mixture=work.mixture, entries=free, data=None, encoder=work.encoder)
    done = export_mixture(tmp_path / "a.jsonl", store, free_work, seed=0, format="jsonl", only="commercial")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["task"] for line in lines} == {"cafe_review"}
    assert done.left_out == len(np.concatenate(store.steps(0))) - len(lines)


def test_an_export_is_not_written_over(store, work, tmp_path):
    (tmp_path / "a.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="is already there"):
        export_mixture(tmp_path / "a.jsonl", store, work, seed=0, format="prompts")
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == "mine"


@pytest.mark.slow
def test_trl_trains_a_step_on_an_export(store, work, tiny_llama, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    export_mixture(tmp_path / "rows.jsonl", store, work, seed=0, format="prompts")
    rows = load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), split="train", cache_dir=str(tmp_path / "c"))
    arguments = SFTConfig(
        output_dir=str(tmp_path / "trl"), max_steps=1, per_device_train_batch_size=2, report_to="none", bf16=False,
        use_cpu=True, save_strategy="no",
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
    assert 0 < trainer.train().training_loss < 20


@pytest.fixture(scope="module")
def few_shot(tmp_path_factory, division, tiny_llama):
    """A mixture of two styles, one with solved examples: recipe, encoder, work and store."""
    order = {"option_order": "drawn"}
    styles = [{"weight": 1.0, **order}, {"weight": 2.0, "shots": 2, "option_markers": "random", **order}]
    prompts = {"max_input_tokens": 200, "max_target_tokens": 32, "styles": styles, "inversion_rate": 0.3}
    recipe = Recipe.model_validate_json(json.dumps({**RECIPE.model_dump(mode="json"), "prompts": prompts}))
    encoder = TextEncoder.of(load_tokenizer(find_model(ModelPart(path=str(tiny_llama)), tiny_llama)), recipe.prompts)
    entries = {entry.spec.name: entry for entry in division.tuned}
    work = MixWork(mixture=recipe.mixture, entries=entries, data=None, encoder=encoder.rules)
    folder = tmp_path_factory.mktemp("few-shot")
    return recipe, encoder, work, TokenStore.open(write_mixture(folder, recipe, division, encoder))


def test_drawn_orders_of_options_are_made_again(few_shot):
    _, _, work, store = few_shot
    examples = [one for step in range(1, 11) for one in replay(store, work, seed=0, step=step)]
    assert all(one.same for one in examples)
    listed = [
        one.input.splitlines()[-2:] for one in examples if one.task == "cafe_review" and "- negative" in one.input
    ]
    assert {tuple(lines) for lines in listed} == {("- negative", "- positive"), ("- positive", "- negative")}


def test_prompts_with_solved_examples_are_made_again_and_traced(few_shot):
    _, _, work, store = few_shot
    examples = [one for step in (1, 5) for one in replay(store, work, seed=0, step=step)]
    assert all(one.same for one in examples)
    assert {one.style for one in examples} == {0, 1}
    assert {len(one.exemplars) for one in examples if one.style} <= {1, 2}
    shown = next(one for one in examples if one.exemplars)
    seen = trace(store, seed=0, task=shown.task, row=shown.exemplars[0])
    assert (shown.number, True) in {(one.number, one.as_exemplar) for one in seen}
    assert [one.step for one in seen] == sorted(one.step for one in seen)


def test_solved_examples_are_the_same_however_many_processes_choose_them(few_shot, division, tmp_path):
    recipe, encoder, _, store = few_shot
    other = write_mixture(tmp_path / "other", recipe, division, encoder, workers=2)
    pieces = sorted(path.name for path in store.folder.glob("*.arrow"))
    assert pieces == sorted(path.name for path in other.glob("*.arrow"))
    assert all((other / name).read_bytes() == (store.folder / name).read_bytes() for name in pieces)
