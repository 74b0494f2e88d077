"""`openflan tasks new`: a table becomes a task that checks clean and trains as it is."""

import csv
import json

import pytest

from openflan.tasks.catalog import open_catalog
from openflan.tasks.sources import load_rows

NOTES = [
    {"Guest Note": f"the {dish} was {word}, table {n}", "verdict": "good" if word in ("fine", "warm") else "bad"}
    for n, (dish, word) in enumerate(
        (d, w) for d in ("soup", "fish", "bread") for w in ("fine", "warm", "cold", "stale")
    )
]
PAIRS = [
    {"premise": f"Ada has {n} kites.", "hypothesis": f"Ada has {n + n % 2} kites.", "label": n % 2} for n in range(20)
]
QUIZ = [
    {"question": f"What is {n} and {n}?", "choices": [str(2 * n), str(3 * n + 1), "no number"], "answer": "AB"[n % 2]}
    for n in range(15)
]
PASSAGES = [
    {"context": f"Long ago {name} lived by the sea and kept {n} goats.", "question": f"How many goats did {name} keep?",
     "answer": str(n)}
    for n, name in enumerate(["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ida", "Jon", "Kit", "Lou"], 2)
]  # fmt: skip
REPORTS = [
    {
        "document": f"Today item {n} was sold for {n * 7} coins after a long dispute.",
        "summary": f"Item {n} was sold at last.",
    }
    for n in range(12)
]
TABLES = {
    "notes": (NOTES, "text classification", "misc"),
    "pairs": (PAIRS, "pair classification", "natural_language_inference"),
    "quiz": (QUIZ, "multiple choice", "misc"),
    "passages": (PASSAGES, "passage question", "reading_comprehension"),
    "reports": (REPORTS, "text to text", "summarization"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_becomes_a_sound_task(openflan, tmp_path, name):
    rows, kind, cluster = TABLES[name]
    (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code, out, err = openflan("tasks", "new", tmp_path / f"{name}.jsonl")
    assert (code, err) == (0, "")
    assert kind in out
    code, out, _ = openflan("tasks", "check", "--folder", tmp_path, "--json")
    record = json.loads(out)
    assert (code, record["errors"], record["templates"]) == (0, [], 10)
    assert record["prompts"] == 10 * len(rows)
    entry = open_catalog([tmp_path], collections=()).entries[name]
    assert entry.spec.cluster == cluster
    places = [row.index for role in ("train", "validation", "test") for row in load_rows(entry, role)]
    assert sorted(places) == list(range(len(rows)))


def test_a_csv_keeps_its_texts_and_says_what_it_could_not_guess(openflan, tmp_path):
    with (tmp_path / "My Pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(PAIRS[0]))
        writer.writeheader()
        writer.writerows(PAIRS)
    code, out, _ = openflan("tasks", "new", tmp_path / "My Pairs.csv", "--out", tmp_path / "tasks")
    assert code == 0
    assert "say in words what 0, 1 in 'label' mean" in out
    code, out, _ = openflan("tasks", "show", "my_pairs", "--folder", tmp_path / "tasks")
    assert code == 0
    assert "Ada has" in out


def test_a_task_file_is_not_written_over_unless_asked(openflan, tmp_path):
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in NOTES), encoding="utf-8")
    (tmp_path / "notes.yaml").write_text("mine: true", encoding="utf-8")
    code, _, err = openflan("tasks", "new", tmp_path / "notes.jsonl")
    assert (code, "is already there" in err) == (2, True)
    assert (tmp_path / "notes.yaml").read_text(encoding="utf-8") == "mine: true"
    assert openflan("tasks", "new", tmp_path / "notes.jsonl", "--force")[0] == 0


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "holds no rows"),
        (NOTES[:5], "ten are the least"),
        ([{"id": n, "text": f"only one text {n}"} for n in range(12)], "no column to ask with"),
    ],
)
def test_a_table_that_makes_no_task_is_told_in_one_line(openflan, tmp_path, rows, says):
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code, _, err = openflan("tasks", "new", tmp_path / "mine.jsonl")
    assert (code, err.count("\n"), says in err) == (2, 1, True)
    assert not (tmp_path / "mine.yaml").exists()


def test_a_missing_file_and_an_unknown_cluster_are_told(openflan, tmp_path):
    assert "no such file" in openflan("tasks", "new", tmp_path / "gone.csv")[2]
    (tmp_path / "notes.jsonl").write_text("{}", encoding="utf-8")
    assert "did you mean 'sentiment'" in openflan("tasks", "new", tmp_path / "notes.jsonl", "--cluster", "sentimnt")[2]
