"""`openflan plan` as a user meets it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"

WATCHED = """
import os, socket, sys
def refuse(*_):
    raise AssertionError("a connection was made")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
sys.argv = ["openflan", "plan", RECIPE, "--json"]
from openflan.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code
print([m for m in ("torch", "transformers", "datasets") if m in sys.modules], file=sys.stderr)
"""


def test_flan_is_planned_with_no_data_no_network_no_torch_and_nothing_is_written(tmp_path):
    code = WATCHED.replace("RECIPE", repr(str(RECIPES / "flan.yaml")))
    environment = {name: value for name, value in os.environ.items() if name != "OPENFLAN_DATA"}
    environment["HOME"] = str(tmp_path)
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.5
    assert done.stderr.strip() == "[]"
    assert not list(tmp_path.iterdir())
    record = json.loads(done.stdout)
    assert (record["totals"]["tasks"], len(record["clusters"])) == (55, 10)
    assert record["held_out_clusters"] == ["natural_language_inference", "paraphrase"]
    assert record["tasks"]["copa"]["rows"] == 350
    assert {"often_seen", "truncation", "by_hand"} <= {one["kind"] for one in record["warnings"]}


def test_the_table_fits_a_hundred_columns_and_adds_up(openflan, monkeypatch):
    monkeypatch.delenv("OPENFLAN_DATA", raising=False)
    code, text, _ = openflan("plan", RECIPES / "flan.yaml")
    assert code == 0
    table = text.partition("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 100
    assert "55 tasks in 10 clusters" in text
    assert "\x1b" not in text
    lines = {line.split()[0]: line.split() for line in table.splitlines()[1:]}
    assert lines["copa"][1] == "350"
    shares = [float(line.split()[2].rstrip("%")) for line in table.splitlines()[1:] if not line.startswith("  ")]
    assert sum(shares) == pytest.approx(100, abs=0.1)
    assert re.search(r"warning: \d+ small datasets are seen over 5 times", text)


def test_a_recipe_with_its_rows_at_hand_is_exact(openflan, tmp_path, my_tasks, tiny_llama):
    path = tmp_path / "mine.yaml"
    path.write_text(
        json.dumps(
            {
                "name": "mine",
                "model": {"path": str(tiny_llama)},
                "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
                "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
                "training": {"steps": 2, "tokens_per_batch": 512},
            }
        )
    )
    code, text, _ = openflan("plan", path)
    assert code == 0
    assert text.count(" exact") == 3
    assert "leak check: Clean" in text
    assert "single task" in text
    assert list(tmp_path.iterdir()) == [path]
    assert "exact" not in openflan("plan", path, "--estimate")[1].partition("\n\n")[0]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("tasks.hold_out=[paraphrasing]", "did you mean 'paraphrase'?"),
        ("tasks.use=[sst]", "did you mean 'sst2'?"),
        ("mixture.weights={misk: 0.2}", "no task or cluster 'misk' here; did you mean 'misc'?"),
        ("mixture.weight={}", "did you mean 'weights'?"),
        ("model.path=./nowhere", "no such model folder"),
    ],
)
def test_what_stands_for_nothing_is_one_line(openflan, setting, says):
    code, out, err = openflan("plan", RECIPES / "flan.yaml", "--set", setting)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


def test_an_unknown_recipe_is_told(openflan):
    code, _, err = openflan("plan", "flam")
    assert (code, "no recipe 'flam'" in err) == (2, True)
