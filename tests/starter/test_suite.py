"""The suite: ordinary task files over the twelve clusters, with varied templates and honest wording."""

import re
from collections import Counter

import pytest

import openflan_starter
from openflan.tasks.clusters import CLUSTERS
from openflan.tasks.spec import load_task
from openflan_starter.rows import TASKS

_SUITE = openflan_starter.SUITE
_FILES = sorted(_SUITE.rglob("*.yaml"))
_SPECS = [load_task(path) for path in _FILES]


def test_the_suite_covers_the_twelve_clusters():
    clusters = Counter(spec.cluster for spec in _SPECS)
    assert set(clusters) == set(CLUSTERS)
    assert min(clusters.values()) >= 2
    assert sum(clusters.values()) >= 22


def test_every_row_generator_has_a_task_and_the_other_way_round():
    assert sorted(spec.source.starter or "" for spec in _SPECS) == sorted(TASKS)


def test_every_cluster_has_a_task_with_options():
    assert {spec.cluster for spec in _SPECS if spec.is_classification} == set(CLUSTERS)


@pytest.mark.parametrize("spec", _SPECS, ids=lambda spec: spec.name)
def test_a_task_has_eight_templates_of_which_six_ask_and_three_at_most_are_inverted(spec):
    inverted = [t for t in spec.templates if t.inverted]
    assert len(spec.templates) >= 8
    assert len(spec.templates) - len(inverted) >= 6
    assert len(inverted) <= 3
    assert len({t.input for t in spec.templates}) == len(spec.templates)
    if spec.is_classification:
        templates = [t for t in spec.templates if not t.inverted]
        assert sum("{{options}}" in t.input for t in templates) >= len(templates) - 3


def test_inference_and_paraphrase_wording_is_in_no_other_cluster():
    """What is held out must not be taught elsewhere under another name."""
    own = re.compile(
        r"\b(mean(s|ing)?|entails?|conclu\w+|follows from|true|same|paraphrase|in other words|maybe)\b", re.I
    )
    kin = ("natural_language_inference", "paraphrase")
    for spec in _SPECS:
        if spec.cluster not in kin:
            for template in spec.templates:
                assert not own.search(template.input), (spec.name, template.input)


@pytest.mark.parametrize("spec", _SPECS, ids=lambda spec: spec.name)
def test_every_template_renders_on_rows(spec):
    from itertools import islice

    from openflan.prompts.render import TaskRenderer
    from openflan.tasks.catalog import Entry
    from openflan.tasks.sources import SourceRow
    from openflan_starter.rows import rows

    entry = next(Entry(spec=spec, path=path, collection="starter") for path in _FILES if path.stem == spec.name)
    renderer = TaskRenderer(entry)
    used = set()
    for number, fields in enumerate(islice(rows(spec.source.starter or "", "test"), 8)):
        row = SourceRow(index=number, fields=fields)
        for template in renderer.applicable(row):
            prompt = renderer.render(row, template)
            assert prompt.input
            assert prompt.target
            assert "{" not in prompt.input
            used.add(template)
    assert used == set(range(len(spec.templates)))
