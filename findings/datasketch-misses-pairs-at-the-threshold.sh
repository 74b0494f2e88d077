#!/usr/bin/env bash
# datasketch 2.0.0, MinHashLSH(threshold=0.7).
#
# One would guess: the threshold is the similarity from which on pairs are found, nearly all of them, and with more
# permutations ever more surely.
#
# Behaviour: bands are chosen so that false negatives and false positives weigh alike over all similarities, so less
# than half of the pairs at the threshold are found, also with many permutations (1024 find no more than 128). Who
# removes near duplicates from a test set "from 0.7 on" leaves most pairs of exactly 0.7 in, unless
# weights=(false positives, false negatives) or params=(bands, rows) say otherwise.
#
# Seen (1,000 pairs of made-up sets for each similarity; share of the pairs that a query finds):
#   128 permutations, similarity 0.7: 0.411
#   128 permutations, similarity 0.76: 0.676
#   1024 permutations, similarity 0.7: 0.37
#   1024 permutations, similarity 0.76: 0.794
#   128 permutations, similarity 0.7, weights=(0.1, 0.9): 0.921
#
# Fails when that changes.
set -eu
unset PYTHONPATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check datasketch==2.0.0 numpy==2.4.6

"$folder/venv/bin/python" -I - <<'PYTHON'
from datasketch import MinHash, MinHashLSH


def recall(shared: int, permutations: int, **how: tuple[float, float]) -> float:
    """Share of 1,000 pairs of sets found whose union has 100 members, `shared` of them in both."""
    lsh = MinHashLSH(threshold=0.7, num_perm=permutations, **how)
    empty, seen = MinHash(num_perm=permutations), 0
    for pair in range(1000):
        members = [f"{pair} {member}".encode() for member in range(100)]
        half = shared + (100 - shared) // 2
        one, other = empty.copy(), empty.copy()
        one.update_batch(members[:half])
        other.update_batch(members[:shared] + members[half:])
        lsh.insert(pair, one)
        seen += pair in lsh.query(other)
    return seen / 1000


table = {(permutations, shared): recall(shared, permutations) for permutations in (128, 1024) for shared in (70, 76)}
kind = recall(70, 128, weights=(0.1, 0.9))
for (permutations, shared), share in table.items():
    print(f"{permutations} permutations, similarity {shared / 100}: {share}")
print(f"128 permutations, similarity 0.7, weights=(0.1, 0.9): {kind}")
assert table[128, 70] < 0.55, "most pairs at the threshold are found"
assert table[1024, 70] < 0.55, "most pairs at the threshold are found with many permutations"
assert kind > 0.8, "weights no longer help"
PYTHON
