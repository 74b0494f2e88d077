"""A model by its hub id, and a run that is published to one."""

import json

import pytest
import yaml
from catalog_repositories import parquet
from hub_client import model_files, run_and_publish
from hub_server import TOKEN

from little_gguf import write_file
from little_tasks import rows_of


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def write_recipe(folder):
    """A recipe whose model and training rows are on the hub."""
    tasks = folder / "tasks"
    tasks.mkdir()
    for name, cluster, template in (
        ("cafe_review", "sentiment", "{{text}} Good or bad?"),
        ("does_it_follow", "natural_language_inference", "{{premise}} So {{hypothesis}}?"),
    ):
        labels = list(dict.fromkeys(row["label"] for row in rows_of(name)))
        spec = {
            "name": name,
            "cluster": cluster,
            "source": {
                "hub": f"owner/{name}",
                "revision": "refs/convert/parquet",
                "files": {"all": "default/all/*.parquet"},
            },
            "splits": {"train": "all[:30]", "test": "all[30:36]"},
            "fields": list(rows_of(name)[0]),
            "answer": {"field": "label", "options": sorted(map(str, labels))},
            "metrics": ["accuracy"],
            "templates": [{"input": template}],
        }
        (tasks / f"{name}.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    recipe = {
        "name": "hub",
        "model": {"path": "owner/tiny"},
        "tasks": {"use": ["mine"], "folders": ["tasks"], "hold_out": ["natural_language_inference"]},
        "prompts": {"max_input_tokens": 64, "max_target_tokens": 16},
        "training": {"steps": 2, "tokens_per_batch": 256, "precision": "float32"},
        "evaluation": {"rows": 2, "seen_rows": 2, "bootstrap": 100},
        "seeds": [0],
    }
    path = folder / "hub.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_run_on_a_hub_model_and_hub_rows_is_published_to_the_hub(hub, client, tiny_llama, tmp_path):
    hub.repository("owner/tiny", "models").commit(files_of(tiny_llama))
    for name in ("cafe_review", "does_it_follow"):
        hub.repository(f"owner/{name}").commit(
            {"default/all/0000.parquet": parquet(rows_of(name))}, "refs/convert/parquet"
        )
    recipe = write_recipe(tmp_path)
    line = client(run_and_publish, recipe, "owner/tuned", None)
    assert "the hub did not take it" in line
    assert "hf auth login" in line
    place = client(run_and_publish, recipe, "owner/tuned", TOKEN)
    published = hub.repositories["models", "owner/tuned"]
    assert published.id in place
    assert published.private
    _, files = published.at("main")
    assert {"model.safetensors", "config.json", "README.md", "results.json", "recipe.yaml", "mixture/lock.json"} <= set(
        files
    )
    origin = "hub, owner/{} at refs/convert/parquet"
    origins = json.loads(files["mixture/ledger.json"])["origins"]
    assert origins == {name: origin.format(name) for name in ("cafe_review", "does_it_follow")}
    assert "Rows were read from the hub (2 tasks)" in files["report.html"].decode()
    published.private = False
    assert client(model_files, "owner/tuned") == client(model_files, "owner/tiny")


def test_a_model_that_is_not_there_is_one_line(hub, client):
    (line,) = client(model_files, "owner/nothing")
    assert "owner/nothing" in line


@pytest.mark.slow
def test_a_gguf_file_of_a_repository_is_a_model(hub, client, tiny_llama, tmp_path):
    pytest.importorskip("gguf")
    path = tmp_path / "little.gguf"
    write_file(path, tiny_llama)
    hub.repository("owner/small", "models").commit({"little-f32.gguf": path.read_bytes()})
    names = client(model_files, "owner/small:little-f32.gguf", tmp_path / "cache")
    assert "model.embed_tokens.weight" in names
    (line,) = client(model_files, "owner/small:other.gguf", tmp_path / "cache")
    assert "owner/small:other.gguf: the file can't be had from the hub" in line
