"""Every task of the catalog loads exactly its splits from a repository laid out as the hub has it."""

import re

import pytest
from catalog_repositories import BRANCH, CSV, OTHER_CONFIGURATIONS, publish, row_of, size_of, twin_size
from hub_client import catalog_entry, marked

from openflan.tasks.catalog import open_catalog
from openflan.tasks.cleaning import RowCleaner
from openflan.tasks.splits import parse_slice

ENTRIES = open_catalog(collections=["catalog"]).entries
ON_THE_HUB = {name: entry for name, entry in ENTRIES.items() if entry.spec.source.hub and not entry.spec.source.by_hand}


def test_all_but_the_four_by_hand_are_on_the_hub():
    assert len(ENTRIES) == 71
    assert sorted(ENTRIES.keys() - ON_THE_HUB.keys()) == [
        "newsroom",
        "opinion_abstracts_idebate",
        "opinion_abstracts_rotten_tomatoes",
        "story_cloze",
    ]


def read_by(entry, split):
    """Name of the file that a task's split stands in."""
    source = entry.spec.source
    if source.files is not None:
        configuration = source.patterns(split)[0].partition("/")[0]
        if source.hub == "ParaCrawl/para_crawl":
            return "enes/partial-train" if configuration == "enes" else "enda/train"
        return f"{'plain_text' if source.hub == 'allenai/quac' else configuration.replace('*', 'default')}/{split}"
    return f"{source.config or ('default' if source.hub == 'knkarthick/samsum' else 'plain_text')}/{split}"


def places_of(entry, role, count):
    """Places that a role takes of its split: a slice, and training leaves validation's rows out."""
    split, start, stop = parse_slice(entry.spec.splits[role])
    places = range(count)[start:stop]
    kept = parse_slice(entry.spec.splits.get("validation", "none"))
    if role == "train" and kept[0] == split:
        return [place for place in places if place not in range(count)[slice(*kept[1:])]]
    return places


def kind_of(entry):
    """What is particular about how a task's repository is laid out and read."""
    source = entry.spec.source
    if source.hub in {*BRANCH, *CSV, *OTHER_CONFIGURATIONS}:
        return source.hub
    forms = {role: "[" in text for role, text in entry.spec.splits.items()}
    return (source.config is None, source.unroll is None, source.shuffle is None, *forms.items())


FIRST_OF_A_KIND = set({kind_of(entry): name for name, entry in reversed(ON_THE_HUB.items())}.values())


@pytest.mark.parametrize(
    "name", [name if name in FIRST_OF_A_KIND else pytest.param(name, marks=pytest.mark.slow) for name in ON_THE_HUB]
)
def test_a_task_loads_exactly_its_splits_and_no_other_rows(hub, client, name):
    entry = catalog_entry(name)
    publish(hub, entry)
    for role, text in entry.spec.splits.items():
        file = read_by(entry, parse_slice(text)[0])
        loaded = client(marked, entry, role)
        assert {there for _, rows in loaded for there, _ in rows} == {re.sub("[^a-z0-9]", "", file.lower())}
        indices = [index for index, _ in loaded]
        if entry.spec.source.unroll is not None:  # a row of the hub becomes several
            assert indices
            continue
        assert all(number == index for index, rows in loaded for _, number in rows)
        if entry.spec.source.shuffle is None:
            places = places_of(entry, role, size_of(file))
            cycle = twin_size(entry)
            kept = [
                RowCleaner(entry).clean(row_of(entry, file, number), where="") is not None for number in range(cycle)
            ]
            assert indices == [place for place in places if kept[place % cycle]]
        else:
            assert len(indices) == len(set(indices))
    assert not [request for request in hub.requests if request.path.endswith(".py") and request.method == "GET"]
