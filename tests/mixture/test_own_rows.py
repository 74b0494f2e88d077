"""A task's own test rows are held against its own training rows: in `tasks check`, the plan and the certificate."""

import json

import pytest
import yaml

from openflan.mixture.own_rows import own_rows
from openflan.tasks.catalog import open_catalog

THAI = "เช้าวันนี้คนส่งของมาถึงบ้านเลขที่ {} แล้ววางกล่องไว้หน้าประตูสีเขียวก่อนจะกลับไปที่รถ"
TEXTS = [THAI.format(n) for n in range(3)] + [f"box {n}" for n in range(20)] + ["🎁", ""]


def write_task(folder, *, train="all[:10]", test="all[10:]"):
    rows = [{"text": text, "mood": ("upset", "pleased")[n % 2]} for n, text in enumerate(TEXTS)]
    folder.mkdir(exist_ok=True)
    (folder / "boxes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    spec = {
        "name": "boxes",
        "cluster": "sentiment",
        "source": {"files": {"all": "boxes.jsonl"}},
        "splits": {"train": train, "test": test},
        "columns": {"text": "string", "mood": "string"},
        "answer": {"field": "mood", "options": ["upset", "pleased"]},
        "metrics": ["accuracy"],
        "licence": "unknown",
        "lineage": ["boxes"],
        "templates": [{"input": "{{text}} Upset or pleased?\n{{options}}"}],
    }
    (folder / "boxes.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    return folder


def own(folder):
    return own_rows(open_catalog([folder], collections=()).entries["boxes"])


@pytest.mark.parametrize(
    ("train", "test", "stale", "uncompared"),
    [
        ("all[:3]", "all[3:6]", (), 0),
        ("all", "all[2:6]", (2, 3, 4, 5), 0),
        ("all[:20]", "all[18:]", (18, 19), 1),
    ],
)
def test_rows_of_both_splits_are_found_and_rows_without_text_counted(tmp_path, train, test, stale, uncompared):
    certificate = own(write_task(tmp_path, train=train, test=test))
    assert (certificate.stale, certificate.uncompared, certificate.fresh) == (
        stale,
        uncompared,
        not stale and not uncompared,
    )


def test_a_task_without_test_rows_has_none_to_compare(tmp_path):
    folder = write_task(tmp_path)
    spec = yaml.safe_load((folder / "boxes.yaml").read_text(encoding="utf-8"))
    del spec["splits"]["test"]
    (folder / "boxes.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    assert own(folder) is None


def test_tasks_check_and_the_plan_say_it(tmp_path, openflan):
    folder = write_task(tmp_path / "tasks", train="all[:-1]", test="all[-5:-1]")
    code, out, _ = openflan("tasks", "check", "boxes", "--folder", folder)
    assert (code, "boxes: remark: 4 of 4 test rows share a text with a training row\n" in out) == (0, True)
    _, out, _ = openflan("tasks", "check", "boxes", "--folder", folder, "--json")
    assert json.loads(out)["test_rows"] == [{"task": "boxes", "rows": 4, "stale": [20, 21, 22, 23], "uncompared": 0}]
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "mine",
                "tasks": {"use": ["boxes"], "folders": [str(folder)]},
                "evaluation": {"seen_rows": 4},
                "training": {"steps": 2, "tokens_per_batch": 256},
                "prompts": {"max_input_tokens": 96, "max_target_tokens": 16},
            }
        ),
        encoding="utf-8",
    )
    code, out, err = openflan("plan", tmp_path / "recipe.yaml")
    assert (code, err) == (0, "")
    assert "own test rows: Not fresh: 4 of 4 test rows of tuned tasks" in out
