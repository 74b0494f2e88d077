"""The page of two sides."""

from dataclasses import replace

import pytest
from synthetic_run import make_material
from synthetic_sides import make_comparison
from test_page import Reader

from openflan.report.comparison_page import ComparisonFigures, render_comparison


def read(material) -> tuple[str, Reader]:
    page = render_comparison(material, ComparisonFigures(material))
    return page, Reader(page)


@pytest.fixture(scope="module")
def sides(material):
    return make_comparison(material, settings={"seeds": [5], "training": {"steps": 800}})


@pytest.fixture(scope="module")
def document(sides) -> tuple[str, Reader]:
    return read(sides)


def test_it_opens_with_what_the_tests_show_and_what_they_could_not_have_shown(sides, document):
    text = " ".join(document[1].text.split())
    shown = [task for task in sides.comparison.tasks if task.p_holm < 0.05]
    better = sum(task.difference > 0 for task in shown)
    assert f"B is better than A on {better}" in text[:200]
    assert f"of {len(sides.comparison.tasks)} tasks (Holm-adjusted, 5 %)" in text[:200]
    assert "smallest true difference that these rows would have shown is" in text


def test_each_task_has_its_difference_test_and_detectable_effect(sides, document):
    task = next(task for task in sides.comparison.tasks if task.task == "liked_it")
    row = document[1].row("liked_it")
    assert f"+{100 * task.difference:.1f}" in row
    assert "B better <0.001 permutation" in row
    assert f"{100 * task.detectable:.1f} 60 × 6 B" in row
    assert "not shown" in document[1].row("same_meaning")


def test_tasks_that_one_side_was_tuned_on_are_marked(document):
    assert "Only one side was tuned on 6 of the tasks" in " ".join(document[1].text.split())
    assert document[1].row("follows accuracy").endswith("neither")


def test_settings_that_differ_are_listed(document):
    assert document[1].row("seeds") == "seeds [0, 1, 2] [5]"
    assert document[1].row("training.steps") == "training.steps 400 800"


def test_prompts_on_which_the_two_part_are_shown_in_their_own_words(document):
    text = " ".join(document[1].text.split())
    assert "right in B alone" in text
    assert "Right in A alone" in text
    assert "newly" not in text


def test_sides_that_never_read_the_same_prompt_say_so(sides):
    other = {model: [replace(a, prompt=f"{a.prompt}!") for a in own] for model, own in sides.b.answers.items()}
    page, _ = read(replace(sides, b=replace(sides.b, answers=other)))
    assert "never read the same prompt word for word" in page


def test_no_difference_reads_so_and_is_grey(material):
    same = make_comparison(material)
    alike = replace(same, comparison=same.comparison.model_copy(
        update={"tasks": [task.model_copy(update={"p_holm": 0.4}) for task in same.comparison.tasks]}
    ))  # fmt: skip
    page, reader = read(alike)
    assert "no difference between A and B is shown (Holm-adjusted" in " ".join(reader.text.split())
    assert 'class="number gain"' not in page


def test_the_same_sides_give_the_same_bytes(sides, document):
    again = make_comparison(make_material(), settings={"seeds": [5], "training": {"steps": 800}})
    assert read(again)[0] == document[0]
    assert len(document[0].encode()) < 3_000_000
