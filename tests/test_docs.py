"""The pages of docs/ say what is true: their blocks are run."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from openflan.cli.main import main
from running_blocks import Session

DOCS = Path(__file__).parents[1] / "docs"
TEAMS = ("hardware", "accounts", "network")


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def run(monkeypatch, capsys):
    def call(line: str) -> str:
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        try:
            main()
        except SystemExit as stop:
            if stop.code:
                pytest.fail(f"`{line}` ended with {stop.code}: {capsys.readouterr()}")
        return capsys.readouterr().out

    return call


def test_the_worked_example_of_a_task_works(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "desk").mkdir()
    (sample,) = blocks("tasks.md", "jsonl")
    rows = [json.loads(line) for line in sample.splitlines()]
    rows += [{"ticket": f"Room {n}: nothing works, {TEAMS[n % 3]} please.", "team": TEAMS[n % 3], "urgent": n % 2 == 0}
             for n in range(16)]  # fmt: skip
    (tmp_path / "desk" / "tickets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    first, second = blocks("tasks.md", "console")
    outputs = [run(line.removeprefix("$ ")) for line in first.splitlines()]
    assert "tickets.yaml: classification" in outputs[0]
    assert "0 faults" in outputs[1]
    (task,) = blocks("tasks.md", "yaml")
    (tmp_path / "desk" / "ticket_team.yaml").write_text(task, encoding="utf-8")
    outputs = [run(line.removeprefix("$ ")) for line in second.splitlines()]
    assert "0 faults" in outputs[0]
    assert "Which team should look after this?" in outputs[1]
    assert "OPTIONS:\n- hardware\n- accounts\n- network" in outputs[1]


def test_the_page_on_tasks_names_only_keys_that_there_are():
    from openflan.tasks.spec import Answer, Source, TaskSpec

    known = {*TaskSpec.model_fields}
    known |= {f"source.{key}" for key in Source.model_fields} | {f"answer.{key}" for key in Answer.model_fields}
    known |= {*Source.model_fields, *Answer.model_fields}
    table = (DOCS / "tasks.md").read_text(encoding="utf-8").partition("| key |")[2].partition("\n\n")[0]
    keys = [key for line in table.splitlines()[2:] for key in re.findall(r"`([\w.]+)(?:: true)?`", line.split("|")[1])]
    assert len(keys) > 15
    assert set(keys) <= known


def test_the_page_on_mixtures_shows_what_plan_prints(run, monkeypatch):
    monkeypatch.delenv("OPENFLAN_DATA", raising=False)
    monkeypatch.chdir(DOCS.parent)
    (shown,) = [block for block in blocks("mixtures.md", "console") if "openflan plan" in block]
    command, *lines = shown.splitlines()
    printed = {line.rstrip() for line in run(f"{command.removeprefix('$ ')} --workers 2").splitlines()}
    assert len(lines) > 20
    assert [line for line in lines if line not in printed] == ["  …"]


def test_the_study_on_the_page_on_studies_can_be_forecast(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (study,) = blocks("studies.md", "yaml")
    (tmp_path / "rates.yaml").write_text(study, encoding="utf-8")
    output = run("openflan study rates.yaml --dry-run --set axes.rate=[1.0e-3,3.0e-3]")
    assert "2 cells, 4 tuning runs, 1,638,400 tokens" in output
    assert "rate=0.003" in output


def test_the_page_on_studies_names_the_ready_ones():
    page = (DOCS / "studies.md").read_text(encoding="utf-8")
    ready = {path.stem for path in (DOCS.parent / "studies").glob("*.yaml")}
    assert set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)) & ready == ready


def test_the_page_on_python_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.delenv("OPENFLAN_DATA", raising=False)
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    session, printed = Session(), ""
    sections = re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)
    assert {kind for kind, _ in sections} == {"python", "text"}
    for number, (kind, block) in enumerate(sections, start=1):
        if kind == "python":
            printed = session.run(block, f"docs/python.md, block {number}")
        else:
            assert printed == block
    assert (tmp_path / "gain.svg").is_file()


SHORT = (
    "seeds=[0]", "training.steps=2", "training.tokens_per_batch=600", "evaluation.rows=4", "evaluation.own_rows=4",
    "evaluation.templates=2", "evaluation.bootstrap=100", "evaluation.max_new_tokens=4",
)  # fmt: skip


def follow(run, folder: Path, *, short: bool) -> dict[str, str]:
    """Follow the page on one's own data in a folder; what each command printed.

    Args:
        short: tune and measure as little as can be.
    """
    outputs, session = {}, Session()
    settings = "".join(f" --set {setting}" for setting in SHORT) if short else ""
    page = (DOCS / "own-data.md").read_text(encoding="utf-8")
    for number, (kind, block) in enumerate(re.findall(r"```(python|console)\n(.*?)```", page, re.DOTALL), start=1):
        if kind == "python":
            outputs[f"block {number}"] = session.run(block, f"docs/own-data.md, block {number}")
            continue
        for line in block.splitlines():
            command = line.removeprefix("$ ")
            if short and "desk-all" in command:
                continue
            runs = sorted(path.name for path in (folder / "runs").glob("desk-*") if "desk-all" not in path.name)
            command = command.replace("desk-1a2b3c4d", runs[0] if runs else "")
            outputs[command] = run(command + settings if command.startswith("openflan run") else command)
    return outputs


def test_the_page_on_own_data_runs_from_three_tables_to_a_model_at_work(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENFLAN_DATA", raising=False)
    outputs = follow(run, tmp_path, short=True)
    table = outputs["openflan run desk"]
    assert table.index("Your own tasks, on test rows of their own") < table.index("Held out: never tuned on")
    assert all(f"\n{task} " in table for task in ("calls", "pronouns", "questions"))
    assert "Held out is a kind of task of your own" in outputs["openflan plan desk"]
    assert "3 cells" in outputs["openflan study desk/holdout.yaml --dry-run"]
    assert "4 cells, 8 tuning runs" in outputs["openflan study rows --recipe desk --dry-run"]
    (answers,) = [text for command, text in outputs.items() if command.startswith("openflan ask")]
    assert {line.split()[0] for line in answers.splitlines()} == {"place", "person", "number", "reason"}
    assert "What is tuned on, and what is held out" in Path("desk/README.md").read_text(encoding="utf-8")


@pytest.mark.slow  # the page as its reader follows it: some minutes of tuning
def test_the_page_on_own_data_as_it_stands(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENFLAN_DATA", raising=False)
    outputs = follow(run, tmp_path, short=False)
    assert "Tuning helped on" in outputs["openflan run desk"]


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.delenv("OPENFLAN_DATA", raising=False)
    notebook = json.loads((DOCS.parent / "examples" / "first-look.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert max(code.count("\n") for code in cells) < 20
    session = Session()
    printed = [session.run(code, f"examples/first-look.ipynb, cell {n}") for n, code in enumerate(cells, start=1)]
    assert any("Clean" in text for text in printed)
    assert any("On the held-out cluster" in text for text in printed)
