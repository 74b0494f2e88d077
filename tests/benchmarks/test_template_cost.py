"""What the ranking benchmark says of templates: how much they share, and which are held against the goal."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from openflan.evaluation.protocol import ask_prompts
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import ModelPart, PromptsPart
from openflan.tasks.catalog import open_catalog
from openflan.tasks.local import TWINS
from template_cost import measure_templates, passages_first, reached


@pytest.fixture(scope="module")
def encoder(tiny_llama):
    source = find_model(ModelPart(path=str(tiny_llama)), tiny_llama)
    return TextEncoder.of(load_tokenizer(source), PromptsPart(max_input_tokens=900, max_target_tokens=32))


@pytest.fixture(scope="module")
def prompts(encoder):
    return ask_prompts(open_catalog(collections=["catalog"]).entries["bool_q"], encoder, limit=2, data=TWINS)


def test_a_passage_is_put_first_and_nothing_is_lost(prompts):
    for prompt, text in zip(prompts, passages_first(prompts), strict=True):
        passage = max((str(value) for value in prompt.fields.values()), key=len).strip()
        assert text.startswith(passage)
        assert sorted("".join(text.split())) == sorted("".join(prompt.input.split()))


def test_a_task_without_a_passage_is_left_alone(encoder):
    reviews = open_catalog(collections=["catalog"]).entries["sst2"]
    short = ask_prompts(reviews, encoder, limit=4, data=TWINS)
    assert passages_first(short) is None


def test_what_templates_share_is_told_and_decides_what_is_held_against_the_goal(tiny_llama, encoder, prompts):
    model = load_model(find_model(ModelPart(path=str(tiny_llama)), tiny_llama), device=torch.device("cpu"))
    ways = {"bool_q": [prompt.input for prompt in prompts], "first": passages_first(prompts)}
    records = [
        {
            "prompt": ids[-220:] if task == "bool_q" else ids[:220],
            "options": [[5], [6]],
            "texts": ["a", "b"],
            "task": task,
            "template": prompt.template,
        }
        for task, texts in ways.items()
        for prompt, ids in zip(prompts, encoder.inputs(texts), strict=True)
    ]
    costs = measure_templates(model, records, batch_tokens=2_048, autocast=False)
    assert [cost["templates"] for cost in costs.values()] == [10, 10]
    assert costs["bool_q"]["shared"] < 0.1 < 0.5 < costs["first"]["shared"]
    assert costs["first"]["cost"] < costs["bool_q"]["cost"]
    goal = reached(costs)
    assert goal["sharing"] == {"first": costs["first"]["cost"]}
    assert goal["largest"] == costs["first"]["cost"] < 8 == goal["below"]
