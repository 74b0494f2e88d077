"""What a command does not need it neither imports nor reads: seconds depend on the machine, this does not."""

import json
import subprocess
import sys

import pytest
import yaml

HEAVY = ("torch", "transformers", "datasets", "pandas", "pyarrow", "matplotlib", "sklearn", "scipy", "peft", "nltk")

WATCHED = """
import gc, json, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
sys.argv = ["openflan", *sys.argv[1:]]
from openflan.cli.main import main
searches = -sum(generation["collections"] for generation in gc.get_stats()[1:])
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
searches += sum(generation["collections"] for generation in gc.get_stats()[1:])
sys.stderr.write("\\n" + json.dumps({"modules": sorted(sys.modules), "opened": opened, "searches": searches}))
"""


def watched(*arguments: object) -> tuple[str, set[str], list[str]]:
    """What a command prints, the modules that it imports, and the files that it opens."""
    command = [sys.executable, "-c", WATCHED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seen = json.loads(done.stderr.splitlines()[-1])
    assert not seen["searches"], "of all that libraries left in memory, for garbage"
    return done.stdout, set(seen["modules"]), seen["opened"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, my_tasks, tiny_llama):
    """A recipe file of a run that takes a second."""
    path = tmp_path_factory.mktemp("start-up") / "little.yaml"
    settings = {
        "name": "little",
        "model": {"path": str(tiny_llama)},
        "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
        "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
        "training": {"steps": 1, "tokens_per_batch": 256},
        "evaluation": {"rows": 2, "seen_rows": 0, "bootstrap": 100, "generate": False},
    }
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"], ["tasks", "--help"]])
def test_help_imports_the_command_line_alone(words):
    _, modules, opened = watched(*words)
    assert modules.isdisjoint({*HEAVY, "numpy", "jinja2", "yaml", "tokenizers"})
    own = {name for name in modules if name.startswith("openflan.")}
    assert own == {name for name in own if name.startswith(("openflan.cli", "openflan.errors"))}
    assert not [path for path in opened if path.endswith((".yaml", ".json", ".jsonl"))]


def test_a_run_that_is_whole_is_known_without_its_libraries_and_reads_the_model_once(recipe, tiny_llama, openflan):
    runs = recipe.parent / "runs"
    assert openflan("run", recipe, "--out", runs, "-q")[0] == 0
    _, modules, opened = watched("run", recipe, "--out", runs, "-q")
    assert modules.isdisjoint(HEAVY)
    assert opened.count(str(tiny_llama / "model.safetensors")) == 1  # its content is in the run's key
    assert opened.count(str(tiny_llama / "tokenizer.json")) <= 2  # and so is the tokenizer's, by itself too
    (run,) = runs.iterdir()
    assert not [path for path in opened if path.startswith(str(run)) and path.endswith((".parquet", ".arrow", ".npz"))]


def test_templates_of_a_whole_run_are_not_parsed(recipe, openflan, monkeypatch):
    runs = recipe.parent / "runs"
    assert openflan("run", recipe, "--out", runs, "-q")[0] == 0

    def parse(*_: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr("openflan.prompts.sandbox.Sandbox._parse", parse)
    assert openflan("run", recipe, "--out", runs, "-q")[0] == 0
