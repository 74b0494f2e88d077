"""A task file is strict: a slip is an error that names the key and, where it can, the right word."""

import copy

import pytest
import yaml

from openflan.errors import UserError
from openflan.tasks.catalog import open_catalog
from openflan.tasks.spec import load_task

GOOD = {
    "name": "mine",
    "cluster": "sentiment",
    "source": {"files": {"all": "rows.jsonl"}},
    "splits": {"train": "all[:-5]", "test": "all[-5:]"},
    "fields": ["text", "label"],
    "answer": {"field": "label", "options": ["bad", "good"]},
    "metrics": ["accuracy"],
    "templates": [{"input": "{{text}}"}],
}


def task(folder, change=(), name="mine"):
    data = copy.deepcopy(GOOD)
    for key, value in dict(change).items():
        *path, last = key.split(".")
        here = data
        for part in path:
            here = here[int(part)] if isinstance(here, list) else here[part]
        if value is None:
            del here[last]
        else:
            here[last] = value
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path


def test_a_task_needs_no_python(tmp_path):
    spec = load_task(task(tmp_path))
    assert spec.is_classification
    assert spec.templates[0].target == "{{answer}}"
    assert not spec.templates[0].inverted


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cluster": "sentimant"}, "no cluster 'sentimant'; did you mean 'sentiment'"),
        ({"cluster": "Q 1"}, "no cluster 'Q 1'; one of your own is a word of a-z"),
        ({"cluster": "math"}, "'math' is a subcluster; write cluster: misc"),
        ({"feilds": ["text"]}, "unknown key 'feilds'; did you mean 'fields'"),
        ({"answer.optons": ["a", "b"]}, r"unknown key 'answer\.optons'; did you mean 'options'"),
        ({"templates.0.inptu": "a"}, r"unknown key 'templates\.0\.inptu'; did you mean 'input'"),
        ({"source.file": "a"}, r"unknown key 'source\.file'; did you mean 'files'"),
        ({"metrics": ["acuracy"]}, r"metrics\.0.*'acuracy'"),
        ({"metrics": []}, "metrics"),
        ({"metrics": None}, "key 'metrics' is missing"),
        ({"source": {"hub": "glue"}}, "hub id 'glue' has no owner; write owner/name"),
        ({"source": {"hub": "a/b", "starter": "c"}}, "exactly one of hub, files or starter, has hub, starter"),
        ({"source": {}}, "exactly one of hub, files or starter, has none"),
        ({"answer.options_field": "choices"}, "both options and options_field"),
        ({"answer.options": ["yes"]}, "at least two"),
        ({"answer.keys": [0, 1, 2]}, "keys has 3 entries for 2 options"),
        ({"answer": {"field": "label", "keys": [0, 1]}, "metrics": ["rouge"]}, "keys need options"),
        ({"metrics": ["rouge"]}, "accuracy is the first metric of tasks with options"),
        ({"answer": {"field": "text"}}, "accuracy is the first metric of tasks with options"),
        ({"splits": {"test": "all"}}, r"splits\.train is missing; or say evaluation_only"),
        ({"splits": {"train": "all", "dev": "all"}}, "splits"),
        ({"fields": []}, "fields"),
        ({"templates": []}, "templates"),
        ({"templates": [{"input": "a", "inverted": True}]}, "every template is inverted"),
        ({"name": "My-Task"}, "may hold only a-z, 0-9 and _"),
        ({"name": "../mine"}, "may hold only a-z, 0-9 and _"),
        ({"name": "yours"}, "name is 'yours'; name the file after the task"),
        ({"evaluation_only": "yes"}, "evaluation_only"),
    ],
)
def test_a_slip_in_a_task_file_is_told_in_one_line(tmp_path, change, says):
    with pytest.raises(UserError, match=says) as caught:
        load_task(task(tmp_path, change))
    assert caught.value.where == str(tmp_path / "mine.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must hold a mapping"),
        ("- a", "must hold a mapping"),
        ("name: 'a", "not valid YAML"),
        ("name: !!python/name:os.system", "not valid YAML"),
        ("name: 2020-01-01", "no plain type"),
    ],
)
def test_a_file_that_is_no_task_is_told(tmp_path, text, says):
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=says):
        load_task(tmp_path / "mine.yaml")


def test_unquoted_yes_and_no_are_told_apart_from_texts(tmp_path):
    """YAML reads a bare yes as true; an option that silently became `True` would be read by no model."""
    path = task(tmp_path)
    path.write_text(path.read_text().replace("- bad", "- yes").replace("- good", "- no"))
    with pytest.raises(UserError, match=r"answer\.options\.0.*True"):
        load_task(path)


def test_a_task_of_only_test_rows_says_so(tmp_path):
    spec = load_task(task(tmp_path, {"splits": {"test": "all"}, "evaluation_only": True}))
    assert "train" not in spec.splits


def test_the_fingerprint_follows_what_a_task_says(tmp_path):
    (tmp_path / "there").mkdir()
    same = load_task(task(tmp_path)).fingerprint
    assert load_task(task(tmp_path / "there")).fingerprint == same
    changes = [{"templates.0.input": "{{text}}!"}, {"answer.options": ["good", "bad"]}, {"splits.test": "all[-4:]"}]
    assert len({same, *(load_task(task(tmp_path, change)).fingerprint for change in changes)}) == 4


def test_a_name_stands_for_one_task_only(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        task(tmp_path / folder)
    with pytest.raises(UserError, match=f"'mine' is already defined in {tmp_path}/one/mine.yaml; rename"):
        open_catalog([tmp_path / "one", tmp_path / "two"], collections=())


def test_a_missing_folder_of_tasks_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder of tasks"):
        open_catalog([tmp_path / "none"], collections=())


def test_tasks_are_chosen_by_name_cluster_or_collection_each_once(my_tasks):
    catalog = open_catalog([my_tasks], collections=["starter"])
    chosen = catalog.select(["paraphrase", "same_meaning", "cafe_review"], where="tasks.use")
    names = [entry.spec.name for entry in chosen]
    assert names == sorted(set(names))
    assert {"same_meaning", "cafe_review"} <= set(names)
    assert {entry.spec.cluster for entry in chosen} == {"paraphrase", "sentiment"}
    assert len(catalog.select(["mine"], where="tasks.use")) == 5


def test_an_unknown_task_is_named_with_its_place_and_the_nearest(my_tasks):
    catalog = open_catalog([my_tasks], collections=())
    with pytest.raises(UserError, match=r"tasks\.use\[1\]: no task.* 'cafe_revue'; did you mean 'cafe_review'"):
        catalog.select(["paraphrase", "cafe_revue"], where="tasks.use")
