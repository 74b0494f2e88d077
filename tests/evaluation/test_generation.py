"""Batched greedy answers are the answers of one prompt at a time."""

import numpy as np
import pytest
import torch

from openflan.evaluation.generation import generate
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.recipe import ModelPart, PromptsPart

PROMPTS = [np.random.default_rng(n).integers(2, 300, 1 + n * 3 % 37).tolist() for n in range(14)]
LONGEST = 8


def loaded(folder):
    source = find_model(ModelPart(path=str(folder)), folder)
    model = load_model(source, device=torch.device("cpu"))
    encoder = TextEncoder(load_tokenizer(source), PromptsPart())
    with torch.no_grad():  # so that some answers end early
        model.get_output_embeddings().weight[encoder.eos] *= 6
    return model, encoder


def greedy(model, eos, prompt):
    """The oracle: the whole sequence through the model again for every token, no cache, no padding."""
    ids = list(prompt)
    for _ in range(LONGEST):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == eos:
            break
    return ids[len(prompt) :]


def answers(model, encoder, **how):
    return generate(model, encoder, PROMPTS, **{"max_new_tokens": LONGEST, "batch_tokens": 10_000, **how})


def cut(text):
    return text.split("\n\n")[0].strip()


def test_batched_answers_are_those_of_one_prompt_at_a_time(any_model):
    model, encoder = loaded(any_model)
    tokens = [greedy(model, encoder.eos, prompt) for prompt in PROMPTS]
    assert len({len(found) for found in tokens}) > 1
    assert answers(model, encoder) == [cut(encoder.text(found)) for found in tokens]


@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_the_batch_budget_does_not_change_an_answer(tiny_llama, budget):
    model, encoder = loaded(tiny_llama)
    told = []
    assert answers(model, encoder, batch_tokens=budget, report=told.append) == answers(model, encoder)
    assert sum(told) == len(PROMPTS)


def test_what_a_models_folder_says_about_sampling_is_not_obeyed(tiny_llama):
    """Many published models ship a repetition penalty or a beam width; scores must be plain greedy all the same."""
    model, encoder = loaded(tiny_llama)
    expected = answers(model, encoder)
    settings = {
        "do_sample": True,
        "temperature": 2.0,
        "repetition_penalty": 5.0,
        "no_repeat_ngram_size": 1,
        "min_new_tokens": LONGEST,
        "num_beams": 3,
        "max_length": 3,
        "suppress_tokens": list(range(0, 300, 2)),
        "eos_token_id": [5, 6, 7, 8],
    }
    for name, value in settings.items():
        setattr(model.generation_config, name, value)
    assert answers(model, encoder) == expected


def test_an_answer_ends_at_a_blank_line(tiny_llama, monkeypatch):
    model, encoder = loaded(tiny_llama)
    monkeypatch.setattr(type(encoder), "text", lambda _self, _ids: "an answer \n\nand more talk")
    assert set(answers(model, encoder)) == {"an answer"}


def test_nothing_to_answer_gives_nothing(tiny_llama):
    model, encoder = loaded(tiny_llama)
    assert generate(model, encoder, [], max_new_tokens=3, batch_tokens=100) == []
