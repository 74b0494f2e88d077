"""A recipe is plain data: strict, hashable, the same however it was written."""

from pathlib import Path

import pytest
import yaml

from openflan.errors import UserError
from openflan.recipes.recipe import Recipe, load_recipe
from openflan.runs.plan import make_plan


def write(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder, text, *settings):
    return load_recipe(write(folder, text), settings)


RICH = """
name: rich
model: {path: some/model, revision: "1.0"}
tasks: {use: [rte, sst2], hold_out: [sentiment], folders: [../mine], data: rows}
prompts: {options: hidden, separator: " ->\\u00a0", max_input_tokens: 64, max_target_tokens: 8}
training:
  tokens_per_batch: 512
  optimizer: {name: adamw, learning_rate: 3.0e-5, clip_norm: null, schedule: cosine}
evaluation: {tasks: [sst2], score: per_byte, generate: false}
seeds: [3, 1]
"""


def test_yaml_out_and_in_gives_the_same_recipe(tmp_path):
    recipe = loaded(tmp_path, RICH)
    assert recipe.training.optimizer.clip_norm is None
    again = loaded(tmp_path, recipe.to_yaml())
    assert again == recipe
    assert again.fingerprint == recipe.fingerprint


def test_a_recipe_needs_a_name_only(tmp_path):
    recipe = loaded(tmp_path, "name: short")
    assert recipe.model_dump() == Recipe(name="short").model_dump()
    assert recipe.run_name.startswith("short-")


def test_order_of_keys_and_name_leave_the_fingerprint_alone(tmp_path):
    data = yaml.safe_load(RICH)
    turned = {key: dict(reversed(part.items())) if isinstance(part, dict) else part for key, part in data.items()}
    turned = dict(reversed(turned.items())) | {"name": "other"}
    assert loaded(tmp_path, yaml.safe_dump(turned, sort_keys=False)).fingerprint == loaded(tmp_path, RICH).fingerprint


def test_defaults_written_out_leave_the_fingerprint_alone(tmp_path):
    assert loaded(tmp_path, "name: a\nmixture: {maximum: 3000}\nseeds: [0]").fingerprint == Recipe(name="a").fingerprint


@pytest.mark.parametrize(
    "setting",
    [
        "seeds=[1]",
        "model.path=x/y",
        "prompts.separator=' '",
        "mixture.maximum=2999",
        "training.optimizer.learning_rate=1e-4",
        "evaluation.rows=10",
        "tasks.kin=none",
    ],
)
def test_every_setting_counts_in_the_fingerprint(tmp_path, setting):
    assert loaded(tmp_path, "name: a", setting).fingerprint != Recipe(name="a").fingerprint


@pytest.mark.parametrize(
    ("text", "wrong", "near"),
    [
        ("name: a\ntrainning: {}", "trainning", "training"),
        ("name: a\ntasks: {holdout: [sentiment]}", "tasks.holdout", "hold_out"),
        ("name: a\ntraining: {optimizer: {learning_rat: 1.0}}", "training.optimizer.learning_rat", "learning_rate"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest(tmp_path, text, wrong, near):
    with pytest.raises(UserError, match=f"'{wrong}'.*did you mean '{near}'") as caught:
        loaded(tmp_path, text)
    assert caught.value.where == str(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds: [0]", "'name' is missing"),
        ("name: Has Spaces", "name"),
        ("name: a\nseeds: [1, 1]", "seeds must be different"),
        ("name: a\nseeds: [-1]", "seeds must be different and not negative"),
        ("name: a\nseeds: []", "seeds"),
        ("name: a\ntraining: {steps: ten}", r"training.steps: .*'ten'"),
        ("name: a\ntraining: {steps: 0}", r"training.steps: .*it is 0"),
        ("name: a\ntraining: {steps: 2.5}", "training.steps"),
        ("name: a\ntasks: {kin: peper}", r"tasks.kin: .*'paper' or 'none'.*'peper'"),
        ("name: a\nprompts: {options: 1}", "prompts.options"),
        ("- name", "must hold a mapping"),
        ("name: [a", "not valid YAML"),
        ("name: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_key_and_value(tmp_path, text, says):
    with pytest.raises(UserError, match=says) as caught:
        loaded(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_step_must_hold_the_longest_example(tmp_path):
    room = "prompts: {max_input_tokens: 100, max_target_tokens: 28}"
    assert loaded(tmp_path, f"name: a\n{room}\ntraining: {{tokens_per_batch: 128}}").training.tokens_per_batch == 128
    with pytest.raises(UserError, match="tokens_per_batch is 127, less than one example's 128"):
        loaded(tmp_path, f"name: a\n{room}\ntraining: {{tokens_per_batch: 127}}")


def test_settings_reach_nested_keys_as_yaml(tmp_path):
    recipe = loaded(
        tmp_path,
        "name: a\ntraining: {steps: 5}",
        "training.steps=7",
        "training.optimizer.name=adamw",
        "training.optimizer.clip_norm=null",
        "tasks.hold_out=[sentiment, misc]",
        "prompts.separator=' = '",
        "model.revision='12'",
        "evaluation.generate=false",
    )
    assert recipe.training.steps == 7
    assert recipe.training.optimizer.name == "adamw"
    assert recipe.training.optimizer.clip_norm is None
    assert recipe.tasks.hold_out == ("sentiment", "misc")
    assert recipe.model.revision == "12"
    assert recipe.evaluation.generate is False
    assert recipe.prompts.separator == " = "


@pytest.mark.parametrize("number", ["3e-5", "1E-3", "2.5e+0", "1e-05"])
def test_a_number_in_exponent_form_is_a_number(tmp_path, number):
    """YAML 1.1 reads 3e-5 as text, which surprises everyone who tunes a learning rate."""
    setting = loaded(tmp_path, "name: a", f"training.optimizer.learning_rate={number}")
    written = loaded(tmp_path, f"name: a\ntraining: {{optimizer: {{learning_rate: {number}}}}}")
    assert setting.training.optimizer.learning_rate == written.training.optimizer.learning_rate == float(number)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("training.steps", "not of the form a.b=value"),
        ("=3", "not of the form a.b=value"),
        ("name.first=a", "holds a value, not keys"),
        ("seeds=[1", "not valid YAML"),
        ("training.step=3", "did you mean 'steps'"),
        ("trainin.steps=3", "did you mean 'training'"),
    ],
)
def test_a_malformed_setting_is_named(tmp_path, setting, says):
    with pytest.raises(UserError, match=says):
        loaded(tmp_path, "name: a", setting)


@pytest.mark.parametrize("name", ["none.yaml", "."])
def test_a_missing_recipe_is_told(tmp_path, name):
    with pytest.raises(UserError, match="no such recipe"):
        load_recipe(tmp_path / name)


def test_paths_start_beside_the_recipe_file(tmp_path, monkeypatch):
    (tmp_path / "recipes" / "mine").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    recipe = load_recipe(write(tmp_path / "recipes", "name: a"))
    assert recipe.find("mine") == tmp_path / "recipes" / "mine"
    assert recipe.find(str(tmp_path)) == tmp_path
    assert not recipe.find("nowhere").is_absolute()


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Recipe(name="a").name = "b"  # type: ignore[misc]


def test_the_weight_of_an_only_style_changes_no_tuning_prompt(tmp_path):
    (tmp_path / "a.yaml").write_text("name: a")
    alone, *others = (
        load_recipe(tmp_path / "a.yaml", settings).prompts.counted("mixture")
        for settings in ([], ["prompts.styles=[{form: instruction}]"], ["prompts.styles=[{weight: 3}]"])
    )
    assert others == [alone, alone]
    two = [f"prompts.styles=[{{weight: {weight}}}, {{form: none}}]" for weight in (1, 3)]
    even, uneven = (load_recipe(tmp_path / "a.yaml", [one]).prompts.counted("mixture") for one in two)
    assert even != uneven


def test_fact_verification_leaves_with_closed_book_qa_and_is_measured_by_its_name():
    changes = ["tasks.hold_out=[closed_book_qa]", "evaluation.tasks=[fact_verification]"]
    plan = make_plan(load_recipe(Path(__file__).parents[1] / "recipes" / "starter.yaml", changes))
    assert sorted(entry.spec.name for entry in plan.measured_held_out) == [
        "starter_world_answer_check",
        "starter_world_true",
    ]
    assert not {"closed_book_qa", "fact_verification"} & {e.spec.code_cluster for e in plan.division.tuned}
