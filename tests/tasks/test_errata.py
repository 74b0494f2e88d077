"""Errata: off, a task is as the paper says; on, as the authors' code does; and its hash tells the two apart."""

import pytest

from openflan.errors import UserError
from openflan.tasks.catalog import open_catalog
from openflan.tasks.errata import ERRATA, active_errata, apply_errata, errata_of
from openflan.tasks.rows import STEPS

ENTRIES = open_catalog(collections=["catalog"]).entries


def test_by_default_none_is_on_and_code_v1_turns_on_all():
    assert active_errata("paper", {}, where="tasks.errata") == frozenset()
    assert active_errata("code-v1", {}, where="tasks.errata") == set(ERRATA)


def test_a_single_switch_wins_over_the_mode():
    assert active_errata("paper", {"ascii_lower_case": True}, where="") == {"ascii_lower_case"}
    assert "ascii_lower_case" not in active_errata("code-v1", {"ascii_lower_case": False}, where="")


def test_an_unknown_switch_is_named():
    with pytest.raises(UserError, match=r"tasks\.errata\.ascii_lowercase: .*did you mean 'ascii_lower_case'"):
        active_errata("paper", {"ascii_lowercase": True}, where="tasks.errata")


@pytest.mark.parametrize("name", [name for name, erratum in ERRATA.items() if erratum.steps])
def test_a_switch_changes_some_task_and_its_hash(name):
    touched = [entry.spec for entry in ENTRIES.values() if name in errata_of(entry.spec)]
    assert touched
    for spec in touched:
        changed = apply_errata(spec, frozenset({name}))
        assert changed.fingerprint != spec.fingerprint
        assert set(changed.rows) <= set(STEPS)
        assert apply_errata(spec, frozenset()) is spec


def test_opening_the_catalog_with_errata_applies_them():
    opened = open_catalog(collections=["catalog"], errata=frozenset({"sentiment140_neutral_as_negative"})).entries
    assert "neutral_tweets_are_negative" in opened["sentiment140"].spec.rows
    assert "drop_neutral_tweets" in ENTRIES["sentiment140"].spec.rows
