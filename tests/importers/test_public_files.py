"""What files of the public repositories hold: names, categories, places and formats as they stand there."""

import json

import pytest
import yaml

from openflan.errors import UserError
from openflan.importers.importing import import_tasks
from openflan.importers.natural_instructions import import_natural_instructions
from openflan.importers.natural_instructions_clusters import CATEGORIES, cluster_of_categories
from openflan.importers.promptsource import import_promptsource
from openflan.prompts.examples import fitting_rows
from openflan.prompts.render import TaskRenderer
from openflan.prompts.whole import used_fields
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.cleaning import RowCleaner
from openflan.tasks.clusters import CLUSTERS, SUBCLUSTERS
from openflan.tasks.sources import SourceRow, load_rows


def promptsource_entry(tmp_path, dataset="sea", **template):
    path = tmp_path / "templates.yaml"
    path.write_text(yaml.safe_dump({"dataset": dataset, "templates": {"1": {"name": "n", **template}}}))
    (task,) = import_promptsource(path, cluster=None).tasks
    return Entry(spec=task.spec, path=path, collection="mine")


def prompt(entry, **fields):
    cleaned = RowCleaner(entry).clean(fields, where="row 1")
    return TaskRenderer(entry).render(SourceRow(index=0, fields=cleaned), 0)


def test_a_column_with_a_hyphen_has_an_underscore_in_templates_as_there(tmp_path):
    entry = promptsource_entry(tmp_path, jinja="{{question_X}} ||| {{answer_Y}}")
    shown = prompt(entry, **{"question-X": "Cold?", "answer-Y": "Very."})
    assert (shown.input, shown.target) == ("Cold?", "Very.")
    with pytest.raises(UserError, match="field 'answer_Y' of task 'sea' is missing"):
        prompt(entry, **{"question-X": "Cold?"})


def test_a_place_among_a_rows_own_options_is_a_place_though_the_options_are_numbers(tmp_path):
    entry = promptsource_entry(
        tmp_path, jinja="How many? ||| {{answer_choices[label]}}", answer_choices='{{ counts | join(" ||| ") }}'
    )
    assert entry.spec.answer.keys == "places"
    assert prompt(entry, counts=["2", "1", "0"], label=1).target == "1"
    assert prompt(entry, counts=["2", "1", "0"], label="0").target == "2"
    with pytest.raises(UserError, match=r"label 3 in 'label' is not an option; expected 0, 1, 2$"):
        prompt(entry, counts=["2", "1", "0"], label=3)


@pytest.mark.parametrize("start", ["", "{% set unused = [].append(1) %}"], ids=["translated", "whole"])
def test_a_number_is_formatted_and_no_format_makes_a_text_grow(tmp_path, start):
    entry = promptsource_entry(
        tmp_path, jinja=start + "{{text}} ||| {{ '%0.1f' | format(score | float) }}/{{ '%d%%' | format(7) }}"
    )
    assert prompt(entry, text="Snow.", score=0.55).target == "0.6/7%"
    for wide in ("%999d", "%*d", "%.500f", "%(a)s"):
        entry = promptsource_entry(tmp_path, jinja=start + "{{text}} ||| {{ '" + wide + "' | format(score) }}")
        with pytest.raises(UserError, match="format allows"):
            prompt(entry, text="Snow.", score=1)


@pytest.mark.parametrize("start", ["", "{% set unused = [].append(1) %}"], ids=["translated", "whole"])
def test_rows_that_no_template_fits_are_left_out(tmp_path, start):
    entry = promptsource_entry(tmp_path, jinja=start + "{% if label == 1 %}{{a}} ||| {{b}}{% endif %}")
    rows = [SourceRow(index=n, fields={"a": "Snow.", "b": "Ice.", "label": n % 2}) for n in range(6)]
    assert [row.index for row in fitting_rows(entry, rows)] == [1, 3, 5]
    with pytest.raises(UserError, match="no template of 'sea' fits any of its rows"):
        fitting_rows(entry, rows[::2])


def test_a_split_shorter_than_validation_still_trains(tmp_path):
    path = tmp_path / "templates.yaml"
    path.write_text(yaml.safe_dump({"dataset": "sea", "templates": {"1": {"name": "n", "jinja": "{{a}} ||| {{b}}"}}}))
    import_tasks("promptsource", [path], tmp_path / "out")
    (entry,) = open_catalog([tmp_path / "out"], collections=()).select(["out"], where="test")
    (tmp_path / "rows" / "sea").mkdir(parents=True)
    (tmp_path / "rows" / "sea" / "train.jsonl").write_text('{"a": "Snow.", "b": "Ice."}\n' * 50)
    places = {
        role: [row.index for row in load_rows(entry, role, data=tmp_path / "rows")] for role in ("train", "validation")
    }
    assert places == {"train": list(range(45)), "validation": list(range(45, 50))}


def test_a_name_space_that_a_branch_makes_is_no_field():
    loop = "{% for one in parts %}{% set seen.all = seen.all + [one] %}{% endfor %}"
    assert used_fields("{% if parts %}{% set seen = namespace(all=[]) %}" + loop + "{{ seen.all }}{% endif %}") == [
        "parts"
    ]


def test_every_public_category_has_a_cluster():
    assert len(CATEGORIES) == 76
    assert set(CATEGORIES.values()) <= {*CLUSTERS, *SUBCLUSTERS}
    assert cluster_of_categories(["Text to Code"], []) == ("misc", None)
    assert cluster_of_categories(["Mathematics"], []) == ("misc", "math")
    assert cluster_of_categories(["Knitting"], []) is None
    assert cluster_of_categories(["Question Answering -> Commonsense Question Answering"], []) == ("commonsense", None)


@pytest.mark.parametrize(
    ("source", "cluster"),
    [
        ("quoref", "reading_comprehension"),
        ("a_set_nobody_knows", "reading_comprehension"),
        ("natural_questions", "closed_book_qa"),
        ("jeopardy (https://example.org)", "closed_book_qa"),
        ("cosmosqa", "reading_comprehension_with_commonsense"),
        ("piqa", "commonsense"),
    ],
)
def test_a_question_is_of_its_datasets_cluster(source, cluster):
    assert cluster_of_categories(["Question Answering"], [source]) == (cluster, None)


def test_sources_and_remarks_of_a_task_file_are_read_as_they_stand(tmp_path):
    path = tmp_path / "task002_squad_question.json"
    content = {
        "Source": ["squad (https://example.org)", "wsc; enhanced_wsc"],
        "URL": [float("nan")],
        "Categories": ["Knitting"],
        "Definition": "Ask something.",
        "Positive Examples": [{"input": "Snow.", "output": "Cold?", "explanation": "-"}],
        "Negative Examples": [],
        "Instances": [{"id": f"{n}", "input": f"Note {n}.", "output": [f"What is {n}?"]} for n in range(8)],
    }
    path.write_text(json.dumps(content))
    (task,) = import_natural_instructions(path, cluster=None).tasks
    assert task.spec.lineage == ("squad", "winograd_schemas")
    assert task.notes == ("cluster: misc (no cluster for Knitting); say another with --cluster",)


def test_imported_templates_share_the_lineage_of_the_catalogs_dataset(tmp_path):
    assert promptsource_entry(tmp_path, dataset="squad", jinja="{{a}} ||| {{b}}").spec.lineage == ("squad",)
    assert promptsource_entry(tmp_path, dataset="made_up_for_it", jinja="{{a}} ||| {{b}}").spec.lineage == (
        "made_up_for_it",
    )
