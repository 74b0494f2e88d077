"""Styles: shares of a mix, drawn templates, option formats, bare inputs."""

import json
import re

import numpy as np
import pytest
from pydantic import ValidationError

from openflan.hashing import hash_integer, hash_integers
from openflan.prompts.options import drawn_block
from openflan.prompts.render import TaskRenderer
from openflan.prompts.styles import choose_styles, choose_template
from openflan.recipes.parts import PromptsPart, StylePart
from openflan.tasks.catalog import open_catalog
from openflan.tasks.sources import load_rows, load_twin

TICKETS = hash_integers(3, np.arange(20_000))


def part(**settings):
    """As a recipe says it."""
    return PromptsPart.model_validate_json(json.dumps(settings))


@pytest.fixture(scope="module")
def catalog():
    return open_catalog(collections=["catalog"]).entries


def first(entry):
    return load_twin(entry)[0]


def test_integers_hash_alike_one_by_one_and_as_arrays():
    some = [0, 1, 77, (1 << 64) - 1, 1 << 63]
    assert [hash_integer(9, value, 4) for value in some] == hash_integers(9, np.array(some, np.uint64), 4).tolist()


def test_styles_have_the_shares_of_their_weights():
    mixed = part(styles=[{"weight": 0.5}, {"weight": 0.25, "shots": 5}, {"weight": 0.25, "options": "hidden"}])
    counts = np.bincount(choose_styles(mixed, TICKETS), minlength=3) / len(TICKETS)
    assert counts == pytest.approx([0.5, 0.25, 0.25], abs=0.01)
    assert not choose_styles(part(shots=3), TICKETS).any()


@pytest.mark.parametrize(("rate", "share"), [(None, 0.3), (0.3, 0.3 / 1.3), (1.0, 0.5), (0.0, 0.0)])
def test_inverted_templates_are_drawn_at_their_rate(rate, share):
    drawn = [choose_template(range(10), [7, 8, 9], t, inversion_rate=rate) for t in TICKETS.tolist()]
    assert np.mean([number >= 7 for number in drawn]) == pytest.approx(share, abs=0.012)
    counts = np.bincount(drawn, minlength=10)
    assert counts[:7].min() > 0.85 * counts[:7].max()


def test_a_task_with_inverted_templates_alone_for_a_row_keeps_them():
    assert choose_template([7, 8], [7, 8], 5, inversion_rate=0.0) in (7, 8)


OPTIONS = ("it follows", "it can't be said", "it does not follow")


def test_drawn_option_lists_hold_every_option_in_order_and_name_them_apart():
    blocks = [drawn_block(OPTIONS, ticket) for ticket in TICKETS[:4_000].tolist()]
    for block, names in blocks:
        places = [block.index(option) for option in OPTIONS]
        assert places == sorted(places)
        assert len(set(names)) == 3
        assert names == OPTIONS or all(name in block for name in names)
    named = [names for _, names in blocks if names != OPTIONS]
    assert 0.4 < len(named) / len(blocks) < 0.6
    assert {names[1] for names in named} >= {"(B)", "B", "(b)", "2", "[2]", "(ii)", "ii"}
    assert len({block for block, _ in blocks}) > 200


def test_many_options_get_no_letters():
    options = [f"word {number}" for number in range(30)]
    assert all(
        re.fullmatch(r"word \d+|[(\[]?\d+[)\]]?", name)
        for t in TICKETS[:300].tolist()
        for name in drawn_block(options, t)[1]
    )


def test_a_marker_is_the_answer_where_the_list_has_markers(catalog):
    renderer, row = TaskRenderer(catalog["rte"]), first(catalog["rte"])
    style = part(option_markers="random")
    plain = renderer.render(row, 0)
    seen = set()
    for ticket in TICKETS[:200].tolist():
        prompt = renderer.render(row, 0, style=style, key=ticket)
        assert prompt.target == prompt.answer.options[plain.answer.index] == prompt.answer.references[0]
        assert plain.answer.text in prompt.input
        seen.add(prompt.target)
    assert {"(A)", plain.answer.text} & seen
    assert len(seen) > 5


def test_templates_that_list_no_options_keep_their_answers(catalog):
    entry = catalog["winogrande"]
    renderer, row = TaskRenderer(entry), first(entry)
    bare = [n for n, t in enumerate(entry.spec.templates) if "options" not in t.input and n in renderer.applicable(row)]
    assert bare
    for number in bare:
        drawn = renderer.render(row, number, style=part(option_markers="random"), key=12)
        assert drawn == renderer.render(row, number)


@pytest.mark.parametrize("form", ["none", "dataset-name"])
@pytest.mark.parametrize("name", ["rte", "copa", "wmt16_translate_deen", "common_gen", "sst2", "squad_v1", "arc_easy"])
def test_ablation_forms_hold_the_rows_texts_and_no_instruction(catalog, form, name):
    entry = catalog[name]
    renderer, row = TaskRenderer(entry), first(entry)
    (number,) = renderer.asking(row, part(form=form))
    prompt = renderer.render(row, number, style=part(form=form, options="hidden"))
    plain = renderer.render(row, number)
    assert prompt.target == plain.target
    words = set(re.findall(r"\w+", prompt.input.lower()))
    kind = {"translation": "WMT", "natural language inference": "rte"}
    if form == "dataset-name":
        assert prompt.input.startswith("[")
        assert (entry.spec.dataset or name) in prompt.input.partition("]")[0]
    else:
        row_words = set(re.findall(r"\w+", json.dumps(row.fields, ensure_ascii=False).lower()))
        assert words <= row_words, kind
    assert len(words) >= 2
    assert prompt.answer.text not in prompt.input.splitlines()


def test_a_bare_input_has_the_options_where_they_are_shown(catalog):
    renderer, row = TaskRenderer(catalog["rte"]), first(catalog["rte"])
    prompt = renderer.render(row, 0, style=StylePart(form="none"))
    assert prompt.input.endswith("OPTIONS:\n" + "\n".join(f"- {option}" for option in prompt.answer.options))


def test_a_question_that_is_nothing_but_its_options_is_its_list():
    entry = open_catalog(collections=["starter"]).entries["starter_world_which"]
    (row,) = load_rows(entry, "validation", limit=1)
    prompt = TaskRenderer(entry).render(row, 0, style=StylePart(form="none"))
    assert prompt.input == "OPTIONS:\n" + "\n".join(f"- {option}" for option in prompt.answer.options)
    named = TaskRenderer(entry).render(row, 0, style=StylePart(form="dataset-name"))
    assert named.input.startswith("[closed book qa: starter_world_which]")


def test_every_task_can_be_asked_in_every_form(catalog):
    for entry in catalog.values():
        renderer = TaskRenderer(entry)
        for form in ("none", "dataset-name"):
            for row in load_twin(entry):
                for number in renderer.asking(row, part(form=form)):
                    assert renderer.render(row, number, style=part(form=form, options="hidden")).input


@pytest.mark.parametrize(
    "settings",
    [
        {"shots": 17},
        {"shots": -1},
        {"shots": []},
        {"balanced": True},
        {"exemplar_templates": "same"},
        {"options": "hidden", "option_markers": "random"},
        {"styles": [{"weight": 0}]},
        {"styles": [{"shot": 1}]},
        {"exemplar_tokens": 2_000},
    ],
)
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        part(**settings)
