"""Order is arithmetic: any slice of the stream can be computed alone, by anyone."""

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from openflan.mixture.order import StreamOrder, hash_integers, permute

DRAWS = {"a": 2, "b": 3, "c": 12}
ROWS = {"a": 4, "b": 9, "c": 24}
ROUND = 17


def stream(start, stop, *, seed=0, draws=DRAWS, rows=ROWS):
    found = StreamOrder(draws, rows, seed=seed).at(np.arange(start, stop))
    return list(zip(found.task.tolist(), found.row.tolist(), found.epoch.tolist(), found.ticket.tolist(), strict=True))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 17, 100, 1000, 4097])
@pytest.mark.parametrize("key", [0, 1, 2**63 + 5])
def test_a_permutation_sends_every_index_to_another(size, key):
    image = permute(np.arange(size), size, np.uint64(key))
    assert sorted(image.tolist()) == list(range(size))


def test_permutations_are_well_mixed():
    """Where index 0 and the pair (0, 1) land should be uniform over keys (chi-square, 0.1 % level)."""
    size, keys = 12, 12_000
    places = permute(np.zeros(keys, dtype=np.int64), size, hash_integers(7, np.arange(keys)))
    nexts = permute(np.ones(keys, dtype=np.int64), size, hash_integers(7, np.arange(keys)))
    for counts, cells in (
        (np.bincount(places, minlength=size), size),
        (np.bincount((nexts - places) % size, minlength=size)[1:], size - 1),
    ):
        chi_square = ((counts - keys / cells) ** 2 / (keys / cells)).sum()
        assert chi_square < 31.3  # 0.1 % point for 11 degrees of freedom


def test_in_a_round_every_task_is_drawn_exactly_as_often_as_its_rate_says():
    for turn in range(6):
        tasks = Counter(task for task, *_ in stream(turn * ROUND, (turn + 1) * ROUND))
        assert tasks == {0: 2, 1: 3, 2: 12}


def test_every_row_comes_once_an_epoch():
    drawn = stream(0, 6 * ROUND)
    for task, rows in enumerate(ROWS.values()):
        mine = [(row, epoch) for t, row, epoch, _ in drawn if t == task]
        for epoch in range(len(mine) // rows):
            assert sorted(row for row, e in mine if e == epoch) == list(range(rows))


def test_no_row_comes_twice_before_every_other_came_once():
    """Quota and rows need not divide each other: an epoch may end inside a round."""
    drawn = stream(0, 40 * 7, draws={"a": 7}, rows={"a": 10})
    seen = Counter((row, epoch) for _, row, epoch, _ in drawn)
    assert set(seen.values()) == {1}
    assert {epoch for _, epoch in seen} == set(range(28))


def test_epochs_differ_in_order():
    orders = {}
    for _, row, epoch, _ in stream(0, 2 * 24, draws={"c": 12}, rows={"c": 24}):
        orders.setdefault(epoch, []).append(row)
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (16, 18), (100, 300), (12_345, 12_400)])
def test_any_slice_equals_the_straight_stream(start, stop):
    assert stream(start, stop) == stream(0, stop)[start:]


def test_positions_may_be_asked_for_in_any_order():
    backwards = StreamOrder(DRAWS, ROWS, seed=0).at(np.arange(200)[::-1])
    assert backwards.row.tolist()[::-1] == [row for _, row, _, _ in stream(0, 200)]


def test_seeds_give_different_streams_of_the_same_shares():
    one, two = stream(0, 5 * ROUND, seed=0), stream(0, 5 * ROUND, seed=1)
    assert one != two
    assert Counter(task for task, *_ in one) == Counter(task for task, *_ in two)
    same = sum(a[:2] == b[:2] for a, b in zip(one, two, strict=True))
    assert same < len(one) / 4


def test_neighbouring_draws_do_not_follow_the_file():
    rows = [row for _, row, _, _ in stream(0, 1000, draws={"a": 1000}, rows={"a": 1000})]
    assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.15
    assert sum(abs(a - b) == 1 for a, b in pairwise(rows)) < 20


@pytest.mark.parametrize("templates", [2, 7, 10])
def test_tickets_choose_templates_evenly_and_anew_each_epoch(templates):
    drawn = stream(0, 20_000, draws={"a": 100}, rows={"a": 100})
    counts = np.bincount([ticket % templates for *_, ticket in drawn], minlength=templates)
    expected = len(drawn) / templates
    assert ((counts - expected) ** 2 / expected).sum() < 30
    of_one_row = {ticket % templates for _, row, _, ticket in drawn if row == 3}
    assert len(of_one_row) == templates


def test_a_task_of_one_row_is_drawn_over_and_over():
    assert [(row, epoch) for _, row, epoch, _ in stream(0, 4, draws={"a": 1}, rows={"a": 1})] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (0, 3),
    ]


def test_another_process_draws_the_same():
    code = (
        "import numpy as np; from openflan.mixture.order import StreamOrder\n"
        f"d = StreamOrder({DRAWS}, {ROWS}, seed=3).at(np.arange(500, 540))\n"
        "print(list(zip(d.task.tolist(), d.row.tolist(), d.epoch.tolist(), d.ticket.tolist())))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(stream(500, 540, seed=3))


def test_the_order_is_the_same_in_every_version():
    """Runs name their order by a seed; a change here changes every mixture and must be told in the changelog."""
    golden = [(2, 19), (2, 12), (2, 3), (0, 1), (1, 3), (2, 20), (2, 17), (2, 6)]
    assert [draw[:2] for draw in stream(0, 8)] == golden
