"""The order in which options are listed: class order, rotated, or drawn; the answer follows it everywhere."""

import json
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from openflan.errors import UserError
from openflan.evaluation.protocol import ask_prompts, ask_task
from openflan.hashing import hash_integers
from openflan.models.load import find_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.examples import ExampleMaker
from openflan.prompts.options import list_order, rotations
from openflan.prompts.render import TaskRenderer
from openflan.recipes.parts import EvaluationPart, ModelPart, PromptsPart
from openflan.recipes.recipe import make_recipe
from openflan.tasks.catalog import open_catalog
from openflan.tasks.sources import load_rows, load_twin

TICKETS = hash_integers(8, np.arange(3_000)).tolist()


def part(**settings):
    return PromptsPart.model_validate_json(json.dumps(settings))


DRAWN = part(option_order="drawn")


@pytest.fixture(scope="module")
def catalog():
    return open_catalog(collections=["catalog"]).entries


@pytest.fixture(scope="module")
def mine(my_tasks):
    return open_catalog([my_tasks], collections=()).entries


@pytest.fixture(scope="module")
def encoder(tiny_llama):
    tokenizer = load_tokenizer(find_model(ModelPart(path=str(tiny_llama)), tiny_llama))
    return TextEncoder.of(tokenizer, PromptsPart(max_input_tokens=400, max_target_tokens=32))


def lines(prompt):
    """The options as they stand in a prompt's list."""
    return [line[2:] for line in prompt.input.splitlines() if line.startswith("- ")]


def test_every_order_is_drawn_as_often_as_any_other():
    counts = Counter(list_order(3, drawn=True, key=ticket, turn=0) for ticket in TICKETS)
    assert len(counts) == 6
    assert min(counts.values()) > 0.8 * max(counts.values())


@pytest.mark.parametrize(
    ("options", "turns"), [(2, (0, 1)), (3, (0, 1, 2)), (4, (0, 1, 2, 3)), (10, (0, 2, 5, 7)), (0, ())]
)
def test_up_to_four_rotations_are_asked(options, turns):
    assert rotations(options) == turns


def test_a_drawn_list_says_nothing_by_its_places_and_the_answer_stays(catalog):
    renderer, row = TaskRenderer(catalog["rte"]), load_twin(catalog["rte"])[0]
    plain = renderer.render(row, 0)
    assert plain.listed == (0, 1)
    first = Counter()
    for ticket in TICKETS[:400]:
        prompt = renderer.render(row, 0, style=DRAWN, key=ticket)
        assert prompt.target == plain.target
        assert prompt.answer == plain.answer
        assert lines(prompt) == [plain.answer.options[place] for place in prompt.listed]
        first[lines(prompt)[0]] += 1
    assert min(first.values()) > 160


@pytest.mark.parametrize("name", ["copa", "hellaswag", "arc_easy", "openbookqa"])
def test_options_of_a_row_are_turned_too(catalog, name):
    entry = catalog[name]
    renderer, row = TaskRenderer(entry), load_twin(entry)[0]
    number = next(n for n in renderer.asking(row) if renderer.render(row, n).listed)
    straight = renderer.render(row, number)
    many = len(straight.answer.options)
    for turn in range(1, many):
        turned = renderer.render(row, number, turn=turn)
        assert lines(turned) == [*lines(straight)[turn:], *lines(straight)[:turn]]
        assert turned.answer == straight.answer
        assert turned.target == straight.target
    assert {frozenset(lines(renderer.render(row, number, style=DRAWN, key=t))) for t in TICKETS[:20]} == {
        frozenset(lines(straight))
    }


def test_markers_follow_the_list(catalog):
    renderer, row = TaskRenderer(catalog["anli_r1"]), load_twin(catalog["anli_r1"])[0]
    plain = renderer.render(row, 0)
    style = part(option_order="drawn", option_markers="random")
    seen = set()
    for ticket in TICKETS[:300]:
        prompt = renderer.render(row, 0, style=style, key=ticket)
        if prompt.answer.options == plain.answer.options:
            continue
        markers = [line for line in prompt.input.splitlines() if line.startswith(prompt.target)]
        assert any(
            plain.answer.text in line for line in markers
        )  # the marker that is the answer, before the right option
        assert prompt.answer.options[prompt.answer.index] == prompt.target
        place = prompt.listed.index(plain.answer.index)
        seen.add(place)
        if prompt.target in ("(A)", "A", "a", "(a)", "1", "i"):
            assert place == 0
    assert seen == {0, 1, 2}


def test_a_template_without_a_list_is_asked_once(catalog, encoder, mine):
    reviews = mine["cafe_review"]
    prompts = ask_prompts(reviews, encoder, limit=4, data=None, order="rotated")
    assert Counter(prompt.template for prompt in prompts) == {0: 8, 1: 8, 2: 4}
    assert {prompt.turn for prompt in prompts if prompt.template == 2} == {0}
    assert {prompt.listed for prompt in prompts if prompt.template == 2} == {()}


def test_bare_inputs_and_solved_examples_have_the_order_of_the_question(mine, tiny_llama):
    tokenizer = load_tokenizer(find_model(ModelPart(path=str(tiny_llama)), tiny_llama))
    shown = TextEncoder.of(tokenizer, part(shots=2, max_input_tokens=600, form="none"))
    for order, turns in (("rotated", {0, 1, 2}), ("drawn", {0})):
        prompts = ask_prompts(mine["does_it_follow"], shown, limit=4, data=None, order=order)
        assert {prompt.turn for prompt in prompts} == turns
        assert len({prompt.listed for prompt in prompts}) > 2
        for prompt in prompts:
            options = lines(prompt)
            assert len(options) == 9  # two solved examples and the question
            assert options[:3] == options[3:6] == options[6:]
            assert options[:3] == [prompt.answer.options[place] for place in prompt.listed]


def test_questions_go_by_the_evaluations_order_not_by_the_tunings(mine, encoder, tiny_llama):
    tokenizer = load_tokenizer(find_model(ModelPart(path=str(tiny_llama)), tiny_llama))
    tuned = TextEncoder.of(tokenizer, part(option_order="drawn", max_input_tokens=400, max_target_tokens=32))
    assert tuned.fingerprint == encoder.fingerprint
    entry = mine["same_meaning"]
    plain, drawn = (
        ask_task(entry, tuned, EvaluationPart(option_order=order), limit=6, data=None) for order in ("class", "drawn")
    )
    assert {prompt.listed for prompt in plain.test} == {(0, 1)}
    assert {prompt.listed for prompt in drawn.test} == {(0, 1), (1, 0)}
    again = ask_task(entry, tuned, EvaluationPart(option_order="drawn"), limit=6, data=None)
    assert again.test == drawn.test
    turned = ask_task(entry, tuned, EvaluationPart(option_order="rotated"), limit=6, data=None)
    assert len(turned.test) == 2 * len(plain.test)
    assert [p for p in turned.test if not p.turn] == plain.test
    assert len(turned.content_free) == 2 * len(plain.content_free)


def test_tuning_draws_an_order_for_every_draw_of_a_row(mine):
    entry = mine["does_it_follow"]
    rows = load_rows(entry, "train")
    maker = ExampleMaker(entry, rows, DRAWN, count=lambda texts: [len(text) for text in texts])
    tickets = hash_integers(1, np.arange(60))
    examples = maker.examples(np.zeros(60, dtype=np.int64), tickets, pool=np.arange(len(rows)))
    listed = [one.prompt.listed for one in examples if one.prompt.listed]
    assert len(set(listed)) == 6  # one row, drawn sixty times
    assert examples == maker.examples(np.zeros(60, dtype=np.int64), tickets, pool=np.arange(len(rows)))
    assert {one.prompt.target for one in examples if one.prompt.listed} == {TaskRenderer(entry).answer(rows[0]).text}


@pytest.mark.parametrize(
    "settings",
    [
        {"prompts": {"options": "hidden", "option_order": "drawn"}},
        {"prompts": {"option_order": "drawn", "styles": [{"shots": 1}]}},
        {"prompts": {"option_order": "rotated"}},
        {"evaluation": {"options": "hidden", "option_order": "rotated"}},
        {"prompts": {"options": "hidden"}, "evaluation": {"option_order": "drawn"}},
    ],
)
def test_an_order_of_no_list_is_refused(settings, tmp_path):
    with pytest.raises((ValidationError, UserError), match="option_order"):
        make_recipe({"name": "x", **settings}, where="here", folder=tmp_path)
