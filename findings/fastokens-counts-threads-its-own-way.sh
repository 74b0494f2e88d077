#!/usr/bin/env bash
# fastokens 0.3.5.
#
# One would guess: like `tokenizers`, it encodes a batch on rayon's threads, so RAYON_NUM_THREADS=1 and
# TOKENIZERS_PARALLELISM=false leave it one thread, and processes that run side by side have a core each.
#
# Behaviour: its batches go to a pool of its own, one thread a core, which neither variable changes; the wheel's pages
# do not name the one that does, FASTOKENS_BPE_THREADS. The threads wait spinning, so processes side by side slow each
# other.
#
# Seen (two cores; threads of the process named fastokens-…, beside the one that calls):
#   RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false: 1; and FASTOKENS_BPE_THREADS=1: 0
#
# Fails when that changes. On one core there is nothing to see, and it says so.
set -eu
unset PYTHONPATH
if [ "$(nproc)" -lt 2 ]; then
    echo "one core: nothing to see"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check fastokens==0.3.5 tokenizers==0.23.3

cat > "$folder/threads.py" <<'PYTHON'
from pathlib import Path

from fastokens import Tokenizer as Fast
from tokenizers import Tokenizer, models, pre_tokenizers

letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
plain = Tokenizer(models.BPE(vocab=letters, merges=[]))
plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
texts = ["some words of a text"] * 5_000
fast = Fast.from_json_str(plain.to_str())
fast.no_truncation()
fast.no_padding()
fast.encode_batch_flat(texts, False, True)
assert fast.encode(texts[0]).ids == plain.encode(texts[0]).ids
names = [thread.read_text() for thread in Path("/proc/self/task").glob("*/comm")]
print(sum(name.startswith("fastokens") for name in names))
PYTHON
export RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
by_rayon=$("$folder/venv/bin/python" -I "$folder/threads.py")
by_its_own=$(FASTOKENS_BPE_THREADS=1 "$folder/venv/bin/python" -I "$folder/threads.py")
echo "RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false: $by_rayon; and FASTOKENS_BPE_THREADS=1: $by_its_own"
[ "$by_rayon" -ge 1 ] || { echo "RAYON_NUM_THREADS counts now"; exit 1; }
[ "$by_its_own" -eq 0 ] || { echo "FASTOKENS_BPE_THREADS no longer counts"; exit 1; }
