"""What `openflan eval` can't work with: one clear line, exit code 2, and what was measured before is still there."""

import json
import shutil

import pytest
import yaml
from safetensors.torch import load_file, save_file


@pytest.fixture
def task(my_tasks, tmp_path):
    """Writes a variant of the cafe's task."""

    def write(**changes) -> object:
        spec = yaml.safe_load((my_tasks / "cafe_review.yaml").read_text())
        files = {split: str(my_tasks / place) for split, place in spec["source"]["files"].items()}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump({**spec, "name": "mine", "source": {"files": files}, **changes}))
        return path

    return write


@pytest.fixture
def refused(openflan, my_tasks, tiny_llama, tmp_path):
    """Measures and is refused; returns the line."""

    def call(*arguments: object, model: object = tiny_llama, verb: str = "eval") -> str:
        where = ("--model", model, "--folder", my_tasks, "--out", tmp_path / "out", "--rows", 4, "--quiet")
        code, out, err = openflan(verb, *(where if verb == "eval" else ()), *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        return err

    return call


@pytest.mark.parametrize(
    ("name", "near"),
    [("does_it_folow", "does_it_follow"), ("parafrase", "paraphrase"), ("bbh_navigat", "bbh_navigate")],
)
def test_an_unknown_task_names_the_nearest(refused, name, near):
    assert f"did you mean '{near}'?" in refused("--tasks", name)


def test_a_split_without_rows_is_named(refused, task, my_tasks, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    train = str(my_tasks / "rows" / "cafe_review-train.jsonl")
    bare = task(source={"files": {"train": train, "test": str(tmp_path / "empty.jsonl")}})
    assert "no rows left in mine, split 'test'" in refused("--tasks", bare)
    assert "split 'test[:0]'" in refused("--tasks", task(splits={"train": "train", "test": "test[:0]"}))
    assert "task 'mine' has no test split" in refused("--tasks", task(splits={"train": "train"}))


def test_too_long_a_prompt_is_cut_and_counted_or_refused(refused, openflan, my_tasks, tiny_llama, tmp_path):
    short = ("--tasks", "cafe_review", "--set", "prompts.max_input_tokens=24")
    line = refused(*short, "--set", "evaluation.too_long=refuse")
    assert "cafe_review: 12 of 12 prompts have more than 24 tokens, the first is row " in line
    assert "evaluation.too_long=cut" in line
    where = ("--model", tiny_llama, "--folder", my_tasks, "--out", tmp_path / "out", "--rows", 4)
    code, out, _ = openflan("eval", *where, *short)
    assert code == 0
    assert "12 prompts cut" in out
    again = refused(*short, "--set", "evaluation.too_long=refuse")
    assert again == line, "answers to cut prompts are kept, and still they are refused"


def test_more_tokens_than_the_model_has_positions_are_refused(refused, task, model_folder):
    long = task(templates=[{"input": "{{text}}" + " and so on" * 60 + "\n{{options}}"}])
    line = refused("--tasks", long, "--set", "prompts.max_input_tokens=600", model=model_folder("gpt2"))
    assert "the model 256 positions" in line


def test_options_that_the_model_can_not_tell_apart_are_named(refused, task, tiny_llama):
    options = ["a very good place to eat with friends", "a very good place to eat alone"]
    alike = task(answer={"field": "label", "options": options})
    line = refused("--tasks", alike, "--set", "prompts.max_target_tokens=3")
    assert "mine, row " in line
    assert f"{options[0]!r} and {options[1]!r} are the same tokens to this model" in line
    twice = task(answer={"field": "label", "options": ["good", "good"]})
    assert "options has 'good' twice" in refused("--tasks", twice)


def test_a_model_with_fewer_words_than_its_tokenizer_is_named(refused, tiny_llama, tmp_path):
    shutil.copytree(tiny_llama, tmp_path / "few")
    config = json.loads((tmp_path / "few" / "config.json").read_text())
    weights = load_file(tmp_path / "few" / "model.safetensors")
    words = config["vocab_size"]
    fewer = {name: value[:300].clone() if len(value) == words else value for name, value in weights.items()}
    save_file(fewer, tmp_path / "few" / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "few" / "config.json").write_text(json.dumps({**config, "vocab_size": 300}))
    line = refused("--tasks", "cafe_review", model=tmp_path / "few")
    assert "the tokenizer's ids go up to 399, and the model has 300 embeddings" in line


@pytest.mark.parametrize(
    ("config", "says"),
    [({"base_model_name_or_path": "/nowhere/base"}, "an adapter without its base"), ({}, "names no base")],
)
def test_an_adapter_without_its_base_is_named(refused, tmp_path, config, says):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))
    save_file({}, tmp_path / "adapter" / "adapter_model.safetensors")
    assert says in refused("--tasks", "cafe_review", model=tmp_path / "adapter")


def test_a_damaged_table_is_named_and_the_others_are_kept(refused, openflan, my_tasks, tiny_llama, tmp_path):
    where = ("--model", tiny_llama, "--folder", my_tasks, "--out", tmp_path / "out", "--rows", 4, "--json")
    tasks = ("--tasks", "cafe_review,does_it_follow")
    before = json.loads(openflan("eval", *where, *tasks)[1])
    (folder,) = (tmp_path / "out").iterdir()
    broken, other = folder / "cafe_review.parquet", folder / "does_it_follow.parquet"
    kept = other.stat().st_mtime_ns
    content = broken.read_bytes()
    middle = len(content) // 3
    broken.write_bytes(content[:middle] + b"\xff" * 40 + content[middle + 40 :])
    for line in (
        refused(*tasks),
        refused(folder, verb="rescore"),
        refused(folder, folder, verb="compare"),
    ):
        assert "cafe_review.parquet: no whole file of answers" in line
        assert "delete this file and measure again; the other tasks are kept" in line
    broken.unlink()
    assert json.loads(openflan("eval", *where, *tasks)[1]) == before
    assert other.stat().st_mtime_ns == kept
