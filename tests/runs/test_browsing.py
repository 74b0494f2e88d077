"""Answers to look at, page by page, held against a plain look at all of them; a model asked what it was asked."""

from collections import defaultdict

import pytest

import openflan
from openflan.errors import UserError
from openflan.evaluation.answer_files import read_answers
from openflan.evaluation.answered import Answered
from openflan.evaluation.calibration import option_probabilities
from openflan.prompts.render import BASELINE
from openflan.report.examples import choose_examples


@pytest.fixture(scope="module")
def run(looked_at):
    return looked_at[0]


@pytest.fixture(scope="module")
def stored(run) -> dict[str, list[Answered]]:
    """Answers to test rows by model, task by task in the order of the files."""
    return {
        model: [
            answer
            for path in sorted(run.places.answers(model).glob("*.parquet"))
            for answer in read_answers(path)
            if answer.split == "test"
        ]
        for model in run.places.asked
    }


def key(answer):
    template = answer.template
    return answer.task, answer.row, None if template == BASELINE else template, answer.turn


def expected(stored, show, model="seed-0"):
    """What a page of everything should hold, by a plain look."""
    answers, before = stored[model], {key(one): one for one in stored["untuned"]}
    match show:
        case "wrong":
            return [one for one in answers if one.value < 0.5]
        case "lost":
            return [one for one in answers if before[key(one)].value >= 0.5 > one.value]
        case "gained":
            return [one for one in answers if before[key(one)].value < 0.5 <= one.value]
        case "disagree":
            by_row = defaultdict(set)
            for one in answers:
                if one.template != BASELINE:
                    by_row[one.task, one.row, one.turn].add(one.answer if one.kind == "ranked" else one.value >= 0.5)
            return [one for one in answers if len(by_row.get((one.task, one.row, one.turn), ())) > 1]
        case "unsure":
            ranked = [one for one in answers if one.kind == "ranked"]
            best = {key(one): sorted(option_probabilities(one, "sum"))[-2:] for one in ranked}
            unsure = [one for one in ranked if best[key(one)][1] - best[key(one)][0] < openflan.UNSURE]
            return sorted(unsure, key=lambda one: best[key(one)][1] - best[key(one)][0])
    return answers


@pytest.mark.parametrize("show", ["all", "wrong", "unsure", "disagree", "lost", "gained"])
def test_a_kind_of_answers_is_what_a_look_at_all_finds(run, stored, show):
    page = openflan.browse_answers(run, model="seed-0", show=show, limit=10_000)
    wanted = expected(stored, show)
    assert page.total == len(wanted) == len(page.answers)
    if show == "unsure":
        assert [max(o.probability for o in one.options) for one in page.answers] == pytest.approx(
            [max(option_probabilities(one, "sum")) for one in wanted], abs=1e-3
        )
    assert {key(one) for one in page.answers} == {key(one) for one in wanted}
    by_key = {key(one): one for one in page.answers}
    for one in wanted:
        shown = by_key[key(one)]
        assert (shown.prompt, shown.answer, shown.expected, shown.value) == (
            one.prompt,
            one.answer,
            one.expected,
            one.value,
        )
        assert [option.probability for option in shown.options] == pytest.approx(option_probabilities(one, "sum"))
        assert [option.text for option in shown.options if option.right] == [one.options[place] for place in one.gold]


def test_lost_and_gained_are_the_page_s_newly_wrong_and_newly_right(run, stored):
    examples = choose_examples(stored["untuned"], stored["seed-0"], score="sum")
    tally = defaultdict(int)
    for cluster in examples:
        for kind, count in cluster.tally.items():
            tally[kind] += count
    ranked = {one.task for one in stored["seed-0"] if one.kind == "ranked"}
    for show, kind in (("lost", "newly wrong"), ("gained", "newly right")):
        page = openflan.browse_answers(run, model="seed-0", show=show)
        assert sum(count for task, count in page.by_task.items() if task in ranked) == tally[kind]


def test_pages_follow_each_other_without_gap(run):
    whole = openflan.browse_answers(run, model="seed-0", limit=100)
    pages = [openflan.browse_answers(run, model="seed-0", start=start, limit=7) for start in range(0, 100, 7)]
    assert [one for page in pages for one in page.answers][:100] == list(whole.answers)
    assert {page.total for page in pages} == {whole.total}


def test_task_template_and_row_narrow_it(run, stored):
    task = "does_it_follow"
    page = openflan.browse_answers(run, model="seed-0", task=task, limit=1_000)
    assert page.total == page.by_task[task] == sum(one.task == task for one in stored["seed-0"])
    row, template = page.answers[0].row, page.templates[-1]
    (one,) = openflan.browse_answers(run, model="seed-0", task=task, row=row, template=template).answers
    assert (one.row, one.template) == (row, template)
    assert one.untuned is not None
    assert one.untuned.prompt == one.prompt
    baseline = openflan.browse_answers(run, task=task, template=-1).answers
    assert {one.template for one in baseline} <= {None}


def test_a_tuned_model_s_answers_follow_another_score_of_the_recipe(run, stored):
    """Answers that were decided by another normalisation are decided anew, as the report does."""
    recipe = run.places.recipe
    text = recipe.read_text(encoding="utf-8")
    try:
        recipe.write_text(text.replace("score: sum", "score: mean_token"), encoding="utf-8")
        wrong = openflan.browse_answers(run, model="seed-0", show="wrong", limit=10_000)
        table = run.answers(0, score="mean_token")
    finally:
        recipe.write_text(text, encoding="utf-8")
    assert "score: sum" in text
    test = table[table["split"] == "test"]
    assert wrong.total == int((test["value"] < 0.5).sum())


def test_what_is_not_there_is_said(run, tmp_path):
    with pytest.raises(UserError, match="did you mean 'wrong'"):
        openflan.browse_answers(run, show="wrng")
    with pytest.raises(UserError, match="what tuning changed"):
        openflan.browse_answers(run, show="lost")
    with pytest.raises(UserError, match="no answers of 'seed-7'"):
        openflan.browse_answers(run, model="seed-7")
    with pytest.raises(UserError, match="no answers to 'does_it'"):
        openflan.browse_answers(run, task="does_it")


def test_a_model_that_is_asked_a_stored_prompt_says_what_was_stored(run):
    """Both models, in the text format of the run."""
    page = openflan.browse_answers(run, model="seed-0", task="does_it_follow", limit=3)
    for name, answers in (("untuned", [one.untuned for one in page.answers]), (0, page.answers)):
        model = run.model(name)
        for one in answers:
            ranked = model.rank(one.prompt, [option.text for option in one.options], listed=False)
            probabilities = dict(zip(ranked.options, ranked.probabilities, strict=True))
            assert [probabilities[option.text] for option in one.options] == pytest.approx(
                [option.probability for option in one.options], abs=1e-4
            )


def test_the_tokens_that_a_model_reads_say_the_prompt(run):
    model = run.model()
    read = model.tokens("Is it ☃ or not?", ["yes", "no"], text="Snow fell.")
    assert len(read.ids) == len(read.texts)
    assert "".join(read.texts).replace(" ", "").lower().endswith("options:\n-yes\n-no") or "yes" in "".join(read.texts)
    assert (read.cut, read.limit) == (False, 128)
    assert model.tokens("word " * 500).cut


def test_figures_are_drawn_one_at_a_time(run):
    plots = openflan.RunPlots(run)
    loss = plots.loss()
    assert loss is not None
    assert loss.wide.startswith("<svg")
    assert loss.data.text.splitlines()[0] == "seed,last_step,mean_loss,lowest_step,highest_step"
    assert plots.task_loss() is not None
    scores = plots.scores()
    assert scores is not None
    assert scores.data.text == (run.places.figures / "clusters.csv").read_text(encoding="utf-8")
