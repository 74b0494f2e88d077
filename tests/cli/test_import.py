"""`openflan tasks import` as a user meets it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from openflan.cli.tasks_import import import_
from openflan.errors import UserError

TEMPLATES = """
dataset: ferries
templates:
  1: !Template
    name: mood
    answer_choices: sad ||| glad
    jinja: "{{text}} Sad or glad? ||| {{answer_choices[label]}}"
  2: !Template
    name: without an answer
    jinja: "{{text}} {{label}}"
"""
DATA = '{"text": "The ferry left early.", "label": 1}\n{"text": "Rain.", "label": 0}\n'

app = typer.Typer()
app.command("import")(import_)


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def templates(tmp_path):
    path = tmp_path / "templates.yaml"
    path.write_text(TEMPLATES, encoding="utf-8")
    return path


def test_an_imported_task_is_shown_like_ones_own(templates, tmp_path, openflan):
    out = tmp_path / "mine"
    result = run("promptsource", templates, "--out", out, "--cluster", "sentiment")
    assert result.exit_code == 0, result.output
    assert "ferries.yaml: classification, 1 templates" in result.output
    assert "template 'without an answer': has no '|||' between input and target" in result.output
    assert "1 tasks, 1 templates imported; 1 refused" in result.output
    assert [path.name for path in out.iterdir()] == ["ferries.yaml"]
    assert "# Template 1: mood" in (out / "ferries.yaml").read_text()
    (tmp_path / "data" / "ferries").mkdir(parents=True)
    (tmp_path / "data" / "ferries" / "train.jsonl").write_text(DATA * 200)
    arguments = ["tasks", "show", "ferries", "--folder", out, "--data", tmp_path / "data", "--json"]
    code, printed, _ = openflan(*arguments)
    assert code == 0
    shown = json.loads(printed)["prompts"]
    assert [(p["input"], p["target"]) for p in shown] == [("The ferry left early. Sad or glad?", "glad")]


def test_json_tells_what_was_written_and_what_not(templates, tmp_path):
    record = json.loads(run("promptsource", templates, "--out", tmp_path / "mine", "--json").output)
    assert [(task["name"], task["kind"], task["templates"]) for task in record["tasks"]] == [
        ("ferries", "classification", ["mood"])
    ]
    assert [one["why"] for one in record["refused"]] == ["has no '|||' between input and target"]


@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        ("promptsource", "dataset: [", "not valid YAML"),
        ("promptsource", "dataset: x\ntemplates: !!python/object:os.system {}\n", "not valid YAML"),
        ("promptsource", "other: 1\n", "no promptsource file"),
        ("natural-instructions", "{", "not valid JSON"),
        ("natural-instructions", "[" * 100_000, "not valid JSON"),
        ("natural-instructions", "{}", "no Super-NaturalInstructions file"),
        ("natural-instructions", '{"Definition": "x", "Instances": []}', "has 0 usable instances"),
        ("lm-eval", "- 1\n", "must hold a mapping"),
        ("lm-eval", "a: !unknown b\n", "not valid YAML"),
    ],
)
def test_a_bad_file_is_one_line_and_nothing_is_written(kind, content, says, tmp_path, templates):
    bad = tmp_path / "bad.yaml"
    bad.write_text(content)
    good = [templates] if kind == "promptsource" else []
    result = run(kind, *good, bad, "--out", tmp_path / "mine")
    assert isinstance(result.exception, UserError)
    assert says in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["promptsurce", "FILE"], "did you mean 'promptsource'"),
        (["promptsource", "missing.yaml"], "no such promptsource file"),
        (["promptsource", "FILE", "--cluster", "sentimant"], "did you mean 'sentiment'"),
        (["promptsource", "FILE", "--rows", "5"], "is for natural-instructions files alone"),
        (["promptsource", "FILE", "FILE"], "two of the files make a task 'ferries'"),
    ],
)
def test_a_slip_on_the_command_line_is_one_line(arguments, says, templates, tmp_path):
    result = run(*[templates if one == "FILE" else one for one in arguments], "--out", tmp_path / "mine")
    assert isinstance(result.exception, UserError)
    assert says in str(result.exception)


def test_a_task_that_is_there_is_not_written_over(templates, tmp_path):
    run("promptsource", templates, "--out", tmp_path / "mine")
    result = run("promptsource", templates, "--out", tmp_path / "mine")
    assert "is already there" in str(result.exception)


def test_an_import_of_nothing_says_why_and_fails(tmp_path):
    path = tmp_path / "templates.yaml"
    path.write_text("dataset: d\ntemplates:\n  1: !Template {name: n, jinja: no pipes}\n")
    result = run("promptsource", path, "--out", tmp_path / "mine")
    assert "template 'n': has no '|||'" in result.output
    assert "nothing could be imported" in str(result.exception)
    assert not (tmp_path / "mine").exists()


def test_imported_tasks_are_measured_like_ones_own(openflan, templates, tmp_path, tiny_llama):
    (tmp_path / "data" / "ferries").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        (tmp_path / "data" / "ferries" / f"{split}.jsonl").write_text(DATA * 3)
    (tmp_path / "harness.yaml").write_text(
        "task: harbour\ndataset_path: example/harbour\noutput_type: multiple_choice\ntest_split: test\n"
        "training_split: train\ndoc_to_text: '{{text}} Sad or glad?'\n"
        "doc_to_choice: [sad, glad]\ndoc_to_target: label\n"
    )
    (tmp_path / "data" / "harbour").mkdir()
    (tmp_path / "data" / "harbour" / "test.jsonl").write_text(DATA * 3)
    (tmp_path / "data" / "harbour" / "train.jsonl").write_text(DATA * 3)
    mine = tmp_path / "mine"
    for kind, file in (("promptsource", templates), ("lm-eval", tmp_path / "harness.yaml")):
        done = run(kind, file, "--out", mine / kind, "--cluster", "sentiment")
        assert done.exit_code == 0, done.output
    names = "ferries,harbour"
    folders = ("--folder", mine / "promptsource", "--folder", mine / "lm-eval")
    where = ("--model", tiny_llama, "--data", tmp_path / "data", "--out", tmp_path / "runs", "--json")
    code, out, err = openflan("eval", "--tasks", names, *folders, *where)
    assert code == 0, err
    assert [(task["task"], task["chance"]) for task in json.loads(out)["tasks"]] == [("ferries", 0.5), ("harbour", 0.5)]
    file = next((mine / "lm-eval").glob("*.yaml"))
    assert openflan("eval", "--tasks", file, *where)[0] == 0
