"""What `openflan eval` asks: BIG-bench Hard by name, chat models through their template, no token that is unknown."""

import json
import shutil

import pytest

from openflan.evaluation.answering import evaluate
from openflan.recipes.parts import EvaluationPart


@pytest.fixture
def rows(tmp_path):
    folder = tmp_path / "data" / "bbh_navigate"
    folder.mkdir(parents=True)
    lines = [{"input": f"Take {n} steps. Do you return?", "target": "No" if n else "Yes"} for n in range(5)]
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "data"


def test_a_hard_task_is_asked_by_generation(openflan, rows, tiny_llama, tmp_path):
    arguments = ("--model", tiny_llama, "--data", rows, "--out", tmp_path / "runs", "--json")
    code, out, _ = openflan("eval", "--tasks", "bbh_navigate", *arguments)
    assert code == 0
    (task,) = json.loads(out)["tasks"]
    assert (task["task"], task["metric"], task["n_rows"]) == ("bbh_navigate", "exact_match", 5)


def test_an_unknown_hard_task_names_the_nearest(openflan, tiny_llama):
    code, out, err = openflan("eval", "--tasks", "bbh_navigation", "--model", tiny_llama)
    assert (code, out) == (2, "")
    assert "bbh_navigate" in err


def test_real_rows_fit(shared):
    from pathlib import Path

    from openflan.evaluation.protocol import ask_prompts
    from openflan.models.load import find_model, load_rules
    from openflan.prompts.encoding import TextEncoder
    from openflan.recipes.parts import ModelPart, PromptsPart
    from openflan.tasks.bbh import BBH, bbh_entry

    encoder = TextEncoder(load_rules(find_model(ModelPart(), Path("starter")), PromptsPart()))
    for kind in BBH:
        prompts = ask_prompts(bbh_entry(f"bbh_{kind}"), encoder, limit=2, data=shared / "data")
        assert len(prompts) == 8


def test_a_tokenizer_with_more_words_than_the_model_is_told(tiny_llama):
    import torch

    from openflan.errors import UserError
    from openflan.models.load import find_model, load_model, load_rules
    from openflan.prompts.encoding import TextEncoder
    from openflan.recipes.parts import ModelPart, PromptsPart

    source = find_model(ModelPart(path=str(tiny_llama)), tiny_llama)
    model = load_model(source, device=torch.device("cpu"))
    model.resize_token_embeddings(300)
    encoder = TextEncoder(load_rules(source, PromptsPart()))
    with pytest.raises(UserError, match="ids go up to 399, and the model has 300 embeddings"):
        evaluate(model, encoder, [], EvaluationPart(), report=lambda _d, _t: None)


def test_a_model_for_chat_is_asked_through_its_template(openflan, tiny_llama, tmp_path):
    from transformers import AutoTokenizer

    arguments = ("eval", "--model", tmp_path / "chat", "--tasks", "rte", "--data", "twins", "--out", tmp_path / "runs")
    shutil.copytree(tiny_llama, tmp_path / "chat")
    code, _, err = openflan(*arguments, "--chat")
    assert code == 2
    assert "no chat template" in err
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    tokenizer.chat_template = "{% for m in messages %}<s>U: {{ m.content }}{% endfor %}\n\nA: "
    tokenizer.save_pretrained(tmp_path / "chat")
    assert openflan(*arguments)[0] == 0
    assert openflan(*arguments, "--chat")[0] == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2
