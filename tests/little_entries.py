"""Tasks as the catalog gives them, with no file behind them."""

import json

from openflan.tasks.catalog import Entry
from openflan.tasks.spec import TaskSpec


def little_entry(name: str, **change) -> Entry:
    """A task of two texts and a label, without rows."""
    spec = {
        "name": name,
        "cluster": "sentiment",
        "source": {"files": {"train": "rows.jsonl"}},
        "splits": {"train": "train", "test": "test"},
        "columns": {"text": "string", "note": "string", "label": "int"},
        "answer": {"field": "label", "options": ["bad", "good"]},
        "metrics": ["accuracy"],
        "templates": [{"input": "{{text}}"}],
        **change,
    }
    return Entry(spec=TaskSpec.model_validate_json(json.dumps(spec)), path=None, collection="mine")
