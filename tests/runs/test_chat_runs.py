"""A chat template that says the date: what was tuned on one day is measured and replayed as it was on any other."""

import json
import shutil
import time

import pytest
import yaml

from openflan.errors import UserError
from openflan.evaluation.model import Model
from openflan.prompts.text_format import read_text_format
from openflan.recipes.recipe import load_recipe
from openflan.run import Run

TEMPLATE = (
    "{% for m in messages %}{% if loop.first %}<|im_start|>system\nToday is {{ strftime_now('%d %b %Y') }}."
    "<|im_end|>\n{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def day(monkeypatch):
    """Turn the clock: two time zones that are never on one date stand for two days."""

    def turn(number: int) -> None:
        monkeypatch.setenv("TZ", ("Etc/GMT+12", "Etc/GMT-14")[number])
        time.tzset()

    yield turn
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def dated(tiny_llama, tmp_path):
    """A tiny model whose chat template says the date."""
    from transformers import AutoTokenizer

    folder = tmp_path / "dated"
    shutil.copytree(tiny_llama, folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


def write_recipe(folder, model, my_tasks, **more):
    recipe = {
        "name": "chats",
        "model": {"path": str(model)},
        "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
        "prompts": {"chat": True, "max_input_tokens": 160, "max_target_tokens": 32},
        "training": {"steps": 3, "tokens_per_batch": 512, "precision": "float32"},
        "evaluation": {"rows": 3, "max_new_tokens": 4, "bootstrap": 100},
        "seeds": [0],
        **more,
    }
    path = folder / "chats.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def test_a_run_goes_on_another_day_as_it_began(day, dated, my_tasks, tmp_path):
    path = write_recipe(tmp_path, dated, my_tasks)
    day(0)
    first = Run(load_recipe(path), runs=tmp_path / "runs").work(until="training")
    day(1)
    assert Run(load_recipe(path), runs=tmp_path / "runs").work().worked
    record = read_text_format(first.folder / "training" / "seed-0" / "model")
    lock = json.loads((first.folder / "mixture" / "lock.json").read_text(encoding="utf-8"))
    assert lock["text"]["encoder"] == record.encoder
    assert record.ends
    for stage in ("untuned", "seed-0"):
        manifest = json.loads((first.folder / "evaluation" / stage / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["format"] == record.encoder
    prompts = Run.open(first.folder).replay(2)
    assert prompts
    assert all(one.same for one in prompts)
    model = Model(first.folder)
    assert model._opened.encoder.fingerprint == record.encoder
    assert model._opened.encoder.frame.target_end == (401,)


@pytest.mark.slow
def test_a_sibling_of_another_day_is_taken_over_only_where_it_is_in_the_same_format(day, dated, my_tasks, tmp_path):
    day(0)
    path = write_recipe(tmp_path, dated, my_tasks)
    old = Run(load_recipe(path), runs=tmp_path / "runs").work()
    day(1)
    path = write_recipe(tmp_path, dated, my_tasks, seeds=[0, 1])
    new = Run(load_recipe(path), runs=tmp_path / "runs").work(until="evaluation")
    before, after = (read_text_format(r.folder / "training" / "seed-0" / "model") for r in (old, new))
    assert before.frame.before != after.frame.before
    for stage in ("untuned", "seed-0", "seed-1"):
        manifest = json.loads((new.folder / "evaluation" / stage / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["format"] == after.encoder
    path = write_recipe(tmp_path, dated, my_tasks, name="again")
    twin = Run(load_recipe(path), runs=tmp_path / "runs").work()  # its mixture is the first run's, and so is all else
    assert read_text_format(twin.folder / "training" / "seed-0" / "model") == before


def test_a_model_of_another_format_than_the_mixtures_is_refused_in_one_line(day, dated, my_tasks, tmp_path):
    day(0)
    path = write_recipe(tmp_path, dated, my_tasks)
    folder = Run(load_recipe(path), runs=tmp_path / "runs").work(until="training").folder
    shutil.rmtree(folder / "mixture")
    day(1)
    with pytest.raises(UserError, match=r"tuned in another text format .*what stands before an input"):
        Run(load_recipe(path), runs=tmp_path / "runs").work()


def test_any_model_is_measured_on_another_day_as_before(openflan, day, dated, tmp_path):
    arguments = ("eval", "--model", dated, "--tasks", "rte", "--data", "twins", "--rows", 4, "--out", tmp_path / "out")
    day(0)
    assert openflan(*arguments, "--chat")[0] == 0
    (folder,) = (tmp_path / "out").iterdir()
    before = (folder / "rte.parquet").read_bytes()
    day(1)
    assert openflan(*arguments, "--chat", "--set", "evaluation.bootstrap=200")[0] == 0
    assert list((tmp_path / "out").iterdir()) == [folder]
    assert (folder / "rte.parquet").read_bytes() == before
    (folder / "rte.parquet").unlink()
    assert openflan(*arguments, "--chat")[0] == 0
    assert (folder / "rte.parquet").read_bytes() == before


def test_a_model_for_chat_is_spoken_to_through_its_template(dated, tiny_llama):
    assert Model(dated).prompts.chat
    assert not Model(tiny_llama).prompts.chat
    assert not Model(dated, prompts={"chat": False}).prompts.chat
