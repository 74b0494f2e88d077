"""One forward over a trie = one forward an option, in every family; and no batch changes a score."""

import numpy as np
import pytest
import torch

from openflan.errors import UserError
from openflan.evaluation.ranking import Question, rank_options
from openflan.models.family import family_of
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import ModelPart

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
    scores = []
    for option in question.options:
        ids = torch.tensor([[*question.prompt, *option]])
        with torch.inference_mode():
            logprobs = model(input_ids=ids).logits[0].double().log_softmax(-1)
        start = len(question.prompt)
        scores.append(sum(logprobs[start + place - 1, token].item() for place, token in enumerate(option)))
    return scores


def together(model, prompts, **how):
    return [scores.logprob for scores in rank_options(model, prompts, **{"batch_tokens": 2_000, **how})]


def test_the_trie_gives_the_scores_of_one_forward_an_option(any_model):
    model = loaded(any_model)
    for question, scores in zip(QUESTIONS, together(model, QUESTIONS), strict=True):
        assert scores == pytest.approx(one_by_one(model, question), abs=1e-4)


def test_an_option_is_likeliest_where_greedy_writing_begins_with_it(any_model):
    model = loaded(any_model)
    for prompt in (tokens(9), tokens(30)):
        written = list(prompt)
        for _ in range(4):
            with torch.inference_mode():
                written.append(int(model(input_ids=torch.tensor([written])).logits[0, -1].argmax()))
        greedy, other = written[len(prompt) :], tokens(1)
        options = [greedy[:1], greedy, [*greedy[:2], *other], other, [*other, *greedy]]
        (scores,) = rank_options(model, [Question(prompt=prompt, options=options, texts="abcde")], batch_tokens=900)
        assert scores.likeliest == (True, True, greedy[2] == other[0], greedy[0] == other[0], False)
        assert scores.written == 1


def test_the_trie_holds_for_long_prompts_too(any_model):
    model = loaded(any_model)
    prompts = questions(lengths=(200,))[:3]
    for question, scores in zip(prompts, together(model, prompts), strict=True):
        assert scores == pytest.approx(one_by_one(model, question), abs=1e-4)


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


def alike():
    """Templates of one row: the same passage, then words of their own; some are the start of others, or the same."""
    passage, other = tokens(50), tokens(40)
    ends = [tokens(3), tokens(12), [], tokens(30), [*tokens(2)]]
    ends += [[*ends[1], *tokens(4)], [*ends[1][:8], *tokens(6)], ends[0]]
    prompts = [[*start, *end] for start in (passage, other, passage[:20]) for end in ends]
    groups = [OPTIONS[name] for name in ("single tokens", "prefixes of one another", "the same start", "repeats")]
    return [
        Question(prompt=prompt, options=groups[n % len(groups)], texts=[""] * len(groups[n % len(groups)]))
        for n, prompt in enumerate(prompts)
    ]


def test_prompts_that_start_alike_share_their_start_and_keep_their_scores(any_model):
    model = loaded(any_model)
    prompts = alike()
    for question, scores in zip(prompts, together(model, prompts), strict=True):
        assert scores == pytest.approx(one_by_one(model, question), abs=1e-4)


def test_what_prompts_share_is_computed_once(tiny_llama):
    model, fed = loaded(tiny_llama), []
    prompts = [Question(prompt=[*START, *range(5, 105), n], options=[[5], [6]], texts=["", ""]) for n in range(10)]
    model.register_forward_pre_hook(lambda _m, _a, inputs: fed.append(inputs["input_ids"].numel()), with_kwargs=True)
    together(model, prompts)
    assert sum(fed) == len(START) + 100 + 10


@pytest.mark.parametrize("budget", [1, 100, 700])
def test_sharing_does_not_depend_on_the_budget(tiny_llama, budget):
    model, prompts = loaded(tiny_llama), alike()
    for one, two in zip(together(model, prompts), together(model, prompts, batch_tokens=budget), strict=True):
        assert one == pytest.approx(two, abs=5e-5)


@pytest.mark.parametrize("family", ["t5", "t5 gated", "bart"])
def test_an_encoder_decoder_gives_the_scores_of_one_forward_an_option(family):
    from transformers import BartConfig, BartForConditionalGeneration, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    common = {"vocab_size": 300, "d_model": 32, "decoder_start_token_id": 0}
    if family == "bart":
        sizes = {f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in (("layers", 2), ("ffn_dim", 64))}
        heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 256}
        model = BartForConditionalGeneration(BartConfig(**common, **sizes, **heads, init_std=0.2))
    else:
        gated = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False} if "gated" in family else {}
        model = T5ForConditionalGeneration(
            T5Config(**common, d_kv=8, d_ff=64, num_layers=2, num_heads=4, initializer_factor=0.3, **gated)
        )
    family_of(model.eval())
    encoded = []
    model.get_encoder().register_forward_hook(lambda *_: encoded.append(1))
    prompts = [*QUESTIONS[::3], *alike()[::4]]
    counts: list[int] = []
    results = together(model, prompts, report=counts.append)
    assert len(encoded) == len(counts)
    assert sum(counts) == len(prompts)
    for question, scores in zip(prompts, results, strict=True):
        for option, score in zip(question.options, scores, strict=True):
            with torch.inference_mode():
                decoder = torch.tensor([[0, *option[:-1]]])
                logits = model(input_ids=torch.tensor([question.prompt]), decoder_input_ids=decoder).logits[0]
            logprobs = logits.double().log_softmax(-1)
            expected = sum(logprobs[place, token].item() for place, token in enumerate(option))
            assert score == pytest.approx(expected, abs=1e-4)
    for one, two in zip(results, together(model, prompts, batch_tokens=90), strict=True):
        assert one == pytest.approx(two, abs=1e-5)


def test_where_memory_runs_out_the_budget_is_halved_and_the_work_goes_on(tiny_llama):
    model = loaded(tiny_llama)
    expected = together(model, QUESTIONS)
    tried: list[int] = []

    def small(_module, _arguments, inputs):
        tried.append(inputs["input_ids"].numel())
        if tried[-1] > 300:
            raise torch.OutOfMemoryError("CUDA out of memory")

    handle = model.register_forward_pre_hook(small, with_kwargs=True)
    counts: list[int] = []
    results = together(model, QUESTIONS, report=counts.append)
    handle.remove()
    assert sum(counts) == len(QUESTIONS)
    assert sum(size > 300 for size in tried) < 6  # what did not fit once is not tried again
    for one, two in zip(expected, results, strict=True):
        assert one == pytest.approx(two, abs=1e-5)


def test_a_prompt_that_does_not_fit_alone_is_one_line(tiny_llama):
    model = loaded(tiny_llama)

    def none(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    model.register_forward_pre_hook(none)
    with pytest.raises(UserError, match="does not fit the memory"):
        together(model, QUESTIONS[:4])


def test_another_error_is_not_taken_for_a_lack_of_memory(tiny_llama):
    model = loaded(tiny_llama)

    def broken(*_):
        raise RuntimeError("shapes do not match")

    model.register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="shapes"):
        together(model, QUESTIONS[:4])


def test_logits_of_a_large_vocabulary_are_computed_in_parts(tiny_llama, monkeypatch):
    from openflan.evaluation import ranking

    model, rows = loaded(tiny_llama), []
    model.get_output_embeddings().register_forward_hook(lambda _m, _a, out: rows.append(out.shape[1]))
    expected = together(model, QUESTIONS)
    largest = max(rows)
    monkeypatch.setitem(ranking._LOGITS, "cpu", 4 * model.config.vocab_size * 60)
    rows.clear()
    results = together(model, QUESTIONS)
    one_question = max(len({tuple(o[:n]) for o in q.options for n in range(len(o))}) for q in QUESTIONS)
    assert max(rows) <= max(60, one_question) < largest
    for one, two in zip(expected, results, strict=True):
        assert one == pytest.approx(two, abs=1e-5)


def test_a_model_without_an_attention_mask_is_scored_as_well():
    """State-space and ALiBi models know neither mask nor positions; their options are read one after the other."""
    from transformers import BloomConfig, BloomForCausalLM

    torch.manual_seed(0)
    model = BloomForCausalLM(BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2))
    counts = []
    for question, scores in zip(QUESTIONS, together(model.eval(), QUESTIONS, report=counts.append), strict=True):
        assert scores == pytest.approx(one_by_one(model, question), abs=1e-4)
    assert sum(counts) == len(QUESTIONS)
