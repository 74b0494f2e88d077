"""BIG-bench Hard: 27 tasks of one form, to measure with and never to tune on.

They have no training split, so a recipe can't mix them; `openflan eval --tasks bbh_navigate` asks them, by generation
and exact match as in the paper (Suzgun et al. 2022). Rows come from `<data>/bbh_navigate/test.*` or the hub.

Invariant: a name stands for one configuration of one dataset. Rejected: 27 files that differ by a name.
"""

import json
from pathlib import Path

from openflan.errors import UserError, did_you_mean
from openflan.recipes.safe_yaml import read_yaml
from openflan.tasks.catalog import Entry
from openflan.tasks.spec import TaskSpec

__all__ = ["BBH", "bbh_entry"]

_FILE = Path(__file__).with_name("bbh.yaml")

BBH = (
    "boolean_expressions", "causal_judgement", "date_understanding", "disambiguation_qa", "dyck_languages",
    "formal_fallacies", "geometric_shapes", "hyperbaton", "logical_deduction_five_objects",
    "logical_deduction_seven_objects", "logical_deduction_three_objects", "movie_recommendation",
    "multistep_arithmetic_two", "navigate", "object_counting", "penguins_in_a_table",
    "reasoning_about_colored_objects", "ruin_names", "salient_translation_error_detection", "snarks",
    "sports_understanding", "temporal_sequences", "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects", "tracking_shuffled_objects_three_objects", "web_of_lies", "word_sorting",
)  # fmt: skip
"""The tasks' names without their `bbh_`."""


def bbh_entry(name: str) -> Entry:
    """The task of a name like `bbh_navigate`.

    Raises:
        UserError: there is no such task.
    """
    kind = name.removeprefix("bbh_")
    if kind not in BBH:
        how = did_you_mean(name, [f"bbh_{task}" for task in BBH]) or "bbh_ and the name of one of its 27 tasks"
        raise UserError(f"no task '{name}'", how=how)
    common = read_yaml(_FILE, kind="task", how="reinstall openflan")
    spec_data = {**common, "name": name, "source": {"hub": "lukaemon/bbh", "config": kind}}
    spec = TaskSpec.model_validate_json(json.dumps(spec_data))
    return Entry(spec=spec, path=_FILE, collection="bbh")
