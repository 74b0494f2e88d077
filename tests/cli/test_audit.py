"""`openflan tasks audit` says where tokenising together would differ, and how."""

import json
from pathlib import Path

from openflan.prompts.boundary import joins
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import PromptsPart


def test_the_audit_counts_by_task_and_shows_an_example(openflan):
    code, out, _ = openflan("tasks", "audit", "rte", "copa", "--tokenizer", "starter", "--separator", " ", "--json")
    assert code == 0
    tasks = {one["task"]: one for one in json.loads(out)["tasks"]}
    assert set(tasks) == {"rte", "copa"}
    for one in tasks.values():
        assert one["pairs"] > 0
        assert one["differ"] > 0  # a byte-level tokenizer puts the space before the word
        assert one["apart"] != one["together"]
        assert one["options"]
    code, out, _ = openflan("tasks", "audit", "rte", "--tokenizer", "starter")
    assert code == 0
    assert "openflan does it apart" in out


def test_a_join_differs_exactly_where_the_tokens_do():
    from openflan.models.load import find_model, load_rules
    from openflan.recipes.parts import ModelPart

    encoder = TextEncoder(load_rules(find_model(ModelPart(), Path("starter")), PromptsPart()))
    same, space, word = joins(encoder, [("Is it?\n", "yes"), ("Is it? ", "yes"), ("Is it sm", "all")])
    assert not same.differs
    assert same.apart == same.together == ()
    assert space.differs
    assert any("Ġ" in token for token in space.together)
    assert word.differs == (
        encoder.raw(["Is it small"])[0] != [*encoder.raw(["Is it sm"])[0], *encoder.raw(["all"])[0]]
    )


def test_an_unknown_tokenizer_is_one_line(openflan, tmp_path):
    code, out, err = openflan("tasks", "audit", "rte", "--tokenizer", tmp_path / "none")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
