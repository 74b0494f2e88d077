"""Asking in the studio: two models beside each other, what they read, and what is kept of it."""

import json
import re
import shutil
import time
from html import unescape

import pytest

import openflan
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.text_format import read_text_format
from openflan.studio.asking import AskedOnce, Asker, Session


def page_of(client, **fields):
    """The page of a question once it is answered."""
    page = client.post("/ask", data={"sent": "1", **fields})
    for _ in range(300):
        if "hx-trigger" not in page.text.partition('id="reply"')[2].partition(">")[0]:
            return page
        time.sleep(0.1)
        page = client.get(page.url)
    raise AssertionError("no answer")


def probabilities(page) -> list[dict[str, str]]:
    """By side, what stands beside each option."""
    tables = re.findall(r'<table class="options">.*?</table>', page.text, re.DOTALL)
    cell = r'<th scope="row">(.*?)(?: <em.*?)?</th><td>.*?</svg>([\d.]+) %</td>'
    return [{unescape(option): share for option, share in re.findall(cell, table)} for table in tables]


def test_untuned_and_tuned_answer_beside_each_other(here, run):
    options = ["yes", "no", "it is <b>open"]
    page = page_of(
        here, run=run.folder.name, instruction="Did it snow?", text="A cold day.", options="\r\n".join(options)
    )
    for name, shown in zip(("untuned", 0), probabilities(page), strict=True):
        ranked = run.model(name).rank("Did it snow?", options, text="A cold day.")
        wanted = dict(zip(ranked.options, ranked.probabilities, strict=True))
        assert {option: float(share) for option, share in shown.items()} == pytest.approx(
            {option: 100 * share for option, share in wanted.items()}, abs=0.06
        )
    assert "tokens read, of 128 at most" in page.text


def test_a_stored_prompt_asked_again_says_what_was_stored(here, run):
    answer = openflan.browse_answers(run, model="seed-0", task="does_it_follow", limit=1).answers[0]
    address = {"run": run.folder.name, "task": answer.task, "row": answer.row, "template": answer.template, "stored": 1}
    form = here.get("/ask", params=address)
    assert answer.prompt in unescape(form.text)
    options = "\n".join(option.text for option in answer.options)
    page = page_of(here, run=run.folder.name, instruction=answer.prompt, options=options, expected=answer.expected)
    for shown, stored in zip(probabilities(page), (answer.untuned, answer), strict=True):
        assert {o: float(s) for o, s in shown.items()} == pytest.approx(
            {option.text: 100 * option.probability for option in stored.options}, abs=0.06
        )


def test_a_row_s_prompt_is_at_a_click(here):
    prompt = openflan.Tasks()["rte"].prompts(0)[1]
    page = unescape(here.get("/ask", params={"task": "rte", "row": 0, "template": prompt.template}).text)
    assert prompt.input in page
    assert "\n".join(prompt.answer.options) in page
    assert here.get("/ask", params={"task": "rte", "row": 0, "template": 999}).status_code == 422
    assert here.get("/ask", params={"task": "no_such", "row": 0}).status_code == 422


def token_ids(page) -> list[list[int]]:
    """By side, the tokens that were read."""
    read = re.findall(r'<p class="tokens">(.*?)</p>', page.text, re.DOTALL)
    return [[int(token) for token in re.findall(r'title="(\d+)"', one)] for one in read]


def test_too_long_a_row_s_prompt_is_cut_as_an_evaluation_cuts_it(here, run):
    prompt = openflan.Tasks()["bool_q"].prompts(0)[0]
    read = openflan.PromptReader(run.folder).read(prompt)
    kept = [token.id for token in read.tokens[: read.target_start] if not token.cut]
    assert len(kept) < read.input_tokens
    form = here.get("/ask", params={"task": "bool_q", "row": 0, "template": prompt.template}).text
    hidden = dict(re.findall(r'<input type="hidden" name="(task|row|split)" value="(\w+)">', form))
    assert hidden == {"task": "bool_q", "row": "0", "split": "train"}
    typed = {"run": run.folder.name, "instruction": prompt.input, "options": "\n".join(prompt.answer.options)}
    page = page_of(here, **typed, **hidden)
    assert token_ids(page) == [kept, kept]
    lost = unescape(re.search(r"at the end of the row&#39;s longest field: <q>(.*?)</q>", page.text, re.DOTALL)[1])
    assert prompt.fields["passage"].endswith(lost.strip().split(" ", 1)[1])
    other = page_of(here, **typed)
    assert "No row is known that this was made from, so its middle was cut" in other.text
    assert token_ids(other) != token_ids(page)


def test_a_tuned_model_s_tokenizer_is_read_without_transformers(run, tmp_path):
    """What its record says is what transformers would make of its files; another tokenizer is left to them."""
    folder = openflan.RunPlaces(run.folder).model(0)
    record = read_text_format(folder)
    encoder = TextEncoder.recorded(folder, record.prompts, record)
    assert encoder.fingerprint == record.encoder
    other = shutil.copytree(folder, tmp_path / "other")
    tokenizer = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["normalizer"] = {"type": "Lowercase"}
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    assert TextEncoder.recorded(other, record.prompts, record) is None
    (other / "tokenizer.json").write_text("{", encoding="utf-8")
    assert TextEncoder.recorded(other, record.prompts, record) is None


def test_the_row_of_a_stored_answer_is_read_as_the_run_read_it(run):
    answer = openflan.browse_answers(run, model="seed-0", task="does_it_follow", limit=1).answers[0]
    fields = openflan.run_row(run.folder, answer.task, answer.row)
    assert any(isinstance(value, str) and value in answer.prompt for value in fields.values())
    with pytest.raises(openflan.UserError, match="no row 999999"):
        openflan.run_row(run.folder, answer.task, 999_999)


def test_without_options_a_model_writes(here, run):
    page = page_of(here, run=run.folder.name, instruction="Name a colour.", most_tokens="3")
    assert page.text.count('<p class="written">') == 2


def test_what_is_wrong_with_a_question_stands_where_the_reply_would(here, run):
    for fields, words in (
        ({"instruction": " "}, "the instruction is empty"),
        ({"instruction": "Is it?", "options": "yes"}, "two different options"),
        ({"instruction": "Is it?", "run": "none"}, "no model 'none'"),
        ({"instruction": "x" * 100_001}, "100,000 characters"),
    ):
        page = here.post("/ask", data={"sent": "1", "run": run.folder.name, **fields})
        assert page.status_code == 422
        assert words in unescape(page.text).partition('id="reply"')[2]
    assert here.get("/ask/99").status_code == 422


def test_what_was_asked_is_downloaded_as_rows(client_of, run, folder):
    client = client_of(runs=run.folder.parent)
    for text in ("It snowed.", "It rained."):
        page_of(client, run=run.folder.name, instruction="Snow?", text=text, options="yes\nno", expected="yes")
    page = client.get("/ask/session.jsonl")
    assert "attachment" in page.headers["content-disposition"]
    rows = [json.loads(line) for line in page.text.splitlines()]
    assert [(row["text"], row["answer"], row["options"]) for row in rows] == [
        ("It snowed.", "yes", ["yes", "no"]),
        ("It rained.", "yes", ["yes", "no"]),
    ]
    assert set(rows[0]) == {"instruction", "text", "options", "answer", "untuned", "tuned, seed 0"}
    (file,) = (folder / "asked").iterdir()
    assert file.read_text(encoding="utf-8") == page.text
    assert not openflan.holds_tables(folder)


def test_a_studio_that_may_not_write_keeps_it_in_memory(reading_client):
    assert reading_client.get("/ask/session.jsonl").text == ""
    assert "0 asked in this session" in reading_client.get("/ask").text


class Echo:
    """A model that says its name."""

    def __init__(self, name):
        self.name = name

    def tokens(self, instruction, options=(), *, text="", fields=()):
        return openflan.PromptTokens(ids=(1,), texts=(instruction,), cut=False, limit=9)

    def answer(self, instruction, *, text="", max_new_tokens=0, fields=()):
        return self.name


def test_two_models_at_most_stay_in_memory_and_each_is_loaded_once():
    loads = []

    def loader(name):
        return (name,), lambda: loads.append(name) or Echo(name)

    asker = Asker(Session(None))

    def ask(*names):
        reply = asker.ask(AskedOnce(instruction="?"), {name: loader(name) for name in names})
        while not reply.done:
            time.sleep(0.001)
        return [side.best for side in reply.sides]

    assert ask("a", "b") == ["a", "b"]
    assert ask("b", "a") == ["b", "a"]
    assert loads == ["a", "b"]
    assert ask("a", "c") == ["a", "c"]
    assert sorted(asker.loaded) == ["a", "c"]
    assert loads == ["a", "b", "c"]


def test_a_fault_of_a_model_is_said_and_the_next_question_is_answered():
    asker = Asker(Session(None))

    def broken():
        raise openflan.UserError("no such model", where="x")

    first = asker.ask(AskedOnce(instruction="?"), {"x": (("x",), broken)})
    second = asker.ask(AskedOnce(instruction="?"), {"y": (("y",), lambda: Echo("y"))})
    while not second.done:
        time.sleep(0.001)
    assert (first.done, first.fault, second.sides[0].best) == (True, "x: no such model", "y")
