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
    "notes": (NOTES, "classification", "sentiment"),
    "pairs": (PAIRS, "inference", "natural_language_inference"),
    "quiz": (QUIZ, "multiple choice", "closed_book_qa"),
    "passages": (PASSAGES, "passage question", "reading_comprehension"),
    "reports": (REPORTS, "summary", "summarization"),
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
    assert "What does 0 in 'label' mean?" in out
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


MOODS = [{"text": f"Row {n} of the guest book was read aloud", "label": ("good", "bad")[n % 2]} for n in range(30)]


def table(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["moods.csv", "moods.jsonl"])
@pytest.mark.parametrize("empty", [None, "", " "])
def test_rows_without_a_label_are_counted_and_left_out(openflan, tmp_path, name, empty):
    rows = [{**row, "label": empty} if n in (4, 20) else row for n, row in enumerate(MOODS)]
    code, out, err = openflan("tasks", "new", table(tmp_path / name, rows))
    assert (code, err) == (0, "")
    assert "moods.yaml: classification" in out
    assert "label: 2 of 30 rows have no answer and are left out, the first row 5" in out
    code, out, _ = openflan("tasks", "check", "--folder", tmp_path)
    assert (code, "2 left out by cleaning, 2 of them without a label): 0 faults" in out) == (0, True)
    entry = open_catalog([tmp_path], collections=()).entries["moods"]
    assert entry.spec.answer.options == ("bad", "good")
    assert sum(len(load_rows(entry, role)) for role in ("train", "validation", "test")) == 28


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda row, n: {**row, "text": f"half {n} \ud83d"} if n == 28 else row, "row 29: no task could be made"),
        (lambda row, n: {**row, "label": None} if n > 3 else row, "4 rows with an answer"),
        (lambda row, n: {"text": {"deep": 1}, "label": n}, "no column to ask with"),
    ],
    ids=["half a character", "few labels", "objects"],
)
def test_a_table_that_makes_no_sound_task_leaves_nothing_behind(openflan, tmp_path, change, says):
    rows = [change(row, n) for n, row in enumerate(MOODS)]
    code, _, err = openflan("tasks", "new", table(tmp_path / "moods.jsonl", rows), "--out", tmp_path / "tasks")
    assert (code, says in err) == (2, True), err
    assert not (tmp_path / "tasks").exists()


def test_columns_with_openflans_own_names_are_reached_through_the_row(openflan, tmp_path):
    rows = [
        {"answer": f"Tower {n} is {n} metres tall.", "options": f"plan {n} or none", "if": n, "label": "ab"[n % 2]}
        for n in range(30)
    ]
    code, out, err = openflan("tasks", "new", table(tmp_path / "towers.csv", rows))
    assert (code, err) == (0, ""), out
    code, out, _ = openflan("tasks", "show", "towers", "--folder", tmp_path, "--json")
    prompts = json.loads(out)["prompts"]
    assert all("metres tall" in prompt["input"] + prompt["target"] for prompt in prompts)
    assert openflan("tasks", "check", "--folder", tmp_path)[0] == 0


def test_a_table_in_another_form_is_read_when_it_is_said(openflan, tmp_path):
    path = table(tmp_path / "moods.csv", [{**row, "text": row["text"].replace("book", "livré")} for row in MOODS])
    path.write_bytes(path.read_text(encoding="utf-8").replace(",", ";").encode("cp1252"))
    code, _, err = openflan("tasks", "new", path)
    assert (code, "not UTF-8; perhaps" in err) == (2, True)
    code, out, _ = openflan("tasks", "new", path, "--encoding", "cp1252")
    assert (code, "separated by semicolons, CP1252" in out) == (0, True)
    code, out, _ = openflan("tasks", "check", "--folder", tmp_path)
    assert (code, "moods.csv: separated by semicolons, CP1252" in out) == (0, True)


@pytest.mark.parametrize("first", [0, 1])
def test_places_of_choices_are_counted_from_where_they_begin(openflan, tmp_path, first):
    rows = [
        {"question": f"What is {n} and {n}?", "choices": [f"{2 * n}", f"{n}1", "no sum"], "answer": first + n % 3}
        for n in range(15)
    ]
    assert openflan("tasks", "new", table(tmp_path / "sums.jsonl", rows))[0] == 0
    entry = open_catalog([tmp_path], collections=()).entries["sums"]
    assert entry.spec.answer.keys == tuple(range(first, first + 3))


def test_places_that_may_count_from_0_or_1_are_said(openflan, tmp_path):
    rows = [{"question": f"What is {n}?", "choices": ["a", f"b{n}", "c", "d"], "answer": 1 + n % 2} for n in range(15)]
    code, out, _ = openflan("tasks", "new", table(tmp_path / "sums.jsonl", rows))
    assert (code, "What does 1 in 'answer' stand for? the second candidate (40% sure" in out) == (0, True)


def test_rows_without_a_text_are_counted_and_left_out(openflan, tmp_path):
    rows = [{**row, "text": None} if n == 28 else row for n, row in enumerate(MOODS)]
    code, out, _ = openflan("tasks", "new", table(tmp_path / "moods.jsonl", rows))
    assert (code, "text: empty in 1 of 30 rows, the first row 29; they are left out" in out) == (0, True)
    entry = open_catalog([tmp_path], collections=()).entries["moods"]
    assert sum(len(load_rows(entry, role)) for role in ("train", "validation", "test")) == 29
    assert openflan("tasks", "check", "--folder", tmp_path)[0] == 0
