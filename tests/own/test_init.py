"""`openflan init`: a folder of tables becomes tasks, a recipe and a page, and nothing is written over."""

import csv
import json

import openpyxl
import pytest
from test_recognising import rows_of

import openflan as api
from openflan.own.profile import columns_of
from openflan.tasks.catalog import open_catalog
from openflan.tasks.sources import load_rows


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "claims.csv", rows_of("inference"))
    write(tmp_path / "who.jsonl", rows_of("pronoun"))
    write(tmp_path / "digests_train.csv", rows_of("summary", 50))
    write(tmp_path / "digests_test.csv", rows_of("summary", 60)[40:])
    return tmp_path


def task(folder, name):
    return open_catalog([folder / "tasks"], collections=()).entries[name]


def test_a_folder_of_tables_becomes_tasks_that_check_clean(openflan, folder):
    code, out, err = openflan("init", folder, "--yes")
    assert (code, err) == (0, "")
    assert "who.yaml: pronoun (coreference)" in out
    assert sorted(path.name for path in (folder / "tasks").iterdir()) == ["claims.yaml", "digests.yaml", "who.yaml"]
    code, out, _ = openflan("tasks", "check", "--folder", folder / "tasks")
    assert (code, ": 0 faults" in out) == (0, True)
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "| who | pronoun |" in page
    assert "no text of `a`, `b`, and no 13 words on end of them, stands in two" in page
    assert api.Run(folder / "recipe.yaml").plan().held_out_clusters


def test_every_column_of_the_question_stands_in_every_template_that_asks(openflan, folder):
    rows = [{**row, "weather": ["rain", "sun", "snow"][n % 3]} for n, row in enumerate(rows_of("candidates"))]
    write(folder / "quiz.csv", rows)
    openflan("init", folder, "--yes", "--quiet")
    for name, columns in (("claims", "ab"), ("who", "a"), ("quiz", ["a", "weather"])):
        spec = task(folder, name).spec
        asking = [template.input for template in spec.templates if not template.inverted]
        assert all("{{" + column + "}}" in text for text in asking for column in columns), name
    assert task(folder, "who").spec.answer.options == ("{{b}}", "{{c}}")
    assert task(folder, "quiz").spec.answer.keys == ("A", "B")


def test_training_leaves_out_what_the_test_file_holds(openflan, folder):
    openflan("init", folder, "--yes", "--quiet")
    entry = task(folder, "digests")
    texts = {role: {row.fields["a"] for row in load_rows(entry, role)} for role in ("train", "validation", "test")}
    assert len(texts["test"]) == 20
    assert len(texts["train"] | texts["validation"]) == 40
    assert texts["test"].isdisjoint(texts["train"] | texts["validation"])


@pytest.mark.parametrize("kept_back", [False, True])
def test_a_column_that_says_the_split_is_followed_and_answers_kept_back_are_no_class(openflan, folder, kept_back):
    parts = ["train", "train", "train", "dev", "test"]
    rows = [
        {**row, "part": parts[n % 5], "c": -1 if kept_back and n % 5 == 4 else row["c"]}
        for n, row in enumerate(rows_of("inference", 100))
    ]
    write(folder / "claims.csv", rows)
    _, out, _ = openflan("init", folder, "--yes")
    entry = task(folder, "claims")
    roles = {role: {row.fields["part"] for row in load_rows(entry, role)} for role in ("train", "validation", "test")}
    assert roles == {"train": {"train"}, "validation": {"dev"}, "test": {"train" if kept_back else "test"}}
    assert entry.spec.answer.keys == (0, 1)
    assert ("the part test: 'c' is -1 in every row, so it is left out" in out) == kept_back
    assert "Splits: as `part` says; no text" in (folder / "README.md").read_text(encoding="utf-8")
    assert openflan("tasks", "check", "--folder", folder / "tasks")[0] == 0


def test_a_test_file_without_answers_is_left_out_and_test_rows_are_cut_from_the_others(openflan, folder):
    write(folder / "sums_train.csv", rows_of("summary", 80))
    write(folder / "sums_test.csv", [{"a": row["a"]} for row in rows_of("summary", 120)[80:]])
    _, out, _ = openflan("init", folder, "--yes")
    assert "sums_test.csv: 'b' is empty in every row, so it is left out" in out
    entry = task(folder, "sums")
    assert entry.spec.source.files == {"train": "../sums_train.csv"}
    assert len(load_rows(entry, "test")) == 8


def test_a_second_call_adds_what_is_new_and_writes_over_nothing(openflan, folder):
    openflan("init", folder, "--yes", "--quiet")
    with (folder / "tasks" / "claims.yaml").open("a", encoding="utf-8") as file:
        file.write("notes: mine now\n")
    kept = {path: path.read_bytes() for path in (folder / "tasks").iterdir()} | {
        folder / "recipe.yaml": (folder / "recipe.yaml").read_bytes()
    }
    write(folder / "senses.csv", rows_of("sense"))
    code, out, _ = openflan("init", folder, "--yes")
    assert (code, "claims.yaml: was there already" in out, "senses.yaml: word sense" in out) == (0, True, True)
    assert all(path.read_bytes() == content for path, content in kept.items())
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert page.count("## claims") == page.count("## senses") == 1


def test_a_readme_of_the_users_own_is_left_alone(openflan, folder):
    (folder / "README.md").write_text("mine", encoding="utf-8")
    openflan("init", folder, "--yes", "--quiet")
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"
    assert "# Your tables as tasks" in (folder / "README-openflan.md").read_text(encoding="utf-8")


def test_what_is_unsure_is_asked_and_the_answer_is_taken(folder):
    questions = []

    def ask(guess):
        questions.append(guess)
        return {"options": {"0": "fits", "1": "misfits"}.get(guess.question.split("What does ")[-1][:1])}.get(
            guess.about
        )

    write(folder / "odd.csv", [{"text": f"{row['a']} {n}", "mark": n % 2} for n, row in enumerate(rows_of("summary"))])
    outcome = api.init_folder(folder, ask=ask)
    assert task(folder, "odd").spec.answer.options == ("fits", "misfits")
    assert {guess.about for guess in questions} >= {"options"}
    assert not {about.about for one in outcome.tasks for about in one.unsure}


def test_a_table_of_which_no_task_can_be_made_is_told_and_the_others_go_on(openflan, folder):
    write(folder / "numbers.csv", [{"x": n, "y": n * 1.5} for n in range(40)])
    (folder / "torn.jsonl").write_text("{", encoding="utf-8")
    code, out, _ = openflan("init", folder, "--yes")
    assert code == 0
    assert "numbers.csv: no task was made" in out
    assert "torn.jsonl: no task was made" in out
    assert "malformed JSON" in out


def test_what_is_seen_in_the_rows_is_a_line_that_says_what_was_done(openflan, folder):
    rows = [
        {"text": f"{row['a']} {n}", "team": ["parts", "money", "people"][n % 3], "firm": "Acme"}
        for n, row in enumerate(rows_of("summary"))
    ]
    rows[3]["text"] += " Write to ada@kites.example.org."
    rows[4]["text"] += " My card is 4111 1111 1111 1111."
    rows[5]["text"] += " My order is 4111 1111 1111 1112."
    rows[7]["team"] = "moon"
    path = write(folder / "desk.csv", rows)
    with path.open("a", encoding="utf-8") as file:
        file.write("one cell too many,a,b,c\n")
    code, out, _ = openflan("init", folder, "--yes")
    assert code == 0
    assert "text: 1 of 60 rows hold what looks like an e-mail address; it is masked" in out
    assert "text: 1 of 60 rows hold what looks like a card number; it is masked" in out
    assert "'moon' stands in one row alone" in out
    assert "desk.csv: 1 lines can't be read and are left out; line 62" in out
    assert "firm: the same in every row: 'Acme'" in (folder / "README.md").read_text(encoding="utf-8")
    texts = [
        row.fields["text"] for role in ("train", "validation", "test") for row in load_rows(task(folder, "desk"), role)
    ]
    assert any("Write to [e-mail]." in text for text in texts)
    assert any("My card is [card number]." in text for text in texts)
    assert any("4111 1111 1111 1112" in text for text in texts)
    assert openflan("tasks", "check", "--folder", folder / "tasks")[0] == 0


def test_many_labels_are_sampled_with_the_right_one_among_them(openflan, folder):
    rows = [
        {"said": f"{row['a']} {n}", "intent": f"intent of {n % 30:02}"} for n, row in enumerate(rows_of("summary", 240))
    ]
    write(folder / "intents.csv", rows)
    openflan("init", folder, "--yes", "--quiet")
    assert task(folder, "intents").spec.answer.sample == 12
    shown = [api.Tasks([folder / "tasks"])["intents"].prompts(row=n)[0] for n in range(20)]
    assert all(len(prompt.answer.options) == 12 and prompt.target in prompt.answer.options for prompt in shown)
    assert len({prompt.answer.options for prompt in shown}) > 10
    again = api.Tasks([folder / "tasks"])["intents"].prompts(row=3)[0]
    assert again.input == shown[3].input


def test_several_labels_at_once_are_written_as_a_list(openflan, folder):
    tags = ["rain", "home", "kite", "market"]
    rows = [
        {"text": f"{row['a']} {n}", "tags": "; ".join(tags[: 1 + n % 4])} for n, row in enumerate(rows_of("summary"))
    ]
    write(folder / "tagged.csv", rows)
    openflan("init", folder, "--yes", "--quiet")
    spec = task(folder, "tagged").spec
    assert (spec.columns["tags"], spec.answer.joined) == ({"separated": ";"}, ", ")
    targets = {api.Tasks([folder / "tasks"])["tagged"].prompts(row=n)[0].target for n in range(20)}
    assert "rain, home, kite" in targets


def test_numbers_on_a_scale_are_rounded_to_its_points(openflan, folder):
    pairs = [
        {"one": f"{row['b']} {n}", "other": f"{row['b'] if n % 3 else row['a']} {n}", "alike": round(n % 26 * 0.2, 1)}
        for n, row in enumerate(rows_of("summary", 120))
    ]
    write(folder / "alike.csv", pairs)
    openflan("init", folder, "--yes", "--quiet")
    answer = task(folder, "alike").spec.answer
    assert (answer.options, answer.nearest) == (("0", "1", "2", "3", "4", "5"), True)
    prompts = [api.Tasks([folder / "tasks"])["alike"].prompts(row=n)[0] for n in range(40)]
    assert all(prompt.target == str(round(prompt.fields["alike"])) for prompt in prompts)


def test_a_column_that_is_empty_in_some_rows_takes_its_line_with_it(openflan, folder):
    rows = [{**row, "hint": f"look {n} steps away" if n % 2 else ""} for n, row in enumerate(rows_of("candidates"))]
    write(folder / "quiz.csv", rows)
    openflan("init", folder, "--yes", "--quiet")
    task = api.Tasks([folder / "tasks"])["quiz"]
    for prompts in (task.prompts(row=n) for n in range(6)):
        hint = prompts[0].fields["hint"]
        asking = [prompt.input for prompt in prompts if not task.spec.templates[prompt.number].inverted]
        assert all((f"\nHint: {hint}" in text) if hint else ("Hint" not in text) for text in asking)


def workbook(path, sheets):
    book = openpyxl.Workbook()
    book.active.title = "about"
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for cells in (list(rows[0]), *(list(row.values()) for row in rows)):
            sheet.append(cells)
    book.save(path)


def test_each_sheet_of_a_workbook_is_a_table_and_sheets_named_by_roles_are_one(openflan, folder):
    workbook(folder / "desk.xlsx", {"Senses": rows_of("sense"), "Quiz": rows_of("candidates")})
    rows = rows_of("inference", 100)
    workbook(folder / "facts.xlsx", {"Train": rows[:80], "Test": rows[80:]})
    code, out, _ = openflan("init", folder, "--yes")
    assert (code, "desk_senses.yaml: word sense" in out, "desk_quiz.yaml: multiple choice" in out) == (0, True, True)
    assert task(folder, "desk_quiz").spec.source.sheet == "Quiz"
    texts = {role: {row.fields["a"] for row in load_rows(task(folder, "facts"), role)} for role in ("train", "test")}
    assert texts["test"] == {row["a"] for row in rows[80:]}
    assert texts["train"] < {row["a"] for row in rows[:80]}
    assert openflan("tasks", "check", "--folder", folder / "tasks")[0] == 0
    assert "was there already" in openflan("init", folder, "--yes")[1]
    code, _, err = openflan("tasks", "new", folder / "desk.xlsx")
    assert (code, "has 2 sheets with rows: 'Senses', 'Quiz'" in err) == (2, True)


def test_numbers_with_a_comma_before_their_decimals_are_numbers(openflan, folder):
    lines = ["links;rechts;naehe"]
    lines += [f"{row['b']} {n};{row['b'] if n % 3 else row['a']} {n};{n % 11 // 2},{n % 2 * 5}"
              for n, row in enumerate(rows_of("summary", 120))]  # fmt: skip
    (folder / "nah.csv").write_text("\n".join(lines), encoding="utf-8")
    openflan("init", folder, "--yes", "--quiet")
    spec = task(folder, "nah").spec
    assert (spec.source.decimal, spec.columns["naehe"], spec.answer.nearest) == (",", "float", True)
    assert {row.fields["naehe"] for row in load_rows(task(folder, "nah"), "train")} > {0.5, 4.5}


def test_a_list_of_objects_in_a_cell_is_read_as_lists(openflan, folder):
    rows = [
        {"asked": row["a"], "key": "abc"[row["c"]],
         "offers": [{"mark": mark, "text": text} for mark, text in zip("abc", row["b"], strict=True)]}
        for row in rows_of("choices in a cell", 80)
    ]  # fmt: skip
    write(folder / "offers.jsonl", rows)
    write(folder / "cells.csv", [{**row, "offers": json.dumps(row["offers"])} for row in rows])
    openflan("init", folder, "--yes", "--quiet")
    for name in ("offers", "cells"):
        answer = task(folder, name).spec.answer
        assert (answer.options_field, answer.keys_field) == ("offers.text", "offers.mark")
        prompt = api.Tasks([folder / "tasks"])[name].prompts(row=0)[0]
        assert prompt.target in {offer["text"] for row in rows for offer in row["offers"]}
    assert openflan("tasks", "check", "--folder", folder / "tasks")[0] == 0


def test_figures_in_groups_of_three_are_no_decimals():
    (column,) = columns_of([{"n": text} for text in ("1,200", "3,450", "12")], cells=True)
    assert (column.kind, column.decimal) == ("text", ".")


def test_columns_called_what_templates_call_something_else_are_told_from_it(openflan, folder):
    names = {"a": "asked", "b": "answer", "c": "row", "d": "options"}
    write(folder / "quiz.jsonl", [{names[key]: value for key, value in row.items()} for row in rows_of("candidates")])
    openflan("init", folder, "--yes", "--quiet")
    spec = task(folder, "quiz").spec
    assert (spec.description[:15], spec.answer.field) == ("Multiple choice", "options")
    prompts = api.Tasks([folder / "tasks"])["quiz"].prompts(row=0)
    match = next(prompt for prompt in prompts if prompt.input.startswith("Write a question to which the answer is"))
    assert match.answer.text in match.input
    assert match.target == match.fields["asked"]


def test_a_candidate_that_is_an_empty_text_in_some_rows_is_none_there(openflan, folder):
    rows = [{**row, "e": "a stone of wood" if n == 5 else ""} for n, row in enumerate(rows_of("candidates"))]
    write(
        folder / "quiz.jsonl",
        [{**row, "d": "ABC"[2 if n == 5 else "AB".index(row["d"])]} for n, row in enumerate(rows)],
    )
    openflan("init", folder, "--yes", "--quiet")
    assert {len(api.Tasks([folder / "tasks"])["quiz"].prompts(row=n)[0].answer.options) for n in range(20)} <= {2, 3}
    assert openflan("tasks", "check", "--folder", folder / "tasks")[0] == 0
