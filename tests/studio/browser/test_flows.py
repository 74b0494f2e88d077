"""The studio's ways from end to end, as a person goes them: on the starter, and on real rows where they are at hand."""

import json
import re

import pytest

import openflan
from processes import Command
from studio_windows import served

pytestmark = pytest.mark.slow  # a browser, and a run of the starter beside it: a minute or two each

LITTLE = (
    "seeds=[0]",
    "mixture.tasks_per_cluster=1",
    "mixture.rows_per_task=200",
    "training.steps=240",
    "training.tokens_per_batch=1024",
    "evaluation.tasks=[natural_language_inference]",
    "evaluation.rows=30",
    "evaluation.templates=3",
    "evaluation.validation_rows=0",
    "evaluation.seen_rows=0",
)


@pytest.fixture
def mine(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def test_a_run_is_watched_from_its_first_stage_to_its_verdict(visit, tmp_path):
    """Closing the page stops nothing: the run goes on in a process of its own."""
    runs = tmp_path / "runs"
    runs.mkdir()
    with served(openflan.StudioFolders(runs=runs)) as address:
        window = visit(address)
        page = window.go("/runs")
        page.get_by_text("There is no run yet").wait_for()
        settings = [word for setting in LITTLE for word in ("--set", setting)]
        run = Command("run", "starter", "--out", runs, "-q", *settings)
        page.locator(".state.tuning, .state.mixing").first.wait_for()  # the list asks for itself
        page.get_by_role("link", name=re.compile("starter-")).click()
        page.locator("#state .state.tuning").first.wait_for()
        page.get_by_text(re.compile(r"tuning seed-0, step \d+ of 240")).first.wait_for()
        page.locator("#figure-loss .live").wait_for()
        page.locator("#figure-task_loss svg:visible").wait_for()
        assert window.findings() == []
        page.locator("#state > p .state.done").wait_for(timeout=600_000)  # a bound: other work may share the cores
        assert run.wait() == 0
        page.reload()
        page.locator("#figure-scores svg:visible").wait_for()
        (status,) = openflan.list_runs(runs)
        page.get_by_text(status.sentence).wait_for()
        name = status.name
        page.get_by_role("link", name="Answers").click()
        for show in ("wrong", "unsure", "disagree", "lost", "gained", "all"):
            page.get_by_label("show").select_option(show)
            page.wait_for_url(f"**show={show}**")
            total = openflan.browse_answers(status.folder, model="seed-0", show=show).total
            page.locator("#answers > p", has_text=re.compile(f"^{total:,} ")).wait_for()
        page.get_by_role("link", name="After").click()
        page.wait_for_url("**start=20**")
        window.go(f"/compare?a={name}/evaluation/untuned&b={name}")
        page.locator("#comparison table").wait_for()


def test_a_template_is_written_beside_its_row_and_kept_in_the_user_s_folder(visit, mine, tmp_path):
    with served(openflan.StudioFolders(runs=tmp_path, folders=(mine,))) as address:
        window = visit(address)
        page = window.go("/template?task=rte&template=1&row=0")
        text = page.get_by_label("Input").input_value()
        page.get_by_label("Input").fill(text + "\nThink twice before {{nothing}}.")
        page.locator("#beside .faults", has_text="nothing").wait_for()
        page.get_by_label("Input").fill(text + "\nThink twice.")
        page.locator("#beside .prompt", has_text="Think twice.").wait_for()
        page.get_by_role("button", name="Show what changes").click()
        page.locator("#change ins", has_text="Think twice.").wait_for()
        assert window.findings() == []
        page.get_by_role("button", name="Save", exact=True).click()
        page.locator(".done").wait_for()
        tasks = openflan.Tasks([mine])
        assert "Think twice." in tasks["my_rte"].prompts(0)[0].input
        assert "Think twice." not in openflan.Tasks()["rte"].prompts(0)[0].input


def test_a_table_becomes_a_task(visit, mine, tmp_path):
    table = tmp_path / "reviews.csv"
    lines = [
        f"The {what} was {how}.,{'good' if how in ('warm', 'fresh') else 'bad'}"
        for what in ("soup", "bread", "tea", "cake", "fish", "salad", "pie", "jam")
        for how in ("warm", "fresh", "cold", "stale")
    ]
    table.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    with served(openflan.StudioFolders(runs=tmp_path, folders=(mine,))) as address:
        window = visit(address)
        page = window.go("/new")
        page.get_by_label(re.compile("^Table")).set_input_files(table)
        page.get_by_role("button", name="Look at it").click()
        page.get_by_role("heading", name="The task file").wait_for()
        assert window.findings() == []
        page.get_by_role("button", name="Write the task").click()
        page.wait_for_load_state()
    (name,) = set(openflan.Tasks([mine])) - set(openflan.Tasks())
    assert openflan.Tasks([mine])[name].prompts(0)


def test_a_mixture_follows_its_slider_and_becomes_a_recipe(visit, mine, tmp_path):
    with served(openflan.StudioFolders(runs=tmp_path, folders=(mine,))) as address:
        window = visit(address)
        page = window.go("/mixture?recipe=flan")
        before = page.locator("#plan .status").inner_text()
        page.get_by_role("checkbox", name="sentiment").check()
        page.wait_for_function("was => document.querySelector('#plan .status').innerText !== was", arg=before)
        page.get_by_role("slider").first.focus()
        page.keyboard.press("PageDown")
        page.wait_for_url("**/mixture?**")
        page.locator("#plan", has_text="Changed:").wait_for()
        assert window.findings() == []
        page.get_by_label("Name", exact=True).fill("smaller")
        page.get_by_role("button", name="Write the recipe").click()
        page.locator(".done").wait_for()
    recipe = openflan.Run(mine / "smaller.yaml").recipe
    assert "sentiment" in recipe.tasks.hold_out


def test_a_question_is_put_to_two_models_and_kept_as_rows(visit, looked_at, mine):
    run = looked_at[0]
    with served(openflan.StudioFolders(runs=run.folder.parent, folders=(mine,))) as address:
        window = visit(address, width=400, scheme="dark")
        page = window.go("/ask")
        page.get_by_label("Instruction", exact=True).fill("Is this review good or bad?")
        page.get_by_label(re.compile("^Input")).fill("The soup was cold.")
        page.get_by_label(re.compile("^Options")).fill("good\nbad")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator("#reply:not([hx-get]) table").first.wait_for()
        assert page.locator("#reply table").count() == 2
        page.locator("#reply summary").first.click()
        assert "soup" in page.locator("#reply .tokens").first.inner_text().replace("▁", "").replace(" ", "")
        assert window.findings() == []
        assert window.too_wide <= 0
        with page.expect_download() as loading:
            page.get_by_role("link", name="download them").click()
        (row,) = [json.loads(line) for line in loading.value.path().read_text(encoding="utf-8").splitlines()]
        assert (row["text"], row["options"]) == ("The soup was cold.", ["good", "bad"])
        page.get_by_label(re.compile("^Options")).fill("good")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator("#reply .fault", has_text="two different options").wait_for()
        window.messages[:] = [line for line in window.messages if "422" not in line]


def test_real_rows_are_shown_and_asked(visit, shared, looked_at, mine):
    """The way from a row to a prompt to an answer, on rows as they are published."""
    run = looked_at[0]
    folders = openflan.StudioFolders(runs=run.folder.parent, folders=(mine,), data=str(shared / "data"))
    prompt = openflan.Tasks()["rte"].prompts(3, data=shared / "data")[1]
    with served(folders) as address:
        window = visit(address)
        page = window.go("/template?task=rte&template=2&row=3&split=train")
        page.locator("#beside .prompt", has_text=str(prompt.fields["hypothesis"])).first.wait_for()
        assert window.findings() == []
        window.go("/tasks/rte?split=train")
        page.get_by_text(str(prompt.fields["hypothesis"])[:40]).first.wait_for()
        window.go("/tasks/rte/row?split=train&row=3&template=1&tokens=1")
        page.locator(".token.learnt").first.wait_for()
        assert window.findings() == []
        page.get_by_role("link", name="Ask this").nth(1).click()
        page.wait_for_url("**/ask?**")
        assert page.get_by_label("Instruction", exact=True).input_value() == prompt.input
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator("#reply:not([hx-get]) table").first.wait_for()
        assert page.locator("#reply table").count() == 2
