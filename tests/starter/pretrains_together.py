"""Run in two processes: they pretrain one model."""

import json
from pathlib import Path

from openflan import ranks
from openflan_starter.pretraining import Pretraining, new_model, pretrain
from openflan_starter.shards import shard_rows


def main(settings: Path) -> None:
    said = json.loads(settings.read_text())
    ranks.begin()
    rows = shard_rows(Path(said["shards"]))
    pretrain(new_model(**said["model"]), rows, Pretraining(**said["plan"]), work=Path(said["work"]))
