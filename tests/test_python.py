"""openflan as a researcher calls it: runs, models, mixtures, tasks and evaluations as objects and data frames."""

import json
import shutil

import pytest

import openflan

SMALL = {
    "name": "small",
    "tasks.use": ["mine"],
    "tasks.hold_out": ["natural_language_inference"],
    "prompts.max_input_tokens": 128,
    "prompts.max_target_tokens": 32,
    "training.steps": 3,
    "training.tokens_per_batch": 512,
    "evaluation.rows": 4,
    "evaluation.seen_rows": 0,
    "evaluation.validation_rows": 0,
    "evaluation.bootstrap": 100,
    "evaluation.baseline": False,
    "seeds": [1],
}


@pytest.fixture(scope="module")
def settings(my_tasks, tiny_llama):
    return {**SMALL, "tasks.folders": [str(my_tasks)], "model.path": str(tiny_llama)}


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    """A run that is through. Don't write to it."""
    run = openflan.Run("starter", settings=settings, runs=tmp_path_factory.mktemp("runs"))
    run.measure()
    return run


def test_settings_are_a_mapping_or_lines(settings, tmp_path):
    lines = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    assert openflan.Run("starter", settings=lines).recipe == openflan.Run("starter", settings=settings).recipe
    assert openflan.Run(openflan.Run("starter", settings=settings).recipe).recipe.name == "small"


def test_a_run_that_is_named_writes_nothing(settings, tmp_path):
    run = openflan.Run("starter", settings=settings, runs=tmp_path / "runs")
    assert run.plan().mixture.totals.tasks == 3
    for ask in (lambda: run.results, run.losses, run.answers, lambda: run.mixture, run.model):
        with pytest.raises(openflan.UserError):
            ask()
    assert not (tmp_path / "runs").exists()


def test_a_run_goes_on_stage_by_stage(run, settings, tmp_path):
    again = openflan.Run("starter", settings=settings, runs=tmp_path)
    assert again.mix().table()["tokens"].sum() == run.mixture.ledger.tokens
    assert not (again.folder / "training").exists()
    assert again.tune()["loss"].tolist() == run.losses()["loss"].tolist()
    assert not again.work("training").worked


def test_a_run_is_opened_wherever_it_was_moved_but_goes_on_only_under_its_name(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "moved")
    moved = openflan.Run.open(tmp_path / "moved")
    assert moved.results == run.results
    assert moved.recipe == run.recipe
    with pytest.raises(openflan.UserError, match="renamed"):
        moved.measure()


def test_answers_are_those_that_the_results_are_made_of(run):
    answers = run.answers("untuned")
    score = {task.task: task.models["untuned"].mean for task in run.results.tasks}
    assert answers.groupby("task")["value"].mean().to_dict() == pytest.approx(score)
    with pytest.raises(openflan.UserError, match="there are those of untuned, seed-1"):
        run.answers(0)


def test_gains_are_the_verdict(run):
    gains = run.gains()
    assert gains["gain"].tolist() == pytest.approx((gains["tuned"] - gains["untuned"]).tolist())
    verdict = run.results.verdict
    assert list(gains.index) == [one.cluster for one in (*verdict.held_out, *verdict.seen)]
    own = run.gains("task")
    assert list(own.index) == ["cafe_review", "card_sentence", "colour_of", "does_it_follow", "same_meaning"]
    assert own.loc["same_meaning", "role"] == "held out"
    assert own["gain"].tolist() == pytest.approx([one.gain for one in verdict.own])


def test_a_model_ranks_as_its_evaluation_did(run):
    """An instruction is read as a prompt of the same text is: the same log-likelihoods, to rounding in float32."""
    answers = run.answers(1).query("kind == 'ranked' and template != 'baseline'")
    for answer in answers.iloc[:: max(1, len(answers) // 6)].itertuples():
        instruction, header, _ = answer.prompt.partition("\n\nOPTIONS:")
        if not header:
            continue
        ranked = run.model(1).rank(instruction, list(answer.options))
        assert dict(zip(ranked.options, ranked.logprobs, strict=True)) == pytest.approx(
            dict(zip(answer.options, answer.scores, strict=True)), abs=1e-4
        )
        assert ranked.best == answer.answer
        assert sum(ranked.probabilities) == pytest.approx(1)


def test_the_command_line_says_what_the_model_says(run, openflan):
    import openflan as face

    code, out, _ = openflan("ask", "--model", run.folder, "Is it warm?", "--options", "yes,no", "--json")
    ranked = face.Model(run.folder).rank("Is it warm?", ["yes", "no"])
    assert code == 0
    assert json.loads(out)["answer"] == ranked.best
    assert [one["probability"] for one in json.loads(out)["options"]] == pytest.approx(ranked.probabilities)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda model: model.rank("Is it warm?", ["yes"]), "two different options"),
        (lambda model: model.rank("Is it warm?", ["yes", " "]), "an option is empty"),
        (lambda model: model.rank("  ", ["yes", "no"]), "the instruction is empty"),
        (lambda model: model.answer(""), "the instruction is empty"),
    ],
)
def test_what_a_model_can_not_be_asked_is_one_line(run, ask, says):
    with pytest.raises(openflan.UserError, match=says):
        ask(openflan.Model(run.folder))


def test_a_seed_that_was_not_tuned_is_one_line(run):
    with pytest.raises(openflan.UserError, match="seed 7"):
        run.model(7)


def test_examples_stand_in_the_order_of_training(run):
    examples = run.mixture.examples()
    steps = examples.groupby("step")["tokens"].sum()
    assert steps.index.tolist() == [1, 2, 3]
    assert (steps <= 512).all()
    replayed = run.replay(2)
    assert [one.tokens for one in replayed] == examples.query("step == 2")["tokens"].tolist()
    assert all(one.same for one in replayed)
    first = replayed[0]
    assert 2 in [seen.step for seen in run.trace(first.task, first.row)]


def test_a_dataset_holds_the_same_prompts(run):
    assert len(run.mixture.dataset) >= len(run.mixture.examples())
    assert {"input_ids", "target_start", "task"} <= set(run.mixture.dataset.column_names)


def test_an_evaluation_is_compared_with_a_run(run, my_tasks, tiny_llama, tmp_path):
    few = {"evaluation.rows": 4, "evaluation.validation_rows": 0}
    kept = openflan.evaluate(tiny_llama, ["does_it_follow"], settings=few, folders=[my_tasks], out=tmp_path)
    assert kept.table().index.tolist() == ["does_it_follow"]
    assert len(kept.answers()) == kept.answers()["template"].nunique() * 4
    comparison = openflan.compare(kept, run)
    assert [task.task for task in comparison.tasks] == ["does_it_follow"]
    task = openflan.Tasks([my_tasks])["does_it_follow"]
    again = openflan.evaluate(openflan.Model(tiny_llama), [task], settings=few, out=tmp_path)
    assert again.folder == kept.folder
    assert again.tasks == kept.tasks


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"training.steps": 3}, "'training.steps' changes nothing here"),
        ({"evaluation.rowz": 3}, "did you mean 'rows'"),
        ({"evaluation.rows": 0}, "rows"),
    ],
)
def test_what_an_evaluation_can_not_be_told_is_one_line(my_tasks, tiny_llama, tmp_path, change, says):
    with pytest.raises(openflan.UserError, match=says):
        openflan.evaluate(tiny_llama, ["does_it_follow"], settings=change, folders=[my_tasks], out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_task_shows_its_rows_and_prompts(my_tasks):
    task = openflan.Tasks([my_tasks])["cafe_review"]
    rows = task.rows("test")
    prompt = task.prompts(row=2, split="test")[0]
    assert prompt.row == rows.index[2]
    assert prompt.fields == rows.iloc[2].to_dict()
    assert task.check().prompts > len(rows)
    with pytest.raises(openflan.UserError, match="12 rows"):
        task.prompts(row=99, split="test")
    with pytest.raises(openflan.UserError, match="no split 'dev'"):
        task.rows("dev")


def test_an_unknown_task_names_the_nearest(my_tasks):
    tasks = openflan.Tasks([my_tasks])
    assert "cafe_review" in tasks
    assert "cafe_revue" not in tasks
    with pytest.raises(openflan.UserError, match="did you mean 'cafe_review'"):
        tasks["cafe_revue"]
    assert set(tasks.table("mine").index) == {task.name for task in tasks.select("mine")}


def test_what_a_cell_ends_with_is_shown_in_a_line(run):
    mixture = run.mixture
    shown = (run, run.results, run.model(), run.plan(), mixture, mixture.ledger, mixture.lock, mixture.certificate)
    ranked = run.model().rank("Is it warm?", ["yes", "no"])
    for one in (*shown, ranked, openflan.Tasks(), openflan.compare(run, run), openflan.Study("clusters").forecast()):
        assert repr(one).startswith(type(one).__name__)
        assert len(repr(one).splitlines()) == 1
        assert len(repr(one)) < 400


def test_a_published_run_opens_as_a_model(run, tmp_path):
    published = run.publish(tmp_path / "whole")
    assert not published.hub
    assert openflan.Model(tmp_path / "whole").rank("Is it warm?", ["yes", "no"]) == run.model().rank(
        "Is it warm?", ["yes", "no"]
    )
    with pytest.raises(openflan.UserError, match="something already"):
        run.publish(tmp_path / "whole")
