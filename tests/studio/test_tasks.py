"""Tasks in the studio: found, read by the page, seen under every template and as tokens, held out."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from html import unescape
from itertools import pairwise

import pytest

import openflan

PART = {"HX-Request": "true"}


def text(page):
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text)))


def names(page):
    return re.findall(r'<th scope="row(?:group)?"[^>]*><a href="/tasks/(\w+)">', page.text)


@pytest.fixture
def big(folder):
    """A task of 345,000 rows."""
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(f'{{"text": "Text number {number}.", "label": {number % 2}}}\n' for number in range(345_000))
    spec = {
        "name": "big",
        "cluster": "sentiment",
        "description": "Many rows.",
        "source": {"files": {"train": "rows.jsonl"}},
        "splits": {"train": "train"},
        "columns": {"text": "string", "label": {"classes": ["bad", "good"]}},
        "answer": {"field": "label", "options": ["bad", "good"]},
        "metrics": ["accuracy"],
        "templates": [{"input": "{{text}}\nIs it good?\n{{options}}"}, {"input": "{{answer}}:", "target": "{{text}}"}],
    }
    (folder / "big.yaml").write_text(json.dumps(spec), encoding="utf-8")
    return openflan.Tasks([folder])["big"]


def test_all_tasks_are_listed_and_the_address_says_what_is_shown(client):
    tasks = openflan.Tasks()
    assert sorted(names(client.get("/"))) == sorted(tasks)
    page = client.get("/?cluster=sentiment&kind=classification&collection=catalog")
    want = [
        task.name
        for task in tasks.select("catalog")
        if (task.cluster, task.spec.kind) == ("sentiment", "classification")
    ]
    assert sorted(names(page)) == want
    assert re.search(r'<option value="sentiment" selected>', page.text)


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("metric=rouge", lambda task: "rouge" in task.spec.metrics),
        ("licence=MIT", lambda task: task.spec.licence == "MIT"),
        ("licence=non-commercial", lambda task: task.spec.commercial_use is False),
        ("source=unseen", lambda task: bool(task.spec.unverified)),
        ("source=no+files", lambda task: "files" in task.spec.unverified),
        ("cluster=word_sense", lambda task: task.spec.subcluster == "word_sense"),
        ("q=squad", lambda task: "squad" in f"{task.name} {task.spec.description} {task.spec.lineage}".lower()),
    ],
)
def test_a_filter_lets_through_what_it_says(client, query, holds):
    tasks = openflan.Tasks()
    want = [name for name in tasks if holds(tasks[name])]
    assert want
    assert sorted(names(client.get(f"/?{query}"))) == sorted(want)


def test_nothing_found_is_said(client):
    assert "No task is all of this" in text(client.get("/?q=nothing-at-all"))


def test_a_task_says_where_it_comes_from(client):
    page, spec = client.get("/tasks/rte"), openflan.Tasks()["rte"].spec
    for words in (spec.description, spec.source.hub, spec.splits["train"], spec.licence, "10 templates, 1 inverted"):
        assert words in text(page)
    assert openflan.Tasks()["rte"].source_rows()[0].fields["hypothesis"] in text(page)
    assert "These are the task's twin" in text(page)


def test_rows_far_in_a_large_file_are_a_page_as_any(client, big):
    first = client.get("/tasks/big")
    assert "Rows 0 to 49" in text(first)
    assert "345,000" in text(client.get("/tasks/big/count?split=train"))
    page = client.get("/tasks/big?start=344980")
    assert "Rows 344,980 to 344,999 of 345,000" in text(page)
    assert "Text number 344999." in text(page)
    assert 'rel="next"' not in page.text
    assert "There is no row 345,000" in text(client.get("/tasks/big?start=345000"))
    assert "Text number 344998." in text(client.get("/tasks/big/row?row=344998"))
    assert "Text number 344998." in text(client.get("/template?task=big&template=1&row=344998"))


def test_rows_are_swapped_without_the_page_around(client, big):
    part = client.get("/tasks/big?start=100", headers={**PART, "HX-Target": "rows"})
    assert "<html" not in part.text
    assert "Text number 149." in part.text


def test_a_class_has_its_name_beside_its_number(client, big):
    assert re.search(r'<div class="clip">1</div><span class="note">good</span>', client.get("/tasks/big").text)


def test_a_row_is_shown_under_every_template(client):
    task = openflan.Tasks()["rte"]
    page = client.get("/tasks/rte/row?row=2")
    shown = text(page)
    for prompt in task.prompts(2):
        assert re.sub(r"\s+", "", prompt.input) in re.sub(r"\s+", "", shown)
        place = prompt.number
        assert f"/template?task=rte&amp;template={place + 1}&amp;row=2" in page.text
        assert f"/ask?task=rte&amp;row=2&amp;template={place}" in page.text
    turned = [place for place, template in enumerate(task.spec.templates) if template.inverted]
    marked = re.findall(r'id="template-(\d+)" class="under turned"', page.text)
    assert [int(place) for place in marked] == turned


def test_what_is_masked_and_what_is_learnt_stand_apart(client):
    prompt = openflan.Tasks()["rte"].prompts(0)[0]
    page = unescape(client.get("/tasks/rte/row?row=0").text)
    learnt = re.findall(r'<div class="learnt"><p class="part">learnt</p><pre tabindex="0">(.*?)</pre>', page, re.DOTALL)
    assert learnt[0] == prompt.target
    masked = re.findall(r'<div class="masked">.*?<pre tabindex="0">(.*?)</pre>', page, re.DOTALL)
    assert re.sub(r"</?mark[^>]*>", "", masked[0]) == prompt.input
    assert f'<mark class="own">{prompt.fields["premise"]}</mark>' in masked[0]


def test_markers_of_options_are_drawn_as_a_mixture_would(client):
    task = openflan.Tasks()["rte"]
    style = openflan.StylePart(option_markers="random")
    row = task.source_rows()[0]
    seen = set()
    for key in range(8):
        prompt = task.show_row(row, style=style, key=key).prompts[0]
        page = client.get(f"/tasks/rte/row?row=0&markers=random&draw={key}")
        assert re.sub(r"\s+", "", prompt.input) in re.sub(r"\s+", "", text(page))
        seen.add(prompt.target)
    assert len(seen) > 1


def test_a_template_that_does_not_fit_the_row_says_when_it_does(client, folder, big):
    content = json.loads((folder / "big.yaml").read_text(encoding="utf-8"))
    content["templates"][1]["when"] = "label == 1"
    (folder / "big.yaml").write_text(json.dumps(content), encoding="utf-8")
    assert "Not for this row: only where label == 1" in text(client.get("/tasks/big/row?row=0"))
    assert "Not for this row" not in text(client.get("/tasks/big/row?row=1"))


def test_tokens_show_where_the_target_starts_and_what_is_cut(client, folder, big):
    read = openflan.PromptReader().read(big.prompts(0)[0])
    part = client.get("/tasks/big/tokens?row=0&template=0").text
    assert part.count('<span class="token ') == len(read.tokens)
    before, _, after = part.partition('<span class="starts">target starts</span>')
    assert before.count('<span class="token ') == read.target_start
    assert " cut" not in part
    assert "learnt" in after
    assert 'learnt"' not in before
    long = json.loads((folder / "big.yaml").read_text(encoding="utf-8"))
    long["templates"][0]["input"] = "{{text}} " + "word " * 400
    (folder / "big.yaml").write_text(json.dumps(long), encoding="utf-8")
    page = client.get("/tasks/big/row?row=0&tokens=1&template=0")
    assert re.search(r"Input: \d+ of 256 tokens, \d+ too many", text(page))
    assert page.text.count('<span class="token input">') <= 256
    assert '<span class="token input cut">' in page.text


def test_only_known_tokenizers_are_read(client, tmp_path):
    assert client.get(f"/tasks/rte/tokens?row=0&template=0&model={tmp_path}").status_code == 422


def test_what_leaves_with_a_held_out_cluster_is_drawn_and_tabled_with_each_reason(client):
    tasks = openflan.Tasks()
    division = openflan.hold_out(tasks.select("catalog"), ["natural_language_inference"], kin="paper")
    assert division.condemned
    page = client.get("/hold-out?cluster=natural_language_inference")
    assert sorted(names(page)) == sorted(
        [entry.spec.name for entry in division.held_out] + [one.entry.spec.name for one in division.condemned]
    )
    edges = re.findall(r'<g class="reason (\w+)"><text[^>]*>(.*?)</text>', page.text)
    shared = [one for one in division.reasons if one.rule == "corpus"]
    assert sorted(reason for kind, reason in edges if kind == "shared") == sorted(
        f"text: {one.descent.corpus}" for one in shared
    )
    assert [reason for kind, reason in edges if kind == "kin"] == ["rule: close kin"]
    reasons = re.findall(r'<td class="text">(shared corpus: \w+)', page.text)
    assert sorted(reasons) == sorted(one.words for one in shared)
    assert f"{len(division.tuned)} of {len(tasks.select('catalog'))} are tuned on" in text(page)


def test_no_two_edges_of_the_drawing_end_at_one_place_nor_cross_a_box(client):
    page = client.get("/hold-out?cluster=reading_comprehension_with_commonsense&cluster=summarization&of=all").text
    boxes = [
        (float(x), float(y), float(height))
        for x, y, height in re.findall(r'<rect x="(\d+)" y="([\d.]+)" width="\d+" height="(\d+)"', page)
    ]
    drawn = re.findall(r'<path d="M(\d+) [^"]* ([\d.]+)H([\d.]+)" marker', page)
    ends = [(float(y), float(to)) for _, y, to in drawn]
    assert len(ends) >= 16
    assert len({*ends}) == len(ends)
    for start, y, to in drawn:
        assert not any(float(start) < x < float(to) and top <= float(y) <= top + height for x, top, height in boxes)


@pytest.mark.parametrize("cluster", [*openflan.Tasks().clusters, *openflan.Tasks().subclusters])
@pytest.mark.parametrize("of", ["catalog", "all"])
def test_every_cluster_can_be_held_out(client, cluster, of):
    page = client.get(f"/hold-out?cluster={cluster}&of={of}")
    assert page.status_code == 200
    boxes = re.findall(r'<rect x="(\d+)" y="([\d.]+)" width="\d+" height="(\d+)"', page.text)
    places = sorted((int(x), float(y), float(y) + int(height)) for x, y, height in boxes)
    assert all(a[0] != b[0] or a[2] < b[1] for a, b in pairwise(places))  # none over another


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("/tasks/nothing", "no task 'nothing'"),
        ("/tasks/rte?split=dev", "no split 'dev'"),
        ("/tasks/rte?start=-1", "no whole number"),
        ("/tasks/rte/row?row=99999", "the twin has"),
        ("/tasks/rte/row?row=x", "no whole number"),
        ("/tasks/rte/row?markers=stars", "no markers 'stars'"),
        ("/tasks/rte/tokens?row=0&template=99", "does not fit the row"),
        ("/hold-out?cluster=nothing", "no cluster 'nothing'"),
        ("/hold-out?of=nothing", "no tasks 'nothing'"),
    ],
)
def test_what_there_is_not_is_said_in_a_line(client, address, what):
    page = client.get(address)
    assert page.status_code == 422
    assert what in text(page)


def test_rows_that_are_missing_leave_the_task_to_be_read(client, folder, big):
    (folder / "rows.jsonl").unlink()
    page = client.get("/tasks/big")
    assert (page.status_code, "no such file" in text(page), "Many rows." in text(page)) == (200, True, True)


def test_a_folder_of_data_lets_twins_stand_in(client_of, tmp_path):
    (tmp_path / "data" / "cola").mkdir(parents=True)
    line = {"sentence": "A line of mine.", "label": 1, "idx": 0}
    (tmp_path / "data" / "cola" / "train.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    client = client_of(data=str(tmp_path / "data"))
    assert "These are the task's twin" in text(client.get("/tasks/rte"))


def test_markup_in_a_row_stays_text(client, folder, big):
    with (folder / "rows.jsonl").open("r+", encoding="utf-8") as file:
        file.write('{"text": "<script>x</script>", "label": 1}')
    for address in ("/tasks/big", "/tasks/big/row?row=0", "/tasks/big/tokens?row=0&template=0"):
        assert "<script>x" not in client.get(address).text


def test_pages_come_soon(client, big):
    """The limits are the product's; what is measured is a tenth of them."""
    client.get("/")
    for address in (
        "/",
        "/tasks/big",
        "/tasks/big?start=300000",
        "/tasks/big/row?row=300000",
        "/hold-out?cluster=sentiment",
    ):
        start = time.process_time()
        assert client.get(address).status_code == 200
        assert time.process_time() - start < 0.5, address


def test_the_first_page_comes_soon_after_the_start(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    command = [sys.executable, "-m", "openflan", "studio", "--port", str(port), "--runs", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        while True:
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode()
                break
            except OSError:
                assert server.poll() is None
                assert time.perf_counter() - start < 20
                time.sleep(0.02)
        took = time.perf_counter() - start
    finally:
        server.terminate()
        server.wait(10)
    assert "Reading comprehension" in page or "reading comprehension" in page
    assert took < 3
