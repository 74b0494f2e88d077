import pytest
import yaml

from openflan.errors import UserError
from openflan.prompts.lint import check_task
from openflan.prompts.render import TaskRenderer
from openflan.recipes.parts import StylePart
from openflan.tasks.catalog import Entry
from openflan.tasks.cleaning import RowCleaner
from openflan.tasks.sources import SourceRow
from openflan.tasks.spec import load_task


@pytest.fixture
def task(tmp_path):
    def write(*templates, **change):
        spec = {
            "name": "mine",
            "cluster": "misc",
            "source": {"files": {"train": "rows.jsonl"}},
            "splits": {"train": "train"},
            "fields": ["text", "label"],
            "answer": {"field": "label", "options": ["no", "yes"]},
            "metrics": ["accuracy"],
            "licence": "MIT",
            "lineage": ["mine"],
            "templates": [{"input": one} if isinstance(one, str) else one for one in templates],
            **change,
        }
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
        return Entry(spec=load_task(tmp_path / "mine.yaml"), path=tmp_path / "mine.yaml", collection="mine")

    return write


def row(**fields):
    return SourceRow(index=6, fields={"text": "a text", "label": 1, **fields}, source="rows.jsonl")


def render(entry, number=0, style=None, key=0, **fields):
    return TaskRenderer(entry).render(row(**fields), number, style=style, key=key)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "is null"),
        (True, "is the truth value true"),
        (["a", "b"], "is a list"),
        ({"text": "heat"}, "is an object"),
        (float("nan"), "is nan"),
        ("half \ud83d of it", r"holds half a character \(\\ud83d"),
        (b"bytes", "is bytes"),
    ],
)
@pytest.mark.parametrize("template", ["{{text}}", "So: {{ 'x' ~ text }}", "{{ [text] | join }}", "{{ text | lower }}"])
def test_only_texts_and_numbers_reach_a_prompt(task, value, says, template):
    with pytest.raises(UserError, match=rf"^rows.jsonl, row 7: column 'text' {says}.*template 1 of mine.yaml"):
        render(task(template), text=value)


def test_numbers_and_whole_emoji_are_as_they_stand(task):
    assert render(task("{{text}}"), text=7).input == "7"
    assert render(task("{{text}}"), text=-0.5).input == "-0.5"
    assert render(task("{{text}} 😀"), text="🤝").input == "🤝 😀"


def test_a_condition_may_ask_for_truth(task):
    assert render(task({"input": "{% if text %}yes{% endif %}", "when": "text"}), text=True).input == "yes"


@pytest.mark.parametrize("value", [None, False, {"a": 1}, ["a", None], [["a"]], "half \udc00"])
def test_only_texts_and_numbers_are_answers_and_references(task, value):
    free = task("{{text}}", answer={"field": "label"}, metrics=["rouge"])
    with pytest.raises(UserError, match=r"rows\.jsonl, row 7: (column|field) 'label"):
        render(free, label=value)


def test_a_references_list_of_numbers_is_texts(task):
    free = task("{{text}}", answer={"field": "label"}, metrics=["rouge"])
    assert render(free, label=[3, "three "]).answer.references == ("3", "three")


@pytest.mark.parametrize("style", [StylePart(form="dataset-name"), StylePart(form="none")])
def test_styles_without_an_instruction_have_the_same_gate(task, style):
    with pytest.raises(UserError, match="column 'text' is the truth value"):
        render(task("{{text}}"), style=style, text=False)


def test_a_long_row_is_no_long_template(task):
    long = "word " * 60_000
    assert len(render(task("Say: {{text}}"), text=long).input) == len(long) + 4
    assert len(render(task("{{ text | replace('word', 'wood') }}"), text=long).input) == len(long) - 1
    with pytest.raises(UserError, match="adds over 200,000"):
        render(task("{{ text | replace('word', 'woodshed of wood') }}"), text=long)


OPTIONAL = {"text": "string", "a": "string", "b": "string", "c": "string?", "label": "string"}


def test_an_optional_column_that_is_null_is_no_option(task):
    three = {"field": "label", "options": ["{{a}}", "{{b}}", "{{c}}"], "keys": ["A", "B", "C"]}
    entry = task("{{text}}\n{{options}}", columns=OPTIONAL, fields=[], answer=three)
    two = render(entry, a="heat", b="wind", c=None, label="B")
    assert two.answer.options == ("heat", "wind")
    assert (two.answer.index, two.target) == (1, "wind")
    assert "None" not in two.input
    assert render(entry, a="heat", b="wind", c="rain", label="C").target == "rain"
    with pytest.raises(UserError, match="label 'C' in 'label' is an option that is null in this row"):
        render(entry, a="heat", b="wind", c=None, label="C")
    with pytest.raises(UserError, match="row 7: column 'b' is null"):
        render(entry, a="heat", b=None, c="rain", label="A")


def test_a_null_among_a_rows_own_options_is_left_out_where_it_may_be_and_places_stay(task):
    own = {"field": "label", "options_field": "choices", "keys": [0, 1, 2]}
    columns = {"text": "string", "choices": ["string?"], "label": "int"}
    answer = render(task("{{text}}", columns=columns, fields=[], answer=own), choices=["a", None, "c"], label=2).answer
    assert (answer.options, answer.index) == (("a", "c"), 1)
    columns["choices"] = ["string"]
    with pytest.raises(UserError, match=r"column 'choices\[1\]' is null"):
        render(task("{{text}}", columns=columns, fields=[], answer=own), choices=["a", None, "c"], label=2)


def test_blanks_around_an_option_make_no_difference(task):
    two = {"field": "label", "options": ["{{a}}", "{{b}}"]}
    entry = task("{{text}}\n{{options}}", fields=["text", "a", "b", "label"], answer=two)
    prompt = render(entry, a=" a can or a basket ", b="a lid\n", label=0)
    assert prompt.answer.options == ("a can or a basket", "a lid")
    assert prompt.target == prompt.answer.text == "a can or a basket"
    assert prompt.input.endswith("OPTIONS:\n- a can or a basket\n- a lid")
    by_text = task("{{text}}", answer={"field": "label", "options_field": "text"})
    assert TaskRenderer(by_text).answer(row(text=["x ", "y"], label=" x")).index == 0


FIVE = ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("options", "label", "keys", "right"),
    [
        (["no", "yes"], 1, None, "yes"),
        (FIVE, "2", None, "2"),
        (FIVE, 2, [1, 2, 3, 4, 5], "2"),
        (FIVE, 2, [0, 1, 2, 3, 4], "3"),
        (["0", "1"], 1, None, "1"),
        (["a", "b"], "1", None, "b"),
        (["no", "yes"], True, None, "yes"),
    ],
)
def test_a_label_of_one_reading_is_read(task, options, label, keys, right):
    answer = {"field": "label", "options": options, **({"keys": keys} if keys else {})}
    assert render(task("{{text}}", answer=answer), label=label).target == right


@pytest.mark.parametrize(
    ("options", "label", "says"),
    [
        (FIVE, 2, "may be the option '2', or the place of the option '3'"),
        (["1", "0"], 0, "may be the option '0', or the place of the option '1'"),
        (["True", "False"], True, "may be the option 'True', or the place of the option 'False'"),
        (FIVE, "0", "label '0' in 'label' is not an option"),
        (FIVE, 9, "is not an option"),
    ],
)
def test_a_label_of_two_readings_or_none_is_refused(task, options, label, says):
    with pytest.raises(UserError, match=says):
        render(task("{{text}}", answer={"field": "label", "options": options}), label=label)


def test_a_class_number_by_contract_is_a_place(task):
    columns = {"text": "string", "label": {"classes": FIVE}}
    entry = task("{{text}}", columns=columns, fields=[], answer={"field": "label", "options": FIVE})
    assert render(entry, label=2).target == "3"


@pytest.mark.parametrize("name", ["answer", "options", "option_list"])
def test_a_reserved_name_that_is_a_column_too_is_refused_unless_the_row_is_named(task, name):
    fields = ["text", "label", name]
    with pytest.raises(UserError, match=f"'{name}' may be the column of that name, or what openflan calls"):
        TaskRenderer(task("{{text}} {{" + name + "}}", fields=fields))
    entry = task("{{row." + name + "}}, {{text}}", fields=fields)
    assert "the column" in render(entry, **{name: "the column"}).input


def test_repeated_options_have_no_marker(task):
    random = StylePart(option_markers="random")
    entry = task("Which?\n{{options}}", answer={"field": "label", "options_field": "text"})
    twice = [key for key in range(40) if _refuses(entry, random, key, ["x", "x", "y"])]
    assert twice
    assert not [key for key in range(40) if _refuses(entry, random, key, ["x", "z", "y"])]


def _refuses(entry, style, key, options):
    try:
        render(entry, style=style, key=key, text=options, label=2)
    except UserError as error:
        return "stands there as" in str(error)
    return False


def test_a_marker_is_no_answer_without_the_list(task):
    entry = task(
        "{{text}}{% if not options %} {{options}}{% endif %}", answer={"field": "label", "options": ["good", "bad"]}
    )
    with pytest.raises(UserError, match=r"the input (has no list|does not list the options)"):
        render(entry, style=StylePart(option_markers="random"), label=1)


def test_a_row_without_a_label_is_left_out_where_the_contract_lets_it_be(task):
    columns = {"text": "string", "label": "string?"}
    entry = task("{{text}}", columns=columns, fields=[])
    for empty in (None, "", "  "):
        assert RowCleaner(entry).clean({"text": "a", "label": empty}, where="here") is None
    assert RowCleaner(entry).clean({"text": "a", "label": "yes"}, where="here") is not None


@pytest.mark.parametrize(
    ("template", "says"), [("Fine? {text}", "{text} in single braces"), ("Fine?", "the same prompt")]
)
def test_a_prompt_that_is_the_same_for_all_rows_is_said(task, tmp_path, template, says):
    (tmp_path / "rows.jsonl").write_text(
        '{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n{"text": "c", "label": 1}\n'
    )
    assert any(says in fault.what for fault in check_task(task(template), strict=False).faults)


def test_a_marker_among_options_that_no_list_explains_is_said(task, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "label": 0}\n')
    entry = task("{{text}}?", answer={"field": "label", "options": ["[1]", "[2]"]})
    assert ["the options are markers" in fault.what for fault in check_task(entry, strict=False).faults] == [True]


def test_faulty_rows_are_counted(task, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a \\ud83d", "label": 0}\n' * 7 + '{"text": "b", "label": 0}\n')
    checked = check_task(task("{{text}}"), strict=False)
    assert (checked.rows, checked.faulty, checked.prompts) == (8, 7, 1)
    assert checked.faults[-1].what.startswith("4 more like: column 'text' holds half a character")
