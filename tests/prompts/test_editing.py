"""Templates tried before they are written, and task files edited so that the rest of them stays as it was."""

import json
import shutil
from pathlib import Path

import pytest

import openflan
from openflan.prompts.lint import check_task

GOOD = {"input": "{{premise}}\n\nDoes it follow that {{hypothesis}}\n\n{{options}}"}


@pytest.fixture(scope="module")
def rte():
    task = openflan.Tasks()["rte"]
    return task, task.source_rows(limit=12)


def kinds(edit):
    return [(line.kind, line.text) for line in edit.diff if line.kind in ("added", "removed")]


def test_a_template_is_rendered_as_the_task_would_render_it(rte):
    task, rows = rte
    trial = task.try_template(task.spec.templates[1], rows[0], number=1, others=rows)
    assert trial.prompt == task.prompts(0)[1]
    assert (trial.faults, trial.alike, trial.prompts) == ((), (), len(rows))


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ({"input": "{{premis}}"}, "'premis' is no field of task 'rte'"),
        ({"input": "{{premise"}, "not valid Jinja"),
        ({"input": "{premise} {{hypothesis}}"}, "in single braces"),
        ({"input": "{{premise}} It is {{answer}}."}, "gives the answer away"),
        ({"input": "Is it so?"}, "all 10 rows give the same prompt"),
        ({"input": "{{premise}}", "target": "{{'' }}"}, "the target is empty"),
        ({"input": "{% for n in range(2000) %}x{% endfor %}"}, "range of more than 1,000"),
        ({"input": "{{premise.__class__}}"}, "unsafe"),
        ({"inputs": "{{premise}}"}, "did you mean 'input'?"),
        ({"input": "{{premise}}", "options": ["a", "b", "c"]}, "has 3 options, the task has 2"),
        ({"input": "{{premise}}", "options": ["a", "a"]}, "has the option 'a' twice"),
    ],
)
def test_a_faulty_template_raises_nothing_and_is_told_as_the_check_tells_it(rte, template, what):
    task, rows = rte
    trial = task.try_template(template, rows[0], number=0, others=rows)
    assert trial.faults
    assert any(what in fault.what for fault in trial.faults)


def test_the_faults_of_a_trial_are_those_of_the_check(rte, tmp_path):
    task, rows = rte
    wrong = {"input": "{premise} {{hypothesis}} is {{answer}}"}
    trial = task.try_template(wrong, rows[0], number=3, others=rows)
    openflan.edit_template(task, wrong, folder=tmp_path, number=3).write()
    checked = check_task(openflan.Tasks([tmp_path])["my_rte"], strict=False)
    assert [fault.what for fault in trial.faults] == [fault.what for fault in checked.faults]


def test_a_template_that_is_like_another_is_told_apart_from_faults(rte):
    task, rows = rte
    trial = task.try_template({"input": task.spec.templates[2].input + " Please."}, rows[0])
    assert (trial.alike, trial.number, trial.faults) == ((2,), 10, ())
    assert task.try_template({"input": task.spec.templates[2].input + " Please."}, rows[0], number=2).alike == ()


def test_a_row_that_the_template_is_not_for_has_no_prompt(rte):
    task, rows = rte
    trial = task.try_template({**GOOD, "when": "answer == 'no'"}, rows[0], number=0)
    assert (trial.fits, trial.prompt, trial.faults) == (False, None, ())


def test_a_shipped_task_is_copied_into_the_folder_and_reads_the_same_rows(rte, tmp_path):
    task, _ = rte
    was = task.path.read_bytes()
    edit = openflan.edit_template(task, GOOD, folder=tmp_path, number=1)
    assert edit.path == tmp_path / "my_rte.yaml"
    assert not list(tmp_path.iterdir())
    edit.write()
    mine = openflan.Tasks([tmp_path])["my_rte"]
    assert task.path.read_bytes() == was
    assert mine.spec.templates[1].input == GOOD["input"]
    assert mine.spec.templates[:1] + mine.spec.templates[2:] == task.spec.templates[:1] + task.spec.templates[2:]
    assert (mine.spec.dataset, mine.spec.lineage, mine.cluster) == ("rte", task.spec.lineage, task.cluster)
    assert [r.fields for r in mine.source_rows()] == [r.fields for r in task.source_rows()]
    assert check_task(mine, strict=False).faults == []
    assert openflan.edit_template(task, GOOD, folder=tmp_path, number=1).path.stem == "my_rte_2"


def test_every_shipped_task_can_be_copied(tmp_path):
    tasks = openflan.Tasks()
    for name in tasks:
        task = tasks[name]
        copy = openflan.edit_template(task, task.spec.templates[0], folder=tmp_path, number=0).task.spec
        same = {"name", "dataset", "family"}
        assert copy.model_dump(exclude=same) == task.spec.model_dump(exclude=same), name


def test_only_the_template_changes_in_a_file_that_somebody_wrote(rte, tmp_path):
    text = """# What our guests say. Kept by Ada.
name: guests
cluster: sentiment
source: {files: {all: guests.jsonl}}   # exported on Mondays
splits: {train: "all[:-2]", test: "all[-2:]"}

columns: {text: string, label: {classes: [bad, good]}}
answer:
    field: label
    options: [bad, good]
metrics: [accuracy]
templates:
  # the plain one
  - input: |-
      {{text}}

      # Good or bad?
      {{options}}

  # the long one
  - input: "Read this note and say how the guest liked it: {{text}}\\n{{options}}"
    when: "text"
licence: MIT
"""
    (tmp_path / "guests.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "guests.jsonl").write_text(
        "".join(json.dumps({"text": f"note {n} was fine", "label": n % 2}) + "\n" for n in range(12)), encoding="utf-8"
    )
    task = openflan.Tasks([tmp_path])["guests"]
    edit = openflan.edit_template(
        task, {"input": "{{text}}\n\nDid they like it?\n{{options}}"}, folder=tmp_path, number=0
    )
    assert kinds(edit) == [
        ("removed", "      # Good or bad?"),
        ("added", "      Did they like it?"),
    ]
    added = openflan.edit_template(task, {"input": "{{text}} So?\n{{options}}"}, folder=tmp_path)
    assert kinds(added) == [("added", "  - input: |-"), ("added", "      {{text}} So?"), ("added", "      {{options}}")]
    gone = openflan.edit_template(task, None, folder=tmp_path, number=1)
    assert [kind for kind, _ in kinds(gone)] == ["removed"] * 2
    assert not openflan.edit_template(task, task.spec.templates[0], folder=tmp_path, number=0).changed
    assert (tmp_path / "guests.yaml").read_text(encoding="utf-8") == text
    edit.write()
    assert openflan.Tasks([tmp_path])["guests"].spec.templates[0].input.endswith("like it?\n{{options}}")


def test_a_copy_of_own_rows_leads_to_them(my_tasks, tmp_path):
    task = openflan.Tasks([my_tasks])["cafe_review"]
    edit = openflan.edit_template(task, {"input": "{{text}} Well?\n{{options}}"}, folder=tmp_path, name="cafe_two")
    copy = edit.write()
    assert [r.fields for r in copy.source_rows()] == [r.fields for r in task.source_rows()]


def test_what_changed_in_the_meantime_is_not_written_over(my_tasks, tmp_path):
    folder = shutil.copytree(my_tasks, tmp_path / "tasks")
    task = openflan.Tasks([folder])["cafe_review"]
    edit = openflan.edit_template(task, {"input": "{{text}} Well?\n{{options}}"}, folder=folder)
    task.path.write_text(task.path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    with pytest.raises(openflan.UserError, match="in the meantime"):
        edit.write()
    assert task.path.read_text(encoding="utf-8").endswith("# mine\n")


@pytest.mark.parametrize(
    ("template", "options", "what"),
    [
        ({"input": "{{premis}}"}, {"number": 0}, "no field"),
        ({"input": "{{premise"}, {"number": 0}, "not valid Jinja"),
        ({"input": ""}, {"number": 0}, "needs an input"),
        (None, {"number": 12}, "has 10 templates"),
        (GOOD, {"name": "cola"}, "already"),
        (GOOD, {"name": "../out"}, "may hold only"),
        (GOOD, {"folder": "nowhere"}, "no such folder"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_written(rte, tmp_path, template, options, what):
    task, _ = rte
    with pytest.raises(openflan.UserError, match=what):
        openflan.edit_template(task, template, **{"folder": tmp_path, **options})
    assert not list(tmp_path.iterdir())


def test_a_copy_of_a_starter_task_is_checked_on_rows_of_its_world(tmp_path):
    task = openflan.Tasks()["starter_review_positive"]
    sound = openflan.edit_template(
        task,
        {"input": "{{review}}\n\nTell me how our guest liked the stay, in one word.\n{{options}}"},
        folder=tmp_path,
    ).write()
    assert (sound.own, check_task(sound, strict=False).faults) == (False, [])
    openflan.edit_template(sound, {"input": "{{review}} {{answer}}"}, folder=tmp_path, number=0).write()
    checked = check_task(openflan.Tasks([tmp_path])["my_starter_review_positive"], strict=False)
    assert any("gives the answer away" in fault.what for fault in checked.faults)


def test_a_folder_that_a_link_leads_out_of_is_not_the_folder(my_tasks, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cafe_review.yaml").symlink_to(Path(my_tasks) / "cafe_review.yaml")
    task = openflan.Tasks([tmp_path / "mine"])["cafe_review"]
    edit = openflan.edit_template(task, {"input": "{{text}} Well?\n{{options}}"}, folder=tmp_path / "mine")
    assert edit.copied is not None
    assert edit.path.name == "my_cafe_review.yaml"


def test_a_link_to_nothing_in_a_folder_is_one_line(tmp_path):
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(openflan.UserError, match="mend the link"):
        openflan.Tasks([tmp_path])
