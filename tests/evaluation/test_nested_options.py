"""Options of which one begins another: told apart by the end of the answer, where the model is known to write it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from openflan.evaluation.answer_files import read_answers
from openflan.evaluation.answered import Answered, rescored, undecided_share
from openflan.evaluation.answering import Keep, evaluate
from openflan.evaluation.likelihoods import score_texts
from openflan.evaluation.matrix import task_matrices
from openflan.evaluation.model import Model
from openflan.evaluation.protocol import Asked, ask_prompts
from openflan.evaluation.scores import SCORES, OptionScores
from openflan.models.load import find_model, load_model, load_rules
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import EvaluationPart, ModelPart, PromptsPart
from openflan.runs.verdicts import at_its_best
from openflan.tasks.catalog import Entry
from openflan.tasks.spec import load_task

PROMPTS = PromptsPart(max_input_tokens=128, max_target_tokens=16)
PART = EvaluationPart(rows=6, bootstrap=100, validation_rows=0)
LADDER = ["yes", "yes and no", "no", "no and yes"]
FLAT = ["cat", "dog", "eel", "fox"]


def loaded(folder, *, ends):
    source = find_model(ModelPart(path=str(folder)), folder)
    rules = replace(load_rules(source, PROMPTS), ends=ends)
    return load_model(source, device=torch.device("cpu")), TextEncoder(rules)


@pytest.fixture
def entry(tmp_path):
    """A task whose odd rows alone have options of which one begins another."""
    rows = [{"text": f"line {n}", "picks": LADDER if n % 2 else FLAT, "right": n % 4} for n in range(6)]
    (tmp_path / "picks.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "picks.yaml").write_text(
        json.dumps(
            {
                "name": "picks",
                "cluster": "misc",
                "source": {"files": {"all": "picks.jsonl"}},
                "splits": {"test": "all"},
                "evaluation_only": True,
                "fields": ["text", "picks", "right"],
                "answer": {"field": "right", "options_field": "picks"},
                "metrics": ["accuracy"],
                "licence": "unknown",
                "lineage": ["picks"],
                "templates": [{"input": "{{text}}: which?\n{{options}}"}, {"input": "{{text}}. Choose."}],
            }
        ),
        encoding="utf-8",
    )
    path = tmp_path / "picks.yaml"
    return Entry(spec=load_task(path), path=path, collection="mine")


def ask(folder, entry, *, ends=False, part=PART, keep=None):
    model, encoder = loaded(folder, ends=ends)
    prompts = ask_prompts(entry, encoder, limit=6, data=None)
    task = Asked(entry=entry, test=prompts)
    return evaluate(model, encoder, [task], part, report=lambda _d, _t: None, keep=keep), model, encoder


def plain_logprob(model, prompt, option):
    """The oracle: one forward of prompt and option."""
    if model.config.is_encoder_decoder:
        start = model.config.decoder_start_token_id
        with torch.inference_mode():
            out = model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[start, *option[:-1]]]))
        logits = out.logits[0].log_softmax(-1)
        return sum(float(logits[place, token]) for place, token in enumerate(option))
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt, *option]])).logits[0].log_softmax(-1)
    return sum(float(logits[len(prompt) - 1 + place, token]) for place, token in enumerate(option))


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "t5"])
def test_the_end_is_that_of_one_forward_and_only_where_one_option_begins_another(model_folder, entry, family):
    answers, model, encoder = ask(model_folder(family), entry)
    prompts = {one.input: ids for one, ids in _prompts(entry, encoder)}
    for answer in answers:
        options = encoder.targets(answer.options, end=False)
        if answer.options == tuple(FLAT):
            assert (answer.ends, answer.ends_alone, answer.rule, answer.value_with_end) == ((), (), None, None)
            continue
        assert len(answer.ends) == len(answer.ends_alone) == len(LADDER)
        prompt = prompts[answer.prompt]
        for option, score, end in zip(options, answer.scores, answer.ends, strict=True):
            assert score == pytest.approx(plain_logprob(model, prompt, option), abs=1e-3)
            whole = plain_logprob(model, prompt, [*option, *encoder.frame.target_end])
            assert score + end == pytest.approx(whole, abs=1e-3)


def test_what_the_options_have_together_counts_what_one_holds_once(model_folder, entry):
    answers, _, encoder = ask(model_folder("t5"), entry)
    for answer in answers:
        tokens = encoder.targets(answer.options, end=False)
        apart = [
            score
            for option, score in zip(tokens, answer.scores, strict=True)
            if not any(other != option and other == option[: len(other)] for other in tokens)
        ]
        assert (len(apart) < len(tokens)) == (answer.options == tuple(LADDER))
        assert math.exp(answer.together) == pytest.approx(sum(map(math.exp, apart)))
        assert answer.written is not None


def _prompts(entry, encoder):
    prompts = ask_prompts(entry, encoder, limit=6, data=None)
    return zip(prompts, encoder.inputs(prompts), strict=True)


def test_a_model_that_is_not_known_to_end_its_answers_is_decided_by_options_alone(tiny_llama, entry):
    unknown, _, _ = ask(tiny_llama, entry)
    known, _, _ = ask(tiny_llama, entry, ends=True)
    nested = [answer for answer in unknown if answer.rule is not None]
    assert len(nested) == len(unknown) // 2
    assert {answer.rule for answer in nested} == {"option"}
    assert all(answer.answer in ("yes", "no") for answer in nested)  # the longer one's sum can't be larger
    assert undecided_share(unknown) == 0.5
    assert undecided_share(known) == 0
    assert {answer.rule for answer in known} == {None, "option_and_end"}
    for one, other in zip(unknown, known, strict=True):
        assert one.scores == other.scores
        assert one.value_with_end == other.value_with_end
        if other.rule:
            best = max(range(4), key=lambda n: other.scores[n] + other.ends[n])
            assert other.answer == LADDER[best]
            assert other.value == other.value_with_end
        else:
            assert one == other


def test_the_rule_is_changed_offline(tiny_llama, entry, tmp_path):
    keep = Keep(folder=tmp_path / "kept", model="m")
    known, _, _ = ask(tiny_llama, entry, ends=True, keep=keep)
    path = tmp_path / "kept" / "picks.parquet"
    assert read_answers(path) == read_answers(path, score="sum") == known
    never = read_answers(path, score="sum", ends="never")
    plain, model, _ = ask(tiny_llama, entry, ends=False)
    assert never == plain
    assert rescored(plain, "sum", ends="always") == known
    worked = []
    handle = model.register_forward_pre_hook(lambda *_: worked.append(1))
    off = PART.model_copy(update={"ends": "never"})
    assert ask(tiny_llama, entry, ends=True, keep=keep, part=off)[0] == never
    handle.remove()
    assert not worked


def test_the_end_is_as_large_for_a_long_option_as_for_a_short_one():
    """Normalised by length, an end that says nothing must not say which option is right."""
    texts = ("1", "1 and a long rest of it")
    scores = OptionScores(
        logprob=(-2.0, -9.0), tokens=(1, 8), texts=texts, unconditional=(-1.0, -8.0), nested=True, ends=(-3.0, -3.0)
    )
    scores = replace(scores, ends_alone=(-3.0, -3.0))
    for score in SCORES:
        without = replace(scores, ends=(), ends_alone=())
        one, other = without.normalised(score), scores.normalised(score)
        assert other[0] - other[1] == pytest.approx(one[0] - one[1])
    assert scores.normalised("mean_token") == pytest.approx([-5.0, -9 / 8 - 3])
    telling = replace(scores, ends=(-9.0, -0.1))
    assert telling.rank("sum").best == telling.rank("mean_token").best == 1


def test_an_untuned_model_counts_with_whichever_rule_is_kinder_to_it(entry, tiny_llama):
    answers, _, _ = ask(tiny_llama, entry)
    wrong = [replace(answer, value=0.0, value_with_end=1.0 if answer.rule else None) for answer in answers]
    (matrix,) = task_matrices(wrong).values()
    assert (matrix.nested, matrix.rule) == (6, "option")
    assert np.nanmean(matrix.values) == 0
    assert np.nanmean(at_its_best(matrix).values) == 0.5
    (tuned,) = task_matrices([replace(a, rule=a.rule and "option_and_end") for a in wrong]).values()
    assert np.nanmean(at_its_best(tuned).values) == 0


def test_an_evaluation_says_which_rule_it_went_by_and_for_how_many_answers(openflan, entry, tiny_llama, tmp_path):
    arguments = ("eval", "--model", tiny_llama, "--tasks", entry.path, "--rows", 6, "--out", tmp_path / "out")
    code, out, _ = openflan(*arguments)
    assert code == 0
    assert "50% to options of which one begins another" in out
    code, out, _ = openflan(*arguments, "--json", "--set", "evaluation.ends=always")
    spread = json.loads(out)["tasks"][0]["models"]["model"]
    assert (spread["rule"], spread["nested"]) == ("option_and_end", 6)
    assert spread["mean"] == spread["mean_with_end"]
    (folder,) = (tmp_path / "out").iterdir()
    for ends, rule in (("as_tuned", "option"), ("always", "option_and_end"), ("never", "option")):
        code, out, _ = openflan("rescore", folder, "--ends", ends, "--json")
        assert (code, json.loads(out)["tasks"][0]["models"]["model"]["rule"]) == (0, rule)
    code, _, err = openflan("rescore", folder, "--ends", "maybe")
    assert code == 2
    assert "--ends" in err


def test_one_question_is_ranked_as_an_evaluation_would(tiny_llama, entry):
    answers, model, encoder = ask(tiny_llama, entry, ends=True)
    for prompt, ids in _prompts(entry, encoder):
        answer = next(a for a in answers if a.prompt == prompt.input)
        scores = score_texts(model, encoder, ids, prompt.answer.options)
        assert scores.normalised("sum") == pytest.approx(answer.option_scores.normalised("sum"), abs=1e-4)


def test_answers_without_ends_are_as_before():
    answer = Answered(
        task="t", cluster="c", row=0, template=0, kind="ranked", metric="accuracy", value=0.0, prompt="p", answer="",
        expected="a", options=("a", "b"), gold=(0,), scores=(-1.0, -2.0), option_tokens=(1, 1), further=(), others=(),
        group="",
    )  # fmt: skip
    (decided,) = rescored([answer], "sum", ends="always")
    assert (decided.answer, decided.value, decided.rule, decided.value_with_end) == ("a", 1.0, None, None)


def test_model_ranks_with_the_end_where_its_record_says_so(tiny_llama, tmp_path):
    from openflan.prompts.text_format import write_text_format

    for path in tiny_llama.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    plain = Model(tmp_path)
    assert plain.rank("Is it?", LADDER).best in ("yes", "no")
    encoder = plain._opened.encoder
    write_text_format(tmp_path, encoder.format.model_copy(update={"ends": True}))
    ended = Model(tmp_path).rank("Is it?", LADDER)
    assert sum(ended.probabilities) == pytest.approx(1)
    assert ended.logprobs != plain.rank("Is it?", LADDER).logprobs
