"""A leak certificate's pairs side by side, and recipes written out for people."""

import pytest

import openflan
from little_runs import leaky_run
from openflan.runs.leaks import MarkedText, _marks

STORY = "The old lighthouse keeper walked down to the harbour every morning before the first boat came in."


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """A run whose held-out task has a text of the tuned one, in other letters and marks."""
    return leaky_run(tmp_path_factory.mktemp("leaky"), STORY, f"So: {STORY.upper()} Or not?")


def test_pairs_stand_side_by_side_with_what_they_share_marked(leaky):
    pairs = leaky.mixture.certificate.pairs
    (texts,) = openflan.leak_texts(leaky.folder, pairs)
    (trained,), (measured,) = ([t for t in side if t.field == "text"] for side in (texts.trained, texts.measured))
    assert (trained.text, measured.text) == (STORY, f"So: {STORY.upper()} Or not?")
    for side in (trained, measured):
        marked = [piece for piece, shared in side.parts if shared]
        assert len(marked) == 1
        assert marked[0].lower() == STORY.lower().rstrip(".")
        assert "".join(piece for piece, _ in side.parts) == side.text


def test_rows_that_are_gone_are_told(leaky):
    pair = leaky.mixture.certificate.pairs[0].model_copy(update={"row": 400})
    with pytest.raises(openflan.UserError, match="no row 400"):
        openflan.leak_texts(leaky.folder, [pair])


@pytest.mark.parametrize(
    ("text", "shared", "marked"),
    [
        ("The cat's 2nd, the dog!", "cat s 2nd", ["cat's 2nd"]),
        ("A b a b.", "a b", ["A b", "a b"]),
        ("第3回の会議 on AI", "回の会議 on", ["回の会議 on"]),
        ("Nothing here", "else", []),
        ("😀!", "😀!", ["😀!"]),
        ("", "x", []),
    ],
)
def test_what_is_shared_is_found_in_any_script(text, shared, marked):
    display = MarkedText(field="x", text=text, marks=_marks(text, shared))
    assert [piece for piece, on in display.parts if on] == marked


def test_a_recipe_written_out_says_little_and_reads_back_equal(leaky, tmp_path):
    to = tmp_path / "elsewhere" / "mine.yaml"
    written = openflan.write_recipe(leaky.recipe, to)
    assert written.fingerprint == leaky.recipe.fingerprint
    assert openflan.Run(to).plan(estimate=True).held_out == ("held",)
    assert len(to.read_text(encoding="utf-8").splitlines()) < 60
    with pytest.raises(openflan.UserError, match="already there"):
        openflan.write_recipe(leaky.recipe, to)


def test_paths_of_a_recipe_lead_on_where_they_led(my_tasks, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "one.yaml").write_text(
        "name: one\nprompts: {max_input_tokens: 99}\n"
        "tasks: {use: [mine], folders: [../tasks], data: 'data:twins', hold_out: [paraphrase]}\n"
    )
    (tmp_path / "a" / "data").mkdir()
    (tmp_path / "tasks").symlink_to(my_tasks)
    recipe = openflan.Run(tmp_path / "a" / "one.yaml").recipe
    openflan.write_recipe(recipe, tmp_path / "b" / "one.yaml")
    text = (tmp_path / "b" / "one.yaml").read_text(encoding="utf-8")
    assert "../a/data:twins" in text
    assert openflan.Run(tmp_path / "b" / "one.yaml").plan(estimate=True).mixture.totals.tasks == 3


@pytest.mark.parametrize("name", openflan.list_recipes())
def test_every_ready_recipe_can_be_written_out(name, tmp_path):
    recipe = openflan.Run(name).recipe
    assert openflan.write_recipe(recipe, tmp_path / "x.yaml").model_dump(exclude={"tasks": {"folders", "data"}}) == (
        recipe.model_dump(exclude={"tasks": {"folders", "data"}})
    )


def test_the_papers_62_datasets_are_planned_in_a_tenth_of_a_second():
    """Rates, epochs and cuts for a slider: from sizes alone."""
    import time

    openflan.Run("flan").plan(estimate=True)
    start = time.process_time()
    preview = openflan.Run("flan", settings={"mixture.maximum": 500, "tasks.hold_out": ["translation"]}).plan(
        estimate=True
    )
    assert time.process_time() - start < 0.5
    assert preview.mixture.totals.total_rate <= 62 * 500


def test_recipes_of_a_folder_are_told_from_its_tasks(my_tasks, tmp_path):
    openflan.write_recipe(openflan.Run("starter").recipe, tmp_path / "mine.yaml")
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "study.yaml").write_text("name: x\naxes: {rows: [1]}\n", encoding="utf-8")
    own = {name: path for name, path in openflan.list_recipes([my_tasks, tmp_path]).items() if name.endswith(".yaml")}
    assert own == {"mine.yaml": tmp_path / "mine.yaml"}


def test_a_plan_from_first_rows_is_near_that_of_all_rows(my_tasks):
    settings = {
        "tasks.use": ["mine"],
        "tasks.folders": [str(my_tasks)],
        "tasks.hold_out": ["paraphrase"],
        "mixture.rows_per_task": 40,
    }
    run = openflan.Run("starter", settings=settings)
    sampled, exact = (run.plan(estimate=how).mixture for how in ("sampled", False))
    for one, other in zip(sampled.tasks, exact.tasks, strict=True):
        assert (one.task, one.rows) == (other.task, other.rows)
        assert one.input_tokens == pytest.approx(other.input_tokens, rel=0.05)
        assert one.target_tokens == pytest.approx(other.target_tokens, rel=0.15)


def test_the_suite_says_how_many_rows_its_world_makes():
    from openflan_starter.rows import COUNTS

    for task in openflan.Tasks().select("starter"):
        assert task.spec.size == {split: COUNTS[split] for split in task.spec.splits.values()}, task.name
