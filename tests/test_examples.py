"""The recipes in examples/ run, on tiny models and a few rows, and leave models that others can load and merge."""

import json
from pathlib import Path

import peft
import pytest
import torch

from openflan.recipes.recipe import load_recipe
from openflan.run import Run

EXAMPLES = Path(__file__).parents[1] / "examples"
IDS = torch.arange(10, 20).unsqueeze(0)

FEW = [
    "training.steps=2",
    "training.tokens_per_batch=512",
    "training.checkpoint_every=1",
    "training.gradient_checkpointing=true",
    "prompts.max_input_tokens=180",
    "evaluation.rows=3",
    "evaluation.seen_rows=3",
    "evaluation.bootstrap=100",
    "evaluation.max_new_tokens=4",
    "tasks.use=[starter_review_positive, starter_remark_liked, starter_world_question]",
]


def test_every_example_is_run_here():
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {"lora", "prompt-tuning", "t5"}


@pytest.fixture(scope="module")
def finished(model_folder, tmp_path_factory):
    """An example that has run, by its name: its run folder."""
    runs = tmp_path_factory.mktemp("runs")
    done = {}

    def of(name):
        if name not in done:
            path = EXAMPLES / f"{name}.yaml"
            model = model_folder("t5" if name == "t5" else "llama")
            recipe = load_recipe(path, [*FEW, f"model.path={model}"])
            done[name] = Run(recipe, runs=runs).work().folder
            verdict = json.loads((done[name] / "results.json").read_text())["verdict"]
            assert {one["cluster"] for one in verdict["held_out"]} == set(recipe.tasks.hold_out)
        return done[name]

    return of


def model_of(folder):
    return folder / "training" / "seed-0" / "model"


def test_lora_leaves_an_adapter_that_peft_loads_and_that_merges_into_a_plain_model(finished, tmp_path, openflan):
    from transformers import AutoModelForCausalLM

    folder = finished("lora")
    assert openflan("export", "model", str(folder), "--merge", "--to", tmp_path / "merged", "--quiet")[0] == 0
    theirs = peft.AutoPeftModelForCausalLM.from_pretrained(model_of(folder)).eval()
    merged, info = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", output_loading_info=True)
    assert not info["missing_keys"]
    with torch.inference_mode():
        torch.testing.assert_close(merged(IDS).logits, theirs(IDS).logits, rtol=0, atol=1e-4)
    assert not list((tmp_path / "merged").glob("adapter*"))
    assert "library_name: transformers" in (tmp_path / "merged" / "README.md").read_text()
    assert openflan("export", "model", str(folder), "--merge", "--to", tmp_path / "merged", "--quiet")[0] == 2


def test_a_run_is_published_whole_into_a_folder_and_the_hub_is_told_in_one_line(finished, tmp_path, openflan):
    from transformers import AutoModelForSeq2SeqLM

    folder = finished("t5")
    assert openflan("publish", folder, "--to", tmp_path / "out", "--quiet")[0] == 0
    _, info = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    for name in ("README.md", "results.json", "report.html", "recipe.yaml", "mixture/lock.json", "openflan.json"):
        assert (tmp_path / "out" / name).is_file()
    assert openflan("publish", folder, "--to", tmp_path / "out")[0] == 2
    assert openflan("publish", folder, "--to", tmp_path / "other", "--seed", 7)[0] == 2
    code, _, err = openflan("publish", folder, "--to", "nobody/nothing")
    assert code == 2
    assert "the hub did not take it" in err
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_a_soft_prompt_is_loaded_by_peft_and_can_not_be_merged(finished, tmp_path, openflan):
    folder = finished("prompt-tuning")
    theirs = peft.AutoPeftModelForCausalLM.from_pretrained(model_of(folder)).eval()
    assert theirs.get_prompt(1).shape == (1, 10, 32)
    code, _, err = openflan("export", "model", folder, "--merge", "--to", tmp_path / "merged")
    assert code == 2
    assert "a soft prompt is no weight of a plain model" in err
    assert not list(tmp_path.iterdir())
    assert openflan("export", "model", str(folder), "--to", tmp_path / "copy", "--quiet")[0] == 0
    assert openflan("ask", "--model", tmp_path / "copy", "Is it good?", "--options", "yes,no")[0] == 0


def test_t5_learns_and_answers_both_ways(finished, openflan):
    from transformers import AutoModelForSeq2SeqLM

    folder = finished("t5")
    _, info = AutoModelForSeq2SeqLM.from_pretrained(model_of(folder), output_loading_info=True)
    assert not info["missing_keys"]
    assert openflan("ask", "--model", str(folder), "Is it good?", "--options", "yes,no")[0] == 0
    assert openflan("ask", "--model", str(folder), "Is it good?")[0] == 0


def test_the_card_says_what_went_in(finished):
    card = (model_of(finished("t5")) / "README.md").read_text()
    ledger = json.loads((finished("t5") / "mixture" / "ledger.json").read_text())
    for words in ("**Held out of tuning:** sentiment", "**Leak check:** Clean", *ledger["tasks"], "Apache-2.0"):
        assert words in card
    assert "kind: lora" in (model_of(finished("lora")) / "README.md").read_text()
