#!/usr/bin/env bash
# datasets 5.2.0, torch 2.13.0.
#
# One would guess: `load_dataset(..., streaming=True)` is the way to look at some rows soon, since nothing is converted
# and only what is read is fetched; and torch is imported where rows are asked for as tensors, if at all.
#
# Behaviour: a stream imports torch, wherever it is installed, when it is made: its epoch is kept in a tensor that
# torch's own loaders can share. The same file loaded whole imports none, and its first row is there sooner.
#
# Seen (the first row of a file of 1,000, libraries imported before; two cores):
#   whole 0.03 s, torch imported: False
#   streamed 2.13 s, torch imported: True
#
# Fails when that changes: when a stream no longer imports torch, or a whole load does.
set -eu
unset PYTHONPATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 torch==2.13.0

cat > "$folder/first_row.py" <<'PYTHON'
import sys
import time
from pathlib import Path

import datasets

file, cache = Path(sys.argv[1]), sys.argv[1] + ".cache"
file.write_text("".join(f'{{"a": {number}}}\n' for number in range(1_000)), encoding="utf-8")
assert "torch" not in sys.modules
for streaming in (False, True):
    began = time.perf_counter()
    rows = datasets.load_dataset("json", data_files=str(file), split="train", streaming=streaming, cache_dir=cache)
    assert next(iter(rows)) == {"a": 0}
    imported = "torch" in sys.modules
    print(f"{'streamed' if streaming else 'whole'} {time.perf_counter() - began:.2f} s, torch imported: {imported}")
    if imported != streaming:
        sys.exit("this has changed")
PYTHON
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" "$folder/venv/bin/python" "$folder/first_row.py" "$folder/rows.jsonl"
