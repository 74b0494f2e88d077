"""What each setting counts for: what a plan says is redone, what a forecast counts, and what a second run does."""

import json
import shutil
from copy import deepcopy
from pathlib import Path

import pytest

from openflan.errors import UserError
from openflan.recipes.counting import purposes_of
from openflan.recipes.part import Part
from openflan.recipes.recipe import Recipe, make_recipe
from openflan.recipes.settings import set_key
from openflan.run import Run
from openflan.runs.plan import make_plan
from openflan.runs.stages import StageKind
from openflan.study.forecast import forecast
from openflan.study.grid import Cell, Grid

SEVERAL = {"prompts.shots": 1}
LOOKS = {"training.evaluate_every": 1, "training.evaluate_tasks": ["does_it_follow"]}

CHANGES: dict[str, tuple[object, dict[str, object]]] = {
    "name": ("other", {}),
    "model.path": ("gpt2", {}),
    "model.revision": ("main", {}),
    "model.trust_remote_code": (True, {}),
    "model.adapter": ({"kind": "lora", "rank": 2}, {}),
    "tasks.use": (["cafe_review", "does_it_follow", "same_meaning"], {}),
    "tasks.sets": ({"mine": ["cafe_review", "does_it_follow", "same_meaning"]}, {}),
    "tasks.leave_out": (["cafe_review"], {}),
    "tasks.hold_out": (["natural_language_inference", "sentiment"], {}),
    "tasks.kin": ("none", {}),
    "tasks.lineage": ("keep", {}),
    "tasks.missing": ("leave_out", {}),
    "tasks.fidelity": ("code-v1", {}),
    "tasks.errata": ({"drop_remainder": True}, {}),
    "tasks.splits": ({"cafe_review": {"train": "train[:20]"}}, {}),
    "tasks.folders": (["changed"], {}),
    "tasks.data": ("twins", {}),
    "prompts.form": ("none", {}),
    "prompts.options": ("hidden", {}),
    "prompts.option_markers": ("random", {}),
    "prompts.option_order": ("drawn", {}),
    "prompts.shots": (1, {}),
    "prompts.exemplar_templates": ("same", SEVERAL),
    "prompts.balanced": (True, SEVERAL),
    "prompts.styles": ([{"form": "none"}], {}),
    "prompts.inversion_rate": (0.5, {}),
    "prompts.separator": (" ", {}),
    "prompts.chat": (True, {}),
    "prompts.max_input_tokens": (120, {}),
    "prompts.max_target_tokens": (31, {}),
    "prompts.exemplar_tokens": (100, {}),
    "mixture.rule": ("equal", {}),
    "mixture.maximum": (10, {}),
    "mixture.temperature": (2.0, {}),
    "mixture.weights": ({"cafe_review": 0.5}, {}),
    "mixture.groups": ({"reviews": {"use": ["cafe_review"], "share": 0.5}}, {}),
    "mixture.rows_per_task": (20, {}),
    "mixture.rows_of": ({"cafe_review": 20}, {}),
    "mixture.templates_per_task": (1, {}),
    "mixture.tasks_per_cluster": (1, {}),
    "mixture.leakage": ("warn", {}),
    "mixture.overlap": ("near_duplicates", {}),
    "mixture.similarity": (0.5, {"mixture.overlap": "near_duplicates"}),
    "mixture.faulty_rows": ("skip", {}),
    "training.steps": (3, {}),
    "training.tokens_per_batch": (600, {}),
    "training.micro_batch_tokens": (256, {}),
    "training.precision": ("bfloat16", {}),
    "training.checkpoint_every": (1, {}),
    "training.keep_checkpoints": (1, {}),
    "training.sharding": ("full", {}),
    "training.gradient_checkpointing": (True, {}),
    "training.compile": (True, {}),
    "training.trackers": (["tensorboard"], {}),
    "training.evaluate_every": (2, LOOKS),
    "training.evaluate_tasks": (["same_meaning"], LOOKS),
    "training.evaluate_rows": (2, LOOKS),
    "training.optimizer": ({"name": "adamw", "learning_rate": 1e-3}, {}),
    "evaluation.tasks": (["does_it_follow"], {}),
    "evaluation.rows": (3, {}),
    "evaluation.seen_rows": (1, {}),
    "evaluation.own_rows": (1, {}),
    "evaluation.templates": (1, {}),
    "evaluation.validation_rows": (0, {}),
    "evaluation.options": ("hidden", {}),
    "evaluation.option_order": ("rotated", {}),
    "evaluation.baseline": (True, {}),
    "evaluation.score": ("mean_token", {}),
    "evaluation.too_long": ("refuse", {}),
    "evaluation.batch_tokens": (256, {}),
    "evaluation.precision": ("bfloat16", {}),
    "evaluation.max_new_tokens": (3, {}),
    "evaluation.stop": (["."], {}),
    "evaluation.beams": (2, {}),
    "evaluation.generate": (True, {}),
    "evaluation.engine": ("vllm", {}),
    "evaluation.ends": ("never", {}),
    "evaluation.bootstrap": (200, {}),
    "seeds": ([0, 1], {}),
    "threads": (1, {}),
}
"""Another value for every setting, and what must be set on both sides for it to mean anything."""

REALLY_RUN = (
    "seeds",
    "prompts.separator",
    "training.optimizer",
    "training.gradient_checkpointing",
    "training.checkpoint_every",
    "evaluation.tasks",
    "evaluation.options",
    "evaluation.rows",
    "evaluation.score",
    "evaluation.too_long",
    "evaluation.batch_tokens",
    "tasks.kin",
)
"""One of each kind, of which a second run is made."""


def declared(part: type[Part], before: str = "") -> dict[str, object]:
    """Every setting with what it says it counts for."""
    settings: dict[str, object] = {}
    for name, field in part.model_fields.items():
        purposes = purposes_of(field)
        if purposes is None and isinstance(field.annotation, type) and issubclass(field.annotation, Part):
            settings |= declared(field.annotation, f"{before}{name}.")
        else:
            settings[before + name] = purposes
    return settings


def test_every_setting_says_what_it_counts_for_and_is_tried_here():
    settings = declared(Recipe)
    assert [key for key, purposes in settings.items() if purposes is None] == []
    assert set(settings) == set(CHANGES)


@pytest.fixture(scope="module")
def little(tmp_path_factory, my_tasks, model_folder):
    """Makes a little recipe with some settings."""
    folder = tmp_path_factory.mktemp("little")
    changed = folder / "changed"
    changed.mkdir()
    for path in my_tasks.glob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace("rows/", f"{my_tasks}/rows/")
        (changed / path.name).write_text(text.replace("{{options}}", "Choose:\\n{{options}}"), encoding="utf-8")
    plain = {
        "name": "little",
        "model": {"path": str(model_folder("llama"))},
        "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
        "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
        "training": {
            "steps": 2,
            "tokens_per_batch": 512,
            "precision": "float32",
            "optimizer": {"name": "adamw", "learning_rate": 2e-3},
        },
        "evaluation": {"rows": 2, "max_new_tokens": 2, "bootstrap": 100, "generate": False},
    }

    def make(settings: dict[str, object]) -> dict[str, object]:
        data = deepcopy(plain)
        for key, value in settings.items():
            meant = {"model.path": lambda family: str(model_folder(family)), "tasks.folders": lambda _: [str(changed)]}
            set_key(data, key, meant.get(key, lambda given: given)(value))
        return data

    return make


def recipe_of(data: dict[str, object]) -> Recipe:
    return make_recipe(data, where="test", folder=Path())


def stages_redone(before: Recipe, after: Recipe) -> set[str]:
    """Stages that a plan has under a key that the one before has not."""
    known = {stage.key for stage in make_plan(before).stages(StageKind.EVALUATION)}
    return {stage.place for stage in make_plan(after).stages(StageKind.EVALUATION) if stage.key not in known}


def redone_by(key: str) -> tuple[dict[str, object], dict[str, object]]:
    value, both = CHANGES[key]
    return both, {**both, key: value}


@pytest.mark.parametrize("key", CHANGES)
def test_a_forecast_counts_what_a_plan_says_is_redone(little, key):
    before, after = map(little, redone_by(key))
    redone = stages_redone(recipe_of(before), recipe_of(after))
    cells = [
        Cell(name=name, values={"a": name}, settings={}, data=data, folder=Path())
        for name, data in (("before", before), ("after", after))
    ]
    cell = forecast(Grid(before=(), cells=tuple(cells), base=before, fingerprint="")).cells[1]
    every = {stage.place for stage in make_plan(recipe_of(after)).stages(StageKind.EVALUATION)}
    assert every - set(cell.shared) == redone
    assert cell.trainings == sum(place.startswith("training") for place in redone)


@pytest.mark.parametrize("key", [key for key in CHANGES if key not in ("model.path", "tasks.splits", "seeds")])
def test_a_word_at_a_field_means_what_it_says(little, key):
    purposes = declared(Recipe)[key]
    redone = {place.split("/")[0] for place in stages_redone(*(recipe_of(little(one)) for one in redone_by(key)))}
    whole = {"mixture": {"mixture", "training", "evaluation"}, "weights": {"training", "evaluation"},
             "answers": {"evaluation"}, "results": set()}  # fmt: skip
    if purposes.names:  # depends on whether it names anything else here
        return
    assert redone == set().union(*(whole[purpose] for purpose in purposes.purposes))


@pytest.fixture(scope="module")
def first(little, tmp_path_factory):
    """A folder in which the little recipe has run, as far as its answers."""
    runs = tmp_path_factory.mktemp("first")
    Run(recipe_of(little({})), runs=runs).work("evaluation")
    return runs


@pytest.mark.parametrize("key", REALLY_RUN)
def test_a_second_run_does_what_its_plan_says(little, first, key):
    known = {json.loads(path.read_text(encoding="utf-8"))["key"] for path in first.glob("*/**/manifest.json")}
    recipe = recipe_of(little(redone_by(key)[1]))
    redone = {stage.place for stage in make_plan(recipe).stages(StageKind.EVALUATION) if stage.key not in known}
    events: list = []
    Run(recipe, runs=first).work("evaluation", watch=events.append)
    assert {event.stage.place for event in events if event.kind == "started"} == redone


SHORT = {"prompts.max_input_tokens": 30}
REFUSE = {**SHORT, "evaluation.too_long": "refuse"}


def test_refusing_long_prompts_holds_where_answers_to_cut_ones_are_kept(little, tmp_path):
    cut, refuse = (recipe_of(little(settings)) for settings in (SHORT, REFUSE))
    with pytest.raises(UserError, match="prompts have more than 30 tokens") as before:
        Run(refuse, runs=tmp_path).work()
    assert not any(tmp_path.iterdir())
    Run(cut, runs=tmp_path).work("evaluation")
    with pytest.raises(UserError) as after:
        Run(refuse, runs=tmp_path).work()
    assert str(after.value) == str(before.value)
    assert [path.name for path in tmp_path.iterdir()] == [cut.run_name]
    assert Run(recipe_of(little({**REFUSE, "prompts.max_input_tokens": 128})), runs=tmp_path).work("evaluation").worked


def test_rows_that_grew_too_long_are_refused_though_another_run_cut_them(little, tmp_path, my_tasks):
    shutil.copytree(my_tasks, tmp_path / "tasks")
    data, refusing = little({}), little({"evaluation.too_long": "refuse"})
    for one in (data, refusing):
        set_key(one, "tasks.folders", [str(tmp_path / "tasks")])
    Run(recipe_of(refusing), runs=tmp_path / "runs").work("evaluation")
    rows = tmp_path / "tasks" / "rows" / "does_it_follow-test.jsonl"
    first, *others = rows.read_text(encoding="utf-8").splitlines()
    longer = [json.dumps({**json.loads(line), "premise": "a very long story " * 60}) for line in (first, *others)]
    rows.write_text("\n".join(longer), encoding="utf-8")
    Run(recipe_of(data), runs=tmp_path / "runs").work("evaluation")
    with pytest.raises(UserError, match="prompts have more than 128 tokens"):
        Run(recipe_of(refusing), runs=tmp_path / "runs").work("evaluation")
