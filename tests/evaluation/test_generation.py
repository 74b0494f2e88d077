"""Batched greedy answers are the answers of one prompt at a time."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from openflan.errors import UserError
from openflan.evaluation.answering import evaluate
from openflan.evaluation.generation import generate
from openflan.models.flat import flat_row
from openflan.models.head import logits_at
from openflan.models.load import find_model, load_model, load_rules, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import EvaluationPart, ModelPart, PromptsPart

PROMPTS = [np.random.default_rng(n).integers(2, 300, 1 + n * 3 % 37).tolist() for n in range(14)]
LONGEST = 8


def talkative(folder):
    """A model whose head is its own and random, so that an encoder-decoder does not repeat its start token."""
    model, encoder = loaded(folder, louder=1)
    torch.manual_seed(0)
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    return model, encoder


def loaded(folder, louder=6):
    source = find_model(ModelPart(path=str(folder)), folder)
    model = load_model(source, device=torch.device("cpu"))
    encoder = TextEncoder.of(load_tokenizer(source), PromptsPart())
    with torch.no_grad():  # so that some answers end early
        model.get_output_embeddings().weight[encoder.eos] *= louder
    return model, encoder


def test_answers_do_not_depend_on_what_the_model_did_before(tiny_llama):
    model, encoder = loaded(tiny_llama)
    settings = {"max_new_tokens": LONGEST, "batch_tokens": 400}
    before = generate(model, encoder, PROMPTS, **settings)
    with torch.no_grad(), flat_row(model, [0, 3]):  # as a training step on a GPU leaves it
        where = (torch.zeros(3, dtype=torch.long), torch.arange(3))
        logits_at(model, where, input_ids=torch.tensor([[5, 6, 7]]), position_ids=torch.tensor([[0, 1, 2]]))
    assert generate(model, encoder, PROMPTS, **settings) == before


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
    assert len({len(ids) for ids in tokens}) > 1
    assert answers(model, encoder) == [cut(encoder.text(ids)) for ids in tokens]


@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_the_batch_budget_does_not_change_an_answer(tiny_llama, budget):
    model, encoder = loaded(tiny_llama)
    counts = []
    assert answers(model, encoder, batch_tokens=budget, report=counts.append) == answers(model, encoder)
    assert sum(counts) == len(PROMPTS)


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
    monkeypatch.setattr(type(encoder), "text", lambda _self, _ids, **_: "an answer \n\nand more talk")
    assert set(answers(model, encoder)) == {"an answer"}


def test_nothing_to_answer_gives_nothing(tiny_llama):
    model, encoder = loaded(tiny_llama)
    assert generate(model, encoder, [], max_new_tokens=3, batch_tokens=100) == []


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_an_answer_ends_before_the_first_stop_string(model_folder, family):
    model, encoder = talkative(model_folder(family))
    whole = answers(model, encoder, stop=())
    longest = max(whole, key=len)
    mark = longest[len(longest) // 2]
    assert any(mark in answer for answer in whole)
    assert answers(model, encoder, stop=(mark, "never there")) == [answer.split(mark)[0].strip() for answer in whole]


@pytest.mark.parametrize("family", ["t5", "t5-gated"])
def test_an_encoder_decoder_answers_as_it_does_one_prompt_at_a_time(model_folder, family):
    model, encoder = talkative(model_folder(family))
    tokens = []
    for prompt in PROMPTS:
        ids = [model.config.decoder_start_token_id]
        for _ in range(LONGEST):
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([ids])).logits
            ids.append(int(logits[0, -1].argmax()))
            if ids[-1] == encoder.eos:
                break
        tokens.append(ids[1:])
    assert len({tuple(ids) for ids in tokens}) > 1
    assert answers(model, encoder) == [cut(encoder.text(ids)) for ids in tokens]


def test_beams_find_answers_at_least_as_likely(tiny_llama):
    model, encoder = loaded(tiny_llama)

    def likelihood(prompt, answer):
        ids = [*prompt, *encoder.targets([answer], end=False)[0]]
        with torch.inference_mode():
            logprobs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        return sum(float(logprobs[place - 1, ids[place]]) for place in range(len(prompt), len(ids)))

    one, four = (answers(model, encoder, beams=count, stop=()) for count in (1, 4))
    changed = [(p, a, b) for p, a, b in zip(PROMPTS, one, four, strict=True) if a != b]
    assert changed
    gains = [likelihood(p, b) / max(1, len(b)) - likelihood(p, a) / max(1, len(a)) for p, a, b in changed]
    assert sum(gain > -0.5 for gain in gains) > len(gains) / 2


def test_vllm_that_is_not_there_is_told_with_the_remedy(tiny_llama):
    if find_spec("vllm") is not None:
        pytest.skip("vllm is installed")
    model, encoder = loaded(tiny_llama)
    with pytest.raises(UserError, match=r'vllm is not installed; pip install "openflan\[vllm\]"'):
        evaluate(model, encoder, [], EvaluationPart(engine="vllm"), report=lambda _d, _t: None)


def written(model, prompt, ends):
    """What transformers' own `generate` writes, as far as an end."""
    with torch.inference_mode():
        (row,) = model.generate(torch.tensor([prompt]), max_new_tokens=LONGEST, do_sample=False, eos_token_id=ends)
    own = row[1 if model.config.is_encoder_decoder else len(prompt) :].tolist()
    return own[: min((own.index(token) for token in ends if token in own), default=len(own))]


@pytest.mark.parametrize("family", ["llama", "t5"])
@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_an_answer_ends_at_any_token_that_the_model_names(model_folder, tmp_path, family, file):
    """Chat models name their end of turn beside EOS; transformers' own `generate` stops at both."""
    folder = model_folder(family)
    model, encoder = talkative(folder)
    seen = [token for prompt in PROMPTS for token in written(model, prompt, [encoder.eos])[1:-1]]
    further = max(sorted(set(seen)), key=seen.count)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / file).read_text(encoding="utf-8"))
    (tmp_path / file).write_text(json.dumps({**config, "eos_token_id": [encoder.eos, further]}), encoding="utf-8")
    source = find_model(ModelPart(path=str(tmp_path)), tmp_path)
    ended = TextEncoder(load_rules(source, PromptsPart()))
    expected = [encoder.text(written(model, prompt, [encoder.eos, further])) for prompt in PROMPTS]
    assert answers(model, ended, stop=()) == expected
    assert answers(model, encoder, stop=()) != expected
