"""Solved examples: never the question, its duplicates or its passage; within the budget; by class; the same again."""

import json

import numpy as np
import pytest

from openflan.errors import UserError
from openflan.evaluation.protocol import ask_prompts
from openflan.hashing import hash_integers
from openflan.models.load import find_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.examples import ExampleMaker, ExampleRules
from openflan.recipes.parts import ModelPart, PromptsPart
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.sources import SourceRow
from openflan.tasks.spec import TaskSpec


@pytest.fixture(scope="module")
def encoder_of(tiny_llama):
    tokenizer = load_tokenizer(find_model(ModelPart(path=str(tiny_llama)), tiny_llama))
    return lambda **settings: TextEncoder.of(tokenizer, PromptsPart.model_validate_json(json.dumps(settings)))


def entry(tmp_path, **change):
    spec = {
        "name": "mine",
        "cluster": "reading_comprehension",
        "source": {"files": {"train": "rows.jsonl"}},
        "splits": {"train": "train"},
        "fields": ["passage", "question", "label"],
        "answer": {"field": "label", "options": ["no", "maybe", "yes"]},
        "metrics": ["accuracy"],
        "templates": [
            {"input": "{{passage}} Is it so that {{question}}?"},
            {"input": "Q: {{question}}? {{passage}}"},
            {"input": "yes only: {{passage}}", "when": "label == 2"},
        ],
        **change,
    }
    return Entry(spec=TaskSpec.model_validate_json(json.dumps(spec)), path=tmp_path / "mine.yaml", collection="mine")


def rows(count, passages=10):
    """Four questions a passage; every fourth row is said twice."""
    return [
        SourceRow(
            index=5 * n,
            fields={
                "passage": f"the river town number {n % passages} has a mill and a very old bridge",
                "question": f"thing {n - n % 4 if n % 4 == 1 else n} is here",
                "label": n % 3 if n % 9 else 0,
            },
        )
        for n in range(count)
    ]


PLAIN = ExampleRules()


def make(entry, data, encoder, *, draws=200, rules=PLAIN, pool=None):
    maker = ExampleMaker(entry, data, encoder.part, rules, count=encoder.lengths, start=len(encoder.frame.before))
    chosen = np.arange(draws) % len(data)
    tickets = hash_integers(1, np.arange(draws))
    return maker.examples(chosen, tickets, pool=np.arange(len(data)) if pool is None else pool), maker


def by_place(data):
    return {row.index: row.fields for row in data}


def test_a_question_never_stands_among_its_examples_nor_does_its_passage(tmp_path, encoder_of):
    data = rows(60)
    examples, _ = make(entry(tmp_path), data, encoder_of(shots=4, max_input_tokens=1_000))
    fields = by_place(data)
    assert all(len(one.exemplars) == 4 for one in examples)
    for one in examples:
        own = fields[one.prompt.row]
        assert one.prompt.row not in one.exemplars
        assert len(set(one.exemplars)) == 4
        assert all(fields[place]["passage"] != own["passage"] for place in one.exemplars)


def test_the_released_code_is_careless(tmp_path, encoder_of):
    data = rows(8, passages=2)
    encoder = encoder_of(shots=4, max_input_tokens=1_000)
    examples, _ = make(entry(tmp_path), data, encoder, rules=ExampleRules(self_exemplars=True))
    assert any(one.prompt.row in one.exemplars for one in examples)
    careful, _ = make(entry(tmp_path), data, encoder)
    assert not any(one.prompt.row in one.exemplars for one in careful)


def test_examples_are_chosen_evenly_from_the_pool_and_from_nothing_else(tmp_path, encoder_of):
    data = rows(60)
    pool = np.arange(0, 60, 2)
    examples, _ = make(entry(tmp_path), data, encoder_of(shots=3, max_input_tokens=1_000), draws=600, pool=pool)
    counts = {}
    for one in examples:
        for place in one.exemplars:
            counts[place] = counts.get(place, 0) + 1
    assert set(counts) == {5 * int(n) for n in pool}
    assert max(counts.values()) < 3 * min(counts.values())


@pytest.mark.parametrize("limit", [96, 150, 300])
def test_question_and_examples_fit_the_budget_and_none_that_would_fit_is_left_out(tmp_path, encoder_of, limit):
    data = rows(40)
    encoder = encoder_of(shots=16, max_input_tokens=limit)
    examples, maker = make(entry(tmp_path), data, encoder, draws=60)
    budget = limit * 15 // 16
    sizes = [len(encoder.inputs([one.prompt])[0]) for one in examples]
    assert max(sizes) <= budget
    longest = max(
        encoder.lengths([maker.renderer.render(row, n).input + " ? maybe yes \n\n\n"])[0]
        for row in data
        for n in (0, 1)
    )
    for one, size in zip(examples, sizes, strict=True):
        assert len(one.exemplars) == 16 or size + longest + 8 > budget


def test_examples_stand_solved_before_the_question_in_one_format(tmp_path, encoder_of):
    data = rows(40)
    encoder = encoder_of(shots=2, max_input_tokens=1_000, exemplar_templates="same")
    fields = by_place(data)
    for one in make(entry(tmp_path), data, encoder)[0]:
        first, second, question = one.prompt.input.split("\n\n\n")
        for place, text in zip(one.exemplars, (first, second), strict=True):
            ending, answer = text.rsplit("\n", 1)
            assert answer == ["no", "maybe", "yes"][fields[place]["label"]]
            assert fields[place]["passage"] in ending
        assert fields[one.prompt.row]["passage"] in question
        starts = {0: "the river", 1: "Q: ", 2: "yes only"}[one.prompt.template]
        assert all(text.startswith(starts) for text in (first, second, question))


def test_mixed_templates_mix_and_conditions_hold(tmp_path, encoder_of):
    data = rows(40)
    examples, _ = make(entry(tmp_path), data, encoder_of(shots=3, max_input_tokens=1_000))
    fields = by_place(data)
    mixed = 0
    for one in examples:
        texts = one.prompt.input.split("\n\n\n")
        mixed += len({text[:3] for text in texts}) > 1
        for place, text in zip(one.exemplars, texts, strict=False):
            assert not text.startswith("yes only") or fields[place]["label"] == 2
    assert mixed > len(examples) / 2


def test_classes_in_turn(tmp_path, encoder_of):
    data = rows(90, passages=30)
    fields = by_place(data)
    examples, _ = make(entry(tmp_path), data, encoder_of(shots=6, balanced=True, max_input_tokens=2_000))
    for one in examples:
        assert sorted(fields[place]["label"] for place in one.exemplars) == [0, 0, 1, 1, 2, 2]


def test_separators_of_a_template_hold_where_they_end_as_every_prompt_does(tmp_path, encoder_of):
    few = {"before_target": "\nAnswer:\n", "between": "\n--\n"}
    data = rows(40)
    encoder = encoder_of(shots=1, max_input_tokens=1_000)
    for one in make(entry(tmp_path, few_shot=few), data, encoder)[0]:
        solved, question = one.prompt.input.split("\n--\n")
        assert "\nAnswer:\n" in solved
        assert (question + "\n").endswith("\nAnswer:\n")
    other = make(entry(tmp_path, few_shot={**few, "before_target": " = "}), data, encoder)[0]
    assert not any(" = " in one.prompt.input for one in other)


def test_mixed_styles_have_their_examples_and_a_faulty_row_is_left_out_where_asked(tmp_path, encoder_of):
    broken = [{"input": "{{passage}} {{question}} {{ 1 // (label - 1) }}"}]
    data = rows(40)
    mix = [{"weight": 1}, {"weight": 1, "shots": [2, 3], "option_markers": "random"}]
    encoder = encoder_of(styles=mix, max_input_tokens=1_000)
    rules = ExampleRules(skip_faulty=True)
    examples, _ = make(entry(tmp_path, templates=broken), data, encoder, rules=rules)
    wrong = {row.index for row in data if row.fields["label"] == 1}
    assert examples.count(None) == sum(data[n % 40].index in wrong for n in range(200))
    done = [one for one in examples if one is not None]
    assert {(one.style, len(one.exemplars)) for one in done} <= {(0, 0), (1, 1), (1, 2), (1, 3)}
    assert not any(place in wrong for one in done for place in one.exemplars)
    with pytest.raises(UserError, match="fails"):
        make(entry(tmp_path, templates=broken), data, encoder)


def test_a_slice_of_the_draws_gives_the_same_examples(tmp_path, encoder_of):
    data = rows(60)
    encoder = encoder_of(shots=[1, 4], max_input_tokens=400, option_markers="random")
    examples, maker = make(entry(tmp_path), data, encoder)
    tickets = hash_integers(1, np.arange(200))
    again = maker.examples(np.array([37]), tickets[37:38], pool=np.arange(60))
    assert again == examples[37:38]


def test_held_out_tasks_are_asked_with_examples_from_their_training_rows(my_tasks, encoder_of):
    entries = open_catalog([my_tasks], collections=()).entries
    encoder = encoder_of(shots=3, max_input_tokens=300, max_target_tokens=16)
    prompts = ask_prompts(entries["cafe_review"], encoder, limit=5, data=None)
    plain = ask_prompts(
        entries["cafe_review"], encoder_of(max_input_tokens=300, max_target_tokens=16), limit=5, data=None
    )
    assert [p.row for p in prompts] == [p.row for p in plain]
    assert all(
        long.input.endswith(short.input) and long.input != short.input
        for long, short in zip(prompts, plain, strict=True)
    )
    assert prompts == ask_prompts(entries["cafe_review"], encoder, limit=5, data=None)
    spec = entries["cafe_review"].spec.model_copy(update={"splits": {"test": "test"}, "evaluation_only": True})
    with pytest.raises(UserError, match="no training rows for solved examples"):
        ask_prompts(Entry(spec=spec, path=entries["cafe_review"].path, collection="mine"), encoder, limit=5, data=None)
