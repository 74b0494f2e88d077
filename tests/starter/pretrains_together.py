"""Run by `torchrun`: two processes pretrain one model."""

import json
import sys
from pathlib import Path

from openflan import ranks
from openflan_starter.pretraining import Pretraining, new_model, pretrain
from openflan_starter.shards import shard_rows


def main(settings: Path) -> None:
    said = json.loads(settings.read_text())
    ranks.begin()
    rows = shard_rows(Path(said["shards"]))
    pretrain(new_model(**said["model"]), rows, Pretraining(**said["plan"]), work=Path(said["work"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
