"""Exported tasks give lm-evaluation-harness the numbers that openflan has."""

import json
from importlib.util import find_spec

import pytest
import torch

TASKS = ("rte", "wnli", "cb", "copa", "sst2", "cola", "trec", "wic")


def test_exported_tasks_say_what_differs_and_name_the_command(openflan, tmp_path, tiny_llama):
    code, out, _ = openflan(
        "export", "tasks", "rte", "copa", "--data", "twins", "--to", tmp_path / "out", "--tokenizer", tiny_llama
    )
    assert code == 0
    assert f"lm_eval --include_path {tmp_path / 'out'} --tasks openflan_copa" in out
    assert "add_bos_token" in out
    first = json.loads((tmp_path / "out" / "rows" / "openflan_copa_0.jsonl").read_text().splitlines()[0])
    assert set(first) == {"prompt", "choices", "gold"}
    assert 0 <= first["gold"] < len(first["choices"]) == 2
    assert openflan("export", "tasks", "rte", "--data", "twins", "--to", tmp_path / "out")[0] == 2
    assert openflan("export", "tasks", "rtee", "--data", "twins", "--to", tmp_path / "other")[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_the_harness_finds_the_same_answers_and_log_likelihoods(openflan, tmp_path, shared):
    if find_spec("lm_eval") is None:
        pytest.skip("lm_eval is not installed")
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from openflan.evaluation.answering import evaluate
    from openflan.evaluation.protocol import Asked, ask_prompts
    from openflan.models.load import find_model, load_model, load_rules, load_tokenizer
    from openflan.prompts.encoding import TextEncoder
    from openflan.recipes.parts import EvaluationPart, ModelPart, PromptsPart
    from openflan.tasks.catalog import open_catalog

    folder = shared / "models" / "stories260K"
    there = [name for name in TASKS if (shared / "data" / name).is_dir()]
    assert len(there) >= 6
    options = ("--rows", 6, "--separator", "", "--data", shared / "data", "--tokenizer", folder, "--json")
    code, out, _ = openflan("export", "tasks", *there, "--to", tmp_path / "tasks", *options)
    assert code == 0
    differ = {one["name"]: one["differ"] for one in json.loads(out)["tasks"]}

    source = find_model(ModelPart(path=str(folder)), folder)
    part = PromptsPart(separator="", max_input_tokens=400, max_target_tokens=100)
    encoder = TextEncoder(load_rules(source, part))
    model = load_model(source, device=torch.device("cpu"))
    theirs = HFLM(pretrained=model, tokenizer=load_tokenizer(source), batch_size=4, add_bos_token=True)
    compared = 0
    for name in [name for name in there if not differ[name]]:
        (entry,) = open_catalog().select([name], where="x")
        prompts = ask_prompts(entry, encoder, limit=6, data=shared / "data", templates=[0, 1])
        if max(map(len, encoder.inputs(prompts))) >= 400:
            continue
        ours = evaluate(
            model, encoder, [Asked(entry=entry, test=prompts)], EvaluationPart(), report=lambda _d, _t: None
        )
        for number in (0, 1):
            mine = [one for one in ours if one.template == number]
            if not mine:
                continue
            results = simple_evaluate(
                theirs,
                tasks=[f"openflan_{name}_{number}"],
                task_manager=TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False),
                bootstrap_iters=0,
                verbosity="ERROR",
            )
            samples = results["samples"][f"openflan_{name}_{number}"]
            assert len(samples) == len(mine)
            for sample, one in zip(samples, mine, strict=True):
                known = [pair[0] for pair in sample["filtered_resps"]]
                assert known == pytest.approx(list(one.scores), abs=1e-3)
                assert sample["acc"] == one.value
        compared += 1
    assert compared >= 6
