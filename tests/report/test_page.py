"""The page, as its reader meets it."""

import base64
import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import yaml
from synthetic_run import SUITE, Task, leakage, make_material

from openflan.evaluation.task_results import BestOnValidation
from openflan.recipes.recipe import Recipe
from openflan.report.numbers import points, span
from openflan.report.page import ReportMaterial, RunFigures, render_page
from openflan.report.plot_data import PlotData, write_plot_data


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
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.ids += [attributes["id"]] if attributes.get("id") else []
        self.addresses += [value or "" for name, value in attrs if name.split(":")[-1] in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.text += data
            if "tr" in self.open:
                self.rows[-1] += data

    def row(self, start: str) -> str:
        return next(row for row in (" ".join(row.split()) for row in self.rows) if row.startswith(start))


def figures_of(page: str) -> list[dict[str, str | None]]:
    return [attributes for tag, attributes in Reader(page).tags if tag == "svg"]


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


OWN = [
    replace(SUITE[3], name="ticket_mood", own=True),
    replace(SUITE[7], name="gist_of_call", cluster="summarization", own=True),
]


@pytest.fixture(scope="module")
def own_material() -> ReportMaterial:
    return make_material([*SUITE, *OWN], rows=40)


@pytest.fixture(scope="module")
def own_page(own_material) -> str:
    return render_page(own_material)


def test_own_tasks_come_first_by_name_against_the_untuned_models_best_prompt(own_material, own_page):
    mood = next(one for one in own_material.results.verdict.own if one.task == "ticket_mood")
    reader = Reader(own_page)
    text = " ".join(reader.text.split())
    scores = f"ticket_mood scores {100 * mood.tuned:.1f} tuned against {100 * mood.base:.1f} untuned"
    assert text.index("On test rows of their own, " + scores) < text.index("Held out of tuning, natural") < 1_000
    assert text.index("Held out is no kind of task of your own.") < text.index("Your own tasks, on test rows")
    row, gist = reader.row("ticket_mood sentiment"), reader.row("gist_of_call summarization")
    assert f"template {mood.best_prompt}; mean {100 * mood.base_templates:.1f}" in row
    assert mood.base > mood.base_templates
    assert "tuned on" in row
    assert "gain – – 40 6" in gist


def test_an_own_task_whose_test_rows_stand_in_its_training_rows_says_so_beside_its_score(own_material, own_page):
    spoilt = replace(own_material, leakage=leakage([*SUITE, *OWN], stale=7))
    assert "7 of 40 rows share text with its training rows" in Reader(render_page(spoilt)).row("ticket_mood sentiment")
    assert "rows share text" not in Reader(own_page).row("ticket_mood sentiment")


def test_a_page_without_own_tasks_does_not_speak_of_them(page):
    assert "own tasks" not in Reader(page).text


def test_tuned_clusters_that_own_tasks_alone_measure_are_not_told_twice():
    text = Reader(render_page(make_material([*SUITE[:3], *OWN], rows=40))).text
    assert "Seen: " not in text[text.index("cluster by cluster") : text.index("Task by task, over")]


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
    row = next(row for row in Reader(page).rows if row.strip().startswith("what_had") and "accuracy" in row)
    tuned = [spread.mean for name, spread in task.models.items() if name != "untuned"]
    assert f"{100 * task.models['untuned'].mean:.1f} ± {100 * task.models['untuned'].std:.1f}" in row
    assert f"{100 * sum(tuned) / len(tuned):.1f} ±" in row


def test_form_and_judgement_stand_beside_each_other_for_ranked_clusters(page, material):
    read = Reader(page)
    caption = read.text.index("Form and judgement")
    assert caption < read.text.index("Task by task, over templates")
    verdict = next(v for v in material.results.verdict.held_out if v.cluster == "paraphrase")
    area = verdict.measures["auc"]
    cells = page[page.index('id="table-measures-held-out"') :]
    row = cells[cells.index("paraphrase") :].partition("</tr>")[0]
    assert f"{points(area.untuned)} → " in row
    assert points(area.tuned) in row
    assert span(area.gain_ci95, sign=True) in row
    assert f"right: {points(verdict.first_right)}" in row
    assert "translation" not in cells[cells.index('id="table-measures-seen"') :].partition("</table>")[0]


def test_generated_tasks_name_their_metrics_and_claim_no_chance(page):
    row = Reader(page).row("retell")
    assert row.startswith("retell rouge, 60 × 6 bleu ")
    assert row.endswith("– –")


def test_markup_in_data_is_shown_not_obeyed(material):
    evil = "<script>alert(1)</script><img src=http://example.org/x.png>"
    options = {"options": (evil, evil + "2"), "scores": (-1.0, -2.0), "option_tokens": (1, 1)}
    spoilt = {
        model: [replace(a, prompt=evil, answer=evil, expected=evil, **options) for a in own if a.kind == "ranked"]
        for model, own in material.examples.items()
    }
    results = material.results.model_copy(update={"machine": {"cpu": evil}, "name": evil})
    page = render_page(replace(material, examples=spoilt, results=results))
    reader = Reader(page)
    assert not [tag for tag, _ in reader.tags if tag in ("script", "img")]
    assert evil in reader.text


def test_a_task_shows_interval_gain_and_the_template_that_validation_rows_choose(material):
    task = next(task for task in material.results.tasks if task.task == "follows")
    assert task.gain is not None
    best = BestOnValidation(template=2, score=0.625, validation_score=0.7, validation_rows=40)
    models = {name: m.model_copy(update={"best_on_validation": best}) for name, m in task.models.items()}
    chosen = [t.model_copy(update={"models": models}) if t.task == "follows" else t for t in material.results.tasks]
    page = render_page(replace(material, results=material.results.model_copy(update={"tasks": chosen})))
    row = Reader(page).row("follows accuracy")
    low, high = task.gain.tuned_ci95
    assert f"{100 * task.gain.tuned:.1f} ± " in row
    assert f"{100 * low:.1f} to {100 * high:.1f}" in row
    assert "62.5 → 62.5" in row


def test_options_carry_each_models_probability(page):
    assert re.search(r"○ </span>73 %", page)  # scores of -1 and -2: 1 / (1 + 1/e)
    assert re.search(r'class="tuned" style="--p: 26.9%">', page)


def test_reliability_is_told_for_untuned_and_tuned_on_held_out_and_seen_clusters(page):
    rows = [row.split() for row in Reader(page).rows]
    lines = [row for row in rows if row[:1] in (["untuned"], ["tuned"]) and len(row) == 5]
    assert [row[0] for row in lines] == ["untuned", "tuned"] * 2
    probability, right, error = map(float, lines[0][1:4])
    assert (probability, error) == (pytest.approx(67.4, abs=6), pytest.approx(abs(probability - right), abs=6))
    assert "calibration error" in next(f["aria-label"] for f in figures_of(page) if "probability" in f["aria-label"])


def test_every_tuned_task_has_its_loss(page, material):
    label = next(
        attributes["aria-label"]
        for attributes in figures_of(page)
        if "loss of each task" in (attributes["aria-label"] or "")
    )
    assert [name for name in material.results.tuned_tasks if f"{name} " in label] == material.results.tuned_tasks


def test_the_certificate_names_what_was_hit_and_by_what(page):
    row = [row.split() for row in Reader(page).rows if row.split()[:1] == ["contradicts"]][-1]
    assert row == ["contradicts", "60", "40", "20", "0", "1", "1", "0", "retell", "(3)"]


def test_a_leaking_mixture_is_told_in_the_first_sentence(material):
    page = render_page(replace(material, leakage=leakage(SUITE, dirty=2)))
    assert "the tuning set is leaking (6 of 180 held-out items stand in it)" in page.partition("</h1>")[2][:900]
    assert "This mixture keeps such rows" in page


def test_rows_of_tuned_clusters_are_called_fresh_only_where_none_stands_in_training(page, material):
    assert "Seen: fresh rows of tuned clusters" in page
    stale = render_page(replace(material, leakage=leakage(SUITE, stale=4)))
    assert "fresh rows" not in stale
    assert "Not fresh: 24 of 360 test rows of tuned tasks share a text" in stale
    row = next(row.split() for row in reversed(Reader(stale).rows) if row.split()[:1] == ["retell"])
    assert row == ["retell", "60", "40", "20", "0", "4", "1", "4", "–"]


def test_what_could_not_be_compared_is_told_with_its_share(material):
    page = render_page(replace(material, leakage=leakage(SUITE, uncompared=5)))
    first = page.partition("</h1>")[2][:900]
    assert "the tuning set is clean as far as it could be compared (not 15 of 180 items (8.3%; no text: 15)" in first
    assert "fresh rows" not in page


def test_cost_is_told_by_stage_and_energy_where_it_is_known(page):
    reader = Reader(page)
    assert (
        reader.row("training seed-0")
        == "training seed-0 3 min 25 s 3,240,000 tokens 15,805 1,300 MB device 2,100 MB 15.0 Wh"
    )
    assert reader.row("mixture 12").endswith("512 MB –")
    assert reader.row("In all").endswith("17.5 Wh")


def test_it_says_how_to_repeat_the_run(page, material):
    commands = re.search(r'<pre class="commands">(.*?)</pre>', page, re.DOTALL)
    assert commands is not None
    assert commands[1].splitlines() == [
        "pip install openflan==0.1.0 torch==2.13.0 transformers==5.20.1",
        "openflan run starter.yaml",
    ]
    address = re.search(r'download="starter.yaml" href="data:application/yaml;charset=utf-8;base64,([^"]+)"', page)
    assert address is not None
    recipe = yaml.safe_load(base64.b64decode(address[1]))
    assert Recipe.model_validate_json(json.dumps(recipe)).model_dump(mode="json") == material.results.recipe


def test_every_figure_has_its_numbers_as_csv_in_the_page_and_beside_it(material, page, tmp_path):
    figures = RunFigures(material)
    write_plot_data(tmp_path / "report", figures.data)
    files = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "report").iterdir()}
    assert set(files) == {
        "clusters.csv",
        "loss.csv",
        "loss-by-task.csv",
        "measures.csv",
        "reliability.csv",
        "templates.csv",
    }
    links = dict(re.findall(r'download="([\w-]+\.csv)" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page))
    assert {name: base64.b64decode(text).decode() for name, text in links.items()} == files
    rows = list(csv.DictReader(io.StringIO(files["clusters.csv"])))
    first = material.results.verdict.held_out[0]
    assert [row["cluster"] for row in rows][:2] == ["natural_language_inference", "paraphrase"]
    assert float(rows[0]["gain_high"]) == pytest.approx(first.gain_ci95[1], abs=1e-5)


def test_files_of_figures_that_are_gone_are_removed(tmp_path):
    old = PlotData(name="old", columns=("a",), rows=[(1,), (None,), (float("nan"),)])
    write_plot_data(tmp_path, [old])
    assert (tmp_path / "old.csv").read_text() == 'a\n1\n""\n""\n'
    write_plot_data(tmp_path, [replace(old, name="new")])
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_nothing_is_fetched_and_no_script_runs(page):
    reader = Reader(page)
    assert {address[:5] for address in reader.addresses if not address.startswith("#")} == {"data:"}
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", page)
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    policy = next(
        attributes["content"] for tag, attributes in reader.tags if tag == "meta" and "http-equiv" in attributes
    )
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
    figures = [attributes for tag, attributes in reader.tags if tag == "svg"]
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    assert "paraphrase 5" in figures[0]["aria-label"]
    assert "no gain shown" in figures[0]["aria-label"]
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("table") == tags.count("caption")
    assert all("scope" in attributes for tag, attributes in reader.tags if tag == "th")


def test_the_same_material_gives_the_same_bytes(page):
    assert render_page(make_material()) == page


def test_a_page_stays_small_enough_to_send(page):
    assert len(page.encode()) < 1_000_000


HELD = [task for task in SUITE if task.role == "held_out"]
SEEN = [task for task in SUITE if task.role == "seen"]


@pytest.mark.parametrize(
    ("suite", "settings", "sentence"),
    [
        (SEEN, {}, "No held-out cluster was measured: nothing on this page is zero-shot."),
        (HELD, {}, "Not measured in this run (evaluation.seen_rows is 0)."),
        ([replace(SEEN[-1], role="held_out")], {"seeds": [7]}, "Held out of tuning: summarization."),
        (SUITE, {"rows": 1, "templates": 1, "seeds": [0]}, "1 × 1"),
        ([], {}, "No cluster was held out of tuning."),
    ],
    ids=["nothing held out", "nothing seen", "generated by one seed", "one of all", "no tasks"],
)
def test_small_and_lopsided_runs_have_a_page(suite, settings, sentence):
    text = " ".join(Reader(render_page(make_material(suite, **settings))).text.split())
    assert sentence in text


def test_a_run_without_log_or_answers_says_so(material):
    text = Reader(render_page(replace(material, metrics={0: []}, examples={}))).text
    assert "No training log was kept." in text
    assert "No answers were kept." in text


def test_long_prompts_lose_their_middle_and_say_how_much(material):
    long = {
        model: [replace(answer, prompt=f"begin {'x' * 5_000} end") for answer in own]
        for model, own in material.examples.items()
    }
    text = Reader(render_page(replace(material, examples=long))).text
    assert "characters left out" in text
    assert "x" * 2_000 not in text


def test_the_leak_certificate_and_active_errata_stand_at_the_top():
    material = make_material()
    changes = {"certificate": "Clean: none of 9 held-out items shares a text.", "errata": ["ascii_lower_case"]}
    page = render_page(replace(material, results=material.results.model_copy(update=changes)))
    head = page.partition("</header>")[0]
    assert "Leak certificate: Clean: none of 9 held-out items shares a text." in head
    assert "released code: ascii lower case." in head


def test_the_page_counts_answers_to_be_read_with_care(material):
    from openflan.report.sections import doubts

    assert doubts(material.results) == ""
    task = material.results.tasks[0]
    models = {name: spread.model_copy(update={"close": 2, "cut": 3}) for name, spread in task.models.items()}
    results = material.results.model_copy(update={"tasks": [task.model_copy(update={"models": models})]})
    line = f"answers {2 * len(models)} were decided within bfloat16's noise, {3 * len(models)} were to prompts too long"
    assert line in doubts(results)
    assert "within bfloat16&#39;s noise" in render_page(replace(material, results=results))
