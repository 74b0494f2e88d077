"""One forward over a trie = one forward an option, in every family; and no batch changes a score."""

import numpy as np
import pytest
import torch

from openflan.evaluation.ranking import Question, rank_options
from openflan.models.load import find_model, load_model
from openflan.recipe import ModelPart

RANDOM = np.random.default_rng(5)


def tokens(count):
    return RANDOM.integers(2, 300, count).tolist()


START = tokens(4)
OPTIONS = {
    "single tokens": [[5], [6], [7]],
    "prefixes of one another": [[7], [7, 8], [7, 8, 9], [7, 8, 9, 9]],
    "the same start": [[*START, 5], [*START, 6, 7], [*START, 6, 8]],
    "long": [tokens(30), tokens(25), [*START, *tokens(26)]],
    "many": [[5, token] for token in range(10, 40)],
    "mixed": [[9], tokens(12), [9, 3], [9, 3, 3, 3], tokens(2)],
    "twice the same": [[4, 5], [4, 5]],
    "repeats": [[2, 2, 2, 2], [2, 2, 2, 3]],
}
LENGTHS = (1, 2, 9, 24, 60)


def questions(*, lengths=LENGTHS):
    return [
        Question(prompt=tokens(length), options=options, texts=[str(n) for n in range(len(options))])
        for options in OPTIONS.values()
        for length in lengths
    ]


QUESTIONS = questions()


def loaded(folder):
    return load_model(find_model(ModelPart(path=str(folder)), folder), device=torch.device("cpu"))


def one_by_one(model, question):
    """The oracle: every option in a forward of its own, plain causal attention, full logits."""
    found = []
    for option in question.options:
        ids = torch.tensor([[*question.prompt, *option]])
        with torch.inference_mode():
            logprobs = model(input_ids=ids).logits[0].double().log_softmax(-1)
        start = len(question.prompt)
        found.append(sum(logprobs[start + place - 1, token].item() for place, token in enumerate(option)))
    return found


def together(model, asked, **how):
    return [scores.logprob for scores in rank_options(model, asked, **{"batch_tokens": 2_000, **how})]


def test_the_trie_gives_the_scores_of_one_forward_an_option(any_model):
    model = loaded(any_model)
    for question, found in zip(QUESTIONS, together(model, QUESTIONS), strict=True):
        assert found == pytest.approx(one_by_one(model, question), abs=1e-4)


def test_the_trie_holds_for_long_prompts_too(any_model):
    model = loaded(any_model)
    asked = questions(lengths=(200,))[:3]
    for question, found in zip(asked, together(model, asked), strict=True):
        assert found == pytest.approx(one_by_one(model, question), abs=1e-4)


@pytest.mark.parametrize("budget", [1, 64, 400, 100_000])
def test_the_batch_budget_does_not_change_a_score(tiny_llama, budget):
    model = loaded(tiny_llama)
    expected = together(model, QUESTIONS)
    for one, two in zip(expected, together(model, QUESTIONS, batch_tokens=budget), strict=True):
        assert one == pytest.approx(two, abs=1e-5)


def test_the_order_of_questions_does_not_change_a_score(any_model):
    model = loaded(any_model)
    order = np.random.default_rng(1).permutation(len(QUESTIONS)).tolist()
    shuffled = together(model, [QUESTIONS[number] for number in order])
    expected = together(model, QUESTIONS)
    for place, number in enumerate(order):
        assert shuffled[place] == pytest.approx(expected[number], abs=1e-5)


def test_the_order_of_options_does_not_change_a_score(tiny_llama):
    model = loaded(tiny_llama)
    turned = [Question(prompt=q.prompt, options=q.options[::-1], texts=q.texts[::-1]) for q in QUESTIONS]
    for one, two in zip(together(model, QUESTIONS), together(model, turned), strict=True):
        assert one == pytest.approx(two[::-1], abs=1e-5)


def test_a_model_without_an_attention_mask_is_scored_as_well():
    """State-space and ALiBi models know neither mask nor positions; their options are read one after the other."""
    from transformers import BloomConfig, BloomForCausalLM

    torch.manual_seed(0)
    model = BloomForCausalLM(BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2))
    told = []
    for question, found in zip(QUESTIONS, together(model.eval(), QUESTIONS, report=told.append), strict=True):
        assert found == pytest.approx(one_by_one(model, question), abs=1e-4)
    assert sum(told) == len(QUESTIONS)
