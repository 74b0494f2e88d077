"""Writing a template in the studio: tried beside a row, told what is wrong, saved into the user's folder alone."""

import csv
import io
import re
from html import unescape

import pytest

import openflan

GOOD = "{{premise}}\r\n\r\nSo, is it true that {{hypothesis}}\r\n{{options}}"
PART = {"HX-Request": "true"}


def typed(**more):
    return {"task": "rte", "template": "2", "row": "0", "input": GOOD, "target": "{{answer}}", **more}


def text(page):
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text)))


def files(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_template_is_shown_with_the_row_under_it(client):
    page = client.get("/template?task=rte&template=2&row=1")
    prompt = openflan.Tasks()["rte"].prompts(1)[1]
    assert page.status_code == 200
    assert f'<pre class="prompt" tabindex="0">{prompt.input}</pre>' in unescape(page.text)
    assert "No faults on 10 rows" in text(page)


def test_what_is_typed_is_rendered_and_its_faults_are_those_of_the_check(client):
    page = client.post("/template/try", data=typed(), headers=PART)
    assert "So, is it true that" in text(page)
    assert "<html" not in page.text
    assert "'premis' is no field of task 'rte'" in text(
        client.post("/template/try", data=typed(input="{{premis}}"), headers=PART)
    )
    given_away = client.post("/template/try", data=typed(input="{{premise}} {{answer}}"), headers=PART)
    assert "the input gives the answer away outside its options" in text(given_away)


def test_what_is_too_like_another_template_is_warned_of(client):
    other = openflan.Tasks()["rte"].spec.templates[4].input
    page = client.post("/template/try", data=typed(input=f"{other} Well?"), headers=PART)
    assert "Nearly the same as template 5" in text(page)


def test_another_row_keeps_what_was_typed_without_javascript_too(client):
    page = client.post("/template/try", data=typed(step="1", input="Only {{hypothesis}}"))
    assert ">\nOnly {{hypothesis}}</textarea>" in unescape(page.text)
    assert openflan.Tasks()["rte"].source_rows()[1].fields["hypothesis"] in text(page)


def test_markup_in_a_template_stays_text(client):
    page = client.post("/template/try", data=typed(input="<script>alert(1)</script> {{hypothesis}}"))
    assert "<script>alert" not in page.text


def test_a_shipped_task_is_copied_and_the_change_is_told_before(client, folder):
    change = client.post("/template/change", data=typed(name="rte_mine"), headers=PART)
    assert "<ins>name: rte_mine</ins>" in change.text
    assert "So, is it true that" in text(change)
    assert files(folder) == []
    saved = client.post("/template/save", data=typed(name="rte_mine"), follow_redirects=False)
    assert (saved.status_code, saved.headers["location"].split("&")[0]) == (303, "/template?task=rte_mine")
    assert files(folder) == ["rte_mine.twin.jsonl", "rte_mine.yaml"]
    task = openflan.Tasks([folder])["rte_mine"]
    assert task.spec.templates[1].input == GOOD.replace("\r\n", "\n")
    assert task.check().faults == []
    assert "Written: rte_mine.yaml" in text(client.get(saved.headers["location"]))


def test_a_template_is_added_and_taken_out_again(client, folder):
    client.post("/template/save", data=typed(name="rte_mine"))
    client.post("/template/save", data=typed(task="rte_mine", template="new", input="Now {{premise}} {{hypothesis}}"))
    assert len(openflan.Tasks([folder])["rte_mine"].spec.templates) == 11
    client.post("/template/remove", data={"task": "rte_mine", "template": "11"})
    assert len(openflan.Tasks([folder])["rte_mine"].spec.templates) == 10


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"input": "{{premis}}"}, "no field of task"),
        ({"name": "../rte"}, "is no name of a task"),
        ({"name": "cola"}, "already"),
        ({"task": "nothing"}, "no task 'nothing'"),
        ({"template": "99"}, "has no template 99"),
        ({"row": "x"}, "no whole number"),
    ],
)
def test_what_can_not_be_saved_is_one_line_and_nothing_is_written(client, folder, change, what):
    page = client.post("/template/save", data=typed(**change))
    assert (page.status_code, what in text(page)) == (422, True)
    assert files(folder) == []


def test_without_a_folder_nothing_is_written(reading_client):
    page = reading_client.post("/template/save", data=typed())
    assert (page.status_code, "--folder" in text(page)) == (422, True)


def table():
    rows = [
        {"question": f"{ask} {name} {thing}?", "kind": kind}
        for kind, ask in (("place", "Where is the lamp that"), ("person", "Who took the cup of"), ("time", "When came"))
        for name in ("Ada", "Ben", "Cleo", "Dan")
        for thing in ("at the market", "by the river", "in the hall", "with the rug")
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["question", "kind"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def uploaded(client, name="../kinds of.csv"):
    sent = client.post("/new", files={"table": (name, table())}, follow_redirects=False)
    assert sent.status_code == 303
    return sent.headers["location"].partition("upload=")[2]


def test_a_table_becomes_a_task_of_the_folder(client, folder):
    upload = uploaded(client)
    page = client.get(f"/new?upload={upload}")
    assert "48 rows" in text(page)
    assert files(folder) == []
    saved = client.post(
        "/new/save", data={"upload": upload, "name": "kinds", "cluster": "misc"}, follow_redirects=False
    )
    assert saved.headers["location"] == "/template?task=kinds&saved=1"
    assert files(folder) == ["kinds.yaml", "kinds_of.csv"]
    task = openflan.Tasks([folder])["kinds"]
    assert (task.cluster, task.check().faults) == ("misc", [])
    assert not list((folder / ".openflan-uploads").iterdir())


def test_questions_are_fields_and_their_answers_are_taken(client, folder):
    story = "Ada walked to the market with her dog and met Ben, who sold her a lamp that had no wick, number"
    rows = "".join(f'"{story} {n}.",{n % 2}\n' for n in range(30))
    sent = client.post("/new", files={"table": ("odd.csv", "text,mark\n" + rows)}, follow_redirects=False)
    upload = sent.headers["location"].partition("upload=")[2]
    page = client.get(f"/new?upload={upload}")
    fields = re.findall(r'<label for="(said-\w+)">What does (\d)', page.text)
    assert [value for _, value in fields] == ["0", "1"]
    replies = {name: word for (name, _), word in zip(fields, ("fits", "misfits"), strict=True)}
    again = client.post("/new/draft", data={"upload": upload, **replies})
    assert all(f'value="{word}"' in again.text for word in replies.values())
    wrong = client.post("/new/draft", data={"upload": upload, **dict.fromkeys(replies, "fits")})
    assert "that is another value's word" in text(wrong)
    client.post("/new/save", data={"upload": upload, **replies})
    assert openflan.Tasks([folder])["odd"].spec.answer.options == ("fits", "misfits")


def test_a_task_of_another_ones_name_and_a_table_that_is_gone_are_refused(client, folder):
    upload = uploaded(client)
    page = client.post("/new/save", data={"upload": upload, "name": "rte"})
    assert (page.status_code, "there is a task 'rte' already" in text(page)) == (422, True)
    assert files(folder) == []
    for name in ("0" * 16, "../../etc", ""):
        page = client.post("/new/save", data={"upload": name})
        assert (page.status_code, "upload it again" in text(page)) == (422, True)


def test_what_is_no_table_is_refused_with_one_line(client, folder):
    sent = client.post("/new", files={"table": ("notes.txt", "hello")}, follow_redirects=False)
    page = client.get(sent.headers["location"])
    assert ('role="alert"' in page.text, "Write the task" in page.text) == (True, False)
    assert str(folder) not in page.text
    assert files(folder) == []
