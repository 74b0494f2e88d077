"""The page, as its reader meets it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from synthetic_run import SUITE, Task, make_material

from openflan.report.page import ReportMaterial, render_page


class Reader(HTMLParser):
    """Text by table row, addresses, identifiers, headings and what is never closed."""

    VOID = frozenset({"meta", "link", "br", "wbr", "path", "use", "rect", "hr", "img", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append("")
        elif tag in ("th", "td", "span") and self.rows:
            self.rows[-1] += " "

    def handle_startendtag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if found.get("id") else []
        self.addresses += [value or "" for name, value in attrs if name.split(":")[-1] in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.text += data
            if "tr" in self.open:
                self.rows[-1] += data

    def row(self, start: str) -> str:
        return next(" ".join(row.split()) for row in self.rows if row.strip().startswith(start))


@pytest.fixture(scope="module")
def page(material: ReportMaterial) -> str:
    return render_page(material)


def test_it_opens_with_the_verdict_and_what_was_tuned_and_held_out(page, material):
    text = " ".join(Reader(page).text.split())
    first = material.results.verdict.held_out[0]
    scores = f"{100 * first.tuned:.1f} tuned against {100 * first.base:.1f} untuned"
    assert text.index(f"Held out of tuning, natural language inference scores {scores}") < 200
    assert text.index("the tuning set is clean.") < text.index("Tuned: starter, for 400 steps") < 500
    assert "Held out of tuning: natural language inference and paraphrase." in text


def test_held_out_clusters_come_before_the_tuned_ones(page):
    text = Reader(page).text
    assert text.index("Held out: never tuned on") < text.index("Seen: fresh rows of tuned clusters")


def test_a_cluster_without_gain_says_so_and_is_not_coloured_as_a_win(page):
    reader = Reader(page)
    assert "no gain shown" in reader.row("paraphrase")
    assert "no gain shown" not in reader.row("sentiment")
    cell = re.search(r'<td class="number (\w+)">[^<]*<span[^<]*</span><span class="note words">no gain shown', page)
    assert cell is not None
    assert cell[1] == "none"


def test_a_cluster_that_got_worse_says_so():
    suite = [Task(name="who_is_it", cluster="coreference", role="held_out", untuned=0.9, tuned=0.3), SUITE[3]]
    assert "worse 50.0 not beaten 50.0 not beaten 60 6" in Reader(render_page(make_material(suite))).row("coreference")


def test_a_gain_that_stays_at_chance_is_marked():
    suite = [Task(name="who_is_it", cluster="coreference", role="held_out", untuned=0.2, tuned=0.5), SUITE[3]]
    row = Reader(render_page(make_material(suite))).row("coreference")
    assert " gain 50.0 not beaten 50.0 not beaten" in row


def test_numbers_are_points_with_interval_and_every_seeds_gain(page, material):
    verdict = material.results.verdict.seen[2]
    row = Reader(page).row(verdict.cluster)
    assert f"{100 * verdict.tuned:.1f}" in row
    assert f"{100 * verdict.tuned_ci95[0]:.1f} to {100 * verdict.tuned_ci95[1]:.1f}" in row
    assert row.endswith(" · ".join(f"+{100 * seed.gain:.1f}" for seed in verdict.by_seed))


def test_a_task_shows_its_spread_over_templates_averaged_over_seeds(page, material):
    task = next(task for task in material.results.tasks if task.task == "what_had")
    row = Reader(page).row("what_had")
    tuned = [spread.mean for name, spread in task.models.items() if name != "untuned"]
    assert f"{100 * task.models['untuned'].mean:.1f} ± {100 * task.models['untuned'].std:.1f}" in row
    assert f"{100 * sum(tuned) / len(tuned):.1f} ±" in row


def test_generated_tasks_name_their_metrics_and_claim_no_chance(page):
    row = Reader(page).row("retell")
    assert row.startswith("retell rouge, 60 × 6 bleu ")
    assert row.endswith("– –")


def test_markup_in_data_is_shown_not_obeyed(material):
    evil = "<script>alert(1)</script><img src=http://example.org/x.png>"
    options = {"options": (evil, evil + "2"), "scores": (-1.0, -2.0), "option_tokens": (1, 1)}
    spoilt = {
        model: [replace(a, prompt=evil, answer=evil, expected=evil, **options) for a in held if a.kind == "ranked"]
        for model, held in material.examples.items()
    }
    results = material.results.model_copy(update={"machine": {"cpu": evil}, "name": evil})
    page = render_page(replace(material, examples=spoilt, results=results))
    reader = Reader(page)
    assert not [tag for tag, _ in reader.tags if tag in ("script", "img")]
    assert evil in reader.text


def test_nothing_is_fetched_and_no_script_runs(page):
    reader = Reader(page)
    assert {address[:5] for address in reader.addresses if not address.startswith("#")} == {"data:"}
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", page)
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    policy = next(found["content"] for tag, found in reader.tags if tag == "meta" and "http-equiv" in found)
    assert policy.startswith("default-src 'none'")


def test_the_document_is_sound(page):
    reader = Reader(page)
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    references = re.findall(r'(?:url\(#|href="#|aria-labelledby=")([^")]+)', page)
    assert set(references) <= set(reader.ids)
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_figures_speak_and_tables_have_captions(page):
    reader = Reader(page)
    figures = [found for tag, found in reader.tags if tag == "svg"]
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    assert "paraphrase 5" in figures[0]["aria-label"]
    assert "no gain shown" in figures[0]["aria-label"]
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("table") == tags.count("caption")
    assert all("scope" in found for tag, found in reader.tags if tag == "th")


def test_the_same_material_gives_the_same_bytes(page):
    assert render_page(make_material()) == page


def test_a_page_stays_small_enough_to_send(page):
    assert len(page.encode()) < 1_000_000


HELD = [task for task in SUITE if task.role == "held_out"]
SEEN = [task for task in SUITE if task.role == "seen"]


@pytest.mark.parametrize(
    ("suite", "settings", "told"),
    [
        (SEEN, {}, "No held-out cluster was measured: nothing on this page is zero-shot."),
        (HELD, {}, "Not measured in this run (evaluation.seen_rows is 0)."),
        ([replace(SEEN[-1], role="held_out")], {}, "Held out of tuning: summarization."),
        (SUITE, {"seeds": [7]}, "with seed 7."),
        (SUITE, {"templates": 1}, "60 × 1"),
        (SUITE, {"rows": 1, "templates": 1, "seeds": [0]}, "1 × 1"),
        ([], {}, "No cluster was held out of tuning."),
    ],
    ids=["nothing held out", "nothing seen", "generated only", "one seed", "one template", "one of all", "no tasks"],
)
def test_small_and_lopsided_runs_have_a_page(suite, settings, told):
    text = " ".join(Reader(render_page(make_material(suite, **settings))).text.split())
    assert told in text


def test_a_run_without_log_or_answers_says_so(material):
    text = Reader(render_page(replace(material, losses={0: []}, examples={}))).text
    assert "No training log was kept." in text
    assert "No answers were kept." in text


def test_long_prompts_lose_their_middle_and_say_how_much(material):
    long = {
        model: [replace(answer, prompt=f"begin {'x' * 5_000} end") for answer in held]
        for model, held in material.examples.items()
    }
    text = Reader(render_page(replace(material, examples=long))).text
    assert "characters left out" in text
    assert "x" * 2_000 not in text


def test_the_leak_certificate_and_active_errata_stand_at_the_top():
    material = make_material()
    said = {"certificate": "Clean: none of 9 held-out items shares a text.", "errata": ["ascii_lower_case"]}
    page = render_page(replace(material, results=material.results.model_copy(update=said)))
    head = page.partition("</header>")[0]
    assert "Leak certificate: Clean: none of 9 held-out items shares a text." in head
    assert "released code: ascii lower case." in head
