"""What is asked, of which rows, and what is kept of the answers."""

import json

import numpy as np
import pytest
import torch
import yaml

from openflan.errors import UserError
from openflan.evaluation.answered import of_test
from openflan.evaluation.answering import evaluate
from openflan.evaluation.matrix import task_matrices
from openflan.evaluation.protocol import Asked, ask_prompts, ask_task, draw_rows
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import EvaluationPart, ModelPart, PromptsPart
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.sources import SourceRow, load_rows
from openflan.tasks.spec import TaskSpec, load_task

PART = EvaluationPart(rows=6, max_new_tokens=4, batch_tokens=4_000)
PROMPTS = PromptsPart(max_input_tokens=128, max_target_tokens=32)


@pytest.fixture(scope="module")
def entries(my_tasks):
    return open_catalog([my_tasks], collections=()).entries


@pytest.fixture(scope="module")
def model(tiny_llama):
    return load_model(find_model(ModelPart(path=str(tiny_llama)), tiny_llama), device=torch.device("cpu"))


@pytest.fixture(scope="module")
def encoder(tiny_llama):
    return TextEncoder.of(load_tokenizer(find_model(ModelPart(path=str(tiny_llama)), tiny_llama)), PROMPTS)


@pytest.fixture(scope="module")
def tasks(entries, encoder):
    return [ask_task(entry, encoder, PART, limit=6, data=None) for entry in entries.values()]


@pytest.fixture(scope="module")
def every(model, encoder, tasks):
    return evaluate(model, encoder, tasks, PART, report=lambda _done, _total: None)


@pytest.fixture(scope="module")
def answers(every):
    return of_test(every)


def rows(count):
    return [SourceRow(index=n, fields={"text": f"row {n}", "deep": {"a": [n, None]}}) for n in range(count)]


def content(drawn):
    return {json.dumps(row.fields) for row in drawn}


def test_the_same_rows_are_drawn_whatever_their_order_in_the_file():
    plain = rows(50)
    shuffled = [
        SourceRow(index=n, fields=plain[m].fields) for n, m in enumerate(np.random.default_rng(0).permutation(50))
    ]
    assert content(draw_rows(plain, 10)) == content(draw_rows(shuffled, 10))


def test_a_smaller_draw_is_part_of_a_larger_one():
    assert content(draw_rows(rows(50), 5)) < content(draw_rows(rows(50), 20))


def test_drawn_rows_stand_in_the_files_order_and_spread_over_it():
    drawn = [row.index for row in draw_rows(rows(1_000), 100)]
    assert drawn == sorted(drawn)
    assert 350 < np.mean(drawn) < 650
    assert len(draw_rows(rows(3), 100)) == 3


def test_every_template_that_asks_for_the_answer_is_used_and_no_other(entries, encoder):
    prompts = ask_prompts(entries["does_it_follow"], encoder, limit=6, data=None)
    assert len(prompts) == 6 * 3
    assert {prompt.template for prompt in prompts} == {0, 1, 2}
    assert all(prompt.target == prompt.answer.text for prompt in prompts)


def test_test_rows_are_asked_not_training_rows(entries, encoder):
    entry = entries["cafe_review"]
    train = {row.fields["text"] for row in load_rows(entry, "train")}
    assert not any(
        text in prompt.input for prompt in ask_prompts(entry, encoder, limit=99, data=None) for text in train
    )


def test_a_task_none_of_whose_rows_can_be_asked_is_an_error(entries, encoder):
    entry = entries["cafe_review"]
    templates = tuple(t.model_copy(update={"when": "label == 7"}) for t in entry.spec.templates)
    never = Entry(spec=entry.spec.model_copy(update={"templates": templates}), path=entry.path, collection="mine")
    with pytest.raises(UserError, match="no template"):
        ask_prompts(never, encoder, limit=6, data=None)


def test_every_prompt_is_answered_once(answers, tasks):
    wanted = {(one.entry.spec.name, prompt.row, prompt.template) for one in tasks for prompt in one.test}
    keys = [(answer.task, answer.row, answer.template) for answer in answers]
    assert set(keys) == wanted
    assert len(keys) == len(wanted) == 5 * 6 * 3


def test_prompts_without_content_are_asked_where_all_rows_have_the_same_options(every):
    by_task = {}
    for answer in every:
        if answer.split == "content_free":
            by_task.setdefault(answer.task, []).append(answer)
    assert {task: len(own) for task, own in by_task.items()} == {
        "cafe_review": 9,
        "does_it_follow": 9,
        "same_meaning": 9,
    }
    first, second, third = (a.prompt for a in by_task["does_it_follow"] if a.template == 2)
    assert first.startswith("Premise: N/A\nHypothesis: N/A\nOPTIONS:")
    assert second.startswith("Premise: [MASK]\nHypothesis: [MASK]\nOPTIONS:")
    assert third.startswith("Premise: \nHypothesis: \nOPTIONS:")
    assert not any(answer.gold or answer.value for own in by_task.values() for answer in own)


def test_a_number_stays_where_a_template_needs_it(my_tasks, entries, encoder):
    spec = entries["cafe_review"].spec
    templates = [{"input": "{{text}}"}, {"input": "{{ text[:rank] }}, or {{ rank + 1 }}?\n{{options}}"}]
    fields = {"text": "fine", "rank": 2, "label": 1}
    (my_tasks.parent / "numbers").mkdir(exist_ok=True)
    path = my_tasks.parent / "numbers" / "ranked.yaml"
    (path.parent / "test.jsonl").write_text(json.dumps(fields) + "\n", encoding="utf-8")
    source = {"files": {"test": str(path.parent / "test.jsonl")}}
    task = {**spec.model_dump(mode="json", exclude_defaults=True), "name": "ranked", "templates": templates}
    task |= {"source": source, "splits": {"test": "test"}, "fields": list(fields), "evaluation_only": True}
    path.write_text(yaml.safe_dump(task), encoding="utf-8")
    result = ask_task(Entry(spec=load_task(path), path=path, collection="mine"), encoder, PART, limit=6, data=None)
    assert [prompt.input.partition("\n")[0] for prompt in result.content_free if prompt.template == 1] == [
        "N/, or 3?",
        "[M, or 3?",
        ", or 3?",
    ]


def test_a_ranked_answer_is_the_likeliest_option(answers):
    ranked = [answer for answer in answers if answer.kind == "ranked"]
    assert len(ranked) == 4 * 6 * 3
    for answer in ranked:
        best = answer.options[max(range(len(answer.scores)), key=answer.scores.__getitem__)]
        assert answer.answer == best
        assert answer.value == float(best == answer.expected)
        assert answer.expected in answer.options


def test_scores_are_log_likelihoods_of_the_options_after_the_prompt(answers, model, encoder):
    for answer in [answer for answer in answers if answer.kind == "ranked"][::7]:
        prompt = encoder.inputs([answer.prompt])[0]
        for option, score in zip(answer.options, answer.scores, strict=True):
            target = encoder.targets([option], end=False)[0]
            with torch.inference_mode():
                logprobs = model(input_ids=torch.tensor([prompt + target])).logits[0].log_softmax(-1)
            by_hand = sum(logprobs[len(prompt) - 1 + place, token].item() for place, token in enumerate(target))
            assert score == pytest.approx(by_hand, abs=1e-4)


def test_generated_answers_carry_all_metrics_of_the_task(answers):
    written = [answer for answer in answers if answer.kind == "generated"]
    assert {answer.task for answer in written} == {"card_sentence"}
    assert {answer.metric for answer in written} == {"rouge"}
    assert {len(answer.others) for answer in written} == {1}


def test_generation_can_be_left_out(model, encoder, tasks):
    part = PART.model_copy(update={"generate": False})
    records = evaluate(model, encoder, tasks, part, report=lambda _done, _total: None)
    assert {answer.kind for answer in records} == {"ranked"}


def test_the_score_rule_decides(model, encoder, tasks, answers):
    part = PART.model_copy(update={"score": "per_byte", "generate": False})
    others = evaluate(model, encoder, tasks, part, report=lambda _done, _total: None)
    for answer in others:
        rates = [score / len(option.encode()) for score, option in zip(answer.scores, answer.options, strict=True)]
        assert answer.answer == answer.options[rates.index(max(rates))]
    plain = [answer.answer for answer in answers if answer.kind == "ranked"]
    assert [answer.answer for answer in others] != plain


def test_progress_ends_at_the_number_of_prompts(model, encoder, tasks):
    counts = []
    evaluate(model, encoder, tasks, PART, report=lambda done, total: counts.append((done, total)))
    assert counts[-1] == (117, 117)  # 5 tasks × 6 rows × 3 templates, and 3 × 3 without content for 3 of the tasks
    assert [done for done, _ in counts] == sorted(done for done, _ in counts)


def test_answers_fill_a_matrix_of_rows_and_templates(answers):
    matrices = task_matrices(answers)
    assert {name: matrix.values.shape for name, matrix in matrices.items()} == dict.fromkeys(matrices, (6, 3))
    matrix = matrices["does_it_follow"]
    assert matrix.options == (3,) * 6
    values = [answer.value for answer in answers if answer.task == "does_it_follow"]
    assert matrix.values.mean() == pytest.approx(np.mean(values))


def test_an_unanswered_cell_is_a_gap(answers):
    partial = [a for a in answers if a.task == "same_meaning"]
    matrix = task_matrices(partial[1:])["same_meaning"]
    assert np.isnan(matrix.values).sum() == 1


def test_a_task_file_outside_the_package_is_asked_like_a_built_in_one(shared, model, encoder):
    entry = open_catalog(collections=["catalog"]).entries["cb"]
    prompts = ask_prompts(entry, encoder, limit=3, data=shared / "data")
    records = evaluate(model, encoder, [Asked(entry=entry, test=prompts)], PART, report=lambda _done, _total: None)
    assert len(records) == 3 * len({prompt.template for prompt in prompts})
    assert isinstance(entry.spec, TaskSpec)
