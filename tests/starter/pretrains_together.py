"""Run in two processes: they pretrain one model."""

import json
from pathlib import Path

from openflan import ranks
from openflan_starter.pretraining import Pretraining, new_model, pretrain
from openflan_starter.shards import shard_rows


def main(settings: Path) -> None:
    content = json.loads(settings.read_text())
    ranks.begin()
    rows = shard_rows(Path(content["shards"]))
    pretrain(new_model(**content["model"]), rows, Pretraining(**content["plan"]), work=Path(content["work"]))
