"""Order is arithmetic: any slice of the stream can be computed alone, by anyone."""

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from openflan.hashing import hash_integers, permute
from openflan.mixture.order import StreamOrder, TaskOrder

DRAWS = {"a": 2, "b": 3, "c": 12}
ROWS = {"a": 4, "b": 9, "c": 24}
ROUND = 17


def stream(start, stop, *, seed=0, draws=DRAWS, rows=ROWS):
    """(task, row, epoch, ticket) at each position."""
    return at(np.arange(start, stop), seed=seed, draws=draws, rows=rows)


def at(positions, *, seed=0, draws=DRAWS, rows=ROWS):
    picks = StreamOrder(draws, seed=seed).at(positions)
    stretch = np.empty((len(positions), 4), dtype=object)
    for number, name in enumerate(draws):
        mine = picks.task == number
        taken = TaskOrder(name, rows[name], seed=seed).at(picks.draw[mine])
        columns = (np.full(mine.sum(), number), taken.row, taken.epoch, taken.ticket)
        stretch[mine] = np.stack([column.astype(object) for column in columns], axis=1)
    return [tuple(int(value) for value in row) for row in stretch]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 17, 100, 1000, 4097])
@pytest.mark.parametrize("key", [0, 1, 2**63 + 5])
def test_a_permutation_sends_every_index_to_another(size, key):
    image = permute(np.arange(size), size, np.uint64(key))
    assert sorted(image.tolist()) == list(range(size))
    assert permute(np.arange(size)[-3:], size, np.uint64(key)).tolist() == image[-3:].tolist()  # few go another way


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
    assert at(np.arange(200)[::-1])[::-1] == stream(0, 200)


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
        "import numpy as np; from openflan.mixture.order import StreamOrder, TaskOrder\n"
        f"d = StreamOrder({DRAWS}, seed=3).at(np.arange(500, 540))\n"
        f"o = [TaskOrder(name, rows, seed=3) for name, rows in {ROWS}.items()]\n"
        "taken = [o[t].at(np.array([k])) for t, k in zip(d.task.tolist(), d.draw.tolist())]\n"
        "rows = [(int(x.row[0]), int(x.epoch[0]), int(x.ticket[0])) for x in taken]\n"
        "print([(t, *row) for t, row in zip(d.task.tolist(), rows)])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(stream(500, 540, seed=3))


def test_a_tasks_own_sequence_is_the_same_in_every_mixture():
    alone = [draw[1:] for draw in stream(0, 40, draws={"b": 1}, rows={"b": 9})]
    among = [draw[1:] for draw in stream(0, 400) if draw[0] == 1][:40]
    assert sorted(among[:36]) == sorted(alone[:36])  # order within a round aside
    other = StreamOrder({"z": 4, "b": 3}, seed=0).at(np.arange(70))
    assert sorted(other.draw[other.task == 1].tolist()) == list(range(30))


@pytest.mark.parametrize("positions", [0, 1, 16, 17, 18, 100, 1000])
def test_the_draws_needed_are_those_that_the_stream_reaches_into(positions):
    order = StreamOrder(DRAWS, seed=5)
    picks = order.at(np.arange(positions))
    reached = [max([-1, *picks.draw[picks.task == task].tolist()]) + 1 for task in range(3)]
    assert order.draws_needed(positions).tolist() == reached


def test_the_order_is_the_same_in_every_version():
    """Runs name their order by a seed; a change here changes every mixture and must be told in the changelog."""
    golden = [(2, 20), (2, 8), (2, 14), (0, 2), (1, 4), (2, 18), (2, 6), (2, 22)]
    assert [draw[:2] for draw in stream(0, 8)] == golden


def test_a_long_round_spreads_each_tasks_draws_evenly():
    """A stretch of a long round needs no more draws of a task than its share, give or take a block."""
    order = StreamOrder({"a": 300_000, "b": 7_000, "c": 11}, seed=2)
    for positions in (5_000, 100_000, 250_001):
        needed = order.draws_needed(positions)
        share = positions / 307_011
        assert abs(needed[0] - 300_000 * share) <= 1_100
        assert abs(needed[1] - 7_000 * share) <= 40
        assert needed[2] <= 11 * share + 2
    whole = order.at(np.arange(307_011, dtype=np.int64))
    for task, quota in enumerate((300_000, 7_000, 11)):
        assert sorted(whole.draw[whole.task == task].tolist()) == list(range(quota))
