"""Templates become prompts, and templates from strangers become nothing else."""

import json
import time

import pytest

from openflan.errors import UserError
from openflan.prompts.options import options_block
from openflan.prompts.render import BASELINE, TaskRenderer
from openflan.recipes.parts import StylePart
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.sources import SourceRow, load_rows
from openflan.tasks.spec import TaskSpec


def entry(tmp_path, *templates, **change):
    spec = {
        "name": "mine",
        "cluster": "sentiment",
        "source": {"files": {"train": "rows.jsonl"}},
        "splits": {"train": "train"},
        "fields": ["text", "label", "parts"],
        "answer": {"field": "label", "options": ["bad", "good"]},
        "metrics": ["accuracy"],
        "templates": [t if isinstance(t, dict) else {"input": t} for t in templates or ["{{text}}"]],
        **change,
    }
    return Entry(spec=TaskSpec.model_validate_json(json.dumps(spec)), path=tmp_path / "mine.yaml", collection="mine")


def row(index=0, **fields):
    return SourceRow(
        index=index, fields={"text": "fine soup", "label": 1, "parts": {"size": 3, "items": ["a"]}, **fields}
    )


def rendered(tmp_path, template, **fields):
    return TaskRenderer(entry(tmp_path, template)).render(row(**fields), 0)


def test_a_prompt_says_what_the_template_says(tmp_path):
    template = {"input": " {{text}}:\n{{options}}\n{% if parts.size > 2 %}big{% endif %} ", "target": "{{answer}}!"}
    prompt = rendered(tmp_path, template)
    assert prompt.input == "fine soup:\nOPTIONS:\n- bad\n- good\nbig"
    assert prompt.target == "good!"
    assert (prompt.task, prompt.row, prompt.template) == ("mine", 0, 0)
    assert (prompt.answer.text, prompt.answer.index, prompt.answer.options) == ("good", 1, ("bad", "good"))


def test_the_options_block_is_the_papers_byte_for_byte():
    assert options_block(["it is", "maybe"]).encode() == b"OPTIONS:\n- it is\n- maybe"


def test_hidden_options_leave_the_block_out_and_the_choice_in(tmp_path):
    renderer = TaskRenderer(entry(tmp_path, "{{text}}\n{{options}}"), style=StylePart(options="hidden"))
    prompt = renderer.render(row(), 0)
    assert prompt.input == "fine soup"
    assert prompt.answer.options == ("bad", "good")


def test_options_may_be_templates_over_the_row(tmp_path):
    answer = {"field": "label", "options": ["{{parts.items[0]}}!", "{{text}}"]}
    answers = TaskRenderer(entry(tmp_path, answer=answer)).answer(row())
    assert answers.options == ("a!", "fine soup")
    assert answers.text == "fine soup"


def test_braces_in_a_row_are_text(tmp_path):
    prompt = rendered(tmp_path, "{{text}} {{parts.items[0]}}", text="{{ 7*7 }}", parts={"items": ["{% if %}"]})
    assert prompt.input == "{{ 7*7 }} {% if %}"
    answer = {"field": "label", "options_field": "parts.items"}
    options = TaskRenderer(entry(tmp_path, answer=answer)).answer(row(parts={"items": ["{{ 7*7 }}", "b"]}, label=0))
    assert options.text == "{{ 7*7 }}"


def test_markup_in_a_row_is_not_escaped(tmp_path):
    assert rendered(tmp_path, "{{text}}", text='<b>"it\'s" & more').input == '<b>"it\'s" & more'


def test_reserved_names_win_over_fields_and_row_reaches_the_field(tmp_path):
    there = entry(
        tmp_path,
        "{{answer}} | {{row.answer}} | {{row.options|join(',')}} | {{option_list|join(',')}}",
        fields=["answer", "options"],
        answer={"field": "answer", "options": ["no", "yes"]},
    )
    prompt = TaskRenderer(there).render(SourceRow(index=0, fields={"answer": 1, "options": ["x", "y"]}), 0)
    assert prompt.input == "yes | 1 | x,y | no,yes"


@pytest.mark.parametrize("when", ["answer == 'good'", "{{answer == 'good'}}", "label", "{% if label %}true{% endif %}"])
def test_a_template_serves_the_rows_its_when_holds_for(tmp_path, when):
    renderer = TaskRenderer(entry(tmp_path, "{{text}}", {"input": "{{text}}", "inverted": True, "when": when}))
    assert renderer.applicable(row(label=1)) == [0, 1]
    assert renderer.applicable(row(label=0)) == [0]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("txt", "'txt' is no field of task 'mine'; did you mean 'text'"),
        ("anwser", "did you mean 'answer'"),
        ("config", "declared are text, label, parts"),
    ],
)
@pytest.mark.parametrize("place", ["input", "target", "when"])
def test_an_unknown_name_is_told_before_any_row_is_read(tmp_path, name, says, place):
    template = {"input": "{{text}}", place: "{{" + name + "}}"}
    with pytest.raises(UserError, match=says) as caught:
        TaskRenderer(entry(tmp_path, "{{text}}", template))
    assert caught.value.where == f"{tmp_path / 'mine.yaml'}, template 2"


def test_an_option_may_not_use_what_depends_on_it(tmp_path):
    with pytest.raises(UserError, match="'answer' is no field") as caught:
        TaskRenderer(entry(tmp_path, answer={"field": "label", "options": ["{{answer}}", "b"]}))
    assert "answer.options" in str(caught.value.where)


@pytest.mark.parametrize("template", ["{{text", "{% if text %}", "{{text|no_such_filter}}", "{{ text..label }}"])
def test_a_template_that_is_no_jinja_is_told(tmp_path, template):
    with pytest.raises(UserError, match="template 1: not valid Jinja"):
        TaskRenderer(entry(tmp_path, template))


@pytest.mark.parametrize(
    "trick",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ text.__class__ }}",
        "{{ text['__class__'] }}",
        "{{ text|attr('__class__') }}",
        "{{ row.__init__.__globals__ }}",
        "{{ ''.join.__globals__ }}",
        "{{ '{0.__class__}'.format(text) }}",
        "{{ parts.clear() }}",
        "{{ parts.items.append('b') }}",
        "{{ parts.update({'a': 1}) }}",
        "{{ range.__self__ }}",
        "{{ lipsum.__globals__['os'] }}",
        "{{ cycler.__init__ }}",
        "{% include '/etc/hostname' %}",
        "{% import 'os' as os %}{{ os }}",
        "{{ self.__dict__ }}",
    ],
)
def test_a_template_cannot_reach_python_or_change_a_row(tmp_path, trick):
    there = row()
    before = json.dumps(there.fields)
    with pytest.raises(UserError):
        TaskRenderer(entry(tmp_path, trick + " {{text}}")).render(there, 0)
    assert json.dumps(there.fields) == before


@pytest.mark.parametrize(
    "trick",
    [
        "{{ 'a' * 999999999 }}",
        "{{ text * 999999999 }}",
        "{{ [text] * 999999999 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ text|center(999999999) }}",
        "{{ text.ljust(999999999) }}",
        "{{ '1'.zfill(999999999) }}",
        "{{ text|indent(999999999, true) }}",
        "{% for i in range(999999999) %}a{% endfor %}",
        "{% for i in range(99999) %}aaaaaaaa{% endfor %}",
        "{% for i in range(999) %}{% for j in range(999) %}{% for k in [1, 2] %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro more(n) %}{{ more(n - 1) ~ more(n - 1) }}{% endmacro %}{{ more(99) }}",
        "{% set n = namespace(t='aaaaaaaa') %}{% for i in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
        "{% set a = text %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{{ lipsum(n=99999) }}",
        "{{ text" + "|replace('', text)" * 9 + " }}",
        "{{ text" + "|list|join(text)" * 9 + " }}",
        "{{ text.replace('', text) }}",
        "{{ [1]|slice(999999999)|list }}",
        "{{ [1]|batch(999999999, 0)|list }}",
        "{{ 1|round(999999999) }}",
    ],
)
def test_a_template_cannot_eat_time_or_memory(tmp_path, trick):
    with pytest.raises(UserError):
        rendered(tmp_path, trick)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ parts.items|join(' and ') }}", "a and b"),
        ("{{ parts.people|map(attribute='name')|join(', ') }}", "Ada, Ben"),
        ("{{ parts.people|join('/', attribute='name') }}", "Ada/Ben"),
        ("{{ text|replace('soup', 'cake')|upper }}", "FINE CAKE"),
        ("{{ text.split()[0].title() }}, {{ text[-4:] }}", "Fine, soup"),
        ("{{ parts.size * 7 % 4 + 1 }}", "2"),
        (
            "{% for p in parts.people %}{{ loop.index }}. {{ p.name }}{{ '' if loop.last else '; ' }}{% endfor %}",
            "1. Ada; 2. Ben",
        ),
        ("{% for p in parts.people %}{% for i in range(2) %}{{ p.name[i] }}{% endfor %}{% endfor %}", "AdBe"),
        ("{{ 'big' if parts.size > 2 else 'small' }}", "big"),
        ("{{ parts.missing|default('none') }} {{ parts.items|length }} {{ parts.size|string ~ '!' }}", "none 2 3!"),
    ],
)
def test_a_template_can_do_what_phrasings_need(tmp_path, template, says):
    parts = {"size": 3, "items": ["a", "b"], "people": [{"name": "Ada"}, {"name": "Ben"}]}
    assert rendered(tmp_path, template, parts=parts).input == says


@pytest.mark.parametrize("chance", ["{{ ['a', 'b']|random }}", "{{ parts.items|shuffle }}", "{% set x = 1 %}{{ x }}"])
def test_a_prompt_depends_on_nothing_but_its_row(tmp_path, chance):
    with pytest.raises(UserError):
        rendered(tmp_path, chance)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ 1 // (label - 1) }}", "fails"),
        ("{{ text + label }}", "fails"),
        ("{{ parts.items[5] }}", "fails|no element"),
        ("{{ parts.colour }}", "'dict object' has no attribute 'colour'"),
    ],
)
def test_a_template_that_fails_on_a_row_names_both(tmp_path, template, says):
    with pytest.raises(UserError, match=says) as caught:
        TaskRenderer(entry(tmp_path, "{{text}}", template)).render(row(index=6), 1)
    assert caught.value.where == f"{tmp_path / 'mine.yaml'}, template 2, row 7"


@pytest.mark.parametrize(
    ("template", "empty"), [({"input": " {{text}} "}, "input"), ({"input": "a", "target": "{{text}}"}, "target")]
)
def test_an_empty_input_or_target_is_an_error(tmp_path, template, empty):
    with pytest.raises(UserError, match=f"the {empty} is empty"):
        rendered(tmp_path, template, text=" \n")


@pytest.mark.parametrize(
    ("answer", "fields", "right"),
    [
        ({"options": ["bad", "good"]}, {"label": 1}, "good"),
        ({"options": ["bad", "good"]}, {"label": True}, "good"),
        ({"options": ["bad", "good"]}, {"label": "1"}, "good"),
        ({"options": ["bad", "good"]}, {"label": "bad"}, "bad"),
        ({"options": ["bad", "good"], "keys": [0, 4]}, {"label": 4}, "good"),
        ({"options": ["bad", "good"], "keys": ["-", "+"]}, {"label": "-"}, "bad"),
        ({"options": ["1", "0"]}, {"label": "0"}, "0"),
        ({"options_field": "parts.items"}, {"label": 2, "parts": {"items": ["x", "y", "z"]}}, "z"),
        (
            {"options_field": "parts.items", "keys_field": "parts.keys"},
            {"label": "B", "parts": {"items": ["x", "y"], "keys": ["A", "B"]}},
            "y",
        ),
    ],
)
def test_a_label_finds_its_option(tmp_path, answer, fields, right):
    result = TaskRenderer(entry(tmp_path, answer={"field": "label", **answer})).answer(row(**fields))
    assert result.text == right
    assert result.options[result.index] == right


@pytest.mark.parametrize("label", [2, -1, "2", "fine", "", 0.5, "Bad"])
def test_a_label_outside_the_options_is_named_with_its_row(tmp_path, label):
    with pytest.raises(UserError, match="is not an option; expected 0, 1 or one of: bad, good") as caught:
        TaskRenderer(entry(tmp_path)).answer(row(index=4, label=label))
    assert repr(label) in str(caught.value)
    assert caught.value.where == "mine, row 5"


@pytest.mark.parametrize(
    ("items", "says"),
    [
        (["only"], "two or more"),
        ([], "two or more"),
        (["a", " "], "none empty"),
        ("yes", "not a list"),
        (None, "missing"),
    ],
)
def test_options_of_a_row_that_are_none_are_named(tmp_path, items, says):
    answer = {"field": "label", "options_field": "parts.items"}
    with pytest.raises(UserError, match=says):
        TaskRenderer(entry(tmp_path, answer=answer)).answer(row(label=0, parts={"items": items}))


def test_a_task_that_generates_has_references_and_trains_on_the_first(tmp_path):
    there = entry(tmp_path, "{{text}}", answer={"field": "parts.items"}, metrics=["rouge"])
    prompt = TaskRenderer(there).render(row(parts={"items": [" one ", "", "two", "one"]}), 0)
    assert (prompt.target, prompt.answer.references, prompt.answer.options) == ("one", ("one", "two"), ())
    with pytest.raises(UserError, match=r"answer\.field 'parts\.items' is empty"):
        TaskRenderer(there).answer(row(parts={"items": ["", " "]}))


def test_every_prompt_of_real_rows_is_whole(shared):
    for name in ("rte", "cb", "squad_v1", "copa", "common_gen"):
        there = open_catalog(collections=["catalog"]).entries[name]
        renderer = TaskRenderer(there)
        for one in load_rows(there, "train", data=shared / "data", limit=20):
            for number in renderer.applicable(one):
                prompt = renderer.render(one, number)
                assert prompt.input
                assert prompt.target
                assert "{{" not in prompt.input + prompt.target


def test_a_loop_that_writes_nothing_ends(tmp_path):
    bomb = "{% for a in range(900) %}{% for b in range(900) %}{% if a > b + 900 %}x{% endif %}{% endfor %}{% endfor %}y"
    started = time.perf_counter()
    with pytest.raises(UserError, match=r"mine\.yaml, template 1, row 1: fails: loops for more than 50,000 turns"):
        rendered(tmp_path, bomb)
    assert time.perf_counter() - started < 2


def test_the_turns_of_one_prompt_do_not_count_for_the_next(tmp_path):
    renderer = TaskRenderer(entry(tmp_path, "{% for a in range(900) %}{{ a }}{% endfor %}"))
    for number in range(80):
        renderer.render(row(number), 0)


def test_a_template_may_have_options_in_its_own_words(tmp_path):
    own = {"input": "{{text}}\n{{options}}", "options": ["thumbs down", "thumbs up"]}
    renderer = TaskRenderer(entry(tmp_path, "{{text}}\n{{options}}", own))
    assert renderer.render(row(), 1).target == "thumbs up"
    assert renderer.render(row(), 1).input.endswith("- thumbs down\n- thumbs up")
    assert renderer.render(row(), 0).target == "good"


def test_several_options_may_be_right(tmp_path):
    answer = {"field": "right", "options_field": "names"}
    mine = entry(tmp_path, fields=["text", "right", "names"], answer=answer)
    result = TaskRenderer(mine).answer(row(right=["Bo", "Cy"], names=["Al", "Bo", "Cy"]))
    assert (result.text, result.index, result.references) == ("Bo", 1, ("Bo", "Cy"))


def test_the_baseline_is_rendered_beside_the_templates(tmp_path):
    baseline = {"input": "Review: {{text}}\nThis was", "options": ["bad.", "good."]}
    prompt = TaskRenderer(entry(tmp_path, baseline=baseline)).render(row(), BASELINE)
    assert (prompt.input, prompt.target, prompt.template) == ("Review: fine soup\nThis was", "good.", BASELINE)


def test_a_task_without_a_baseline_has_none_to_render(tmp_path):
    renderer = TaskRenderer(entry(tmp_path))
    with pytest.raises(UserError, match="has no baseline"):
        renderer.render(row(), BASELINE)
    with pytest.raises(AssertionError):
        renderer.render(row(), -1)
