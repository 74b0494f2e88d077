"""Measuring any model, comparing two, deciding anew."""

import json
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def measured(openflan, tiny_llama, my_tasks, tmp_path):
    """Measures a model on two tasks; returns its folder and what was printed."""

    def measure(model: Path = tiny_llama, *more: object) -> tuple[Path, dict]:
        tasks = ["--tasks", "does_it_follow,cafe_review", "--folder", my_tasks, "--rows", 5]
        code, out, err = openflan("eval", "--model", model, *tasks, "--out", tmp_path / "out", "--json", *more)
        assert code == 0, err
        results = json.loads(out)
        return Path(results["folder"]), results

    return measure


def test_any_model_is_measured_without_a_recipe(measured):
    folder, results = measured()
    assert json.loads((folder / "results.json").read_text()) == {k: v for k, v in results.items() if k != "folder"}
    assert [task["task"] for task in results["tasks"]] == ["does_it_follow", "cafe_review"]
    spread = results["tasks"][0]["models"]["model"]
    assert spread["min"] <= spread["median"] <= spread["max"]
    assert len(spread["by_template"]) == 3
    assert results["kind"] == "evaluation"


def test_settings_change_what_is_asked_and_where_it_is_kept(measured, tiny_llama):
    plain, results = measured()
    hidden, _ = measured(tiny_llama, "--options", "hidden")
    few, two = measured(tiny_llama, "--templates", 2)
    assert len({plain, hidden, few}) == 3
    assert len(two["tasks"][0]["models"]["model"]["by_template"]) == 2
    score, other = measured(tiny_llama, "--score", "pmi")
    assert score == plain  # the same answers
    assert other["settings"]["score"] == "pmi"
    assert other["model_hash"] == results["model_hash"]


def test_two_models_are_compared(measured, model_folder, openflan):
    one, _ = measured()
    two, _ = measured(model_folder("qwen2"))
    code, out, _ = openflan("compare", one, two, "--json", "--samples", 100)
    comparison = json.loads(out)
    assert code == 0
    assert [task["n_rows"] for task in comparison["tasks"]] == [5, 5]
    assert all(task["p"] <= task["p_holm"] <= 1 for task in comparison["tasks"])
    code, out, _ = openflan("compare", one, two, "--samples", 100)
    assert code == 0
    assert "does_it_follow" in out
    assert "p (Holm)" in out


def test_stored_answers_are_decided_anew(measured, openflan):
    folder, results = measured()
    code, out, _ = openflan("rescore", folder, "--json")
    assert code == 0
    assert json.loads(out)["tasks"] == results["tasks"]
    code, out, _ = openflan("rescore", folder, "--score", "per_character")
    assert code == 0
    assert "cafe_review" in out


def test_a_task_file_is_measured_where_it_lies(openflan, my_tasks, tiny_llama, tmp_path):
    where = ["--tasks", my_tasks / "cafe_review.yaml", "--out", tmp_path, "--rows", 2]
    code, out, _ = openflan("eval", "--model", tiny_llama, *where)
    assert code == 0
    assert out.startswith("cafe_review")


def test_a_baseline_stands_beside_the_mean_and_validation_rows_choose(openflan, my_tasks, tiny_llama, tmp_path):
    spec = yaml.safe_load((my_tasks / "cafe_review.yaml").read_text())
    files = {split: str(my_tasks / place) for split, place in spec["source"]["files"].items()}
    spec |= {
        "source": {"files": files},
        "splits": {"train": "train[:-8]", "validation": "train[-8:]", "test": "test"},
        "baseline": {"input": "{{text}} It was"},
    }
    (tmp_path / "cafe_review.yaml").write_text(yaml.safe_dump(spec))
    where = ["--tasks", tmp_path / "cafe_review.yaml", "--out", tmp_path, "--rows", 6, "--baseline", "--json"]
    code, out, err = openflan("eval", "--model", tiny_llama, *where)
    assert code == 0, err
    spread = json.loads(out)["tasks"][0]["models"]["model"]
    best = spread["best_on_validation"]
    assert best["validation_rows"] == 6
    assert best["score"] == spread["by_template"][str(best["template"])]
    assert 0 <= spread["baseline"] <= 1
    assert spread["answers"] == 6 * len(spread["by_template"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tasks", "does_it_folow"], "did you mean 'does_it_follow'?"),
        (["--tasks", "does_it_follow", "--templates", "some"], "templates"),
        (["--tasks", "does_it_follow", "--score", "summ"], "score"),
        (["--tasks", "does_it_follow", "--set", "x=1"], "'x' changes nothing here"),
        (["--tasks", "nowhere.yaml"], "nowhere.yaml"),
        ([], "--model needs --tasks"),
    ],
)
def test_what_can_not_be_asked_is_one_line(openflan, my_tasks, tiny_llama, tmp_path, arguments, says):
    code, _, err = openflan("eval", "--model", tiny_llama, "--folder", my_tasks, "--out", tmp_path / "o", *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert says in err
    assert not (tmp_path / "o").exists()


def test_settings_of_a_model_do_not_go_with_a_recipe(openflan, tmp_path):
    code, _, err = openflan("eval", "starter", "--rows", 3, "--out", tmp_path)
    assert code == 2
    assert "--set evaluation.rows" in err


def test_what_can_not_be_compared_is_one_line(measured, openflan, tmp_path):
    folder, _ = measured()
    for other, says in ((tmp_path / "nowhere", "no such folder"), (tmp_path, "no answers there")):
        code, _, err = openflan("compare", folder, other)
        assert (code, err.count("\n")) == (2, 1)
        assert says in err
    code, _, err = openflan("compare", folder, folder, "--score", "pim")
    assert code == 2
    assert "did you mean 'pmi'" in err


def test_solved_examples_stand_before_each_question(measured, tiny_llama):
    import pyarrow.parquet as pq

    def prompts(folder):
        return pq.read_table(folder / "cafe_review.parquet")["prompt"].to_pylist()

    zero, _ = measured()
    two, results = measured(tiny_llama, "--shots", 2)
    assert zero != two
    assert results["prompts"]["shots"] == 2
    for bare, solved in zip(prompts(zero), prompts(two), strict=True):
        assert solved.endswith(bare)
        assert len(solved) > 1.5 * len(bare)


def test_any_setting_of_evaluation_and_prompts_can_be_set(measured, tiny_llama, openflan, my_tasks, tmp_path):
    folder, results = measured(tiny_llama, "--set", "evaluation.beams=3", "--set", "evaluation.max_new_tokens=4")
    assert (results["settings"]["beams"], results["settings"]["max_new_tokens"]) == (3, 4)
    assert measured(tiny_llama, "--set", "prompts.max_input_tokens=96")[0] != folder
    where = ("--folder", my_tasks, "--out", tmp_path / "o", "--tasks", "cafe_review")
    for setting, says in (("evaluation.beam=2", "did you mean 'beams'?"), ("prompts.shots=99", "shots is 99")):
        code, _, err = openflan("eval", "--model", tiny_llama, *where, "--set", setting)
        assert (code, err.count("\n")) == (2, 1)
        assert says in err


def test_the_same_rows_are_asked_under_either_name_of_the_limit(measured, tiny_llama):
    assert measured(tiny_llama, "--limit", 3)[1]["tasks"] == measured(tiny_llama, "--rows", 3)[1]["tasks"]


def test_an_encoder_decoder_is_measured_and_signatures_are_recorded(openflan, my_tasks, model_folder, tmp_path):
    where = ("--folder", my_tasks, "--out", tmp_path, "--rows", 2, "--set", "evaluation.max_new_tokens=3", "--json")
    code, out, err = openflan("eval", "--model", model_folder("t5"), "--tasks", "cafe_review,card_sentence", *where)
    assert code == 0, err
    signatures = {task["task"]: task["signatures"] for task in json.loads(out)["tasks"]}
    assert signatures["cafe_review"] == {}
    assert "tok:intl|smooth:exp|version:" in signatures["card_sentence"]["bleu"]


def test_two_models_have_a_page(measured, model_folder, openflan, tmp_path):
    one, _ = measured()
    two, _ = measured(model_folder("qwen2"))
    ask = ["report", "--compare", one, two, "--samples", 100, "--out", tmp_path / "pages"]
    code, out, err = openflan(*ask, "--json")
    assert code == 0, err
    comparison = json.loads(out)
    folder = Path(comparison.pop("folder"))
    assert json.loads((folder / "comparison.json").read_text(encoding="utf-8")) == comparison
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "does_it_follow" in page
    assert one.name in page
    assert {path.name for path in (folder / "report").iterdir()} == {"differences.csv", "reliability.csv"}
    code, out, _ = openflan(*ask)
    assert code == 0
    assert out.splitlines()[-1] == f"report   {folder / 'report.html'}"
    assert (folder / "report.html").read_text(encoding="utf-8") == page


def test_what_has_no_page_is_one_line(measured, openflan, tmp_path):
    folder, _ = measured()
    for arguments, says in (
        ([], "name a run or study folder, or two to compare"),
        ([folder, "--compare", folder, folder], "name a run or study folder, or two to compare"),
        ([folder, "--out", tmp_path], "--out, --score and --samples belong to --compare"),
        ([folder], "not a run or study folder (no recipe.yaml, no study.json)"),
        (["--compare", folder, tmp_path / "nowhere"], "no such folder"),
        (["--compare", folder, folder, "--score", "pim"], "did you mean 'pmi'"),
    ):
        code, _, err = openflan("report", *arguments)
        assert (code, err.count("\n")) == (2, 1), err
        assert says in err
